/**
 * Rate limits: for one thing, and for each of many hosts.
 *
 * @module
 */

import { Queue, type Queued } from "./queue.ts";

/** Rate and burst of a limit. */
export interface Rate {
  /** Times a second in the long run. */
  readonly perSecond: number;
  /** Times in a row. */
  readonly burst: number;
}

/** Token bucket that limits how often something is done. */
export class RateLimit {
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

/** Limit of one host, as an entry of the queue of hosts. */
class OneOfMany extends RateLimit implements Queued<OneOfMany> {
  readonly who: string;
  before: OneOfMany | null = null;
  after: OneOfMany | null = null;

  constructor(who: string, parts: { readonly rate: Rate; readonly now: number }) {
    super(parts.rate, parts.now);
    this.who = who;
  }
}

/** Options for {@linkcode HostRateLimits}. */
export interface HostRateLimitOptions extends Rate {
  /** Hosts that are remembered. The host that was quiet for longest is forgotten first. */
  readonly capacity: number;
}

/** A separate rate limit for each of many hosts. */
export class HostRateLimits {
  readonly #rate: Rate;
  readonly #capacity: number;
  readonly #limits = new Map<string, OneOfMany>();
  /** Hosts by their last use, the longest unused first. */
  readonly #queue = new Queue<OneOfMany>();

  /** @param options See {@linkcode HostRateLimitOptions}. */
  constructor(options: HostRateLimitOptions) {
    this.#rate = options;
    this.#capacity = options.capacity;
  }

  /** Number of remembered hosts. */
  get size(): number {
    return this.#limits.size;
  }

  /**
   * Takes a token of a host if there is one.
   *
   * @param who The host.
   * @param now Monotonic time in milliseconds.
   * @returns `true` if the action is allowed now.
   */
  take(who: string, now: number): boolean {
    let limit = this.#limits.get(who);
    if (limit === undefined) this.#limits.set(who, limit = new OneOfMany(who, { rate: this.#rate, now }));
    else this.#queue.remove(limit);
    this.#queue.push(limit);
    if (this.#limits.size > this.#capacity) {
      const quietest = this.#queue.first!;
      this.#queue.remove(quietest);
      this.#limits.delete(quietest.who);
    }
    return limit.take(now);
  }
}
