/**
 * How often something may be done.
 *
 * @module
 */

import { LruMap } from "./lru_map.ts";

/** How much there may be. */
export interface Rate {
  /** In the long run. */
  readonly perSecond: number;
  /** In a row. */
  readonly burst: number;
}

/** One thing that may be done so often. */
export class RateLimit {
  readonly #rate: Rate;
  #left: number;
  #at: number;

  /**
   * @param rate How often.
   * @param now Milliseconds.
   */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#at = now;
  }

  /**
   * @param now Milliseconds.
   * @returns Whether it may be done now; then it counts.
   */
  take(now: number): boolean {
    this.#refill(now);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /**
   * @param now Milliseconds.
   * @returns Milliseconds until it may be done next; 0 for now.
   */
  wait(now: number): number {
    this.#refill(now);
    return this.#left >= 1 ? 0 : (1 - this.#left) / this.#rate.perSecond * 1000;
  }

  #refill(now: number): void {
    this.#left = Math.min(this.#rate.burst, this.#left + (now - this.#at) / 1000 * this.#rate.perSecond);
    this.#at = now;
  }
}

/** The same for many, each by itself. */
export class HostRateLimits {
  readonly #rate: Rate;
  readonly #limits: LruMap<string, RateLimit>;

  /** @param options How often, and how many are remembered: the one that was quiet for longest is forgotten first. */
  constructor(options: Rate & { readonly capacity: number }) {
    this.#rate = options;
    this.#limits = new LruMap(options.capacity);
  }

  /**
   * @param who Who wants it.
   * @param now Milliseconds.
   * @returns Whether it may be done for them now; then it counts.
   */
  take(who: string, now: number): boolean {
    const limit = this.#limits.peek(who) ?? new RateLimit(this.#rate, now);
    this.#limits.set(who, limit);
    return limit.take(now);
  }
}
