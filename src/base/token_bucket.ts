/**
 * Rate limits: for one thing, and for each of many hosts.
 *
 * @module
 */

import { LruMap } from "./lru_map.ts";

/** Rate and burst of a limit. */
export interface Rate {
  /** Times a second in the long run. */
  readonly perSecond: number;
  /** Times in a row. */
  readonly burst: number;
}

/** Token bucket that limits how often something is done. */
export class TokenBucket {
  readonly #rate: Rate;
  #left: number;
  #at: number;

  /**
   * @param rate Rate and burst.
   * @param now Monotonic time in milliseconds.
   */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#left = rate.burst;
    this.#at = now;
  }

  /**
   * Takes a token if there is one.
   *
   * @param now Monotonic time in milliseconds.
   * @returns `true` if the action is allowed now.
   */
  take(now: number): boolean {
    this.#refill(now);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /**
   * Returns the milliseconds until the next token; 0 if there is one.
   *
   * @param now Monotonic time in milliseconds.
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

/** Options for {@linkcode TokenBuckets}. */
export interface TokenBucketsOptions extends Rate {
  /** Hosts that are remembered. The host that was quiet for longest is forgotten first. */
  readonly capacity: number;
}

/** A separate rate limit for each of many hosts. */
export class TokenBuckets {
  readonly #rate: Rate;
  readonly #limits: LruMap<string, TokenBucket>;

  constructor(options: TokenBucketsOptions) {
    this.#rate = options;
    this.#limits = new LruMap(options.capacity);
  }

  /**
   * Takes a token of a host if there is one.
   *
   * @param who The host.
   * @param now Monotonic time in milliseconds.
   * @returns `true` if the action is allowed now.
   */
  take(who: string, now: number): boolean {
    const limit = this.#limits.peek(who) ?? new TokenBucket(this.#rate, now);
    this.#limits.set(who, limit);
    return limit.take(now);
  }
}
