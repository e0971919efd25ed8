/**
 * What a rate limit means for those who are asked for blocks: nobody is slow because we don't read.
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";

/** Seconds of work that a peer has at most when a limit decides how fast it is. */
const QUEUE_SECONDS = 1;

/** What counts of a peer. */
type Limited = Pick<Peer, "allowed" | "held"> & { readonly down: { readonly rate: number } };

/**
 * Requests that a peer should have at most, so that what was asked for comes soon and a limit that is made lower holds at
 * once; it can always have one. Where others need less than their share it may be faster than its own, and is then known to be.
 *
 * @param peer The peer.
 * @returns Infinity without a limit.
 */
export function depthAllowed({ allowed, down }: Limited): number {
  return allowed === Infinity ? Infinity : Math.ceil(QUEUE_SECONDS * Math.max(allowed, down.rate) / BLOCK_SIZE);
}

/**
 * How fast a peer is for us. One that we don't read from has more for us than we take, and no peer can be expected to become
 * faster than a limit lets it.
 *
 * @param peer The peer.
 * @returns Bytes a second; 0 when it isn't known.
 */
export function speedOf({ allowed, held, down }: Limited): number {
  return held ? allowed : Math.min(down.rate, allowed);
}
