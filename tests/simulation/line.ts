/**
 * The line of one host, with limited speed in both directions and a latency.
 *
 * @module
 */

import type { VirtualClock } from "../support/virtual_clock.ts";

/** Speed and latency of a line. */
export interface LineSpeed {
  /** Upload speed in bytes a second. `Infinity` for no limit. */
  readonly up: number;
  /** Download speed in bytes a second. `Infinity` for no limit. */
  readonly down: number;
  /** One-way latency in milliseconds from this host to the middle of the network. */
  readonly latency: number;
  /** Largest random addition to the latency in milliseconds, 0 by default. */
  readonly jitter?: number;
}

/** Options for {@linkcode Line}. */
export interface LineOptions extends LineSpeed {
  /** Returns uniform random numbers from 0 to 1. */
  readonly random: () => number;
  /** Returns the rank of an event of the line among events of the same millisecond. */
  readonly rank: () => number;
}

/** A stream with bytes to send. */
export interface Sender {
  /** `true` if the sender waits in a line's queue. Set by the line. */
  queued: boolean;
  /** Line that the bytes go to. */
  readonly destination: Line;
  /** Takes up to `limit` bytes from the sender. Returns their number, 0 if nothing may be sent now. */
  depart(limit: number): number;
  /** `true` if the sender may have more to send. */
  readonly hasMore: boolean;
  /** Called when the oldest bytes in flight arrive. */
  arrive(): void;
}

/** Largest number of bytes that a stream sends in its turn. */
const QUANTUM = 16 * 1024 + 64;
/** A slow line sends only as many bytes in a turn as it can send in this many milliseconds. */
const QUANTUM_MS = 50;
/** Smallest number of bytes in a turn, about a packet. */
const LEAST_QUANTUM = 1460;

/** Bandwidth and latency of a host. Streams share the bandwidth in turns. */
export class Line {
  /** Bytes sent. */
  sent = 0;
  /** Returns the rank of an event of this line among events of the same millisecond. */
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

  constructor(clock: VirtualClock, options: LineOptions) {
    this.#clock = clock;
    this.#random = options.random;
    this.rank = options.rank;
    this.#speed = options;
    this.#quantum = Math.floor(Math.max(LEAST_QUANTUM, Math.min(QUANTUM, options.up * QUANTUM_MS / 1000)));
  }

  /** One-way latency in milliseconds to the middle of the network, with random jitter. */
  get latency(): number {
    return this.#speed.latency + (this.#speed.jitter ?? 0) * this.#random();
  }

  /** Suspends the program behind the line until a time. The line goes on sending and receiving. */
  sleepUntil(moment: number): void {
    this.#asleepUntil = moment;
  }

  /** Time until which the program behind the line is suspended. */
  get asleepUntil(): number {
    return this.#asleepUntil;
  }

  /** `true` if the program behind the line isn't suspended. */
  get isAwake(): boolean {
    return this.#asleepUntil <= this.#clock.now();
  }

  /** Runs a callback of the program behind the line: now, or once the program isn't suspended. */
  whenAwake(run: () => void): void {
    const left = this.#asleepUntil - this.#clock.now();
    if (left > 0) this.#clock.after(left, () => this.whenAwake(run), this.rank());
    else run();
  }

  /** Adds a sender with bytes to send to the queue. */
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
