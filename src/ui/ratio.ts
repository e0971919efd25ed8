/**
 * The share ratio.
 *
 * @module
 */

import type { TorrentSnapshot } from "../session/types.ts";

/**
 * What was given back for what was taken.
 *
 * @param torrent Payload bytes since the start, and those that are verified.
 * @returns Uploaded bytes for each downloaded one, or for each that is there when nothing had to be downloaded.
 */
export function ratioOf(torrent: Pick<TorrentSnapshot, "uploaded" | "downloaded" | "verified">): number {
  const taken = torrent.downloaded || torrent.verified;
  return taken === 0 ? 0 : torrent.uploaded / taken;
}
