/**
 * Time and chance for tests: a clock that moves only when it is told to, and random numbers that a seed decides.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Bytes } from "../../src/base/bytes.ts";
import type { Platform, Timer } from "../../src/platform/platform.ts";

/** One timer that waits. */
interface Pending {
  readonly due: number;
  /** Decides among timers that are due at the same moment, lowest first. */
  readonly rank: number;
  /** Order of starting, so that timers due at the same moment, of the same rank, run as they were started. */
  readonly order: number;
  readonly run: () => void;
}

/** What a {@linkcode VirtualClock} starts from. */
export interface VirtualClockOptions {
  /** Decides every random number; 1 when absent. */
  readonly seed?: number;
  /** First reading of {@linkcode VirtualClock.now}, in milliseconds; 0 when absent. */
  readonly now?: number;
  /** First reading of {@linkcode VirtualClock.wallClock}, in milliseconds since 1970; the start of 2026 when absent. */
  readonly wallClock?: number;
}

/**
 * The clock, timers and random numbers of a {@linkcode Platform}. A test extends it, or spreads bound methods of it, to
 * add a network.
 *
 * @example
 * ```ts
 * const clock = new VirtualClock();
 * clock.after(1000, () => calls.push("a"));
 * clock.advance(999); // nothing
 * clock.advance(1); // calls is ["a"]
 * ```
 */
export class VirtualClock implements Pick<Platform, "now" | "wallClock" | "after" | "random" | "randomBytes"> {
  #now: number;
  #state: number;
  #started = 0;
  readonly #wallOffset: number;
  /** A binary heap, soonest first. */
  readonly #heap: Pending[] = [];
  readonly #waiting = new Set<Pending>();

  /** @param options What to start from. */
  constructor(options: VirtualClockOptions = {}) {
    this.#now = options.now ?? 0;
    this.#wallOffset = (options.wallClock ?? Date.UTC(2026, 0, 1)) - this.#now;
    this.#state = (options.seed ?? 1) | 0;
  }

  /** When the next timer is due; Infinity when none waits. */
  get nextDue(): number {
    for (let next = this.#heap[0]; next !== undefined; next = this.#heap[0]) {
      if (this.#waiting.has(next)) return next.due;
      this.#pop(); // it was cancelled
    }
    return Infinity;
  }

  /** How many timers wait to run. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** @returns Milliseconds on this clock. */
  now(): number {
    return this.#now;
  }

  /** @returns Milliseconds since 1970 on this clock. */
  wallClock(): number {
    return this.#now + this.#wallOffset;
  }

  /**
   * Starts a one-shot timer.
   *
   * @param milliseconds From now; below 0 counts as 0.
   * @param run What to do then.
   * @param rank Decides among timers that are due at the same moment, lowest first; 0 when absent.
   * @returns The timer.
   */
  after(milliseconds: number, run: () => void, rank = 0): Timer {
    const pending = { due: this.#now + Math.max(0, milliseconds), rank, order: this.#started++, run };
    this.#waiting.add(pending);
    this.#push(pending);
    return { cancel: () => void this.#waiting.delete(pending) };
  }

  /** @returns A number in 0 (included) to 1 (excluded); the same row of numbers for the same seed. */
  random(): number {
    // mulberry32: small, fast, and good enough to shuffle with
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /**
   * @param length How many.
   * @returns That many bytes from the row of random numbers.
   */
  randomBytes(length: number): Bytes {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = Math.floor(this.random() * 256); // several times as fast as from()
    return bytes;
  }

  /**
   * Moves the clock on and runs what falls due, in order, each at its own moment; timers that those start count too.
   * What waits for a promise does not get a turn: see {@linkcode VirtualClock.play} for that.
   *
   * @param milliseconds How far, 0 or more.
   */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    while (this.#step(end)) { /* until nothing is due */ }
    this.#now = end;
  }

  /**
   * Like {@linkcode VirtualClock.advance}, but lets everything that waits for settled promises go on before the first
   * timer and after each.
   *
   * @param milliseconds How far, 0 or more.
   */
  async play(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    do await settle(); while (this.#step(end));
    this.#now = end;
  }

  /** Goes to the moment at which the next timer is due and runs all that are due then, those included that these start. */
  runNext(): void {
    const due = this.nextDue;
    if (due < Infinity) { while (this.#step(due)) { /* until nothing is due */ } }
  }

  /**
   * Moves the clock on without running anything, as a suspended program sees it: what has fallen due meanwhile runs when
   * the clock is moved next, late.
   *
   * @param milliseconds How far, 0 or more.
   */
  jump(milliseconds: number): void {
    this.#now += milliseconds;
  }

  /** Runs the next timer if it is due by `end`. */
  #step(end: number): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.due <= end; next = this.#heap[0]) {
      this.#pop();
      if (!this.#waiting.delete(next)) continue; // it was cancelled
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

/**
 * Waits until everything that could go on without time passing has gone on: all promise callbacks that are ready, and
 * those that they make ready.
 */
export function settle(): Promise<void> {
  return IMMEDIATE_IS_QUICK ? new Promise((resolve) => void setImmediate(resolve)) : byMessage();
}

/**
 * What comes after all promise callbacks has to be a task of its own. In Deno 2.4 `setImmediate` takes a millisecond. In
 * Deno 2.9 it takes microseconds, and a message to ourselves comes among the promise callbacks, as soon as any module has
 * loaded `node:worker_threads`.
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
