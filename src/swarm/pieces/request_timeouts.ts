/**
 * Requests that a peer takes too long to answer.
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import { speedOf } from "./expected_speed.ts";

/** A peer snubs us when none of the blocks that it was asked for has arrived for this many milliseconds. */
const SNUB_MS = 30_000;
/** Milliseconds for one request, besides twice the time that the peer needs for its queue. */
const REQUEST_MS = 10_000;

/** Options for taking back the requests of a peer. */
export interface TakingBack {
  /** Whether the peer is sent cancel messages; `false` when absent. */
  readonly cancel?: boolean;
  /**
   * Returns `true` for a request that is taken back, given its piece, time and offset. Selects all requests when
   * absent.
   */
  readonly which?: (index: number, time: number, begin: number) => boolean;
  /** Returns `true` for a piece that the peer keeps as its owner. It keeps none when absent. */
  readonly keeps?: (index: number) => boolean;
}

/** Options for {@linkcode takeBackOverdue}. */
export interface TakeBackOverdueOptions {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Returns `true` if a block hasn't been received. */
  readonly isMissing: (index: number, begin: number) => boolean;
  /** Takes the requests back. */
  readonly takeBack: (what: TakingBack) => void;
}

/**
 * Takes back requests that a peer hasn't answered for too long, so that other peers can be asked.
 *
 * @param peer A peer with outstanding requests.
 */
export function takeBackOverdue(
  peer: Peer,
  { now, isMissing, takeBack }: TakeBackOverdueOptions,
): void {
  if (peer.readPaused) return; // blocks may be waiting in the socket unread
  if (now - peer.lastBlock > SNUB_MS) {
    peer.snubbed = true;
    peer.lastBlock = now;
    peer.requests.snubbed();
    takeBack({ cancel: true });
    peer.output.flush();
    return;
  }
  // The peer answers later requests but not the first ones: some clients drop requests that they have no room for
  // without a reject.
  const dropped = peer.requests.findDropped(now, isMissing);
  if (dropped !== null) {
    takeBack({ cancel: true, which: (_, time) => time <= dropped, keeps: () => true });
    peer.output.flush();
    return;
  }
  // Without a later request that was answered, only the time tells.
  const queue = 2000 * peer.requests.size * BLOCK_SIZE / Math.max(1, speedOf(peer));
  const { time: oldest } = peer.requests.first;
  if (oldest < peer.lastBlock && now - oldest > REQUEST_MS + queue) {
    takeBack({ cancel: true, which: (_, time) => now - time > REQUEST_MS + queue, keeps: () => true });
    peer.output.flush();
  }
}

/** Probe requests, one after the other, that show whether a peer has dropped its earlier requests. */
const PROBES = 4;

/**
 * Returns `true` if a peer that used to answer has been quiet for so long that one more request should be sent to it. A
 * peer that answers the new request has dropped the earlier ones.
 *
 * @param peer A peer with outstanding requests.
 * @param now Current time in milliseconds.
 */
export function mayHaveDropped(peer: Peer, now: number): boolean {
  const { requests } = peer;
  if (peer.readPaused || peer.snubbed || peer.down.total === 0 || requests.full) return false;
  if (requests.newest - peer.lastBlock > (PROBES - 1) * requests.dropTimeout) return false;
  return now - Math.max(peer.lastBlock, requests.newest) > requests.dropTimeout;
}

/** A peer counts as quiet when it has owed us a block for this many milliseconds. */
const QUIET_MS = 2_500;
/** A peer doesn't count as quiet before this many times the usual interval between its blocks has passed. */
const QUIET_BLOCKS = 2;
/** Upper bound for the milliseconds that {@linkcode QUIET_BLOCKS} gives a slow peer. */
const MOST_QUIET_MS = 10_000;

/**
 * Returns `true` if a peer doesn't send what it was asked for, so that other peers are preferred until it sends a
 * block.
 *
 * @param now Current time in milliseconds.
 */
export function isQuiet(peer: Peer, now: number): boolean {
  const owed = now - peer.requests.owedSince;
  if (owed < QUIET_MS || peer.readPaused) return false;
  // The rate after a single block says little about the blocks that follow.
  const perBlock = peer.down.total > BLOCK_SIZE ? 1000 * BLOCK_SIZE / Math.max(1, speedOf(peer)) : 0;
  return owed > Math.max(QUIET_MS, Math.min(MOST_QUIET_MS, QUIET_BLOCKS * perBlock));
}
