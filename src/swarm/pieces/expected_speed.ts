/**
 * Expected speed and pipeline depth of a peer under a rate limit. A peer isn't slow because we don't read from it.
 *
 * @module
 */

import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";

/** Seconds of work that a rate-limited peer is given at most. */
const QUEUE_SECONDS = 1;

/** What the estimates use of a peer. */
type Limited = Pick<Peer, "allowed" | "readPaused"> & { readonly down: { readonly rate: number } };

/**
 * Returns how many requests a rate-limited peer should have outstanding at most, at least 1; `Infinity` without a
 * limit. A short queue lets requested blocks arrive soon and makes a lowered limit take effect at once. A peer may
 * exceed its share of the limit while other peers use less than theirs, so that its actual rate counts if it is higher.
 */
export function depthAllowed({ allowed, down }: Limited): number {
  return allowed === Infinity ? Infinity : Math.ceil(QUEUE_SECONDS * Math.max(allowed, down.rate) / BLOCK_SIZE);
}

/**
 * Returns the expected download rate of a peer in bytes per second; 0 if it is unknown. A peer that we don't read from
 * has more data than we take, and no peer can exceed its limit.
 */
export function speedOf({ allowed, readPaused, down }: Limited): number {
  return readPaused ? allowed : Math.min(down.rate, allowed);
}
