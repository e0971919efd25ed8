/**
 * Errors of the tracker room.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Why an announce came to nothing although the tracker answered. */
export class TrackerError extends ShoalError {
  override name = "TrackerError";
  /** Milliseconds that the tracker wants to be left alone; `Infinity` for ever; `null` when it does not say (BEP 31). */
  readonly retryIn: number | null;

  /**
   * @param why In plain words.
   * @param options `retryIn`: see {@linkcode TrackerError.retryIn}. `cause`: the error underneath.
   */
  constructor(why: string, options: { readonly retryIn?: number | null; readonly cause?: unknown } = {}) {
    super("network", { what: "the tracker refused", why, cause: options.cause });
    this.retryIn = options.retryIn ?? null;
  }
}
