/**
 * Time and randomness for tests: a clock that moves only when a test moves it, and random numbers that a seed decides.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Platform, Timer } from "../../src/platform/platform.ts";

/** A waiting timer. */
interface Pending {
  readonly due: number;
  /** Order among timers due at the same moment, lowest first. */
  readonly rank: number;
  /**
   * Order of starting: timers due at the same moment with the same rank run in the order in which they were started.
   */
  readonly order: number;
  readonly run: () => void;
}

/** Options for {@linkcode VirtualClock}. */
export interface VirtualClockOptions {
  /** Seed of the random numbers; 1 when absent. */
  readonly seed?: number;
  /** First reading of {@linkcode VirtualClock.now}, in milliseconds; 0 when absent. */
  readonly now?: number;
  /** First reading of {@linkcode VirtualClock.wallClock}, in milliseconds since 1970; the start of 2026 when absent. */
  readonly wallClock?: number;
}

/**
 * The clock, timers and random numbers of a {@linkcode Platform}. To add a network, a test extends the class or spreads
 * its bound methods.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock();
 * clock.after(1000, () => calls.push("a"));
 * clock.advance(999); // runs nothing
 * clock.advance(1); // calls is ["a"]
 * ```
 */
export class VirtualClock implements Pick<Platform, "now" | "wallClock" | "after" | "random" | "randomBytes"> {
  #now: number;
  #state: number;
  #started = 0;
  readonly #wallOffset: number;
  /** Binary heap, soonest first. */
  readonly #heap: Pending[] = [];
  readonly #waiting = new Set<Pending>();

  constructor(options: VirtualClockOptions = {}) {
    this.#now = options.now ?? 0;
    this.#wallOffset = (options.wallClock ?? Date.UTC(2026, 0, 1)) - this.#now;
    this.#state = (options.seed ?? 1) | 0;
  }

  /** Time of the next timer; Infinity if no timer waits. */
  get nextDue(): number {
    for (let next = this.#heap[0]; next !== undefined; next = this.#heap[0]) {
      if (this.#waiting.has(next)) return next.due;
      this.#pop(); // cancelled
    }
    return Infinity;
  }

  /** Number of waiting timers. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Returns the time on this clock, in milliseconds. */
  now(): number {
    return this.#now;
  }

  /** Returns the wall-clock time, in milliseconds since 1970. */
  wallClock(): number {
    return this.#now + this.#wallOffset;
  }

  /**
   * Starts a one-shot timer.
   *
   * @param milliseconds Delay; below 0 counts as 0.
   * @param run Called when the timer is due.
   * @param rank Order among timers due at the same moment, lowest first; 0 when absent.
   */
  after(milliseconds: number, run: () => void, rank = 0): Timer {
    const pending = { due: this.#now + Math.max(0, milliseconds), rank, order: this.#started++, run };
    this.#waiting.add(pending);
    this.#push(pending);
    return { cancel: () => void this.#waiting.delete(pending) };
  }

  /** Returns a random number from 0 (inclusive) to 1 (exclusive). The same seed gives the same sequence. */
  random(): number {
    // mulberry32: small, fast, and good enough to shuffle with
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /**
   * Returns bytes from the sequence of random numbers.
   *
   * @param length Number of bytes.
   */
  randomBytes(length: number): Bytes {
    const bytes = new Uint8Array(length);
    // Several times as fast as Uint8Array.from().
    for (let i = 0; i < length; i++) bytes[i] = Math.floor(this.random() * 256);
    return bytes;
  }

  /**
   * Moves the clock and runs due timers in order, each at its own moment, including timers that those timers start.
   * Promise callbacks don't run in between; see {@linkcode VirtualClock.play}.
   *
   * @param milliseconds Distance, 0 or more.
   */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    while (this.#step(end)) { /* until nothing is due */ }
    this.#now = end;
  }

  /**
   * Moves the clock as {@linkcode VirtualClock.advance} does, and runs all ready promise callbacks before the first
   * timer and after each.
   *
   * @param milliseconds Distance, 0 or more.
   */
  async play(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    do await settle(); while (this.#step(end));
    this.#now = end;
  }

  /**
   * Moves the clock to the next timer and runs all timers due at that moment, including timers that those timers start.
   */
  runNext(): void {
    const due = this.nextDue;
    if (due < Infinity) { while (this.#step(due)) { /* until nothing is due */ } }
  }

  /**
   * Moves the clock without running timers, as a suspended program sees it. Timers that fell due meanwhile run late,
   * when the clock is moved next.
   *
   * @param milliseconds Distance, 0 or more.
   */
  jump(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /**
   * Runs the next timer if it is due by `end`.
   *
   * @returns `true` if a timer ran.
   */
  #step(end: number): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.due <= end; next = this.#heap[0]) {
      this.#pop();
      if (!this.#waiting.delete(next)) continue; // cancelled
      this.#now = Math.max(this.#now, next.due);
      next.run();
      return true;
    }
    return false;
  }

  #push(pending: Pending): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(pending);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isSooner(pending, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = pending;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isSooner(heap[child + 1]!, heap[child]!)) child++;
      if (!isSooner(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

/** Waits until all ready promise callbacks, and those that they make ready, have run. */
export function settle(): Promise<void> {
  return IMMEDIATE_IS_QUICK ? new Promise((resolve) => void setImmediate(resolve)) : byMessage();
}

/**
 * `true` if {@linkcode settle} can use `setImmediate`. A callback after all promise callbacks has to be a task of its
 * own. In Deno 2.4 `setImmediate` takes a millisecond. In Deno 2.9 it takes microseconds, and a message on a
 * `MessageChannel` arrives among the promise callbacks as soon as any module has loaded `node:worker_threads`.
 */
const IMMEDIATE_IS_QUICK = !/^2\.[0-4]\./.test(Deno.version.deno);

function byMessage(): Promise<void> {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      channel.port2.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });
}

function isSooner(a: Pending, b: Pending): boolean {
  if (a.due !== b.due) return a.due < b.due;
  return a.rank !== b.rank ? a.rank < b.rank : a.order < b.order;
}
