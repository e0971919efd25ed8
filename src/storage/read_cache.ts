/**
 * Caches the data that peers request in memory.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Extent, MemoryBudget } from "../base/memory_budget.ts";
import type { Timer } from "../platform/platform.ts";
import type { StorageLayout } from "./layout.ts";

/** Options for {@linkcode ReadCache}. */
export interface ReadCacheOptions {
  /** Memory for the cache, shared with the pieces in flight and the caches of all torrents. */
  readonly memory: MemoryBudget;
  /** Reads bytes of the torrent. */
  read(offset: number, into: Bytes): Promise<void>;
  /**
   * Starts the timer that frees the cache of an idle torrent. When absent, cached data stays until the memory is
   * needed.
   */
  after?(milliseconds: number, run: () => void): Timer;
}

/** Pieces up to this size are cached whole. */
const WHOLE_PIECE = 1024 * 1024;
/** Size of an extent in larger pieces, and of a group of small pieces. */
const EXTENT = 512 * 1024;
/** A torrent frees its cache when nothing was read for this many milliseconds, at the latest after twice as many. */
const IDLE_MS = 30_000;

/**
 * Reads ahead in extents. When memory is short, the least recently used extent of all torrents is dropped. The cache
 * uses no memory before the first read, and frees its memory when reads stop. An extent lies inside one piece, so that
 * it never holds unverified data; once the torrent is complete, an extent holds several small pieces.
 */
export class ReadCache {
  readonly #layout: StorageLayout;
  readonly #options: ReadCacheOptions;
  readonly #memory: MemoryBudget;
  readonly #extents = new Map<number, Extent>();
  readonly #loading = new Map<number, Promise<void>>();
  /** Runs while anything is cached. */
  #timer: Timer | null = null;
  /** Whether anything was read since the timer was started. */
  #read = false;
  #length = 0;
  /** Number of pieces in a group; extents lie inside groups. */
  #grouped = 1;
  #perGroup = 1;
  /** Increases when the cache is cleared. Loads that began before are discarded. */
  #generation = 0;

  constructor(layout: StorageLayout, options: ReadCacheOptions) {
    this.#layout = layout;
    this.#options = options;
    this.#memory = options.memory;
    this.#shape();
  }

  /**
   * Called when every piece is verified, so that an extent may hold several pieces. Clears the cache if that changes
   * the extents.
   */
  complete(): void {
    const { pieceLength } = this.#layout;
    const grouped = Math.floor(Math.min(EXTENT, this.#memory.largestExtent) / pieceLength);
    if (grouped < 2 || this.#grouped > 1) return;
    this.clear();
    this.#grouped = grouped;
    this.#perGroup = 1;
    this.#length = grouped * pieceLength;
  }

  /** Called when some pieces are no longer verified. Clears the cache, and keeps extents inside pieces again. */
  reset(): void {
    this.clear();
    this.#grouped = 1;
    this.#shape();
  }

  /** Sets the size of extents that lie inside pieces. */
  #shape(): void {
    const { pieceLength } = this.#layout;
    const wish = pieceLength <= WHOLE_PIECE ? pieceLength : EXTENT;
    this.#length = Math.min(wish, this.#memory.largestExtent);
    this.#perGroup = Math.ceil(pieceLength / this.#length);
  }

  /** Frees the memory. Loads under way are discarded when they arrive. */
  clear(): void {
    this.#generation++;
    for (const extent of this.#extents.values()) this.#memory.drop(extent);
    this.#extents.clear();
    this.#loading.clear();
    this.#timer?.cancel();
    this.#timer = null;
  }

  /**
   * Copies bytes of a piece if all of them are cached.
   *
   * @param index Index of the piece.
   * @param begin Offset of the first byte in the piece.
   * @param length Number of bytes.
   * @param into Buffer to copy to.
   * @param at Offset of the first byte in the buffer.
   * @returns Whether the bytes were cached.
   */
  copy(index: number, begin: number, length: number, into: Bytes, at: number): boolean {
    const base = Math.floor(index / this.#grouped) * this.#perGroup;
    let from = (index % this.#grouped) * this.#layout.pieceLength + begin;
    const end = from + length;
    const first = Math.floor(from / this.#length);
    for (let i = first; i * this.#length < end; i++) if (!this.#extents.has(base + i)) return false;
    this.#read = true;
    for (let i = first; from < end; i++) {
      const extent = this.#extents.get(base + i)!;
      this.#memory.touch(extent);
      const part = from - i * this.#length;
      const count = Math.min(end - from, this.#length - part);
      into.set(extent.buffer.subarray(part, part + count), at);
      at += count;
      from += count;
    }
    return true;
  }

  /**
   * Loads bytes of a piece, and the rest of their extents, into the cache. Copy the bytes right afterwards, and load
   * again if that fails, because other reads may have displaced them already.
   *
   * @param index Index of the piece.
   * @param begin Offset of the first byte in the piece.
   * @param length Number of bytes.
   * @throws {ShoalError} If a file can't be read.
   */
  async load(index: number, begin: number, length: number): Promise<void> {
    const base = Math.floor(index / this.#grouped) * this.#perGroup;
    const from = (index % this.#grouped) * this.#layout.pieceLength + begin;
    const last = Math.floor((from + Math.max(1, length) - 1) / this.#length);
    const loads: Promise<void>[] = [];
    for (let i = Math.floor(from / this.#length); i <= last; i++) {
      if (!this.#extents.has(base + i)) loads.push(this.#loading.get(base + i) ?? this.#load(base + i));
    }
    if (loads.length === 1) await loads[0];
    else await Promise.all(loads);
  }

  #load(key: number): Promise<void> {
    const work = this.#fill(key).finally(() => {
      if (this.#loading.get(key) === work) this.#loading.delete(key);
    });
    this.#loading.set(key, work);
    return work;
  }

  async #fill(key: number): Promise<void> {
    const { pieceLength, totalLength } = this.#layout;
    const groupLength = this.#grouped * pieceLength;
    const groupStart = Math.floor(key / this.#perGroup) * groupLength;
    const offset = groupStart + (key % this.#perGroup) * this.#length;
    const end = Math.min(offset + this.#length, groupStart + groupLength, totalLength);
    const generation = this.#generation;
    // All buffers have the same length, so that they can be reused.
    const buffer = this.#memory.tryToRead(this.#length) ?? await this.#memory.toRead(this.#length);
    let loaded = false;
    try {
      // If the cache was cleared meanwhile, the extent may have the wrong shape, and no read uses it.
      if (generation !== this.#generation) return;
      await this.#options.read(offset, buffer.subarray(0, end - offset));
      loaded = generation === this.#generation;
    } finally {
      if (loaded) this.#keep(key, buffer);
      else this.#memory.unfilled(buffer);
    }
  }

  #keep(key: number, buffer: Bytes): void {
    const extent: Extent = {
      buffer,
      fresh: true,
      dropped: () => {
        this.#extents.delete(key);
      },
    };
    this.#extents.set(key, extent);
    this.#memory.filled(extent);
    this.#read = true;
    this.#timer ??= this.#options.after?.(IDLE_MS, () => this.#idle()) ?? null;
  }

  /** Frees the cache if nothing was read since the timer was started; otherwise starts the timer again. */
  #idle(): void {
    this.#timer = null;
    if (!this.#read) return this.clear();
    this.#read = false;
    if (this.#extents.size > 0) this.#timer = this.#options.after?.(IDLE_MS, () => this.#idle()) ?? null;
  }
}
