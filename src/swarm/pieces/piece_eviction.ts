/**
 * Which started pieces lose their memory when there is none left.
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";

/** Milliseconds without a block after which a piece that no peer would send may lose its memory to another piece. */
const STALE_MS = 5_000;
/** Milliseconds without a block after which a piece that a peer would send, but doesn't, may lose its memory. */
const STUCK_MS = 20_000;
/**
 * Extra milliseconds for a complete piece, in proportion for part of a piece. Peers that choke us unchoke us again, and
 * what they have sent is worth waiting for.
 */
const PATIENCE_MS = 600_000;
/** Milliseconds without a block after which another torrent may take a piece's memory. */
const VAIN_MS = 20_000;
/** As {@linkcode VAIN_MS} for a piece that is written to disk in parts, which loses nothing. */
const VAIN_IN_PARTS_MS = 3_000;
/** A peer or a piece is slow if the whole piece would take more seconds than this. */
const SLOW_SECONDS = 120;
/** Age in milliseconds before which a piece doesn't count as slow. */
const TRIAL_MS = 5_000;
/** A slow piece is kept if this part of it has been received. */
const WORTH_KEEPING = 0.25;

/**
 * Returns `true` if a peer would need long for a piece. A peer that has sent nothing yet isn't known to be slow.
 *
 * @param pieceSize Size of the piece in bytes.
 * @param down Payload received from the peer.
 */
export function isSlowPeer(pieceSize: number, down: { readonly rate: number; readonly total: number }): boolean {
  return down.total > 0 && pieceSize > SLOW_SECONDS * down.rate;
}

/**
 * Returns started pieces that have stalled, so that another torrent has more use for their memory.
 *
 * @param active Pieces that have been started.
 * @param now Current time in milliseconds.
 */
export function stalledPieces(active: Iterable<PartialPiece>, now: number): PartialPiece[] {
  return [...active].filter(({ inMemory, parts, lastBlockAt }) => {
    return inMemory && now - lastBlockAt > (parts === null ? VAIN_MS : VAIN_IN_PARTS_MS);
  });
}

/**
 * Returns started pieces that arrive so slowly that they would hold their memory for long.
 *
 * @param active Pieces that have been started.
 * @param now Current time in milliseconds.
 */
export function slowPieces(active: Iterable<PartialPiece>, now: number): PartialPiece[] {
  return [...active].filter((piece) => {
    const age = now - piece.startedAt;
    return age > TRIAL_MS && piece.received * BLOCK_SIZE * SLOW_SECONDS * 1000 < piece.size * age;
  });
}

/** Options for {@linkcode leastDeserving}. */
export interface LeastDeservingOptions {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Slow pieces that are tolerated. */
  readonly slowLimit: number;
  /** Every connected peer. */
  readonly peers: Iterable<Peer>;
}

/**
 * Returns the piece that should give its memory to another peer's piece: of those that have stalled for too long, or
 * are slow while there are too many slow pieces, the one with the fewest blocks; `null` if every piece should be kept.
 *
 * @param active Pieces that have been started.
 */
export function leastDeserving(active: Iterable<PartialPiece>, options: LeastDeservingOptions): PartialPiece | null {
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
    const inTheWay = options.now - piece.lastBlockAt > patience || (crowded.has(piece) && part < WORTH_KEEPING);
    if (inTheWay && (!least || piece.received < least.received)) least = piece;
  }
  return least;
}
