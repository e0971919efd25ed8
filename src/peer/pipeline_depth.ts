/**
 * Decides how many requests to keep outstanding with a peer.
 *
 * @module
 */

import { BLOCK_SIZE } from "../wire/messages.ts";

/**
 * Initial depth for an unknown peer. The depth doubles with every window, so that a fast peer soon gets enough
 * requests. A larger depth is bad on a slow line: several seeds that send sixteen blocks each would fill the line for
 * minutes, and most blocks would come too late (simulated: 57% of what came over a line of 6 KB/s was of no use).
 */
const INITIAL_DEPTH = 4;
/** Fewest requests to a peer that answers, so that a slow peer is never idle. */
const LEAST_DEPTH = 4;
/**
 * Requests beyond the bandwidth-delay product: work for the peer for this many milliseconds, but at most
 * {@linkcode QUEUE_LIMIT} requests.
 */
const QUEUE_MS = 250;
/**
 * Most requests beyond the bandwidth-delay product: 8 MiB. With 128, a fast seed ran idle whenever either end had to
 * wait for a processor (measured interleaved on two busy cores: with 512, downloads took 0.7 to 0.9 of the time with
 * 128, at a tenth more processor time).
 */
const QUEUE_LIMIT = 512;
/** Milliseconds over which the rate is measured, at first while the depth doubles. */
const FIRST_WINDOW_MS = 10;
/** Milliseconds over which the rate is measured later. */
const WINDOW_MS = 100;
/** The smallest latency is measured again when it was last seen this many milliseconds ago, since routes change. */
const LATENCY_MEMORY_MS = 10_000;
/** Depth during that measurement, as a fraction of the bandwidth-delay product, so that no request waits in a queue. */
const PROBE_SHARE = 0.75;
/** Windows of that measurement: enough for the old queue to drain. Latencies count in the last one. */
const PROBE_WINDOWS = 3;
/**
 * Milliseconds after which a peer that was found to queue fewer requests than its `reqq` is tried with one more.
 * Doubled each time that the peer drops a request again, up to {@linkcode MAX_REGROW_MS}, so that requests sent in vain
 * are few in a minute and next to none in an hour.
 */
const REGROW_MS = 1_000;
const MAX_REGROW_MS = 5 * 60_000;

/** Options for {@linkcode PipelineDepth.limitTo}. */
export interface HoldsOptions {
  /** Whether never to try more requests, because the peer disconnects then (default `false`). */
  readonly certain?: boolean;
}

/**
 * Follows the bandwidth-delay product of a peer, as BBR does for TCP: one and a half times the rate of blocks in the
 * last window times the smallest latency seen, plus a short queue. If the depth limits the rate, it grows by half every
 * round trip; if the peer limits the rate, the depth stays. The smallest latency is measured again every ten seconds
 * with a short queue: with a long queue, waiting time in the queue would count as latency, and the depth would grow
 * without end.
 */
export class PipelineDepth {
  /** Requests that the peer can queue according to its `reqq`, or a number known to be safe. */
  #stated: number;
  /** Requests that the peer was found to queue; Infinity if no limit below its `reqq` was found. */
  #found = Infinity;
  /** Current interval between attempts with one more request, in milliseconds. */
  #regrowMs = REGROW_MS;
  #regrowAt = 0;
  /** Whether one more request was tried since the peer last dropped one. */
  #regrown = false;
  #depth: number;
  #windowStart = -1;
  #windowBytes = 0;
  #latency = Infinity;
  #latencySeen = 0;
  /** Whether the depth has doubled in every window so far. */
  #doubling = true;
  /** Windows left in the measurement of the smallest latency. */
  #probing = 0;
  #probeLatency = Infinity;

  /** @param limit The peer's `reqq`, or a number known to be safe. */
  constructor(limit: number) {
    this.#stated = Math.max(1, limit);
    this.#depth = Math.min(INITIAL_DEPTH, this.#limit);
  }

  get #limit(): number {
    return Math.min(this.#stated, this.#found);
  }

  /** Requests that the peer can queue according to its `reqq`, or a number known to be safe. */
  get stated(): number {
    return this.#stated;
  }

  /** Requests that the peer was found to queue; Infinity if no limit below its `reqq` was found. */
  get found(): number {
    return this.#found;
  }

  /** Number of requests to keep outstanding. */
  get depth(): number {
    return this.#depth;
  }

  /**
   * Sets the number of requests that the peer can queue. Keeps what was measured.
   *
   * @param limit The peer's `reqq`.
   */
  setLimit(limit: number): void {
    this.#stated = Math.max(1, limit);
    this.#depth = Math.min(this.#depth, this.#limit);
  }

  /**
   * Called when the peer has dropped requests. Limits the depth, and later tries one more request at a time.
   *
   * @param count Requests that the peer was found to queue.
   * @param now Milliseconds.
   * @param options See {@linkcode HoldsOptions}.
   */
  limitTo(count: number, now: number, { certain = false }: HoldsOptions = {}): void {
    if (this.#regrown) this.#regrowMs = Math.min(MAX_REGROW_MS, 2 * this.#regrowMs);
    this.#regrown = false;
    this.#found = Math.max(1, Math.min(count, this.#found));
    this.#regrowAt = certain ? Infinity : now + this.#regrowMs;
    this.#depth = Math.min(this.#depth, this.#limit);
  }

  /**
   * Called when a requested block arrives.
   *
   * @param bytes Length of the block.
   * @param latency Milliseconds from the request to the arrival.
   * @param now Milliseconds on a monotonic clock.
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

  /** Called when the peer has stopped answering. Starts again with a single request. */
  snubbed(): void {
    this.#depth = 1;
    this.#windowStart = -1;
    this.#windowBytes = 0;
    this.#probing = 0;
  }

  /** Adjusts the depth at the end of a window. `rate` is in blocks per millisecond. */
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
    // The depth at most doubles in a window, since one burst after a pause says little about the rate.
    if (Math.min(wanted, this.#limit) < 2 * this.#depth) this.#doubling = false;
    this.#depth = Math.min(this.#limit, wanted, this.#depth * 2);
  }
}
