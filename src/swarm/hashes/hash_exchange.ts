/**
 * The hashes of one torrent, from and to its peers (BEP 52).
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { DataMemory } from "../../base/data_memory.ts";
import { hasLayers, type Metainfo, V2Pieces } from "../../metainfo/mod.ts";
import type { HashRequest, Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { BlockHashSource } from "../pieces/block_hash_source.ts";
import { BlockHashFetch } from "./block_hash_fetch.ts";
import { HashFetch } from "./hash_fetch.ts";
import { HashServer } from "./hash_server.ts";
import { LayerFetch } from "./layer_fetch.ts";

/** Options for {@linkcode HashExchange}. */
export interface HashExchangeOptions {
  /** Clock, timers and hash functions. */
  readonly platform: Pick<Platform, "now" | "after" | "blockHashes" | "yieldToEventLoop">;
  /** Memory for what is read. */
  readonly memory: DataMemory;
  /** Bans an address for good. */
  ban(host: string, reason: string): void;
}

/** A torrent's pieces on disk. */
export interface HashedContent {
  /** The torrent. */
  readonly meta: Metainfo;
  /** Returns `true` if we have a piece. */
  canServe(index: number): boolean;
  /**
   * Reads bytes of a piece that we have.
   *
   * @throws {ShoalError} If the bytes can't be read.
   */
  readPiece(index: number, begin: number, into: Bytes): Promise<void>;
}

/** Fetches and serves hashes: those that the metadata lacks, and those of blocks. */
export class HashExchange {
  /** Asks the torrent's peers. */
  readonly requests: HashFetch<Peer>;
  /** The hashes of blocks; there are none before the content is attached. */
  readonly blockHashes: BlockHashSource = {
    fetch: (piece, known) => {
      if (this.#blocks !== null) this.#blocks.fetch(piece, known);
      else queueMicrotask(() => known(null));
    },
  };
  readonly #options: HashExchangeOptions;
  #layers: LayerFetch<Peer> | null = null;
  #blocks: BlockHashFetch<Peer> | null = null;
  #server: HashServer | null = null;

  constructor(options: HashExchangeOptions) {
    this.#options = options;
    this.requests = new HashFetch({
      now: () => options.platform.now(),
      ban: (host, reason) => options.ban(host, reason),
    });
  }

  /** Whether peers are asked for hashes that the metadata lacks. */
  get seeks(): boolean {
    return this.#layers?.over === false;
  }

  /** Prepares to ask peers for the piece layers that a torrent lacks. */
  seekLayers(meta: Metainfo): LayerFetch<Peer> {
    this.#layers?.stop();
    return this.#layers = new LayerFetch(meta, this.requests);
  }

  /** Starts to serve hashes, and to fetch those of blocks, if the torrent has piece layers. */
  attach(content: HashedContent): void {
    this.detach();
    const { meta } = content;
    if (!hasLayers(meta)) return;
    const pieces = new V2Pieces(meta);
    this.#blocks = new BlockHashFetch({ ...this.#options, pieces, fetch: this.requests });
    this.#server = new HashServer({
      ...this.#options,
      pieces,
      has: (index) => content.canServe(index),
      read: (index, begin, into) => content.readPiece(index, begin, into),
    });
  }

  /** Ends everything. */
  detach(): void {
    this.#layers?.stop();
    this.#blocks?.stop();
    this.#server?.stop();
    this.#layers = this.#blocks = this.#server = null;
  }

  /** Finds hashes that a peer asks for; see {@linkcode HashServer.prove}. */
  prove(peer: Peer, request: HashRequest): Promise<Bytes | null> {
    return this.#server?.prove(peer.network, request) ?? Promise.resolve(null);
  }
}
