/**
 * Measures a transfer rate.
 *
 * @module
 */

/** Time constant of the smoothing, in seconds: the time after which two thirds of a change show in the rate. */
const SMOOTHING_SECONDS = 3;

/** Counts bytes and measures a smoothed rate. */
export class RateMeter {
  #total = 0;
  #pending = 0;
  #rate = 0;
  #age = 0;
  /** Bytes counted in the rate but not yet in the total. */
  #begun = 0;

  /** Bytes counted so far. */
  get total(): number {
    return this.#total;
  }

  /** Bytes counted so far, including those of a block that is still incomplete. */
  get arrived(): number {
    return this.#total + this.#begun;
  }

  /** Smoothed rate in bytes per second. */
  get rate(): number {
    return this.#rate;
  }

  /** Counts bytes. */
  add(bytes: number): void {
    this.#total += bytes;
    this.#pending += bytes;
  }

  /**
   * Counts an incomplete block in the rate, before {@linkcode RateMeter.add} counts the whole block, so that the rate
   * is even on slow connections.
   *
   * @param bytes Received bytes of the incomplete block; 0 if there is none.
   */
  begun(bytes: number): void {
    this.#pending += bytes - this.#begun;
    this.#begun = bytes;
  }

  /**
   * Updates the rate. Called at regular intervals.
   *
   * @param seconds Seconds since the last call.
   */
  tick(seconds: number): void {
    if (seconds <= 0) return;
    this.#age += seconds;
    // A new meter averages over its age, so that the first rates aren't too low.
    const span = Math.min(this.#age, SMOOTHING_SECONDS);
    const weight = Math.min(1, 1 - Math.exp(-seconds / span) + (this.#age <= seconds ? 1 : 0));
    this.#rate += weight * (this.#pending / seconds - this.#rate);
    if (this.#rate < 1) this.#rate = 0;
    this.#pending = 0;
  }
}
