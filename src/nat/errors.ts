/**
 * Errors of port mapping.
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

/** No gateway was found, or a gateway has refused or given an invalid answer. Downloads work without a port mapping. */
export class PortMapError extends ShoalError {
  override name = "PortMapError";
  /** Error number with which the gateway refused; `null` for any other error. */
  readonly code: number | null;

  /** @param why What happened, as a plain sentence. */
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
