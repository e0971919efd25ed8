/**
 * Requests that a peer takes too long to answer.
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import { speedOf } from "./expected_speed.ts";

/** Milliseconds without any block that was asked for, after which a peer counts as snubbing us. */
const SNUB_MS = 30_000;
/** Milliseconds for one request, besides the time that the peer needs for those before it. */
const REQUEST_MS = 10_000;

/** Which requests are taken back. */
export interface TakingBack {
  /** Whether the peer is to be told; `false` when absent. */
  readonly cancel?: boolean;
  /** Chooses among the requests, by piece and time; all when absent. */
  readonly which?: (index: number, time: number) => boolean;
  /** Chooses those of the pieces that it alone may send which stay its own; none when absent. */
  readonly keeps?: (index: number) => boolean;
}

/**
 * Takes back what a peer has had for too long, for others to fetch.
 *
 * @param peer One that was asked for something.
 * @param options `now`: milliseconds. `isMissing`: whether a block is still wanted. `takeBack`: carries it out.
 */
export function takeBackOverdue(
  peer: Peer,
  { now, isMissing, takeBack }: {
    readonly now: number;
    readonly isMissing: (index: number, begin: number) => boolean;
    readonly takeBack: (what: TakingBack) => void;
  },
): void {
  if (peer.held) return; // we don't look whether it answers
  if (now - peer.lastBlock > SNUB_MS) {
    peer.snubbed = true;
    peer.lastBlock = now;
    peer.requests.snubbed();
    takeBack({ cancel: true });
    peer.output.flush();
    return;
  }
  // It answers, but not what it was asked first: some clients drop what they have no room for without a word.
  const dropped = peer.requests.findDropped(now, isMissing);
  if (dropped !== null) {
    takeBack({ cancel: true, which: (_, time) => time <= dropped, keeps: () => true });
    peer.output.flush();
    return;
  }
  // There may be no later one to go by.
  const queue = 2000 * peer.requests.size * BLOCK_SIZE / Math.max(1, speedOf(peer));
  const { time: oldest } = peer.requests.first;
  if (oldest < peer.lastBlock && now - oldest > REQUEST_MS + queue) {
    takeBack({ cancel: true, which: (_, time) => now - time > REQUEST_MS + queue, keeps: () => true });
    peer.output.flush();
  }
}

/** Requests, one after the other, that are made to find out whether a peer has dropped the others. */
const PROBES = 4;

/**
 * Whether a peer that used to answer has become so quiet that one request more is to show whether it has dropped those before.
 *
 * @param peer One that was asked for something.
 * @param now Milliseconds.
 * @returns `true` if it is time for one.
 */
export function mayHaveDropped(peer: Peer, now: number): boolean {
  const { requests } = peer;
  if (peer.held || peer.snubbed || peer.down.total === 0 || requests.full) return false;
  if (requests.newest - peer.lastBlock > (PROBES - 1) * requests.patience) return false;
  return now - Math.max(peer.lastBlock, requests.newest) > requests.patience;
}

/**
 * Milliseconds for which a peer may owe us a block before it counts as quiet; more where blocks come that far apart anyway: so many
 * times that, and no more than this in all.
 */
const QUIET_MS = 2_500;
const QUIET_BLOCKS = 2;
const MOST_QUIET_MS = 10_000;

/**
 * Whether a peer doesn't send what it was asked for, until it sends something.
 *
 * @param peer A peer.
 * @param now Milliseconds.
 * @returns `true` if others are to be preferred to it.
 */
export function isQuiet(peer: Peer, now: number): boolean {
  const owed = now - peer.requests.owedSince;
  if (owed < QUIET_MS || peer.held) return false;
  // One block says little about those that follow it.
  const perBlock = peer.down.total > BLOCK_SIZE ? 1000 * BLOCK_SIZE / Math.max(1, speedOf(peer)) : 0;
  return owed > Math.max(QUIET_MS, Math.min(MOST_QUIET_MS, QUIET_BLOCKS * perBlock));
}
