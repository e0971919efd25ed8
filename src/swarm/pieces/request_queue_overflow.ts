/**
 * Peers that hang up when they are sent more requests than their queue holds, by address.
 *
 * @module
 */

import { MAX_REMEMBERED_HOSTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";

/** A connection that brought more than this many times its outstanding requests wasn't closed for their number. */
const PIPELINES = 4;
/** Lower bound for the outstanding requests that {@linkcode PIPELINES} multiplies. */
const LEAST = 8;

/** What is remembered about an address. */
interface HangUp {
  /** Requests that may be outstanding at the same time. */
  readonly count: number;
  /** Number of times that the address hung up. */
  readonly times: number;
}

/** Remembers how many requests were outstanding when peers hung up, so that they are sent fewer when they are back. */
export class RequestQueueOverflow {
  readonly #known = new LruMap<string, HangUp>(MAX_REMEMBERED_HOSTS);

  /** Limits the requests of a new connection to what its address was found to hold. */
  joined(peer: Peer, now: number): void {
    const known = this.#known.peek(peer.network);
    if (known) peer.requests.beginWith(known.count, { now, certain: known.times > 1 });
  }

  /** Learns from a connection that is over. Must be called before its requests are taken back. */
  left(peer: Peer): void {
    const { size, found } = peer.requests;
    if (peer.choking || size <= 1) return;
    const known = this.#known.peek(peer.network);
    // If the peer hung up after one more request was tried, it holds as many as before.
    const tried = known !== undefined && found < Infinity && size > known.count;
    if (!tried && peer.down.total > PIPELINES * Math.max(size, LEAST) * BLOCK_SIZE) return;
    const count = tried ? Math.max(known.count, found - 1) : Math.ceil(size / 2);
    this.#known.set(peer.network, { count, times: (known?.times ?? 0) + 1 });
  }
}
