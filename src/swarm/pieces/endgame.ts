/**
 * Requests a block from more than one peer, and cancels the requests that are no longer needed (BEP 3, "end game").
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { speedOf } from "./expected_speed.ts";
import { isQuiet } from "./request_timeouts.ts";

/** Peers that a block is requested from at the same time. */
const COPIES = 2;
/** Peers that a block of a slow piece is requested from at the same time. */
const DESPERATE_COPIES = 5;
/** A peer with this many outstanding requests isn't asked for other peers' blocks, unless they are urgent. */
const DEPTH = 8;
/** A piece, or a peer with outstanding requests, counts as slow after this many milliseconds without a block. */
const SLOW_MS = 3_000;
/** A peer doesn't count as slow before this many times the usual interval between its blocks has passed. */
const SLOW_BLOCKS = 3;
/** Milliseconds that a peer of unknown speed is assumed to need for a block. */
const UNKNOWN_MS = 1_000;
/**
 * A block is requested a second time only if the second peer is expected to send it in less than this part of the time
 * that the first one needs, since a duplicate block wastes the swarm's upload. Between peers of equal speed nothing is
 * fetched twice.
 */
const WORTHWHILE = 0.5;
/** Milliseconds for which the estimates of {@linkcode Waits} are reused. */
const ESTIMATE_MS = 100;
/** Before the endgame, a block of a slow piece is requested again only if it is expected to take longer than this. */
const LONG_MS = 10_000;

/** Options for {@linkcode askAgain}. */
export interface AskAgainOptions {
  /** Pieces that have been started. */
  readonly active: Iterable<PartialPiece>;
  /** Returns every connected peer. */
  readonly peers: () => Iterable<Peer>;
  /** Estimates of when the outstanding blocks will arrive. */
  readonly waits: Waits;
  /** Whether every missing block has been requested. */
  readonly ending: boolean;
  /** Whether there is no memory to start another piece; `false` when absent. */
  readonly stuck?: boolean;
  /** Requests that the peer should have outstanding. */
  readonly depth: number;
  /** Whether a reader waits for the pieces, so that a busy peer is asked as well; `false` when absent. */
  readonly urgent?: boolean;
  /** Current time in milliseconds. */
  readonly now: number;
}

/**
 * Sends an idle peer requests for blocks that were requested from other peers and that this peer is expected to send
 * much sooner. In the endgame that may be a block of any piece, and the earlier requests stand. Before it, only blocks
 * of slow pieces are requested, or blocks of silent peers if there is no memory for other pieces, and the earlier
 * requests are cancelled.
 *
 * @param peer A peer that takes more requests.
 */
export function askAgain(peer: Peer, options: AskAgainOptions): void {
  const { now, depth, urgent = false, stuck = false } = options;
  let want = (urgent ? depth : Math.min(depth, DEPTH)) - peer.requests.size;
  if (want <= 0) return;
  for (const piece of options.active) {
    // The cheapest test comes first: hundreds of peers may get no further each time that memory becomes free.
    const slow = now - piece.lastBlockAt >= SLOW_MS;
    if (!slow && !options.ending && !stuck) continue;
    if (
      piece.owner !== null || peer.onParole || (piece.provenOnly && !peer.proven) || !peer.pieces.has(piece.index) ||
      !peer.wouldSend(piece.index)
    ) continue;
    let isFirst = true;
    for (let block = 0; block < piece.blockCount; block++) {
      const asked = piece.asked(block);
      if (piece.has(block) || asked === 0) continue;
      const begin = block * BLOCK_SIZE;
      const length = piece.blockLength(block);
      if (peer.requests.has(piece.index, begin, length)) continue;
      const own = waitOf(peer, now, peer.requests.size + 1);
      if (own === Infinity) return;
      // Most idle peers get no further: with hundreds of them, looking at every block would take most of the time.
      if (isFirst && own > WORTHWHILE * options.waits.longest(piece.index, now, options.peers)) break;
      isFirst = false;
      // A block without an estimate was requested a moment ago.
      const wait = options.waits.at(now, options.peers).get(blockKey(piece.index, block)) ?? 0;
      // Silent peers don't count towards the limit, and for a proven peer unproven ones don't count either: otherwise
      // any number of peers that send wrong data or nothing could keep the block from being requested from a good peer.
      if (asked >= (slow ? DESPERATE_COPIES : COPIES) && wait < Infinity) {
        if (!peer.proven || isAskedOfProven(piece, block, options.peers())) continue;
      }
      if (!options.ending && wait < (slow ? LONG_MS : Infinity)) continue;
      if (own > WORTHWHILE * wait) continue;
      piece.ask(block); // before the memory for the block is released
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

/** Before the endgame a block is moved to the faster peer instead of being fetched twice. */
function withdraw(piece: PartialPiece, block: number, peers: Iterable<Peer>): void {
  for (const peer of peers) {
    if (peer.closed || !peer.requests.withdraw(piece.index, block * BLOCK_SIZE, piece.blockLength(block))) continue;
    piece.release(block);
    peer.output.flush();
  }
}

/** Estimates how many milliseconds a peer needs for a number of blocks; `Infinity` for a peer that has gone quiet. */
function waitOf(peer: Peer, now: number, blocks: number): number {
  // The rate after a single block says little about the blocks that follow.
  const rate = peer.down.total > BLOCK_SIZE ? speedOf(peer) : 0;
  const perBlock = rate > 0 ? 1000 * BLOCK_SIZE / rate : Math.max(UNKNOWN_MS, 1000 * BLOCK_SIZE / peer.allowed);
  const quiet = isQuiet(peer, now) || peer.requests.size > 0 && !peer.readPaused &&
      now - peer.lastBlock > Math.max(SLOW_MS, SLOW_BLOCKS * perBlock);
  return quiet ? Infinity : blocks * perBlock;
}

/** Estimates how long each requested block will take. Cached, since computing it takes a pass over all requests. */
export class Waits {
  /**
   * Functions that report the outstanding blocks of sources that aren't peers (web seeds). Each calls `tell` with the
   * milliseconds that a block will take.
   */
  readonly others: ((tell: (index: number, block: number, wait: number) => void, now: number) => void)[] = [];
  #waits = new Map<number, number>();
  /** Longest wait by piece. May be too long after {@linkcode Waits.expect}. */
  readonly #longest = new Map<number, number>();
  #since = -Infinity;

  /**
   * Returns the milliseconds until the fastest source sends each block, by {@linkcode blockKey} of the block.
   *
   * @param now Current time in milliseconds.
   * @param peers Returns every connected peer.
   */
  at(now: number, peers: () => Iterable<Peer>): ReadonlyMap<number, number> {
    if (now - this.#since >= ESTIMATE_MS) {
      const waits = waitsFor(peers(), now);
      for (const other of this.others) other((index, block, wait) => least(waits, blockKey(index, block), wait), now);
      this.#waits = waits;
      this.#since = now;
      this.#longest.clear();
      for (const [key, wait] of waits) {
        const index = Math.floor(key / BLOCK_KEYS);
        if (wait > (this.#longest.get(index) ?? 0)) this.#longest.set(index, wait);
      }
    }
    return this.#waits;
  }

  /**
   * Returns the milliseconds until the last requested block of a piece arrives, or more; 0 if no block has an estimate.
   *
   * @param index Piece index.
   * @param now Current time in milliseconds.
   * @param peers Returns every connected peer.
   */
  longest(index: number, now: number, peers: () => Iterable<Peer>): number {
    this.at(now, peers);
    return this.#longest.get(index) ?? 0;
  }

  /** Shortens the estimate for a block, so that the next idle peer isn't asked for the same block at once. */
  expect(index: number, block: number, wait: number): void {
    this.#waits.set(blockKey(index, block), wait);
    if (wait > (this.#longest.get(index) ?? 0)) this.#longest.set(index, wait);
  }
}

function waitsFor(peers: Iterable<Peer>, now: number): Map<number, number> {
  const waits = new Map<number, number>();
  for (const peer of peers) {
    if (peer.closed || peer.requests.size === 0) continue;
    let place = 0;
    const perBlock = waitOf(peer, now, 1);
    peer.requests.forEach((index, begin) => {
      const key = blockKey(index, begin / BLOCK_SIZE);
      least(waits, key, ++place * perBlock);
    });
  }
  return waits;
}

function least(waits: Map<number, number>, key: number, wait: number): void {
  const other = waits.get(key);
  if (other === undefined || wait < other) waits.set(key, wait);
}

/** Keys of {@linkcode blockKey} for a piece, which has at most 32,768 blocks (512 MiB). */
const BLOCK_KEYS = 65_536;

/**
 * Returns the key of a block in {@linkcode Waits}.
 *
 * @param block Block number in the piece.
 */
export function blockKey(index: number, block: number): number {
  return index * BLOCK_KEYS + block;
}

/** Options for {@linkcode cancelElsewhere}. */
export interface CancelElsewhereOptions {
  /** Every connected peer. */
  readonly peers: Iterable<Peer>;
  /** The peer that sent the block, or `null` if a web seed did. */
  readonly sender: Peer | null;
}

/**
 * Cancels a received block at all other peers that it was requested from.
 *
 * @param piece The block's piece.
 * @param block Block number in the piece.
 */
export function cancelElsewhere(piece: PartialPiece, block: number, options: CancelElsewhereOptions): void {
  const begin = block * BLOCK_SIZE;
  const length = piece.blockLength(block);
  for (const peer of options.peers) {
    if (peer === options.sender || peer.closed || !peer.requests.has(piece.index, begin, length)) continue;
    peer.requests.cancel(piece.index, begin, length);
    piece.release(block);
    peer.output.flush();
  }
}
