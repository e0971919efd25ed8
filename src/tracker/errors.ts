/**
 * Errors of the tracker client.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";

/** Options for {@linkcode TrackerError}. */
export interface TrackerErrorOptions {
  /** See {@linkcode TrackerError.retryIn}; `null` when absent. */
  readonly retryIn?: number | null;
  /** The underlying error. */
  readonly cause?: unknown;
}

/** Thrown when an announce fails, for instance because the tracker refuses it. */
export class TrackerError extends ShoalError {
  override name = "TrackerError";
  /** Milliseconds until the next announce; `Infinity` for never; `null` if the tracker doesn't say (BEP 31). */
  readonly retryIn: number | null;

  /**
   * @param why Reason in plain words.
   * @param options See {@linkcode TrackerErrorOptions}.
   */
  constructor(why: string, options: TrackerErrorOptions = {}) {
    super("network", { what: "the tracker refused", why, cause: options.cause });
    this.retryIn = options.retryIn ?? null;
  }
}
