/**
 * Counts of a swarm from an HTTP tracker (BEP 48).
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { keyOf } from "../bencode/mod.ts";
import { count, decodeReply, failureOf } from "./announce_reply.ts";
import { percentEncode } from "./announce_request.ts";
import type { SwarmCounts } from "./tracker.ts";

/**
 * The URL of a scrape. By the convention that BEP 48 tells of, the last part of the announce URL's path begins with
 * `announce`, and has `scrape` in its place.
 *
 * @param announceUrl The tracker's URL from the torrent.
 * @param infoHash Which torrent.
 * @returns An absolute URL, or `null` for a tracker that does not follow the convention.
 *
 * @example
 * ```ts
 * buildScrapeUrl("http://tracker.example/x/announce.php?pass=1", infoHash);
 * // http://tracker.example/x/scrape.php?pass=1&info_hash=%C5...
 * ```
 */
export function buildScrapeUrl(announceUrl: string, infoHash: InfoHash): string | null {
  const parts = /^(https?:\/\/[^/?#]*(?:\/[^/?#]*)*\/)announce([^/?#]*)(\?[^#]*)?/i.exec(announceUrl);
  if (parts === null) return null;
  const [, before = "", after = "", query = ""] = parts;
  const joint = query === "" ? "?" : /[?&]$/.test(query) ? "" : "&";
  return `${before}scrape${after}${query}${joint}info_hash=${percentEncode(infoHash.bytes)}`;
}

/**
 * Reads the answer to a scrape.
 *
 * @param body What the tracker sent.
 * @param infoHash Which torrent was asked for.
 * @returns Its counts, `null` where the answer has none.
 * @throws {TrackerError} If it is no answer of a tracker, or one that says no.
 */
export function parseScrapeReply(body: Uint8Array, infoHash: InfoHash): SwarmCounts {
  const reply = decodeReply(body);
  const failure = failureOf(reply);
  if (failure) throw failure;
  const swarm = reply.getDict("files")?.getDict(keyOf(infoHash.bytes));
  return { seeders: count(swarm?.getInt("complete")), leechers: count(swarm?.getInt("incomplete")) };
}
