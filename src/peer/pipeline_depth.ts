/**
 * How many requests to keep outstanding with a peer.
 *
 * @module
 */

import { BLOCK_SIZE } from "../wire/messages.ts";

/**
 * Requests to a peer of which nothing is known yet. It doubles with every window, so a fast peer is soon at its best; but
 * several seeds that send sixteen blocks each would fill a slow line for minutes, and most of it would come too late (simulated:
 * 57% of what came over a line of 6 KB/s was of no use).
 */
const INITIAL_DEPTH = 4;
/** Fewest requests to a peer that answers, so that a slow one is never left without work. */
const LEAST_DEPTH = 4;
/** Requests beyond the bandwidth-delay product: this many milliseconds of work for the peer ... */
const QUEUE_MS = 250;
/**
 * ... but no more than this many: 8 MiB. With 128 a fast seed ran out of work whenever either end had to wait for a processor
 * (interleaved on two busy cores: 0.7 to 0.9 of the time of 128, a tenth more of it on processors).
 */
const QUEUE_LIMIT = 512;
/** Milliseconds over which the rate is measured: at first, while the depth doubles, and then. */
const FIRST_WINDOW_MS = 10;
const WINDOW_MS = 100;
/** A smallest latency that was seen longer ago than this is measured anew, since routes change ... */
const LATENCY_MEMORY_MS = 10_000;
/** ... with a queue so short that nothing waits in it, for the time that the old queue takes to drain and a bit more. */
const PROBE_SHARE = 0.75;
const PROBE_WINDOWS = 3;
/**
 * Milliseconds after which a peer that was found to hold fewer requests than it says is tried with one more. Doubled each time
 * that it is found out again, so that what is asked in vain is little in a minute and next to nothing in an hour.
 */
const REGROW_MS = 1_000;
const MAX_REGROW_MS = 5 * 60_000;

/**
 * Follows the bandwidth-delay product of a peer, as BBR does for TCP: the rate of blocks over the last window times the
 * smallest latency seen, half as much again, and a short queue on top. When the queue is what limits the rate the depth
 * grows by half every round trip; when the peer is, it stays. The smallest latency is looked for again every ten seconds
 * with a short queue: with a long one, the wait in that queue would be taken for latency, and the depth grow for ever.
 */
export class PipelineDepth {
  /** What the peer says that it holds, or what is known to be safe. */
  #stated: number;
  /** What it was found to hold; Infinity while it holds what it says. */
  #found = Infinity;
  #regrowMs = REGROW_MS;
  #regrowAt = 0;
  /** Whether more was tried since it was last found out. */
  #regrown = false;
  #depth: number;
  #windowStart = -1;
  #windowBytes = 0;
  #latency = Infinity;
  #latencySeen = 0;
  /** Whether it has doubled in every window until now. */
  #doubling = true;
  /** Windows that are left of a probe. */
  #probing = 0;
  #probeLatency = Infinity;

  /**
   * @param limit The peer's `reqq`, or what is known to be safe without one.
   */
  constructor(limit: number) {
    this.#stated = Math.max(1, limit);
    this.#depth = Math.min(INITIAL_DEPTH, this.#limit);
  }

  get #limit(): number {
    return Math.min(this.#stated, this.#found);
  }

  /** Requests that it holds as it says; or what is known to be safe. */
  get stated(): number {
    return this.#stated;
  }

  /** Requests that the peer was found to hold; Infinity while nothing was found. */
  get found(): number {
    return this.#found;
  }

  /** How many requests to keep outstanding. */
  get depth(): number {
    return this.#depth;
  }

  /**
   * The peer said how many requests it holds. What was measured so far stays.
   *
   * @param limit Its `reqq`.
   */
  setLimit(limit: number): void {
    this.#stated = Math.max(1, limit);
    this.#depth = Math.min(this.#depth, this.#limit);
  }

  /**
   * The peer didn't answer all that was asked: it holds no more than so many requests, whatever it says. One more is tried
   * later, and then another.
   *
   * @param count Requests.
   * @param now Milliseconds.
   * @param options `certain`: one more must not be tried, since the peer hangs up then.
   */
  holds(count: number, now: number, { certain = false } = {}): void {
    if (this.#regrown) this.#regrowMs = Math.min(MAX_REGROW_MS, 2 * this.#regrowMs);
    this.#regrown = false;
    this.#found = Math.max(1, Math.min(count, this.#found));
    this.#regrowAt = certain ? Infinity : now + this.#regrowMs;
    this.#depth = Math.min(this.#depth, this.#limit);
  }

  /**
   * Takes note of a block.
   *
   * @param bytes Its length.
   * @param latency Milliseconds from its request to its arrival.
   * @param now Milliseconds on the clock that never jumps.
   */
  arrived(bytes: number, latency: number, now: number): void {
    if (this.#depth >= this.#found && now >= this.#regrowAt) {
      this.#depth = Math.min(this.#stated, ++this.#found);
      this.#regrown = true;
      this.#regrowAt = now + this.#regrowMs;
    }
    if (latency <= this.#latency) {
      this.#latency = latency;
      this.#latencySeen = now;
    }
    if (this.#probing === 1) this.#probeLatency = Math.min(this.#probeLatency, latency);
    if (this.#windowStart < 0) this.#windowStart = now;
    this.#windowBytes += bytes;
    const elapsed = now - this.#windowStart;
    if (elapsed < Math.max(this.#doubling ? FIRST_WINDOW_MS : WINDOW_MS, this.#latency)) return;
    this.#adjust(this.#windowBytes / BLOCK_SIZE / elapsed, now);
    this.#windowStart = now;
    this.#windowBytes = 0;
  }

  /** The peer stopped answering: start over with a single request. */
  snubbed(): void {
    this.#depth = 1;
    this.#windowStart = -1;
    this.#windowBytes = 0;
    this.#probing = 0;
  }

  /** At the end of each window; the rate is in blocks a millisecond. */
  #adjust(rate: number, now: number): void {
    if (this.#probing > 0) {
      if (--this.#probing > 0) return;
      this.#latency = this.#probeLatency;
      this.#latencySeen = now;
    } else if (now - this.#latencySeen > LATENCY_MEMORY_MS) {
      this.#probing = PROBE_WINDOWS;
      this.#probeLatency = Infinity;
      this.#depth = Math.min(this.#depth, Math.max(LEAST_DEPTH, Math.ceil(PROBE_SHARE * rate * this.#latency)));
      return;
    }
    const queue = Math.min(QUEUE_LIMIT, Math.max(LEAST_DEPTH, rate * QUEUE_MS));
    const wanted = Math.ceil(1.5 * rate * this.#latency + queue);
    // Never more than doubled in a window: one burst after a pause says little about the rate.
    if (Math.min(wanted, this.#limit) < 2 * this.#depth) this.#doubling = false;
    this.#depth = Math.min(this.#limit, wanted, this.#depth * 2);
  }
}
