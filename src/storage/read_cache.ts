/**
 * Keeps what peers ask for in memory.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Extent, MemoryBudget } from "../base/memory_budget.ts";
import type { Timer } from "../platform/platform.ts";
import type { StorageLayout } from "./layout.ts";

/** What {@linkcode ReadCache} works with. */
export interface ReadCacheOptions {
  /** Where its memory comes from; shared with the pieces in flight and the caches of all torrents. */
  readonly memory: MemoryBudget;
  /** Reads bytes of the torrent. */
  read(offset: number, into: Bytes): Promise<void>;
  /** Starts a timer, by which what nobody reads from is given back; what is cached stays until it is needed when absent. */
  after?(milliseconds: number, run: () => void): Timer;
}

/** Pieces up to this size are kept whole. */
const WHOLE_PIECE = 1024 * 1024;
/** The size of an extent in larger pieces, and of several small pieces together. */
const EXTENT = 512 * 1024;
/** Milliseconds without a read after which a torrent gives back what it has cached, within as many again. */
const IDLE_MS = 30_000;

/**
 * Reads ahead in extents. The one that was left alone for longest, of all torrents, is dropped when there is no memory left; it
 * has none before something is read, and none when nobody reads. An extent lies inside one piece, so that it never holds
 * what isn't verified yet; once the torrent is complete, small pieces are kept several to an extent.
 */
export class ReadCache {
  readonly #layout: StorageLayout;
  readonly #options: ReadCacheOptions;
  readonly #memory: MemoryBudget;
  readonly #extents = new Map<number, Extent>();
  readonly #loading = new Map<number, Promise<void>>();
  /** Runs while something is cached. */
  #timer: Timer | null = null;
  /** Whether something was read since it was started. */
  #read = false;
  #length = 0;
  /** Pieces in a group; extents lie inside groups. */
  #grouped = 1;
  #perGroup = 1;
  /** Goes up when extents change their shape; what was begun before is thrown away. */
  #generation = 0;

  /**
   * @param layout The torrent.
   * @param options How to read and how much to keep.
   */
  constructor(layout: StorageLayout, options: ReadCacheOptions) {
    this.#layout = layout;
    this.#options = options;
    this.#memory = options.memory;
    this.#shape();
  }

  /** From here on every piece is verified, so that extents may run across pieces. Forgets what is cached. */
  complete(): void {
    const { pieceLength } = this.#layout;
    const grouped = Math.floor(Math.min(EXTENT, this.#memory.largestExtent) / pieceLength);
    if (grouped < 2 || this.#grouped > 1) return;
    this.clear();
    this.#grouped = grouped;
    this.#perGroup = 1;
    this.#length = grouped * pieceLength;
  }

  /** Forgets what is cached; extents lie inside pieces again, as some aren't verified any more. */
  reset(): void {
    this.clear();
    this.#grouped = 1;
    this.#shape();
  }

  /** Sets the size of extents inside pieces. */
  #shape(): void {
    const { pieceLength } = this.#layout;
    const wish = pieceLength <= WHOLE_PIECE ? pieceLength : EXTENT;
    this.#length = Math.min(wish, this.#memory.largestExtent);
    this.#perGroup = Math.ceil(pieceLength / this.#length);
  }

  /** Gives its memory back. What is being read is thrown away when it is here. */
  clear(): void {
    this.#generation++;
    for (const extent of this.#extents.values()) this.#memory.drop(extent);
    this.#extents.clear();
    this.#loading.clear();
    this.#timer?.cancel();
    this.#timer = null;
  }

  /**
   * Copies bytes of a piece, if all of them are in memory.
   *
   * @param index The piece.
   * @param begin First byte in the piece.
   * @param length Bytes.
   * @param into Where to.
   * @param at First byte there.
   * @returns Whether they were.
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
   * Brings bytes of a piece into memory, with what lies around them. Copy them straight after, and load again if that
   * fails: they may have been dropped already to make room for others.
   *
   * @param index The piece.
   * @param begin First byte in the piece.
   * @param length Bytes.
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
    // All have the same length, so that buffers can be used again.
    const buffer = this.#memory.tryToRead(this.#length) ?? await this.#memory.toRead(this.#length);
    let loaded = false;
    try {
      // Extents may have changed their shape since, and nobody waits for this one any more.
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

  /** Gives back what nobody has read from since the timer was started; else looks again. */
  #idle(): void {
    this.#timer = null;
    if (!this.#read) return this.clear();
    this.#read = false;
    if (this.#extents.size > 0) this.#timer = this.#options.after?.(IDLE_MS, () => this.#idle()) ?? null;
  }
}
