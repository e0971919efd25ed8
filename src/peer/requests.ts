/**
 * Requests to a peer: outstanding, answered, cancelled, rejected and dropped.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_OUTSTANDING, MAX_REJECTS_IN_A_ROW, MAX_UNASKED_ANSWERS } from "../base/defences.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";
import { BLOCK_SIZE, MessageId, WireError } from "../wire/messages.ts";
import { BlockQueue } from "./block_queue.ts";
import { PipelineDepth } from "./pipeline_depth.ts";

/** Requests that a peer without `reqq` is assumed to queue. libtorrent assumes the same. */
const DEFAULT_PEER_QUEUE = 250;
/**
 * A request counts as dropped if a later one has been answered and this many milliseconds, plus twice the last latency,
 * have passed. Peers answer in order, or nearly so.
 */
const PASSED_MS = 1_000;

/** A block in the receive buffer. The object is reused for every block, so that no reference to it may be kept. */
export interface ReceivedBlock {
  index: number;
  begin: number;
  source: Bytes;
  at: number;
  length: number;
  latency: number;
}

/** Options for {@linkcode Requests}. */
export interface RequestsOptions {
  /** Whether both ends support the Fast extension (BEP 6), so that the peer answers or rejects every request. */
  readonly fast: boolean;
  /** Buffer for messages to the peer. */
  readonly writer: FrameWriter;
}

/** Options for {@linkcode Requests.beginWith}. */
export interface BeginWithOptions {
  /** Milliseconds. */
  readonly now: number;
  /** Whether never to try more requests. */
  readonly certain: boolean;
}

/** Options for {@linkcode Requests.takeBack}. */
export interface TakeBackOptions {
  /** Whether to send cancels, because the peer doesn't know that the requests are void. */
  readonly cancel: boolean;
  /** Called for each request. */
  readonly taken: (index: number, begin: number) => void;
}

/** Requests to one peer. */
export class Requests {
  readonly #fast: boolean;
  readonly #writer: FrameWriter;
  readonly #queue = new BlockQueue(MAX_OUTSTANDING);
  readonly #pipeline = new PipelineDepth(DEFAULT_PEER_QUEUE);
  /** Requests that were withdrawn and may still be answered. */
  #late = 0;
  /** Time since when the peer owes us a block; Infinity if it owes none. */
  #owedSince = Infinity;
  /** Requests that were cancelled and whose answer is still to come, by {@linkcode keyOf}; only with BEP 6. */
  readonly #cancelled = new Set<number>();
  /** Answers that belong to no request. */
  #strikes = 0;
  /** Requests that the peer has rejected in a row without choking us. */
  #turnedDown = 0;
  /** Time of the latest request that has been answered. */
  #newestAnswered = -Infinity;
  /** Time of the last request. */
  #newest = -Infinity;
  /** Latency of the last answer, in milliseconds. */
  #lastLatency = 0;
  /** Outstanding requests after the peer rejected one without choking us, until it answers a request; otherwise 0. */
  #room = 0;

  constructor(options: RequestsOptions) {
    this.#fast = options.fast;
    this.#writer = options.writer;
  }

  /** Number of outstanding requests. */
  get size(): number {
    return this.#queue.size;
  }

  /** Number of requests to keep outstanding. */
  get depth(): number {
    return this.#room > 0 ? Math.min(this.#room, this.#pipeline.depth) : this.#pipeline.depth;
  }

  /** The oldest outstanding request. There must be one. */
  get first(): { readonly index: number; readonly begin: number; readonly length: number; readonly time: number } {
    return this.#queue;
  }

  /** Sets the number of requests that the peer can queue (`reqq`, BEP 10). */
  setLimit(limit: number): void {
    this.#pipeline.setLimit(Math.min(limit, MAX_OUTSTANDING));
  }

  /** Shifts all times, for milliseconds in which we didn't read answers. */
  postpone(milliseconds: number): void {
    this.#newestAnswered += milliseconds;
    this.#newest += milliseconds;
    this.#owedSince += milliseconds;
    this.#queue.postpone(milliseconds);
  }

  /** Milliseconds without an answer after which the peer may have dropped requests. */
  get dropTimeout(): number {
    return PASSED_MS + 2 * this.#lastLatency;
  }

  /** Whether as many requests are outstanding as the peer can queue according to its `reqq`. */
  get full(): boolean {
    return this.#queue.size >= this.#pipeline.stated;
  }

  /**
   * Time since when the peer owes us a block, even if other peers have been asked for it since; Infinity if it owes
   * none.
   */
  get owedSince(): number {
    return this.#owedSince;
  }

  /** Called when the peer chokes us and so owes nothing. */
  clearOwed(): void {
    this.#owedSince = Infinity;
  }

  /** Time of the last request. */
  get newest(): number {
    return this.#newest;
  }

  /** Requests that the peer was found to queue; Infinity if no limit below its `reqq` was found. */
  get found(): number {
    return this.#pipeline.found;
  }

  /**
   * Limits the requests on a new connection, because the peer disconnected after more requests earlier.
   *
   * @param count Number of requests.
   * @param options See {@linkcode BeginWithOptions}.
   */
  beginWith(count: number, options: BeginWithOptions): void {
    this.#pipeline.limitTo(count, options.now, options);
  }

  /**
   * Finds requests that the peer has dropped silently: requests made well before one that has been answered. Limits the
   * depth to the number of requests that the peer has not dropped.
   *
   * @param now Milliseconds.
   * @param isMissing Returns `true` if a block is still wanted.
   * @returns Time of the last dropped request; `null` if no request was dropped.
   */
  findDropped(now: number, isMissing: (index: number, begin: number) => boolean): number | null {
    if (this.#queue.size === 0 || this.#queue.time >= this.#newestAnswered) return null;
    const until = Math.min(this.#newestAnswered, now - this.dropTimeout);
    let count = 0;
    let last = -Infinity;
    this.#queue.forEach((index, begin, _length, time) => {
      if (time >= until || this.#cancelled.has(keyOf(index, begin)) || !isMissing(index, begin)) return;
      count++;
      last = Math.max(last, time);
    });
    if (count === 0) return null;
    this.#pipeline.limitTo(Math.max(this.#pipeline.depth, this.#queue.size) - count, now);
    return last;
  }

  /** Called when the peer has stopped answering. */
  snubbed(): void {
    this.#pipeline.snubbed();
  }

  /** Returns `true` if a request is outstanding. */
  has(index: number, begin: number, length: number): boolean {
    return this.#queue.has(index, begin, length);
  }

  /** Calls `visit` for every outstanding request, first to last. */
  forEach(visit: (index: number, begin: number, length: number, time: number) => void): void {
    this.#queue.forEach(visit);
  }

  /** Requests a block. */
  ask(index: number, begin: number, length: number, now: number): void {
    this.#queue.push(index, begin, length, now);
    this.#newest = now;
    this.#owedSince = Math.min(this.#owedSince, now);
    this.#writer.blockSignal(MessageId.request, index, begin, length);
  }

  /**
   * Called when a block arrives.
   *
   * @returns Milliseconds since the request, or -1 if the block isn't outstanding.
   */
  answered(index: number, begin: number, length: number, now: number): number {
    const asked = this.#queue.remove(index, begin, length);
    this.#owedSince = this.#queue.size > 0 ? now : Infinity;
    if (asked < 0) return -1;
    if (this.#cancelled.size > 0) this.#cancelled.delete(keyOf(index, begin));
    this.#turnedDown = 0;
    const latency = Math.max(0, now - asked); // the request may have been made while this read was parsed
    if (asked > this.#newestAnswered) this.#newestAnswered = asked;
    this.#lastLatency = latency;
    if (this.#room > 0) {
      this.#pipeline.limitTo(this.#room, now);
      this.#room = 0;
    }
    this.#pipeline.arrived(length, latency, now);
    return latency;
  }

  /**
   * Called when a reject arrives.
   *
   * @returns Whether a request was outstanding and not cancelled.
   * @throws {WireError} If there have been too many answers without a request.
   */
  rejected(index: number, begin: number, length: number): boolean {
    const outstanding = this.#queue.remove(index, begin, length) >= 0;
    if (!outstanding) this.unexpectedAnswer();
    return outstanding && !this.#cancelled.delete(keyOf(index, begin));
  }

  /**
   * Called when the peer has rejected a request without choking us. The peer may queue no more requests than are
   * outstanding now.
   *
   * @throws {WireError} If the peer has rejected too many requests in a row.
   */
  rejectedWhileUnchoked(): void {
    // The reject may answer a withdrawn request for the same block.
    if (this.#late === 0) this.#room = this.#queue.size;
    if (++this.#turnedDown > MAX_REJECTS_IN_A_ROW) throw new WireError("it turns down all that it is asked for");
  }

  /** Cancels a request, because the block came from another source. Does nothing if it isn't outstanding. */
  cancel(index: number, begin: number, length: number): void {
    if (!this.#queue.has(index, begin, length)) return;
    // With BEP 6 the peer answers a cancel with a reject or the block, so the request stays until then. Without it, a
    // block comes only if it was already on its way.
    if (!this.#fast) this.#remove(index, begin, length);
    else this.#cancelled.add(keyOf(index, begin));
    this.#writer.blockSignal(MessageId.cancel, index, begin, length);
  }

  /**
   * Withdraws a request, so that another peer can be asked. The peer may still answer.
   *
   * @returns Whether the request was outstanding.
   */
  withdraw(index: number, begin: number, length: number): boolean {
    if (!this.#queue.has(index, begin, length)) return false;
    this.#remove(index, begin, length);
    this.#writer.blockSignal(MessageId.cancel, index, begin, length);
    return true;
  }

  /**
   * Withdraws requests. Blocks that were already sent may still come.
   *
   * @param which Returns `true` for requests to withdraw.
   * @param options See {@linkcode TakeBackOptions}.
   */
  takeBack(which: (index: number, time: number, begin: number) => boolean, options: TakeBackOptions): void {
    const chosen: [index: number, begin: number, length: number][] = [];
    this.#queue.forEach((index, begin, length, time) => {
      if (which(index, time, begin)) chosen.push([index, begin, length]);
    });
    for (const [index, begin, length] of chosen) {
      this.#remove(index, begin, length);
      if (options.cancel) this.#writer.blockSignal(MessageId.cancel, index, begin, length);
      options.taken(index, begin);
    }
  }

  /**
   * Called when an answer belongs to no outstanding request.
   *
   * @returns Whether it may be the late answer to a withdrawn request.
   * @throws {WireError} If there have been too many other such answers.
   */
  unexpectedAnswer(): boolean {
    if (this.#late > 0) {
      this.#late--;
      return true;
    }
    if (++this.#strikes > MAX_UNASKED_ANSWERS) throw new WireError("it answers what was not asked, over and over");
    return false;
  }

  #remove(index: number, begin: number, length: number): void {
    this.#queue.remove(index, begin, length);
    this.#cancelled.delete(keyOf(index, begin));
    this.#late = Math.min(this.#late + 1, MAX_OUTSTANDING);
  }
}

/** Returns the key of a block. A piece has fewer than 65,536 blocks. */
function keyOf(index: number, begin: number): number {
  return index * 65_536 + begin / BLOCK_SIZE;
}
