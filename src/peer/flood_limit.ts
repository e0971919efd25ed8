/**
 * How much a peer may say that brings nothing.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { FLOOD_BURST, FLOOD_PER_BLOCK, FLOOD_PER_NEWS, FLOOD_PER_SECOND } from "../base/defences.ts";
import { BLOCK_SIZE, MessageId, messageName } from "../wire/messages.ts";

/** Points for a message, whatever it says; about what it costs us. */
const MESSAGE = 1;
/** Points for each KiB that has to be read, and for each read. */
const KIB = 1;
const READ = 1;
/** Points beyond that for messages that cost more: much is looked through, made or said because of them. */
const DEAR: ReadonlyMap<number, number> = new Map([
  // What was asked for has to be taken back, and everybody else asked for it.
  [MessageId.choke, 50],
  [MessageId.unchoke, 50],
  [MessageId.interested, 2],
  [MessageId.notInterested, 2],
  [MessageId.bitfield, 20],
  [MessageId.haveAll, 20],
  [MessageId.extended, 20],
]);

/** A peer said too much. The protocol allows it, so that the connection has to end but nothing is held against the peer. */
export class FloodError extends ShoalError {
  override name = "FloodError";

  /**
   * @param last What it said at last, in the plural.
   */
  constructor(last: string) {
    super("peer", { what: "too much talk", why: `it says too much that brings nothing (${last} at last)` });
  }
}

/**
 * A purse of points. Everything that a peer says costs some, blocks and news bring more than they cost, and a steady trickle
 * comes with time: whoever talks without end and brings nothing is broke in the end, be the messages ever so legal one by one.
 */
export class FloodLimit {
  readonly #now: () => number;
  #points = FLOOD_BURST;
  #since: number;
  /** Points that were spent on reads since the last message. */
  #reads = 0;

  /**
   * @param now Milliseconds on the clock that never jumps.
   */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** Blocks went to the peer. */
  gave(bytes: number): void {
    this.#earn(FLOOD_PER_BLOCK * bytes / BLOCK_SIZE);
  }

  /**
   * The peer sent a block. That pays for the reads that brought it too: how small they are is up to the line, and whoever
   * sends what we asked for must not be the poorer for it.
   */
  brought(bytes: number): void {
    this.#earn(this.#reads + FLOOD_PER_BLOCK * bytes / BLOCK_SIZE);
    this.#reads = 0;
  }

  /** The peer has a piece more, or was told of one of ours. */
  news(): void {
    this.#earn(FLOOD_PER_NEWS);
  }

  /**
   * A message came. Of a block this comes before {@linkcode FloodLimit.brought}.
   *
   * @param id Which; `null` for a keep-alive.
   * @throws {FloodError} If that is too much.
   */
  heard(id: number | null): void {
    if (id !== MessageId.piece) this.#reads = 0;
    this.#spend(MESSAGE + (id === null ? 0 : DEAR.get(id) ?? 0), id);
  }

  /**
   * A read brought bytes, and the messages that ended in it were heard.
   *
   * @param bytes How many.
   * @throws {FloodError} If that is too much.
   */
  read(bytes: number): void {
    const points = READ + KIB * bytes / 1024;
    this.#reads += points;
    this.#spend(points, undefined);
  }

  #earn(points: number): void {
    this.#points = Math.min(FLOOD_BURST, this.#points + points);
  }

  #spend(points: number, id: number | null | undefined): void {
    this.#points -= points;
    if (this.#points >= 0) return;
    const now = this.#now();
    this.#earn(FLOOD_PER_SECOND * (now - this.#since) / 1000);
    this.#since = now;
    if (this.#points >= 0) return;
    const last = id === undefined ? "bytes" : id === null ? "keep-alives" : `${messageName(id)} messages`;
    throw new FloodError(last);
  }
}
