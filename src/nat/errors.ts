/**
 * What goes wrong with gateways.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Options for {@linkcode PortMapError}. */
export interface PortMapErrorOptions {
  /** Address or URL of the gateway. */
  readonly where?: string;
  /** Error number with which the gateway refused. */
  readonly code?: number;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** A gateway that is not there, that refuses, or that makes no sense. Nothing that a download could not do without. */
export class PortMapError extends ShoalError {
  override name = "PortMapError";
  /** The number under which the gateway refused; `null` when it did not. */
  readonly code: number | null;

  /**
   * @param why What happened, in a plain sentence.
   * @param options `where`: the gateway. `code`: the number under which it refused.
   */
  constructor(why: string, options: PortMapErrorOptions = {}) {
    super("network", {
      what: "no port mapping",
      why,
      ...(options.where !== undefined && { where: options.where }),
      ...(options.cause !== undefined && { cause: options.cause }),
    });
    this.code = options.code ?? null;
  }
}
