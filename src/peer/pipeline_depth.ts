/**
 * How many requests to keep outstanding with a peer.
 *
 * @module
 */

import { BLOCK_SIZE } from "../wire/messages.ts";

/** Requests before anything is known. */
const INITIAL_DEPTH = 16;
/** Fewest requests to a peer that answers, so that a slow one is never left without work. */
const LEAST_DEPTH = 4;
/** Requests beyond the bandwidth-delay product: this many milliseconds of work for the peer ... */
const QUEUE_MS = 250;
/** ... but no more than this many. A deeper queue only keeps more memory in flight (measured on loopback). */
const QUEUE_LIMIT = 128;
/** Milliseconds over which the rate is measured. */
const WINDOW_MS = 100;
/** A smallest latency older than this is forgotten, since routes change. */
const LATENCY_MEMORY_MS = 10_000;

/**
 * Follows the bandwidth-delay product of a peer, as BBR does for TCP: the rate of blocks over the last window times the
 * smallest latency seen, half as much again, and a short queue on top. When the queue is what limits the rate the depth
 * grows by half every round trip; when the peer is, it stays.
 */
export class PipelineDepth {
  readonly #limit: number;
  #depth = INITIAL_DEPTH;
  #windowStart = -1;
  #windowBytes = 0;
  #latency = Infinity;
  #latencySeen = 0;

  /**
   * @param limit The peer's `reqq`, or what is known to be safe without one.
   */
  constructor(limit: number) {
    this.#limit = Math.max(1, limit);
    this.#depth = Math.min(INITIAL_DEPTH, this.#limit);
  }

  /** How many requests to keep outstanding. */
  get depth(): number {
    return this.#depth;
  }

  /**
   * Takes note of a block.
   *
   * @param bytes Its length.
   * @param latency Milliseconds from its request to its arrival.
   * @param now Milliseconds on the clock that never jumps.
   */
  arrived(bytes: number, latency: number, now: number): void {
    if (latency <= this.#latency || now - this.#latencySeen > LATENCY_MEMORY_MS) {
      this.#latency = latency;
      this.#latencySeen = now;
    }
    if (this.#windowStart < 0) this.#windowStart = now;
    this.#windowBytes += bytes;
    const elapsed = now - this.#windowStart;
    if (elapsed < Math.max(WINDOW_MS, this.#latency)) return;
    const blocksPerMs = this.#windowBytes / BLOCK_SIZE / elapsed;
    const queue = Math.min(QUEUE_LIMIT, Math.max(LEAST_DEPTH, blocksPerMs * QUEUE_MS));
    const wanted = Math.ceil(1.5 * blocksPerMs * this.#latency + queue);
    // Never more than doubled in a window: one burst after a pause says little about the rate.
    this.#depth = Math.min(this.#limit, wanted, this.#depth * 2);
    this.#windowStart = now;
    this.#windowBytes = 0;
  }

  /** The peer stopped answering: start over with a single request. */
  snubbed(): void {
    this.#depth = 1;
    this.#windowStart = -1;
    this.#windowBytes = 0;
  }
}
