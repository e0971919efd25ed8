/**
 * Who sends how much of a piece that somebody waits for, and where memory for it comes from. Decides only.
 *
 * @module
 */

import type { Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";

/** Fewest blocks of a piece that one peer is asked for, so that its share is worth a request. */
const LEAST_SHARE = 4;

/**
 * How many free blocks of a piece one peer may be asked for, so that all who have the piece send a part of it, as large as they
 * are fast. Asked for all of it, the first one that has time would take as long as everybody together for everything.
 *
 * @param peer The one that has time.
 * @param piece The piece.
 * @param peers Every connected peer.
 * @returns Blocks, 4 or more; all when nobody else would send any.
 */
export function shareOf(peer: Peer, piece: PartialPiece, peers: Iterable<Peer>): number {
  let total = 0;
  let count = 0;
  for (const other of peers) {
    if (other.closed || other.snubbed || !other.pieces.has(piece.index) || !other.wouldSend(piece.index)) continue;
    total += other.down.rate;
    count++;
  }
  if (count <= 1) return piece.blockCount;
  // While nobody's speed is known all are alike.
  const part = total > 0 ? peer.down.rate / total : 1 / count;
  return Math.max(LEAST_SHARE, Math.ceil(piece.blockCount * part));
}

/**
 * Those who would send a piece but are busy with something.
 *
 * @param index The piece.
 * @param peers Every connected peer.
 * @returns Them.
 */
export function busyWithOthers(index: number, peers: Iterable<Peer>): Peer[] {
  const isBusy = (peer: Peer) => !peer.closed && peer.requests.size > 0;
  return Array.from(peers).filter((peer) => isBusy(peer) && peer.pieces.has(index) && peer.wouldSend(index));
}

/**
 * The piece whose memory goes to one that somebody waits for.
 *
 * @param active Pieces that have been started.
 * @param urgent Those that nobody may give up.
 * @returns The one of the others of which the least is here; `null` when there is none.
 */
export function leastNeeded(active: Iterable<PartialPiece>, urgent: ReadonlySet<number>): PartialPiece | null {
  let least: PartialPiece | null = null;
  for (const piece of active) {
    if (!urgent.has(piece.index) && piece.inMemory && (!least || piece.received < least.received)) least = piece;
  }
  return least;
}
