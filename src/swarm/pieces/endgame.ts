/**
 * Asking for a block twice, and taking that back (BEP 3, "end game").
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { speedOf } from "./expected_speed.ts";
import { isQuiet } from "./request_timeouts.ts";

/** Peers that one block is asked from at the same time, and when those have been silent for long. */
const COPIES = 2;
const DESPERATE_COPIES = 5;
/** Blocks that a peer is asked for although others were asked before. */
const DEPTH = 8;
/** Milliseconds without a block after which a piece, or a peer, counts as slow ... */
const SLOW_MS = 3_000;
/** ... unless the peer's blocks come that far apart anyway: so many times that. */
const SLOW_BLOCKS = 3;
/** A peer whose speed isn't known yet is taken to need this many milliseconds for a block. */
const UNKNOWN_MS = 1_000;
/**
 * A second copy is worth its price, which others in the swarm pay, when it would be there in less than this part of the time
 * that the first one takes. With peers of the same speed nothing is fetched twice.
 */
const WORTHWHILE = 0.5;
/** Milliseconds for which an estimate of all that is good enough. */
const ESTIMATE_MS = 100;
/** Long before the end only what would take more milliseconds than this is asked for again. */
const LONG_MS = 10_000;

/**
 * Asks a peer that has next to nothing to do for blocks that others were asked for and that it would send much sooner:
 * in the endgame those of any piece, as well; before it those of slow pieces, instead.
 *
 * @param peer One that could do more.
 * @param options `active`: pieces that have been started. `peers`: every connected peer. `waits`: how long blocks will
 * take that others were asked for. `ending`: every missing block has been asked for. `stuck`: there is no memory for other pieces. `maySend`: which
 * pieces the peer may send a part of. `depth`: requests that the peer
 * takes. `urgent`: somebody waits for these pieces, so that the peer is asked although it has something to do. `now`:
 * milliseconds.
 */
export function askAgain(
  peer: Peer,
  options: {
    readonly active: Iterable<PartialPiece>;
    readonly peers: () => Iterable<Peer>;
    readonly waits: Waits;
    readonly ending: boolean;
    readonly stuck?: boolean;
    readonly maySend: (piece: PartialPiece) => boolean;
    readonly depth: number;
    readonly urgent?: boolean;
    readonly now: number;
  },
): void {
  const { now, depth, urgent = false, stuck = false } = options;
  let want = (urgent ? depth : Math.min(depth, DEPTH)) - peer.requests.size;
  if (want <= 0) return;
  for (const piece of options.active) {
    // First, since it is all that is looked at when hundreds of peers ask in vain each time that memory becomes free.
    const slow = now - piece.touched >= SLOW_MS;
    if (!slow && !options.ending && !stuck) continue;
    if (
      piece.owner !== null || peer.onParole || (piece.guarded && !peer.proven) || !peer.pieces.has(piece.index) ||
      !peer.wouldSend(piece.index)
    ) continue;
    for (let block = 0; block < piece.blockCount; block++) {
      const asked = piece.asked(block);
      if (piece.has(block) || asked === 0) continue;
      const begin = block * BLOCK_SIZE;
      const length = piece.blockLength(block);
      if (peer.requests.has(piece.index, begin, length)) continue;
      // What isn't known yet was asked for a moment ago.
      const wait = options.waits.at(now, options.peers).get(keyOf(piece.index, block)) ?? 0;
      // Those who have gone quiet don't count, and for a proven peer nobody counts who isn't: however many liars there are,
      // they are to keep nobody from being asked.
      if (asked >= (slow ? DESPERATE_COPIES : COPIES) && wait < Infinity) {
        if (!peer.proven || isAskedOfProven(piece, block, options.peers())) continue;
      }
      if (!options.ending && wait < (slow ? LONG_MS : Infinity)) continue;
      const own = waitOf(peer, now, peer.requests.size + 1);
      if (own === Infinity) return;
      if (own > WORTHWHILE * wait) continue;
      piece.ask(block); // first, so that its memory is kept
      if (!options.ending) withdraw(piece, block, options.peers());
      peer.request(piece.index, begin, length, now);
      options.waits.expect(piece.index, block, own);
      if (--want === 0) return;
    }
  }
}

function isAskedOfProven(piece: PartialPiece, block: number, peers: Iterable<Peer>): boolean {
  const begin = block * BLOCK_SIZE;
  const length = piece.blockLength(block);
  for (const { proven, closed, requests } of peers) {
    if (proven && !closed && requests.has(piece.index, begin, length)) return true;
  }
  return false;
}

/** Long before the end a block is moved to the faster peer rather than fetched twice. */
function withdraw(piece: PartialPiece, block: number, peers: Iterable<Peer>): void {
  for (const peer of peers) {
    if (peer.closed || !peer.requests.withdraw(piece.index, block * BLOCK_SIZE, piece.blockLength(block))) continue;
    piece.release(block);
    peer.output.flush();
  }
}

/** Milliseconds that a peer needs for a number of blocks, as far as can be told; Infinity for one that has gone quiet. */
function waitOf(peer: Peer, now: number, blocks: number): number {
  // One block says little about those that follow it.
  const rate = peer.down.total > BLOCK_SIZE ? speedOf(peer) : 0;
  const perBlock = rate > 0 ? 1000 * BLOCK_SIZE / rate : Math.max(UNKNOWN_MS, 1000 * BLOCK_SIZE / peer.allowed);
  const quiet = isQuiet(peer, now) || peer.requests.size > 0 && !peer.held &&
      now - peer.lastBlock > Math.max(SLOW_MS, SLOW_BLOCKS * perBlock);
  return quiet ? Infinity : blocks * perBlock;
}

/** How long each block that was asked for will take: an estimate, since making it costs a pass over all requests. */
export class Waits {
  /** Those who were asked and are no peers: each tells how many milliseconds it needs for which block. */
  readonly others: ((tell: (index: number, block: number, wait: number) => void, now: number) => void)[] = [];
  #waits = new Map<number, number>();
  #since = -Infinity;

  /**
   * @param now Milliseconds.
   * @param peers Gives every connected peer.
   * @returns Milliseconds for the fastest of those who were asked, by a key for each block.
   */
  at(now: number, peers: () => Iterable<Peer>): ReadonlyMap<number, number> {
    if (now - this.#since >= ESTIMATE_MS) {
      const waits = waitsFor(peers(), now);
      for (const other of this.others) other((index, block, wait) => least(waits, keyOf(index, block), wait), now);
      this.#waits = waits;
      this.#since = now;
    }
    return this.#waits;
  }

  /** A block will be here sooner than was thought: else the next one who has time would be asked for it, too, at the same moment. */
  expect(index: number, block: number, wait: number): void {
    this.#waits.set(keyOf(index, block), wait);
  }
}

function waitsFor(peers: Iterable<Peer>, now: number): Map<number, number> {
  const waits = new Map<number, number>();
  for (const peer of peers) {
    if (peer.closed || peer.requests.size === 0) continue;
    let place = 0;
    const perBlock = waitOf(peer, now, 1);
    peer.requests.forEach((index, begin) => {
      const key = keyOf(index, begin / BLOCK_SIZE);
      least(waits, key, ++place * perBlock);
    });
  }
  return waits;
}

function least(waits: Map<number, number>, key: number, wait: number): void {
  const other = waits.get(key);
  if (other === undefined || wait < other) waits.set(key, wait);
}

/**
 * The key of a block in {@linkcode Waits}. Pieces have 32,768 blocks at most (512 MiB).
 *
 * @param index Which piece.
 * @param block Which block of it.
 * @returns A number that no other block has.
 */
export function keyOf(index: number, block: number): number {
  return index * 65_536 + block;
}

/**
 * Takes a request back from everybody else: the block is here.
 *
 * @param piece The block's piece.
 * @param block Which block.
 * @param options `peers`: every connected peer. `sender`: who sent it, or `null` for none of them.
 */
export function cancelElsewhere(
  piece: PartialPiece,
  block: number,
  options: { readonly peers: Iterable<Peer>; readonly sender: Peer | null },
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
