/**
 * Fetches piece layers that a torrent lacks from its peers (BEP 52): those of magnet links, and of torrent files that
 * have none.
 *
 * @module
 */

import { type Bytes, toHex } from "../../base/bytes.ts";
import { MAX_HASHES } from "../../base/defences.ts";
import { HASH_BYTES, heightOf, type MerkleRange, pieceLayer, rootLayer } from "../../base/merkle.ts";
import { type Metainfo, MetainfoError, type MetainfoFile } from "../../metainfo/mod.ts";
import { proofLayersTo } from "../../peer/mod.ts";
import type { HashFetch, HashPeer, HashWant } from "./hash_fetch.ts";

/** Ranges that are wanted at the same time. There may be a million. */
const RANGES_AT_ONCE = 512;

/** A piece layer on its way. */
interface Layer {
  readonly root: Bytes;
  /** Length of the file in bytes. */
  readonly length: number;
  /** Number of hashes. */
  readonly count: number;
  /** The hashes; `null` until the first range is here. */
  hashes: Bytes | null;
  /** Number of hashes that are missing. */
  missing: number;
}

/** Number of files whose hashes are fetched. */
export interface LayerCounts {
  /** Files whose hashes are here. */
  readonly done: number;
  /** Files that need hashes. */
  readonly total: number;
}

/** Returns the ranges in which the piece layer of a file is fetched. */
export function* rangesOf(length: number, pieceLength: number): Generator<MerkleRange, void> {
  const layer = pieceLayer(pieceLength);
  const size = Math.ceil(length / pieceLength);
  for (let index = 0; index < size; index += MAX_HASHES) {
    const count = 2 ** heightOf(Math.max(2, Math.min(MAX_HASHES, size - index)));
    yield { layer, index, count };
  }
}

/** The search for the missing piece layers of one torrent. */
export class LayerFetch<P extends HashPeer> {
  readonly #meta: Metainfo;
  readonly #fetch: HashFetch<P>;
  readonly #found = Promise.withResolvers<Metainfo>();
  readonly #layers: ReadonlyMap<string, Layer>;
  readonly #ranges: Iterator<HashWant<P>, void>;
  readonly #open = new Set<HashWant<P>>();
  #hashes = 0;
  #missing = 0;
  #done = 0;
  #over = false;

  /**
   * @param meta A v2 or hybrid torrent, of which piece layers are missing.
   * @param fetch Asks the torrent's peers.
   */
  constructor(meta: Metainfo, fetch: HashFetch<P>) {
    this.#meta = meta;
    this.#fetch = fetch;
    const layers = new Map<string, Layer>();
    for (const { root, length, layer } of meta.files) {
      if (!root || layer || length <= meta.pieceLength || layers.has(toHex(root))) continue;
      const count = Math.ceil(length / meta.pieceLength);
      layers.set(toHex(root), { root, length, count, hashes: null, missing: count });
      this.#hashes += count;
    }
    this.#layers = layers;
    this.#missing = this.#hashes;
    this.#ranges = this.#wants();
  }

  /** The part of the hashes that is here, 0 to 1. */
  get progress(): number {
    return 1 - this.#missing / this.#hashes;
  }

  /** How many files have their hashes. Files with the same content count once. */
  get files(): LayerCounts {
    return { done: this.#done, total: this.#layers.size };
  }

  /** Number of connected peers that may have the hashes. */
  get peerCount(): number {
    return this.#fetch.peerCount;
  }

  /** Whether the search has ended. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * Asks peers.
   *
   * @returns The torrent with all piece layers; never settles if no peer has them, or the search is stopped.
   * @throws {MetainfoError} If two files of different lengths claim to have the same hashes.
   */
  run(): Promise<Metainfo> {
    this.#more();
    return this.#found.promise;
  }

  /** Ends the search. */
  stop(): void {
    this.#over = true;
    for (const want of this.#open) this.#fetch.remove(want);
    this.#open.clear();
  }

  *#wants(): Generator<HashWant<P>, void> {
    for (const layer of this.#layers.values()) {
      const { root, length } = layer;
      for (const range of rangesOf(length, this.#meta.pieceLength)) {
        const want: HashWant<P> = {
          request: { root, ...range, proofLayers: proofLayersTo(range, rootLayer(length)) },
          expected: root,
          urgent: false,
          mayAsk: () => true,
          done: (hashes) => {
            this.#open.delete(want);
            this.#received(layer, range, hashes);
          },
        };
        yield want;
      }
    }
  }

  #more(): void {
    const wants: HashWant<P>[] = [];
    while (!this.#over && this.#open.size < RANGES_AT_ONCE) {
      const { value } = this.#ranges.next();
      if (value === undefined) break;
      this.#open.add(value);
      wants.push(value);
    }
    if (wants.length > 0) this.#fetch.add(wants);
  }

  #received(layer: Layer, { index, count }: MerkleRange, hashes: Bytes): void {
    const size = Math.min(count, layer.count - index);
    layer.hashes ??= new Uint8Array(layer.count * HASH_BYTES);
    layer.hashes.set(hashes.subarray(0, size * HASH_BYTES), index * HASH_BYTES);
    layer.missing -= size;
    this.#missing -= size;
    if (layer.missing === 0) this.#done++;
    if (this.#missing > 0) return this.#more();
    this.#over = true;
    try {
      this.#found.resolve({ ...this.#meta, files: this.#meta.files.map((file) => this.#withLayer(file)) });
    } catch (error) {
      this.#found.reject(error);
    }
  }

  #withLayer(file: MetainfoFile): MetainfoFile {
    const { pieceLength, name } = this.#meta;
    const layer = file.root && file.length > pieceLength ? this.#layers.get(toHex(file.root)) : undefined;
    if (layer === undefined) return file;
    if (layer.count === Math.ceil(file.length / pieceLength)) return { ...file, layer: layer.hashes! };
    const why = `files of ${layer.length} and ${file.length} bytes have the same root ${toHex(layer.root)}`;
    throw new MetainfoError({ source: name, key: "info.file tree", why });
  }
}
