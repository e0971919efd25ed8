/**
 * The line of one host: bytes take their time on the way out, on the way, and on the way in.
 *
 * @module
 */

import type { VirtualClock } from "../support/virtual_clock.ts";

/** How fast a line is. */
export interface LineSpeed {
  /** Bytes a second out; Infinity for no limit. */
  readonly up: number;
  /** Bytes a second in; Infinity for no limit. */
  readonly down: number;
  /** Milliseconds from this host to the middle of the network, one way. */
  readonly latency: number;
  /** Milliseconds that may be added to it, by chance. */
  readonly jitter?: number;
}

/** Somebody who has bytes to send. */
export interface Sender {
  /** Whether the sender waits in a line's queue; kept by the line. */
  queued: boolean;
  /** The line that the bytes go to. */
  readonly destination: Line;
  /** Takes up to `limit` bytes off the sender's hands. @returns how many; 0 when nothing may be sent now. */
  depart(limit: number): number;
  /** Whether it has more to send, as far as it is known. */
  readonly hasMore: boolean;
  /** The oldest bytes that departed and haven't arrived are there. */
  arrive(): void;
}

/** Largest piece of a stream that goes out in one go; several streams take turns. */
const QUANTUM = 16 * 1024 + 64;
/** A slow line sends smaller pieces, worth this many milliseconds, ... */
const QUANTUM_MS = 50;
/** ... but no smaller ones than this: about a packet. */
const LEAST_QUANTUM = 1460;

/** Bandwidth and latency of a host; streams share it fairly, turn by turn. */
export class Line {
  /** Bytes that went out. */
  sent = 0;
  /** Its place among events of the same millisecond. */
  readonly rank: () => number;
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #speed: LineSpeed;
  readonly #quantum: number;
  #queue: Sender[] = [];
  #head = 0;
  #upFree = 0;
  #downFree = 0;
  #pumping = false;
  #asleepUntil = 0;

  /**
   * @param clock Moves everything.
   * @param options Speeds, `random`: uniform in 0 to 1, and `rank`.
   */
  constructor(
    clock: VirtualClock,
    options: LineSpeed & { readonly random: () => number; readonly rank: () => number },
  ) {
    this.#clock = clock;
    this.#random = options.random;
    this.rank = options.rank;
    this.#speed = options;
    this.#quantum = Math.floor(Math.max(LEAST_QUANTUM, Math.min(QUANTUM, options.up * QUANTUM_MS / 1000)));
  }

  /** Milliseconds to the middle of the network, chance included. */
  get latency(): number {
    return this.#speed.latency + (this.#speed.jitter ?? 0) * this.#random();
  }

  /** The program behind the line stands still until then; the line itself goes on working. */
  sleepUntil(moment: number): void {
    this.#asleepUntil = moment;
  }

  /** Until when the program behind the line stands still. */
  get asleepUntil(): number {
    return this.#asleepUntil;
  }

  /** Whether the program behind the line runs. */
  get isAwake(): boolean {
    return this.#asleepUntil <= this.#clock.now();
  }

  /** Runs something for the program behind the line: now, or once it is awake. */
  whenAwake(run: () => void): void {
    const left = this.#asleepUntil - this.#clock.now();
    if (left > 0) this.#clock.after(left, () => this.whenAwake(run), this.rank());
    else run();
  }

  /** A sender has something to send. */
  offer(sender: Sender): void {
    if (sender.queued) return;
    sender.queued = true;
    this.#queue.push(sender);
    if (!this.#pumping) this.#pump();
  }

  #pump(): void {
    const now = this.#clock.now();
    while (this.#head < this.#queue.length && this.#upFree < now + 1) {
      const sender = this.#queue[this.#head++]!;
      const bytes = sender.depart(this.#quantum);
      sender.queued = bytes > 0 && sender.hasMore;
      if (bytes === 0) continue;
      this.sent += bytes;
      this.#upFree = Math.max(this.#upFree, now) + 1000 * bytes / this.#speed.up;
      const { destination } = sender;
      const there = Math.ceil(this.#upFree + this.latency + destination.latency);
      this.#clock.after(there - now, () => destination.#receive(sender, bytes), destination.rank());
      if (sender.queued) this.#queue.push(sender);
    }
    if (this.#head > 64 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#pumping = this.#head < this.#queue.length;
    if (this.#pumping) this.#clock.after(Math.floor(this.#upFree) - now, () => this.#pump(), this.rank());
  }

  #receive(sender: Sender, bytes: number): void {
    const now = this.#clock.now();
    this.#downFree = Math.max(this.#downFree, now) + 1000 * bytes / this.#speed.down;
    const wait = Math.floor(this.#downFree) - now;
    if (wait <= 0) sender.arrive();
    else this.#clock.after(wait, () => sender.arrive(), this.rank());
  }
}
