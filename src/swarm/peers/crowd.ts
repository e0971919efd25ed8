/**
 * How many come when there is no room.
 *
 * @module
 */

import { ARRIVALS_PER_SECOND } from "../../base/defences.ts";

/** A bucket that leaks: counts those that came lately. */
export class ArrivalRate {
  #count = 0;
  #seen = 0;

  /** One more came, at a time in milliseconds. */
  came(now: number): void {
    this.#count = Math.min(2 * ARRIVALS_PER_SECOND, this.#left(now) + 1);
    this.#seen = now;
  }

  /** Whether more come than can be looked at one by one. */
  isCrowded(now: number): boolean {
    return this.#left(now) > ARRIVALS_PER_SECOND;
  }

  #left(now: number): number {
    return Math.max(0, this.#count - ARRIVALS_PER_SECOND * (now - this.#seen) / 1000);
  }
}
