/**
 * How often something may be done.
 *
 * @module
 */

import { Queue, type Queued } from "./queue.ts";

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

/** The limit of one of many. */
class OneOfMany extends RateLimit implements Queued<OneOfMany> {
  readonly who: string;
  before: OneOfMany | null = null;
  after: OneOfMany | null = null;

  constructor(who: string, parts: { readonly rate: Rate; readonly now: number }) {
    super(parts.rate, parts.now);
    this.who = who;
  }
}

/** The same for many, each by itself. */
export class HostRateLimits {
  readonly #rate: Rate;
  readonly #capacity: number;
  readonly #limits = new Map<string, OneOfMany>();
  /** The one that was quiet for longest comes first. */
  readonly #queue = new Queue<OneOfMany>();

  /** @param options How often, and how many are remembered: the one that was quiet for longest is forgotten first. */
  constructor(options: Rate & { readonly capacity: number }) {
    this.#rate = options;
    this.#capacity = options.capacity;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#limits.size;
  }

  /**
   * @param who Who wants it.
   * @param now Milliseconds.
   * @returns Whether it may be done for them now; then it counts.
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
