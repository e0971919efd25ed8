/**
 * Asking for a block twice, and taking that back (BEP 3, "end game").
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../peer/mod.ts";
import type { ActivePiece } from "./active_piece.ts";

/** Peers that one block is asked from at the same time, and when those have been silent for long. */
const COPIES = 2;
const DESPERATE_COPIES = 5;
/** Blocks that a peer is asked for although others were asked before. */
const DEPTH = 8;
/** Milliseconds without a block after which a piece counts as slow. */
const SLOW_PIECE_MS = 3_000;

/**
 * Asks a peer that has next to nothing to do for blocks that others were asked for, so that little is fetched twice:
 * in the endgame those of any piece, before it those of slow pieces.
 *
 * @param peer One that could do more.
 * @param options `active`: pieces that have been started. `ending`: every missing block has been asked for. `depth`:
 * requests that the peer takes. `now`: milliseconds.
 */
export function askAgain(
  peer: Peer,
  options: {
    readonly active: Iterable<ActivePiece>;
    readonly ending: boolean;
    readonly depth: number;
    readonly now: number;
  },
): void {
  let want = Math.min(options.depth, DEPTH) - peer.requests.size;
  if (want <= 0) return;
  for (const piece of options.active) {
    if (piece.owner !== null || !peer.pieces.has(piece.index) || !peer.wouldSend(piece.index)) continue;
    const slow = options.now - piece.touched >= SLOW_PIECE_MS;
    if (!slow && !options.ending) continue;
    for (let block = 0; block < piece.blockCount; block++) {
      const asked = piece.asked(block);
      if (piece.has(block) || asked === 0 || asked >= (slow ? DESPERATE_COPIES : COPIES)) continue;
      const begin = block * BLOCK_SIZE;
      const length = piece.blockLength(block);
      if (peer.requests.has(piece.index, begin, length)) continue;
      piece.ask(block);
      peer.request(piece.index, begin, length);
      if (--want === 0) return;
    }
  }
}

/**
 * Takes a request back from everybody else: the block is here.
 *
 * @param piece The block's piece.
 * @param block Which block.
 * @param options `peers`: every connected peer. `sender`: who sent it.
 */
export function cancelElsewhere(
  piece: ActivePiece,
  block: number,
  options: { readonly peers: Iterable<Peer>; readonly sender: Peer },
): void {
  const begin = block * BLOCK_SIZE;
  const length = piece.blockLength(block);
  for (const peer of options.peers) {
    if (peer === options.sender || peer.closed || !peer.requests.has(piece.index, begin, length)) continue;
    peer.requests.cancel(piece.index, begin, length);
    piece.release(block);
    peer.output.flush();
  }
}
