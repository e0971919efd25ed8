/**
 * Trackers, web seeds and DHT nodes of a torrent. They are neither signed nor required, so invalid entries are skipped
 * and never make a torrent invalid.
 *
 * @module
 */

import { fromUtf8Lossy } from "../base/bytes.ts";
import { type BencodeDict, BencodeList, type BencodeValue } from "../bencode/mod.ts";

/** Maximum number of trackers, web seeds and nodes read, each. The rest is noise, or an attack on other hosts. */
export const MAX_SOURCES = 1000;
/** Maximum length of a URL in bytes. */
const MAX_URL_LENGTH = 4096;

/**
 * Reads the trackers from `announce-list` (BEP 12), or from `announce` if the list has no valid URL.
 *
 * @returns Tiers in order, none empty. No URL occurs twice.
 */
export function readTrackers(torrent: BencodeDict): string[][] {
  const seen = new Set<string>();
  let left = MAX_SOURCES;
  const take = (values: Iterable<BencodeValue>): string[] => {
    const tier: string[] = [];
    for (const value of values) {
      if (left-- <= 0) break;
      const url = readUrl(value);
      if (url === null || seen.has(url)) continue;
      seen.add(url);
      tier.push(url);
    }
    return tier;
  };
  const tiers: string[][] = [];
  // Some torrents list URLs instead of tiers. Each such URL is a tier of its own.
  for (const item of firstOf(torrent.getList("announce-list") ?? [])) {
    tiers.push(take(item instanceof BencodeList ? item : [item]));
  }
  if (seen.size === 0) {
    left = 1;
    tiers.push(take([torrent.get("announce") ?? 0]));
  }
  return tiers.filter((tier) => tier.length > 0);
}

/**
 * Reads the web seeds (BEP 19) from `url-list`, which is a list or a single URL.
 *
 * @returns URLs, each once.
 */
export function readWebSeeds(torrent: BencodeDict): string[] {
  const value = torrent.get("url-list");
  const urls = new Set<string>();
  for (const item of firstOf(value instanceof BencodeList ? value : [value ?? 0])) {
    const url = readUrl(item);
    if (url !== null) urls.add(url);
  }
  return [...urls];
}

/**
 * Reads the DHT nodes (BEP 5) from `nodes`.
 *
 * @returns Host names or addresses with ports.
 */
export function readNodes(torrent: BencodeDict): { host: string; port: number }[] {
  const nodes: { host: string; port: number }[] = [];
  for (const item of firstOf(torrent.getList("nodes") ?? [])) {
    if (!(item instanceof BencodeList)) continue;
    const [host, port] = item;
    if (!(host instanceof Uint8Array) || typeof port !== "number" || port < 1 || port > 65535) continue;
    const name = fromUtf8Lossy(host).trim();
    if (/^[A-Za-z0-9.:_-]{1,253}$/.test(name)) nodes.push({ host: name, port });
  }
  return nodes;
}

/** Yields the first {@linkcode MAX_SOURCES} elements, so that a long list costs nothing. */
function* firstOf(values: Iterable<BencodeValue>): Generator<BencodeValue> {
  let left = MAX_SOURCES;
  for (const value of values) {
    if (left-- === 0) return;
    yield value;
  }
}

function readUrl(value: BencodeValue): string | null {
  if (!(value instanceof Uint8Array) || value.length > MAX_URL_LENGTH) return null;
  const text = fromUtf8Lossy(value).trim();
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\/./.test(text) && URL.canParse(text) ? text : null;
}
