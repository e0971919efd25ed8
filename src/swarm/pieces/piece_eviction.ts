/**
 * Which started pieces deserve their memory when there is none left.
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";

/**
 * Milliseconds without a block after which a started piece may be given up when others could use its memory: one that nobody
 * would send now, and one that somebody would but doesn't ...
 */
const STALE_MS = 5_000;
const STUCK_MS = 20_000;
/** ... and so many more for a piece that is nearly complete. Peers that choke us come back; what they sent is worth a wait. */
const PATIENCE_MS = 600_000;
/** Milliseconds without a block after which another torrent may have a piece's memory, and for a piece that loses nothing by that. */
const VAIN_MS = 20_000;
const VAIN_IN_PARTS_MS = 3_000;
/** What would take more seconds than this for a piece is slow, be it a peer or a piece ... */
const SLOW_SECONDS = 120;
/** ... once the piece has had this many milliseconds. */
const TRIAL_MS = 5_000;
/** A slow piece of which this part is here is kept nevertheless. */
const WORTH_KEEPING = 0.25;

/**
 * Whether a peer would need long for a piece. One that has sent nothing yet is not known to be slow.
 *
 * @param pieceSize In bytes.
 * @param down What came from the peer.
 */
export function isSlowPeer(pieceSize: number, down: { readonly rate: number; readonly total: number }): boolean {
  return down.total > 0 && pieceSize > SLOW_SECONDS * down.rate;
}

/**
 * Started pieces that stand still, so that their memory is of more use to another torrent.
 *
 * @param active Pieces that have been started.
 * @param now Milliseconds.
 */
export function heldInVain(active: Iterable<PartialPiece>, now: number): PartialPiece[] {
  return [...active].filter(({ inMemory, parts, touched }) => {
    return inMemory && now - touched > (parts === null ? VAIN_MS : VAIN_IN_PARTS_MS);
  });
}

/**
 * Started pieces that come so slowly that they would hold their memory for long.
 *
 * @param active Pieces that have been started.
 * @param now Milliseconds.
 */
export function slowPieces(active: Iterable<PartialPiece>, now: number): PartialPiece[] {
  return [...active].filter((piece) => {
    const age = now - piece.startedAt;
    return age > TRIAL_MS && piece.received * BLOCK_SIZE * SLOW_SECONDS * 1000 < piece.size * age;
  });
}

/**
 * The piece to give up when another peer could use the memory: of those that stand still for too long, or are slow while
 * there are too many of that kind, the one of which the least is here.
 *
 * @param active Pieces that have been started.
 * @param options `now`: milliseconds. `slowLimit`: slow pieces that are tolerated. `peers`: every connected peer.
 * @returns A piece, or `null` when all deserve to be kept.
 */
export function leastDeserving(
  active: Iterable<PartialPiece>,
  options: {
    readonly now: number;
    readonly slowLimit: number;
    readonly peers: Iterable<Peer>;
  },
): PartialPiece | null {
  const pieces = [...active].filter((piece) => piece.inMemory);
  const slow = slowPieces(pieces, options.now);
  const peers = [...options.peers].filter((peer) => !peer.closed && !peer.snubbed);
  const wouldBeSent = ({ index }: PartialPiece): boolean => {
    return peers.some((peer) => peer.pieces.has(index) && peer.wouldSend(index));
  };
  const crowded = new Set(slow.length > options.slowLimit ? slow : []);
  let least: PartialPiece | null = null;
  for (const piece of pieces) {
    const part = piece.received / piece.blockCount;
    const patience = (wouldBeSent(piece) ? STUCK_MS : STALE_MS) + PATIENCE_MS * part;
    const inTheWay = options.now - piece.touched > patience || (crowded.has(piece) && part < WORTH_KEEPING);
    if (inTheWay && (!least || piece.received < least.received)) least = piece;
  }
  return least;
}
