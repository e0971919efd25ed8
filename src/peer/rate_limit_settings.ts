/**
 * Rate limits of a session and of its torrents.
 *
 * @module
 */

/**
 * Rate limits of a session, or of a torrent within them, in bytes per second; `null` for no limit.
 *
 * Torrents get equal shares, and so do the peers of a torrent. A share that is not used, or exceeds a torrent's own
 * limit, goes to the others. A limit counts blocks of files, from peers and web seeds. Other messages (requests, haves,
 * metadata, trackers, the DHT) are small, and never wait.
 */
export interface RateLimits {
  /** Download limit. */
  readonly down: number | null;
  /** Upload limit. */
  readonly up: number | null;
}

/** An object with rates in both directions: the session's limits, or a torrent's share in them. */
export interface Limited {
  readonly down: { rate: number | null };
  readonly up: { rate: number | null };
}

/** Returns the rate limits of a session or torrent. */
export function ratesOf({ down, up }: Limited): RateLimits {
  return { down: down.rate, up: up.rate };
}

/**
 * Changes rate limits at once.
 *
 * @param limited The session's limits, or a torrent's share in them.
 * @param limits Bytes per second, `null` for no limit. An absent limit doesn't change.
 * @throws {RangeError} If a rate isn't above 0. Nothing has changed then.
 */
export function setRates(limited: Limited, limits: Partial<RateLimits>): void {
  const { down = limited.down.rate, up = limited.up.rate } = limits;
  checkedRate(down);
  checkedRate(up);
  if (down !== limited.down.rate) limited.down.rate = down;
  if (up !== limited.up.rate) limited.up.rate = up;
}

/**
 * Checks a rate.
 *
 * @param rate Bytes per second; `null` for no limit.
 * @returns The same rate.
 * @throws {RangeError} If the rate isn't above 0.
 */
export function checkedRate(rate: number | null): number | null {
  if (rate === null || (rate > 0 && rate < Infinity)) return rate;
  throw new RangeError(`A rate is a number of bytes a second above 0, or null for no limit, and not ${rate}`);
}
