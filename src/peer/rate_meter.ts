/**
 * Bytes a second, lately.
 *
 * @module
 */

/** Seconds after which a change of the rate shows for two thirds. */
const SMOOTHING_SECONDS = 3;

/** A smoothed rate, and the sum of all that was counted. */
export class RateMeter {
  #total = 0;
  #pending = 0;
  #rate = 0;
  #age = 0;
  /** Of what was counted for the rate, what isn't in the sum yet. */
  #begun = 0;

  /** Bytes counted so far. */
  get total(): number {
    return this.#total;
  }

  /** Bytes a second, lately. */
  get rate(): number {
    return this.#rate;
  }

  /**
   * Counts bytes.
   *
   * @param bytes How many.
   */
  add(bytes: number): void {
    this.#total += bytes;
    this.#pending += bytes;
  }

  /**
   * Counts what is here of something that will be added when it is whole, so that the rate is even where that takes long.
   *
   * @param bytes Of it, all that has come; 0 when nothing has begun.
   */
  begun(bytes: number): void {
    this.#pending += bytes - this.#begun;
    this.#begun = bytes;
  }

  /**
   * Brings the rate up to date; called at regular intervals.
   *
   * @param seconds Since the last call.
   */
  tick(seconds: number): void {
    if (seconds <= 0) return;
    this.#age += seconds;
    // A young meter averages over its life, so that the first figures aren't too low.
    const span = Math.min(this.#age, SMOOTHING_SECONDS);
    const weight = Math.min(1, 1 - Math.exp(-seconds / span) + (this.#age <= seconds ? 1 : 0));
    this.#rate += weight * (this.#pending / seconds - this.#rate);
    if (this.#rate < 1) this.#rate = 0;
    this.#pending = 0;
  }
}
