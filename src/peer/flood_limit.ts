/**
 * Limits messages that bring no progress.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { FLOOD_BURST, FLOOD_PER_BLOCK, FLOOD_PER_NEWS, FLOOD_PER_SECOND } from "../base/defences.ts";
import { BLOCK_SIZE, MessageId, messageName } from "../wire/messages.ts";

/** Points for any message, about what it costs us. */
const MESSAGE = 1;
/** Points for each KiB read, and for each read. */
const KIB = 1;
const READ = 1;
/** Additional points for a request for hashes (BEP 52). */
const HASH_REQUEST = 40;
/** Additional points for messages that cause more work: searches, changes or messages of ours. */
const DEAR: ReadonlyMap<number, number> = new Map([
  // All requests to the peer have to be taken back and sent to other peers.
  [MessageId.choke, 50],
  [MessageId.unchoke, 50],
  [MessageId.interested, 2],
  [MessageId.notInterested, 2],
  [MessageId.bitfield, 20],
  [MessageId.haveAll, 20],
  [MessageId.extended, 20],
  // The tree has to be looked up, and an answer proven. Hashes that are sent pay for their request.
  [MessageId.hashRequest, HASH_REQUEST],
  [MessageId.hashReject, 10],
]);

/** A peer sent too many messages. The protocol allows them, so the connection is closed but the peer is not banned. */
export class FloodError extends ShoalError {
  override name = "FloodError";

  /** @param last Plural noun for the latest messages. */
  constructor(last: string) {
    super("peer", { what: "too much talk", why: `it says too much that brings nothing (${last} at last)` });
  }
}

/**
 * A budget of points for a peer. Every message costs points. Blocks and announced pieces earn more points than they
 * cost, and points also accrue slowly with time. A peer that keeps sending messages without progress runs out of
 * points, even if each message is legal.
 */
export class FloodLimit {
  readonly #now: () => number;
  #points = FLOOD_BURST;
  #since: number;
  /** Points spent on reads since the last message. */
  #reads = 0;

  /** @param now Returns the time in milliseconds on a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  /** Called when blocks were sent to the peer. */
  uploaded(bytes: number): void {
    this.#earn(FLOOD_PER_BLOCK * bytes / BLOCK_SIZE);
  }

  /**
   * Called when the peer sent a block. The block also pays for the reads that brought it: their sizes depend on the
   * network, and a peer that sends what we requested must not lose points.
   */
  blockReceived(bytes: number): void {
    this.#earn(this.#reads + FLOOD_PER_BLOCK * bytes / BLOCK_SIZE);
    this.#reads = 0;
  }

  /** Called when the peer sent hashes that we had requested (BEP 52). They also pay for the reads that brought them. */
  hashesReceived(): void {
    this.#earn(MESSAGE + READ + this.#reads);
    this.#reads = 0;
  }

  /** Called when hashes were sent that the peer has requested (BEP 52). */
  hashesSent(): void {
    this.#earn(MESSAGE + READ + HASH_REQUEST);
  }

  /** Called when the peer announced a piece, or when we announced one to the peer. */
  pieceAnnounced(): void {
    this.#earn(FLOOD_PER_NEWS);
  }

  /**
   * Called for every message; before {@linkcode FloodLimit.blockReceived} and {@linkcode FloodLimit.hashesReceived}.
   *
   * @param id Id of the message; `null` for a keep-alive.
   * @throws {FloodError} If the budget is spent.
   */
  messageReceived(id: number | null): void {
    if (id !== MessageId.piece && id !== MessageId.hashes) this.#reads = 0;
    this.#spend(MESSAGE + (id === null ? 0 : DEAR.get(id) ?? 0), id);
  }

  /**
   * Called for every read, after the messages that ended in it were handled.
   *
   * @param bytes Bytes of the read.
   * @throws {FloodError} If the budget is spent.
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
