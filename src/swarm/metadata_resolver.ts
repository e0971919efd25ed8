/**
 * Finds the metadata of a torrent: the info dictionary of a magnet link, from peers (BEP 9), from the sources in the
 * link, from an earlier run, or from the user, whichever is first; then the hashes of pieces that a v2 torrent lacks
 * (BEP 52).
 *
 * @module
 */

import { raceAbort } from "../base/abort.ts";
import type { Bytes } from "../base/bytes.ts";
import { HYBRID_HASHES_MS } from "../base/defences.ts";
import { hasHashes, hasLayers, infoHashesOf, type Magnet, type Metainfo } from "../metainfo/mod.ts";
import type { Peer } from "../peer/mod.ts";
import type { LayerCounts, LayerFetch } from "./hashes/layer_fetch.ts";
import { MetadataFetch } from "./metadata/metadata_fetch.ts";
import type { Swarm } from "./swarm.ts";
import type { Shared, TorrentOptions } from "./torrent_options.ts";

/** Options for {@linkcode MetadataResolver}. */
export interface MetadataResolverOptions {
  /** The magnet link, or a torrent that lacks hashes of its pieces. */
  readonly source: Magnet | Metainfo;
  /** What the session shares. */
  readonly shared: Shared;
  /** Peers to ask. */
  readonly swarm: Swarm;
  /** Searches all other sources. */
  readonly findMetadata: TorrentOptions["findMetadata"];
  /** Called before peers are asked, so that connections are made. */
  readonly asking: () => void;
  /** Called when all is known but hashes of pieces. */
  readonly described: (meta: Metainfo) => void;
  /** Called with errors that don't end the search. */
  onWarning(error: unknown): void;
}

/** Progress of fetching hashes of pieces. */
export interface HashProgress extends LayerCounts {
  /** Number of connected peers that may have the hashes. */
  readonly peers: number;
}

/** The search for one torrent's metadata. May be run again after a failure. */
export class MetadataResolver {
  readonly #options: MetadataResolverOptions;
  readonly #given = Promise.withResolvers<Metainfo>();
  readonly #whole = Promise.withResolvers<Metainfo>();
  #isGiven = false;
  #fetch: MetadataFetch | null = null;
  #layers: LayerFetch<Peer> | null = null;

  constructor(options: MetadataResolverOptions) {
    this.#options = options;
  }

  /** The part of the metadata that peers have sent, then the part of the hashes, 0 to 1. */
  get progress(): number {
    return this.#layers?.progress ?? this.#fetch?.progress ?? 0;
  }

  /** Progress of fetching hashes of pieces; `null` before the rest is known. */
  get hashes(): HashProgress | null {
    return this.#layers && { ...this.#layers.files, peers: this.#layers.peerCount };
  }

  /** Whether peers are asked. */
  get asks(): boolean {
    return this.#fetch !== null || this.#layers !== null;
  }

  /** Takes a torrent file from the user, which ends the search unless it lacks hashes of pieces. */
  give(meta: Metainfo): void {
    this.#isGiven = true;
    this.#fetch?.stop();
    this.#given.resolve(meta);
    if (hasLayers(meta)) this.#whole.resolve(meta);
  }

  /** Stops asking peers and frees the memory. */
  stop(): void {
    this.#fetch?.stop();
    this.#layers?.stop();
  }

  /**
   * Runs the search.
   *
   * @param signal Aborts the search.
   * @returns The torrent, with the hashes of all pieces.
   * @throws {MetainfoError} If the metadata matches the info-hash but isn't a valid torrent.
   * @throws The signal's reason, when it is aborted.
   */
  async run(signal: AbortSignal): Promise<Metainfo> {
    const search = this.#options.findMetadata(this.#options.source, {
      signal,
      given: this.#given.promise,
      askPeers: () => this.#askPeers(),
      askForHashes: (meta) => this.#askForHashes(meta),
      onWarning: (error) => this.#options.onWarning(error),
    });
    try {
      return await raceAbort(search, signal);
    } finally {
      this.stop();
    }
  }

  #askPeers(): Promise<Bytes> {
    const { promise, resolve } = Promise.withResolvers<Bytes>();
    if (this.#isGiven) return promise;
    const { source, shared, swarm } = this.#options;
    this.#fetch = new MetadataFetch({
      platform: shared.platform,
      infoHashes: infoHashesOf(source),
      memory: shared.metadataMemory,
      ban: (host, reason) => swarm.ban(host, reason),
      found: resolve,
    });
    swarm.seekMetadata(this.#fetch);
    this.#options.asking();
    return promise;
  }

  async #askForHashes(meta: Metainfo): Promise<Metainfo> {
    const { swarm, shared: { platform }, described, asking } = this.#options;
    // A hybrid can do without.
    if (hasHashes(meta) && !swarm.hasHashPeers) return meta;
    const layers = this.#layers = swarm.seekLayers(meta);
    described(meta);
    asking();
    const given = this.#whole.promise.then((whole) => ({ ...meta, files: whole.files }));
    if (!hasHashes(meta)) return await Promise.race([layers.run(), given]);
    const late = Promise.withResolvers<Metainfo>();
    const timer = platform.after(HYBRID_HASHES_MS, () => late.resolve(meta));
    return await Promise.race([layers.run(), given, late.promise]).finally(() => timer.cancel());
  }
}
