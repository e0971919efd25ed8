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

interface CachedExtent extends Extent {
  /** Bytes that were copied from it. */
  taken: number;
}

/** Pieces up to this size are cached whole. */
const WHOLE_PIECE = 1024 * 1024;
/** Size of an extent in larger pieces, and of a group of small pieces. */
const EXTENT = 512 * 1024;
/** Groups are judged by the bytes that peers took of this many displaced bytes. */
const JUDGED_BYTES = 32 * 1024 * 1024;
/**
 * Groups of 32 pieces pay if peers take this part of them, since reading 512 KiB costs about as much as reading two or
 * three small pieces one by one. libtorrent 2.1 takes a fifth of a group before the group is displaced, a peer that picks at
 * random a thirtieth.
 */
const LEAST_TAKEN = 1 / 16;
/** Groups are tried again if this part of the loads followed a cached piece. */
const LEAST_FOLLOWERS = 1 / 6;
/** Loads of single pieces are judged by how many of this many loads followed a cached piece. */
const JUDGED_LOADS = 256;
/** A torrent frees its cache when nothing was read for this many milliseconds, at the latest after twice as many. */
const IDLE_MS = 30_000;

/**
 * Reads ahead in extents. When memory is short, the least recently used extent of all torrents is dropped. The cache
 * uses no memory before the first read, and frees its memory when reads stop. An extent lies inside one piece, so that
 * it never holds unverified data; once the torrent is complete, an extent holds several small pieces, as long as peers
 * request neighbouring pieces. If they request small pieces in random order, most of such an extent is read in vain: with
 * pieces of 16 KiB a seeder read 32 bytes for each byte that it sent.
 */
export class ReadCache {
  readonly #layout: StorageLayout;
  readonly #options: ReadCacheOptions;
  readonly #memory: MemoryBudget;
  readonly #extents = new Map<number, CachedExtent>();
  readonly #loading = new Map<number, Promise<void>>();
  /** Runs while anything is cached. */
  #timer: Timer | null = null;
  /** Whether anything was read since the timer was started. */
  #read = false;
  #length = 0;
  /** Number of pieces in a group; extents lie inside groups. */
  #grouped = 1;
  #perGroup = 1;
  /** Pieces in a group where groups pay; 1 if they can't. */
  #mayGroup = 1;
  /** Bytes of displaced groups, and bytes that peers took of them, since the last judgement. */
  #displaced = 0;
  #taken = 0;
  /** Loads of single pieces since the last judgement, and how many followed a cached piece. */
  #loads = 0;
  #followers = 0;
  /** Increases when the cache is cleared. Loads that began before are discarded. */
  #generation = 0;

  constructor(layout: StorageLayout, options: ReadCacheOptions) {
    this.#layout = layout;
    this.#options = options;
    this.#memory = options.memory;
    this.#group(1);
  }

  /**
   * Called when every piece is verified, so that an extent may hold several pieces. Clears the cache if that changes
   * the extents.
   */
  complete(): void {
    const { pieceLength } = this.#layout;
    const grouped = Math.floor(Math.min(EXTENT, this.#memory.largestExtent) / pieceLength);
    if (grouped < 2 || this.#mayGroup > 1) return;
    this.#mayGroup = grouped;
    this.#group(grouped);
  }

  /** Sets how many pieces a group has. Clears the cache. */
  #group(pieces: number): void {
    this.clear();
    this.#grouped = pieces;
    const { pieceLength } = this.#layout;
    const wish = pieceLength <= WHOLE_PIECE ? pieces * pieceLength : EXTENT;
    this.#length = Math.min(wish, this.#memory.largestExtent);
    this.#perGroup = Math.ceil(pieces * pieceLength / this.#length);
    this.#startJudging();
  }

  #startJudging(): void {
    this.#displaced =
      this.#taken =
      this.#loads =
      this.#followers =
        0;
  }

  /** Counts a load, and groups pieces or not by what the last extents were good for. May change the keys. */
  #judge(key: number): void {
    if (this.#extents.has(key) || this.#loading.has(key)) return;
    if (this.#grouped > 1) {
      if (this.#displaced < JUDGED_BYTES) return;
      if (this.#taken < LEAST_TAKEN * this.#displaced) this.#group(1);
      else this.#startJudging();
    } else if (this.#mayGroup > 1) {
      if (this.#extents.has(key - 1) || this.#loading.has(key - 1)) this.#followers++;
      if (++this.#loads < JUDGED_LOADS) return;
      if (this.#followers > LEAST_FOLLOWERS * JUDGED_LOADS) this.#group(this.#mayGroup);
      else this.#startJudging();
    }
  }

  /** Called when some pieces are no longer verified. Clears the cache, and keeps extents inside pieces again. */
  reset(): void {
    this.#mayGroup = 1;
    this.#group(1);
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
    const base = this.#keyOf(index);
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
      extent.taken += count;
      this.#memory.memory.copy(into, at, extent.buffer, part, count);
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
    this.#judge(this.#keyOf(index));
    const base = this.#keyOf(index);
    const from = (index % this.#grouped) * this.#layout.pieceLength + begin;
    const last = Math.floor((from + Math.max(1, length) - 1) / this.#length);
    const loads: Promise<void>[] = [];
    for (let i = Math.floor(from / this.#length); i <= last; i++) {
      if (!this.#extents.has(base + i)) loads.push(this.#loading.get(base + i) ?? this.#load(base + i));
    }
    if (loads.length === 1) await loads[0];
    else await Promise.all(loads);
  }

  /** Returns the key of the first extent in the group of a piece. */
  #keyOf(index: number): number {
    return Math.floor(index / this.#grouped) * this.#perGroup;
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
    // Peers may ask for padding behind the last byte of the torrent.
    const end = Math.max(offset, Math.min(offset + this.#length, groupStart + groupLength, totalLength));
    const generation = this.#generation;
    // All buffers have the same length, so that they can be reused.
    const buffer = this.#memory.tryToRead(this.#length) ?? await this.#memory.toRead(this.#length);
    let loaded = false;
    try {
      // If the cache was cleared meanwhile, the extent may have the wrong shape, and no read uses it.
      if (generation !== this.#generation) return;
      if (end > offset) await this.#options.read(offset, buffer.subarray(0, end - offset));
      buffer.fill(0, end - offset); // the buffer may hold bytes of other data
      loaded = generation === this.#generation;
    } finally {
      if (loaded) this.#keep(key, buffer);
      else this.#memory.unfilled(buffer);
    }
  }

  #keep(key: number, buffer: Bytes): void {
    const extent: CachedExtent = {
      buffer,
      fresh: true,
      taken: 0,
      dropped: () => {
        this.#extents.delete(key);
        this.#displaced += buffer.length;
        this.#taken += extent.taken;
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
