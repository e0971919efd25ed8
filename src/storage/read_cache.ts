/**
 * Keeps what peers ask for in memory.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { StorageLayout } from "./layout.ts";

/** What {@linkcode ReadCache} works with. */
export interface ReadCacheOptions {
  /** Reads bytes of the torrent. */
  read(offset: number, into: Bytes): Promise<void>;
  /** Most bytes to keep; a little more when that would be less than four extents. */
  readonly bytes: number;
}

/** A stretch of the torrent in memory. Its buffer is as long as every other's, so that buffers can be used again. */
interface Extent {
  readonly buffer: Bytes;
  /** Whether nothing has been copied from it yet: whoever had it loaded is about to. */
  fresh: boolean;
}

/** Pieces up to this size are kept whole. */
const WHOLE_PIECE = 1024 * 1024;
/** The size of an extent in larger pieces, and of several small pieces together. */
const EXTENT = 512 * 1024;
const SMALLEST_EXTENT = 64 * 1024;
const FEWEST_EXTENTS = 4;
/** Promises in a row between the end of a load and the code that waits for it, with some to spare. */
const TURNS = 8;

/**
 * Reads ahead in extents and drops the one that was left alone for longest. An extent lies inside one piece, so that it
 * never holds what isn't verified yet; once the torrent is complete, small pieces are kept several to an extent.
 */
export class ReadCache {
  readonly #layout: StorageLayout;
  readonly #options: ReadCacheOptions;
  /** Least recently used first. */
  readonly #extents = new Map<number, Extent>();
  readonly #loading = new Map<number, Promise<void>>();
  #free: Bytes[] = [];
  #made = 0;
  /** Buffers that are being filled. */
  #filling = 0;
  /** Loads that wait for a buffer, in order. */
  #waiting: (() => void)[] = [];
  #length: number;
  /** Pieces in a group; extents lie inside groups. */
  #grouped = 1;
  #perGroup: number;
  #capacity: number;
  /** Goes up when extents change their shape; what was begun before is thrown away. */
  #generation = 0;

  /**
   * @param layout The torrent.
   * @param options How to read and how much to keep.
   */
  constructor(layout: StorageLayout, options: ReadCacheOptions) {
    this.#layout = layout;
    this.#options = options;
    const { pieceLength } = layout;
    const wish = pieceLength <= WHOLE_PIECE ? pieceLength : EXTENT;
    const share = Math.max(SMALLEST_EXTENT, Math.floor(options.bytes / 8));
    this.#length = Math.min(wish, share);
    this.#perGroup = Math.ceil(pieceLength / this.#length);
    this.#capacity = Math.max(FEWEST_EXTENTS, Math.floor(options.bytes / this.#length));
  }

  /** Bytes in an extent. */
  get extentLength(): number {
    return this.#length;
  }

  /** From here on every piece is verified, so that extents may run across pieces. Forgets what is cached. */
  complete(): void {
    const { pieceLength } = this.#layout;
    const share = Math.max(SMALLEST_EXTENT, Math.floor(this.#options.bytes / 8));
    const grouped = Math.floor(Math.min(EXTENT, share) / pieceLength);
    if (grouped < 2 || this.#grouped > 1) return;
    this.#generation++;
    this.#extents.clear();
    this.#loading.clear();
    this.#free = [];
    this.#made = 0;
    this.#filling = 0;
    for (const go of this.#waiting.splice(0)) go();
    this.#grouped = grouped;
    this.#perGroup = 1;
    this.#length = grouped * pieceLength;
    this.#capacity = Math.max(FEWEST_EXTENTS, Math.floor(this.#options.bytes / this.#length));
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
    for (let i = first; from < end; i++) {
      const key = base + i;
      const extent = this.#extents.get(key)!;
      this.#extents.delete(key);
      this.#extents.set(key, extent);
      extent.fresh = false;
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
    const work = this.#read(key).finally(() => {
      if (this.#loading.get(key) === work) this.#loading.delete(key);
    });
    this.#loading.set(key, work);
    return work;
  }

  async #read(key: number): Promise<void> {
    const { pieceLength, totalLength } = this.#layout;
    const groupLength = this.#grouped * pieceLength;
    const groupStart = Math.floor(key / this.#perGroup) * groupLength;
    const offset = groupStart + (key % this.#perGroup) * this.#length;
    const end = Math.min(offset + this.#length, groupStart + groupLength, totalLength);
    const generation = this.#generation;
    const buffer = (this.#waiting.length > 0 ? null : this.#takeBuffer(false)) ?? await this.#waitForBuffer();
    if (buffer === null) return;
    let loaded = false;
    try {
      await this.#options.read(offset, buffer.subarray(0, end - offset));
      loaded = true;
    } finally {
      if (generation === this.#generation) {
        this.#filling--;
        if (loaded) this.#extents.set(key, { buffer, fresh: true });
        else this.#free.push(buffer);
        this.#waiting.shift()?.();
      }
    }
  }

  /**
   * Gets a buffer when all are in use; `null` when it isn't needed any more, because extents have changed their shape.
   */
  async #waitForBuffer(): Promise<Bytes | null> {
    const generation = this.#generation;
    for (;;) {
      if (this.#filling > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      // What was loaded is copied first; else loads could go on dropping each other's extents for ever.
      for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
      if (generation !== this.#generation) return null;
      const buffer = this.#takeBuffer(true);
      if (buffer !== null) return buffer;
    }
  }

  /**
   * Takes a buffer to fill: one that nobody uses, or that of the extent that was left alone for longest; `null` if
   * none.
   */
  #takeBuffer(evenFresh: boolean): Bytes | null {
    const buffer = this.#free.pop() ?? this.#makeBuffer() ?? this.#dropOldest(evenFresh);
    if (buffer !== null) this.#filling++;
    return buffer;
  }

  #makeBuffer(): Bytes | null {
    if (this.#made === this.#capacity) return null;
    this.#made++;
    return new Uint8Array(this.#length);
  }

  #dropOldest(evenFresh: boolean): Bytes | null {
    for (const [key, extent] of this.#extents) {
      if (extent.fresh && !evenFresh) continue;
      this.#extents.delete(key);
      return extent.buffer;
    }
    return null;
  }
}
