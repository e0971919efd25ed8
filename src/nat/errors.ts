/**
 * What goes wrong with gateways.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** A gateway that is not there, that refuses, or that makes no sense. Nothing that a download could not do without. */
export class PortMapError extends ShoalError {
  override name = "PortMapError";
  /** The number under which the gateway refused; `null` when it did not. */
  readonly code: number | null;

  /**
   * @param why What happened, in a plain sentence.
   * @param options `where`: the gateway. `code`: the number under which it refused.
   */
  constructor(
    why: string,
    options: { readonly where?: string; readonly code?: number; readonly cause?: unknown } = {},
  ) {
    super("network", {
      what: "no port mapping",
      why,
      ...(options.where !== undefined && { where: options.where }),
      ...(options.cause !== undefined && { cause: options.cause }),
    });
    this.code = options.code ?? null;
  }
}
