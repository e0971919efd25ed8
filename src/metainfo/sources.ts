/**
 * Where a torrent says that its data and its peers are to be found: trackers, web seeds, DHT nodes. None of it is signed, or
 * needed, so what is unusable is left out and never a reason to refuse a torrent.
 *
 * @module
 */

import { fromUtf8Lossy } from "../base/bytes.ts";
import { type BencodeDict, BencodeList, type BencodeValue } from "../bencode/mod.ts";

/** How many trackers, web seeds and nodes are looked at, each; the rest is noise or an attack on somebody. */
export const MAX_SOURCES = 1000;
/** Longest URL that is kept, in bytes. */
const MAX_URL_LENGTH = 4096;

/**
 * The trackers: `announce-list` (BEP 12), or `announce` when there is none or nothing in it is a URL.
 *
 * @param torrent The outer dictionary.
 * @returns Tiers, none empty, in order; no URL is there twice.
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
  // Some torrents list URLs where tiers belong: each is a tier of its own.
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
 * The web seeds (BEP 19): `url-list`, be it a list or a single URL.
 *
 * @param torrent The outer dictionary.
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
 * The DHT nodes (BEP 5): `nodes`.
 *
 * @param torrent The outer dictionary.
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

/** No more of a list than is looked at, so that a long one costs nothing. */
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
