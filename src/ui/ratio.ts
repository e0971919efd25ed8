/**
 * The share ratio.
 *
 * @module
 */

import type { TorrentSnapshot } from "../session/session_events.ts";

/**
 * What was given back for what is there: whether it was fetched in this run or before doesn't count, nor what was fetched twice.
 *
 * @param torrent Payload bytes uploaded since the start, and those of wanted files that are verified.
 * @returns Uploaded bytes for each verified one; 0 while there is none.
 */
export function ratioOf({ uploaded, verified }: Pick<TorrentSnapshot, "uploaded" | "verified">): number {
  return verified === 0 ? 0 : uploaded / verified;
}
