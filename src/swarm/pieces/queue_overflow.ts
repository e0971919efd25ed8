/**
 * Peers that hang up when they are asked for more blocks than they hold, by address.
 *
 * @module
 */

import { MAX_REMEMBERED_HOSTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";

/** A connection that brought more than so many times what was outstanding at its end wasn't ended for that. */
const PIPELINES = 4;
/** Requests that count as outstanding at the least, for {@linkcode PIPELINES}. */
const LEAST = 8;

/** What is remembered of an address. */
interface HangUp {
  /** Requests that it may be asked for at once. */
  readonly count: number;
  /** Times in a row that it hung up. */
  readonly times: number;
}

/** Remembers with how many requests outstanding peers hung up, so that they are asked for fewer when they are back. */
export class QueueOverflow {
  readonly #known = new LruMap<string, HangUp>(MAX_REMEMBERED_HOSTS);

  /** A connection was made: it begins with as many requests as the address was found to hold. */
  joined(peer: Peer, now: number): void {
    const known = this.#known.peek(peer.network);
    if (known) peer.requests.beginWith(known.count, { now, certain: known.times > 1 });
  }

  /** A connection is over; what it was asked for hasn't been taken back yet. */
  left(peer: Peer): void {
    const { size, found } = peer.requests;
    if (peer.choking || size <= 1) return;
    const known = this.#known.peek(peer.network);
    // Hung up after one more was tried, it holds as many as went well before.
    const tried = known !== undefined && found < Infinity && size > known.count;
    if (!tried && peer.down.total > PIPELINES * Math.max(size, LEAST) * BLOCK_SIZE) return;
    const count = tried ? Math.max(known.count, found - 1) : Math.ceil(size / 2);
    this.#known.set(peer.network, { count, times: (known?.times ?? 0) + 1 });
  }
}
