/**
 * Gets the metadata of a magnet link: from an earlier run, or else from the link's exact sources (`xs`) and from peers
 * at the same time, whichever is first; then the hashes of pieces that a v2 torrent lacks (BEP 52), from an earlier run
 * or from peers.
 *
 * @module
 */

import { freeBytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import {
  EXACT_SOURCE_HEDGE_MS,
  EXACT_SOURCE_MS,
  EXACT_SOURCES_AT_ONCE,
  MAX_EXACT_SOURCES,
  MAX_MAGNET_HOPS,
} from "../base/defences.ts";
import type { InfoHash, InfoHashV2 } from "../base/info_hash.ts";
import type { BudgetedRead, ReadBudget } from "../base/read_budget.ts";
import {
  hasHashes,
  hasLayers,
  infoHashesOf,
  type Magnet,
  MAX_TORRENT_SIZE,
  mergePlaces,
  type Metainfo,
  MetainfoError,
  parseInfo,
  parseMagnet,
  parseMetainfo,
  torrentFile,
} from "../metainfo/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { isMagnet } from "../swarm/file_selection.ts";
import type { MetadataSearch } from "../swarm/mod.ts";
import type { SessionStore } from "./session_store.ts";

/** Reported instead of the parser's message, which may quote the response. */
const NO_TORRENT = "what the server sent is no torrent";

/** Options for {@linkcode findMetadata}. */
export interface MetadataSearchOptions extends MetadataSearch {
  /** System services: HTTP and timers. */
  readonly platform: Pick<Platform, "http" | "after">;
  /** Torrent files of earlier runs. */
  readonly store: Pick<SessionStore, "load" | "save">;
  /** `true` if file names must also be valid on Windows. */
  readonly portable: boolean;
  /** Local address to connect from; any when absent. */
  readonly bind?: string;
  /** Memory for torrent files that are being fetched, shared by all torrents of the session. */
  readonly reads: ReadBudget;
}

/**
 * Gets the metadata of a magnet link, or the hashes of pieces that a torrent lacks.
 *
 * @param source The magnet link or the torrent.
 * @param options See {@linkcode MetadataSearchOptions}.
 * @returns The torrent, with the trackers and web seeds of the link added to its own. It has been stored for the next
 * run.
 * @throws {MetainfoError} If the metadata has the right info-hash and is still not a valid torrent.
 */
export async function findMetadata(source: Magnet | Metainfo, options: MetadataSearchOptions): Promise<Metainfo> {
  const meta = isMagnet(source) ? await describe(source, options) : await withKeptHashes(source, options);
  // A hybrid can be verified without its piece layers, but wrong blocks are found by them.
  if (meta.version === "v1" || hasLayers(meta)) return meta;
  const whole = await options.askForHashes(meta);
  options.store.save(source.infoHash, torrentFile(whole.info, whole));
  return whole;
}

/** Returns a torrent with the hashes that an earlier run has fetched. */
async function withKeptHashes(meta: Metainfo, options: MetadataSearchOptions): Promise<Metainfo> {
  const kept = await fromStore(meta, options);
  return kept !== null && hasHashes(kept) ? { ...meta, files: kept.files } : meta;
}

/** Gets what a magnet link stands for, perhaps without the hashes of pieces. */
async function describe(magnet: Magnet, options: MetadataSearchOptions): Promise<Metainfo> {
  const kept = await fromStore(magnet, options);
  if (kept) return withSources(kept, magnet);
  const lost = new AbortController();
  const signal = AbortSignal.any([options.signal, lost.signal]);
  try {
    const fetched = fromUrls(magnet, { ...options, signal }).then((meta) => withSources(meta, magnet));
    const asked = options.askPeers().then((info) => {
      const { infoHash: { hex }, trackers, webSeeds } = magnet;
      const source = `the metadata of ${hex}`;
      return checked(parseInfo(info, { trackers, webSeeds, portable: options.portable, source }), magnet);
    });
    // A link may name an info-hash that is of another torrent than the other one.
    const given = options.given.then((meta) => withSources(checked(meta, magnet), magnet));
    const meta = await Promise.race([given, fetched, asked]);
    options.store.save(magnet.infoHash, torrentFile(meta.info, meta));
    return meta;
  } finally {
    lost.abort();
  }
}

/**
 * Fetches from several exact sources at the same time, and starts one more for each that is slow. Settles only if a
 * fetch succeeds, since peers may still send the metadata.
 */
function fromUrls(magnet: Magnet, options: MetadataSearchOptions): Promise<Metainfo> {
  const urls = magnet.exactSources.slice(0, MAX_EXACT_SOURCES).values();
  return new Promise((resolve, reject) => {
    const lane = async (): Promise<void> => {
      const url = options.signal.aborted ? undefined : urls.next().value;
      if (url === undefined) return;
      let passedOn = false;
      const passOn = () => {
        if (passedOn) return;
        passedOn = true;
        lane().catch(reject);
      };
      const timer = options.platform.after(EXACT_SOURCE_HEDGE_MS, passOn);
      const meta = await fromUrl(url, magnet, options).finally(() => timer.cancel());
      if (meta) resolve(meta);
      else passOn();
    };
    for (let i = 0; i < EXACT_SOURCES_AT_ONCE; i++) lane().catch(reject);
  });
}

async function fromStore(
  magnet: Magnet | Metainfo,
  { store, portable, onWarning }: MetadataSearchOptions,
): Promise<Metainfo | null> {
  try {
    const bytes = await store.load(magnet.infoHash);
    return bytes && checked(parseMetainfo(bytes, { portable, source: "the torrent of the last run" }), magnet);
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    onWarning(error);
    return null;
  }
}

async function fromUrl(
  url: string,
  magnet: Magnet,
  options: MetadataSearchOptions,
  hops = 0,
): Promise<Metainfo | null> {
  const { signal, onWarning, reads } = options;
  try {
    const found = await reads.run((reading) => request(url, magnet, { ...options, reading }), signal);
    if (!("exactSources" in found)) return found;
    // An indexer may redirect to a magnet link, which may name other exact sources.
    if (!infoHashesOf(magnet).onWire.some((infoHash) => infoHashesOf(found).has(infoHash))) {
      throw new Error("it redirects to the magnet link of another torrent");
    }
    if (hops === MAX_MAGNET_HOPS) throw new Error("it redirects from one magnet link to the next");
    const [next] = found.exactSources;
    if (next === undefined) throw new Error("it redirects to a magnet link that names no torrent file");
    const meta = await fromUrl(next, magnet, options, hops + 1);
    return meta && withSources(meta, found);
  } catch (error) {
    if (signal.aborted) return null;
    const why = error instanceof MetainfoError
      ? NO_TORRENT
      : error instanceof ShoalError
      ? error.why
      : messageOf(error);
    onWarning(new ShoalError("network", { what: "cannot fetch the torrent", where: url, why, cause: error }));
    return null;
  }
}

/** Fetches an exact source. Its content is never shown, since the link's author may have named a private server. */
async function request(
  url: string,
  wanted: Magnet,
  options: MetadataSearchOptions & { readonly reading: BudgetedRead },
): Promise<Metainfo | Magnet> {
  const { platform, portable, bind, reading } = options;
  const { status, body, magnet } = await platform.http.request({
    url,
    trust: { by: "file" },
    takesMagnet: true,
    timeout: EXACT_SOURCE_MS,
    maxBytes: MAX_TORRENT_SIZE,
    hold: reading.hold,
    signal: AbortSignal.any([options.signal, reading.signal]),
    ...(bind !== undefined && { bind }),
  });
  if (magnet !== undefined) return parseMagnet(magnet);
  if (status !== 200) throw new Error(`the server answers with status ${status}`);
  try {
    return checked(parseMetainfo(body, { portable, source: url }), wanted);
  } catch (error) {
    freeBytes(body);
    throw error;
  }
}

/** Returns the torrent if it has every info-hash of the magnet link. */
function checked(meta: Metainfo, { infoHashV1, infoHashV2 }: Magnet | Metainfo): Metainfo {
  const fail = (kind: string, own: InfoHash | InfoHashV2 | null, wanted: InfoHash | InfoHashV2): never => {
    const why = own === null ? `it has no ${kind}, and ${wanted} was wanted` : `its ${kind} is ${own}, not ${wanted}`;
    throw new ShoalError("torrent", { what: "the wrong torrent", where: meta.name, why });
  };
  if (infoHashV1 !== null && meta.infoHashV1?.hex !== infoHashV1.hex) fail("info-hash", meta.infoHashV1, infoHashV1);
  if (infoHashV2 !== null && meta.infoHashV2?.hex !== infoHashV2.hex) fail("v2 info-hash", meta.infoHashV2, infoHashV2);
  return meta;
}

/** Adds the trackers and web seeds of the link. Its trackers come first, since the user has just supplied them. */
function withSources(meta: Metainfo, magnet: Magnet): Metainfo {
  return { ...meta, ...mergePlaces(magnet, meta) };
}
