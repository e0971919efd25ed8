/**
 * Scrapes of HTTP trackers (BEP 48).
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { keyOf } from "../bencode/mod.ts";
import { count, decodeReply, failureIn } from "./announce_reply.ts";
import { percentEncode } from "./announce_request.ts";
import type { SwarmCounts } from "./tracker.ts";

/**
 * Builds the URL of a scrape. By the convention in BEP 48, the last part of the announce URL's path begins with
 * `announce`, which is replaced with `scrape`.
 *
 * @param announceUrl Announce URL of the tracker.
 * @param infoHash Info-hash of the torrent.
 * @returns An absolute URL, or `null` if the announce URL doesn't follow the convention.
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
 * Parses the reply to a scrape.
 *
 * @returns Counts of the swarm, `null` where the reply has none.
 * @throws {TrackerError} If the body is no tracker reply, or the reply has a failure reason.
 */
export function parseScrapeReply(body: Uint8Array, infoHash: InfoHash): SwarmCounts {
  const reply = decodeReply(body);
  const failure = failureIn(reply);
  if (failure) throw failure;
  const swarm = reply.getDict("files")?.getDict(keyOf(infoHash.bytes));
  return { seeders: count(swarm?.getInt("complete")), leechers: count(swarm?.getInt("incomplete")) };
}
