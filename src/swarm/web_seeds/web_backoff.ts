/**
 * When to try a web seed again.
 *
 * @module
 */

/** Milliseconds after the first failure; doubled with each that follows ... */
const FIRST_MS = 5_000;
/** ... up to this. */
const LAST_MS = 5 * 60_000;

/** Failures in a row, and the wait that they make. */
export class WebBackoff {
  #failures = 0;
  #until = -Infinity;

  /** When it may be tried again, in milliseconds. */
  get until(): number {
    return this.#until;
  }

  /** Failures since something last came. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * It failed.
   *
   * @param now Milliseconds.
   * @param after Milliseconds that the server wants us to wait, or `null`.
   * @returns Milliseconds until it may be tried again.
   */
  failed(now: number, after: number | null): number {
    const wait = after ?? Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.#until = now + wait;
    return wait;
  }

  /** It sent what it was asked for. */
  succeeded(): void {
    this.#failures = 0;
  }
}
