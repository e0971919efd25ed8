/**
 * Finds the metadata of a magnet link: from peers (BEP 9), from the sources in the link, from an earlier run, or from
 * the user, whichever is first.
 *
 * @module
 */

import { raceAbort } from "../base/abort.ts";
import type { Bytes } from "../base/bytes.ts";
import { infoHashesOf, type Magnet, type Metainfo } from "../metainfo/mod.ts";
import { MetadataFetch } from "./metadata/metadata_fetch.ts";
import type { Swarm } from "./swarm.ts";
import type { Shared, TorrentOptions } from "./torrent_options.ts";

/** Options for {@linkcode MagnetResolver}. */
export interface MagnetResolverOptions {
  /** The magnet link. */
  readonly magnet: Magnet;
  /** What the session shares. */
  readonly shared: Shared;
  /** Peers to ask. */
  readonly swarm: Swarm;
  /** Searches all other sources. */
  readonly findMetadata: TorrentOptions["findMetadata"];
  /** Called before peers are asked, so that connections are made. */
  asking(): void;
  /** Called with errors that don't end the search. */
  onWarning(error: unknown): void;
}

/** The search for one torrent's metadata. May be run again after a failure. */
export class MagnetResolver {
  readonly #options: MagnetResolverOptions;
  readonly #given = Promise.withResolvers<Metainfo>();
  #isGiven = false;
  #fetch: MetadataFetch | null = null;

  constructor(options: MagnetResolverOptions) {
    this.#options = options;
  }

  /** The part of the metadata that peers have sent, 0 to 1. */
  get progress(): number {
    return this.#fetch?.progress ?? 0;
  }

  /** Whether peers are asked. */
  get asks(): boolean {
    return this.#fetch !== null;
  }

  /** Ends the search with a torrent file from the user. */
  give(meta: Metainfo): void {
    this.#isGiven = true;
    this.stop();
    this.#given.resolve(meta);
  }

  /** Stops asking peers and frees the memory. */
  stop(): void {
    this.#fetch?.stop();
  }

  /**
   * Runs the search.
   *
   * @param signal Aborts the search.
   * @returns The torrent.
   * @throws {MetainfoError} If the metadata matches the info-hash but isn't a valid torrent.
   * @throws The signal's reason, when it is aborted.
   */
  async run(signal: AbortSignal): Promise<Metainfo> {
    const search = this.#options.findMetadata(this.#options.magnet, {
      signal,
      given: this.#given.promise,
      askPeers: () => this.#askPeers(),
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
    const { magnet, shared, swarm } = this.#options;
    this.#fetch = new MetadataFetch({
      platform: shared.platform,
      infoHashes: infoHashesOf(magnet),
      memory: shared.metadataMemory,
      ban: (host, reason) => swarm.ban(host, reason),
      found: resolve,
    });
    swarm.seekMetadata(this.#fetch);
    this.#options.asking();
    return promise;
  }
}
