/**
 * What we asked a peer for: outstanding, answered, taken back.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_OUTSTANDING, MAX_TURNED_DOWN_IN_A_ROW, MAX_UNASKED_ANSWERS } from "../base/defences.ts";
import type { FrameWriter } from "../wire/frame_writer.ts";
import { BLOCK_SIZE, MessageId, WireError } from "../wire/messages.ts";
import { BlockQueue } from "./block_queue.ts";
import { PipelineDepth } from "./pipeline_depth.ts";

/** Requests that a peer holds when it doesn't say. libtorrent assumes the same. */
const DEFAULT_PEER_QUEUE = 250;
/**
 * Milliseconds, besides twice the time that the last answer took, after which a request counts as dropped if one that was made
 * later has been answered. Answers come in order, or nearly so.
 */
const PASSED_MS = 1_000;

/** A block in a receive buffer; one object is used again for every block, so nothing of it may be kept. */
export interface ReceivedBlock {
  index: number;
  begin: number;
  source: Bytes;
  at: number;
  length: number;
  latency: number;
}

/** The asking half of a connection. */
export class Requests {
  readonly #fast: boolean;
  readonly #writer: FrameWriter;
  readonly #queue = new BlockQueue(MAX_OUTSTANDING);
  readonly #pipeline = new PipelineDepth(DEFAULT_PEER_QUEUE);
  /** Requests that were taken back and may still be answered. */
  #late = 0;
  /** Since when it owes us a block; Infinity while it doesn't. */
  #owedSince = Infinity;
  /** Requests that were cancelled and wait for their reject, by {@linkcode keyOf}; only with BEP 6. */
  readonly #cancelled = new Set<number>();
  #strikes = 0;
  #turnedDown = 0;
  /** When the latest of the requests was made that have been answered. */
  #newestAnswered = -Infinity;
  /** When the last request was made. */
  #newest = -Infinity;
  /** Milliseconds that the last answer took. */
  #lastLatency = 0;
  /** Requests that were left when the peer turned down one, until it answers one of them; else 0. */
  #room = 0;

  /**
   * @param options `fast`: both ends speak BEP 6, so every request is answered, by a reject at least. `writer`: to the peer.
   */
  constructor(options: { readonly fast: boolean; readonly writer: FrameWriter }) {
    this.#fast = options.fast;
    this.#writer = options.writer;
  }

  /** How many are outstanding. */
  get size(): number {
    return this.#queue.size;
  }

  /** How many should be. */
  get depth(): number {
    return this.#room > 0 ? Math.min(this.#room, this.#pipeline.depth) : this.#pipeline.depth;
  }

  /** The one that has been outstanding for longest; only when there is one. */
  get first(): { readonly index: number; readonly begin: number; readonly length: number; readonly time: number } {
    return this.#queue;
  }

  /** The peer said how many requests it holds (`reqq`, BEP 10). */
  setLimit(limit: number): void {
    this.#pipeline.setLimit(Math.min(limit, MAX_OUTSTANDING));
  }

  /** We didn't look whether there are answers for so long. */
  postpone(milliseconds: number): void {
    this.#newestAnswered += milliseconds;
    this.#newest += milliseconds;
    this.#owedSince += milliseconds;
    this.#queue.postpone(milliseconds);
  }

  /** Milliseconds without an answer after which it looks as if the peer had dropped what it was asked for. */
  get patience(): number {
    return PASSED_MS + 2 * this.#lastLatency;
  }

  /** Whether the peer says that it holds no more. */
  get full(): boolean {
    return this.#queue.size >= this.#pipeline.stated;
  }

  /** Since when it owes us a block, whether that was given to others meanwhile or not; Infinity while it doesn't. */
  get owedSince(): number {
    return this.#owedSince;
  }

  /** It chokes us: it owes nothing. */
  forgive(): void {
    this.#owedSince = Infinity;
  }

  /** When the last request was made. */
  get newest(): number {
    return this.#newest;
  }

  /** Requests that the peer was found to hold; Infinity while it holds as many as it says. */
  get found(): number {
    return this.#pipeline.found;
  }

  /**
   * Begins with fewer requests: with more the peer hung up.
   *
   * @param count How many.
   * @param options `now`: milliseconds. `certain`: more must not be tried.
   */
  beginWith(count: number, options: { readonly now: number; readonly certain: boolean }): void {
    this.#pipeline.holds(count, options.now, options);
  }

  /**
   * Finds the requests that the peer has dropped without a word: it has long answered later ones. What it holds is what is left.
   *
   * @param now Milliseconds.
   * @param isMissing Whether a block is still wanted; a request that we cancelled needs no answer.
   * @returns When the last of them was made; `null` when there are none.
   */
  findDropped(now: number, isMissing: (index: number, begin: number) => boolean): number | null {
    if (this.#queue.size === 0 || this.#queue.time >= this.#newestAnswered) return null;
    const until = Math.min(this.#newestAnswered, now - this.patience);
    let count = 0;
    let last = -Infinity;
    this.#queue.forEach((index, begin, _length, time) => {
      if (time >= until || this.#cancelled.has(keyOf(index, begin)) || !isMissing(index, begin)) return;
      count++;
      last = Math.max(last, time);
    });
    if (count === 0) return null;
    this.#pipeline.holds(Math.max(this.#pipeline.depth, this.#queue.size) - count, now);
    return last;
  }

  /** The peer stopped answering. */
  snubbed(): void {
    this.#pipeline.snubbed();
  }

  /** Whether a block is outstanding. */
  has(index: number, begin: number, length: number): boolean {
    return this.#queue.has(index, begin, length);
  }

  /** Calls back for every outstanding request, first to last. */
  forEach(visit: (index: number, begin: number, length: number, time: number) => void): void {
    this.#queue.forEach(visit);
  }

  /** Asks for a block. */
  ask(index: number, begin: number, length: number, now: number): void {
    this.#queue.push(index, begin, length, now);
    this.#newest = now;
    this.#owedSince = Math.min(this.#owedSince, now);
    this.#writer.blockSignal(MessageId.request, index, begin, length);
  }

  /**
   * A block came.
   *
   * @returns Milliseconds since it was asked for, or -1 if it isn't outstanding.
   */
  answered(index: number, begin: number, length: number, now: number): number {
    const asked = this.#queue.remove(index, begin, length);
    this.#owedSince = this.#queue.size > 0 ? now : Infinity;
    if (asked < 0) return -1;
    if (this.#cancelled.size > 0) this.#cancelled.delete(keyOf(index, begin));
    this.#turnedDown = 0;
    const latency = Math.max(0, now - asked); // it may have been asked for while the read that brought it was parsed
    if (asked > this.#newestAnswered) this.#newestAnswered = asked;
    this.#lastLatency = latency;
    if (this.#room > 0) {
      this.#pipeline.holds(this.#room, now);
      this.#room = 0;
    }
    this.#pipeline.arrived(length, latency, now);
    return latency;
  }

  /**
   * A reject came.
   *
   * @returns Whether the block was outstanding; one that was cancelled is not.
   * @throws {WireError} If there have been too many answers to nothing.
   */
  rejected(index: number, begin: number, length: number): boolean {
    const outstanding = this.#queue.remove(index, begin, length) >= 0;
    if (!outstanding) this.expectLate();
    return outstanding && !this.#cancelled.delete(keyOf(index, begin));
  }

  /**
   * The peer turned a request down for no reason that we know of: it may have as many as it holds.
   *
   * @throws {WireError} If it has turned down so many in a row.
   */
  turnedDown(): void {
    // It may only have answered our cancel of an earlier request for the same block.
    if (this.#late === 0) this.#room = this.#queue.size;
    if (++this.#turnedDown > MAX_TURNED_DOWN_IN_A_ROW) throw new WireError("it turns down all that it is asked for");
  }

  /** Cancels a request, if it is outstanding: the block came from elsewhere. */
  cancel(index: number, begin: number, length: number): void {
    if (!this.#queue.has(index, begin, length)) return;
    // With BEP 6 the peer answers a cancel with a reject or the block, so the request stays until then. Without it the
    // block comes only if it was on its way.
    if (!this.#fast) this.#remove(index, begin, length);
    else this.#cancelled.add(keyOf(index, begin));
    this.#writer.blockSignal(MessageId.cancel, index, begin, length);
  }

  /** Takes one request back, if it is outstanding: somebody else is to answer it. It may still be answered. */
  withdraw(index: number, begin: number, length: number): boolean {
    if (!this.#queue.has(index, begin, length)) return false;
    this.#remove(index, begin, length);
    this.#writer.blockSignal(MessageId.cancel, index, begin, length);
    return true;
  }

  /**
   * Takes requests back; what was sent already may still come.
   *
   * @param which Chooses among the outstanding requests.
   * @param options `cancel`: tell the peer, which doesn't know. `taken`: is told of each.
   */
  takeBack(
    which: (index: number, time: number) => boolean,
    options: { readonly cancel: boolean; readonly taken: (index: number, begin: number) => void },
  ): void {
    const chosen: [index: number, begin: number, length: number][] = [];
    this.#queue.forEach((index, begin, length, time) => {
      if (which(index, time)) chosen.push([index, begin, length]);
    });
    for (const [index, begin, length] of chosen) {
      this.#remove(index, begin, length);
      if (options.cancel) this.#writer.blockSignal(MessageId.cancel, index, begin, length);
      options.taken(index, begin);
    }
  }

  /**
   * An answer came that belongs to no outstanding request.
   *
   * @returns Whether it may be a late one, to a request that was taken back.
   * @throws {WireError} If there have been too many that can't be.
   */
  expectLate(): boolean {
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

/** The key of a block: pieces have fewer than 65,536. */
function keyOf(index: number, begin: number): number {
  return index * 65_536 + begin / BLOCK_SIZE;
}
