/**
 * How fast may be what a session, or a torrent of it, takes in and gives out.
 *
 * @module
 */

/**
 * How fast all torrents together may be, or one of them within that, in bytes a second; `null` for as fast as they can. Every
 * torrent has an equal share, and so has every peer of a torrent; what one doesn't use, or may not have, the others have. What
 * counts are the blocks of files, from peers and from web seeds; what is said besides (requests, haves, metadata, trackers, the
 * DHT) is little, and never waits.
 */
export interface RateLimits {
  /** For what comes. */
  readonly down: number | null;
  /** For what we send. */
  readonly up: number | null;
}

/** What has a rate each way: the session's limits, or a torrent's part in them. */
export interface Limited {
  readonly down: { rate: number | null };
  readonly up: { rate: number | null };
}

/**
 * Reads the limits.
 *
 * @param limited What has them.
 * @returns Bytes a second each way, `null` for no limit.
 */
export function ratesOf({ down, up }: Limited): RateLimits {
  return { down: down.rate, up: up.rate };
}

/**
 * Changes the limits, at once.
 *
 * @param limited What has them.
 * @param limits Bytes a second, `null` for no limit; what is absent stays as it is.
 * @throws {RangeError} If a rate isn't above 0; nothing has changed then.
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
 * @param rate Bytes a second; `null` for no limit.
 * @returns The same rate.
 * @throws {RangeError} If it isn't above 0.
 */
export function checkedRate(rate: number | null): number | null {
  if (rate === null || (rate > 0 && rate < Infinity)) return rate;
  throw new RangeError(`A rate is a number of bytes a second above 0, or null for no limit, and not ${rate}`);
}
