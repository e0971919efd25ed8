/**
 * Finds out what a magnet link stands for: from peers (BEP 9), from where the link says, from the last run, or from the user after
 * all, whoever is first.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Magnet, Metainfo } from "../metainfo/mod.ts";
import { MetadataFetch } from "./metadata/metadata_fetch.ts";
import type { Swarm } from "./swarm.ts";
import type { Shared, TorrentOptions } from "./torrent_options.ts";

/** What a {@linkcode MagnetSearch} works with. */
export interface MagnetSearchOptions {
  /** The link. */
  readonly magnet: Magnet;
  /** What the session shares. */
  readonly shared: Shared;
  /** Peers to ask. */
  readonly swarm: Swarm;
  /** Looks everywhere else. */
  readonly findMetadata: TorrentOptions["findMetadata"];
  /** Peers are going to be asked, and may be connected to. */
  asking(): void;
  /** Told what does not work and is not needed. */
  onWarning(error: unknown): void;
}

/** The search for one torrent's metadata; may be run again when it has failed. */
export class MagnetSearch {
  readonly #options: MagnetSearchOptions;
  readonly #given = Promise.withResolvers<Metainfo>();
  #isGiven = false;
  #fetch: MetadataFetch | null = null;

  /** @param options What it works with. */
  constructor(options: MagnetSearchOptions) {
    this.#options = options;
  }

  /** Part of the metadata that peers have sent, 0 to 1. */
  get progress(): number {
    return this.#fetch?.progress ?? 0;
  }

  /** Whether peers are asked. */
  get asks(): boolean {
    return this.#fetch !== null;
  }

  /** The user has the torrent's file. */
  give(meta: Metainfo): void {
    this.#isGiven = true;
    this.stop();
    this.#given.resolve(meta);
  }

  /** Asks peers no more; memory is given back. */
  stop(): void {
    this.#fetch?.stop();
  }

  /**
   * Searches.
   *
   * @param signal Gives up.
   * @returns The torrent.
   * @throws {MetainfoError} If the metadata is what the info-hash names, and no valid torrent all the same.
   * @throws The signal's reason, when it is aborted.
   */
  async run(signal: AbortSignal): Promise<Metainfo> {
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const giveUp = () => reject(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    const search = this.#options.findMetadata(this.#options.magnet, {
      signal,
      given: this.#given.promise,
      askPeers: () => this.#askPeers(),
      onWarning: (error) => this.#options.onWarning(error),
    });
    try {
      return await Promise.race([search, stopped]);
    } finally {
      signal.removeEventListener("abort", giveUp);
      this.stop();
    }
  }

  #askPeers(): Promise<Bytes> {
    const { promise, resolve } = Promise.withResolvers<Bytes>();
    if (this.#isGiven) return promise;
    const { magnet: { infoHash }, shared, swarm } = this.#options;
    this.#fetch = new MetadataFetch({
      platform: shared.platform,
      infoHash,
      memory: shared.metadataMemory,
      ban: (host, reason) => swarm.ban(host, reason),
      found: resolve,
    });
    swarm.seekMetadata(this.#fetch);
    this.#options.asking();
    return promise;
  }
}
