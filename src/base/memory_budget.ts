/**
 * The memory of all torrents of a session: for pieces in flight, and for data that peers and readers request.
 *
 * Both borrow from one budget. Reading is the elastic part: its extents are dropped when pieces need the memory, least
 * recently used first over all torrents. Neither can starve the other: an eighth is always left to reading, and half is
 * available to pieces without waiting.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";
import { type DataMemory, PLAIN_MEMORY } from "./data_memory.ts";

/** Bytes that are always left to reading, however small the budget: four extents of the smallest size. */
export const LEAST_READING = 256 * 1024;
/** Part of the budget that pieces in flight leave to reading. */
const READING_SHARE = 1 / 8;
/** Part of the budget that reading may take while pieces don't need it. Pieces can always get the rest. */
const MOST_READING = 1 / 2;
/**
 * Empty buffers of each length that are kept for reuse, within the budget. Pages that were touched before are far
 * cheaper than fresh ones, and a dropped buffer stays in the process until the next garbage collection.
 */
const KEEP_BUFFERS = 256;
/** Microtask turns between the end of a load and the code that waits for it, with some to spare. */
const TURNS = 8;

/** A torrent that borrows memory for pieces. */
export interface MemoryBorrower {
  /** Called when there may be memory, after {@linkcode MemoryBudget.waitForMemory}. */
  memoryAvailable(): void;
  /** Called when a torrent that has less memory waits. Memory that makes no progress should be given back. */
  memoryWanted(): void;
}

/** A range of a torrent's data that is kept in memory for reading. */
export interface Extent {
  /** Data of the extent. */
  readonly buffer: Bytes;
  /** `true` until data is copied from the extent for the first time. Only the budget changes it. */
  fresh: boolean;
  /** Called when the memory is needed elsewhere. The buffer must not be used any more. */
  dropped(): void;
}

/** Options for {@linkcode MemoryBudget}. */
export interface MemoryBudgetOptions {
  /** Bytes left to reading whatever pieces need; by default an eighth, but at least {@linkcode LEAST_READING}. */
  readonly reading?: number;
  /** Where the buffers are; by default in memory of the engine. */
  readonly memory?: DataMemory;
}

/** Options for {@linkcode MemoryBudget.take}. */
export interface TakeMemoryOptions {
  /** Exceeds the limit if there is no memory. `false` by default. */
  readonly force?: boolean;
}

/** Memory that all torrents of a session share. */
export class MemoryBudget {
  /** Bytes in all. */
  readonly limit: number;
  /** Bytes that the pieces in flight of all torrents may take. */
  readonly forPieces: number;
  /** Bytes that are left to reading whatever pieces need. */
  readonly forReading: number;
  /** Where the buffers are. */
  readonly memory: DataMemory;
  /** Torrents that have memory for pieces or wait for some, with the bytes that each has. */
  readonly #lent = new Map<MemoryBorrower, number>();
  readonly #waitingTorrents = new Set<MemoryBorrower>();
  /** Torrents whose empty buffers are kept for reuse. */
  readonly #members = new Set<MemoryBorrower>();
  /** Empty buffers by length. */
  readonly #free = new Map<number, Bytes[]>();
  /** Extents kept for reading, least recently used first. */
  readonly #extents = new Set<Extent>();
  #pieces = 0;
  #reserve = 0;
  #reading = 0;
  /** Part of `#reading` that was copied from. The rest is being loaded, or about to be copied. */
  #settled = 0;
  /** Extents that are being loaded from disk. */
  #filling = 0;
  /** Readers that wait for memory, in order. */
  #waiting: (() => void)[] = [];
  #feeding = false;

  constructor(limit: number, options: MemoryBudgetOptions = {}) {
    if (!(limit >= 0 && limit < Infinity)) throw new RangeError(`The memory is a number of bytes, and not ${limit}`);
    this.limit = limit;
    this.memory = options.memory ?? PLAIN_MEMORY;
    this.forReading = options.reading ?? Math.max(LEAST_READING, Math.floor(limit * READING_SHARE));
    this.forPieces = Math.max(Math.ceil(limit * (1 - MOST_READING)), limit - this.forReading);
  }

  /** Bytes in use: pieces in flight, extents kept for reading, and empty buffers kept for reuse. */
  get used(): number {
    return this.#pieces + this.#reading + this.#reserve;
  }

  /** Bytes of pieces in flight. */
  get pieces(): number {
    return this.#pieces;
  }

  /** Fair share of a torrent in the memory for pieces, in bytes: all of it when no other torrent competes. */
  shareOf(borrower: MemoryBorrower): number {
    return this.forPieces / (this.#lent.size + (this.#lent.has(borrower) ? 0 : 1));
  }

  // Pieces.

  /**
   * Returns `true` if a torrent would get memory for pieces. A torrent gets no more than
   * {@linkcode MemoryBudget.shareOf} while a torrent with less memory waits.
   *
   * @param borrower The torrent.
   * @param bytes Bytes that it wants.
   */
  has(borrower: MemoryBorrower, bytes: number): boolean {
    if (this.#pieces + bytes > this.forPieces) return false;
    // Extents that are being loaded, or about to be copied, can't be dropped.
    const elastic = this.#reserve + Math.max(0, Math.min(this.#reading - this.forReading, this.#settled));
    if (this.used - elastic + bytes > this.limit) return false;
    if (this.#waitingTorrents.size === 0) return true;
    const own = this.#lent.get(borrower) ?? 0;
    if (own + bytes <= this.shareOf(borrower)) return true;
    for (const other of this.#waitingTorrents) if (other !== borrower && this.#lent.get(other)! < own) return false;
    return true;
  }

  /**
   * Takes a buffer for a piece.
   *
   * @param borrower The torrent.
   * @param length Bytes of the buffer.
   * @param options See {@linkcode TakeMemoryOptions}.
   * @returns A buffer with arbitrary content, or `null` if there is no memory.
   */
  take(borrower: MemoryBorrower, length: number, options: TakeMemoryOptions = {}): Bytes | null {
    if (!this.has(borrower, length) && !options.force) return null;
    const buffer = this.#claim(length);
    this.#members.add(borrower);
    this.#waitingTorrents.delete(borrower);
    this.#lent.set(borrower, (this.#lent.get(borrower) ?? 0) + length);
    this.#pieces += length;
    return buffer;
  }

  /**
   * Gives the buffer of a piece back.
   *
   * @param borrower The torrent that took it.
   * @param buffer The buffer.
   */
  giveBack(borrower: MemoryBorrower, buffer: Bytes): void {
    const left = this.#lent.get(borrower)! - buffer.length;
    if (left > 0 || this.#waitingTorrents.has(borrower)) this.#lent.set(borrower, left);
    else this.#lent.delete(borrower);
    this.#pieces -= buffer.length;
    if (this.#members.has(borrower)) this.#keep(buffer);
    else this.memory.free(buffer);
    this.#feedSoon();
  }

  /** Registers a torrent that waits for memory. Its `fed` is called when there may be some. */
  waitForMemory(borrower: MemoryBorrower): void {
    this.#waitingTorrents.add(borrower);
    if (!this.#lent.has(borrower)) this.#lent.set(borrower, 0);
    const own = this.#lent.get(borrower)!;
    for (const [other, lent] of this.#lent) if (lent > own) other.memoryWanted();
  }

  /** Removes a torrent from those that wait for memory. */
  stopWaiting(borrower: MemoryBorrower): void {
    this.#waitingTorrents.delete(borrower);
    if (this.#lent.get(borrower) === 0) this.#lent.delete(borrower);
  }

  /**
   * Frees the empty buffers of a torrent that needs no memory for pieces for now. Buffers in use may still be given
   * back.
   *
   * @param borrower The torrent.
   * @param length Length in bytes of the buffers that it used.
   */
  leave(borrower: MemoryBorrower, length: number): void {
    this.stopWaiting(borrower);
    this.#members.delete(borrower);
    if (this.#members.size === 0) this.#drain(0);
    else this.#forget(length);
    this.#feedSoon();
  }

  // Reading.

  /** Largest useful extent in bytes. With 32 of them in the budget, many readers can be served. */
  get largestExtent(): number {
    return Math.max(LEAST_READING / 4, Math.floor(this.limit / 32));
  }

  /**
   * Takes memory for an extent if there is some at once.
   *
   * @param length Bytes of the extent.
   * @returns A buffer with arbitrary content, to be passed to {@linkcode MemoryBudget.filled} or
   * {@linkcode MemoryBudget.unfilled}, or `null`.
   */
  tryToRead(length: number): Bytes | null {
    return this.#waiting.length > 0 ? null : this.#takeToRead(length, false);
  }

  /**
   * Takes memory for an extent as soon as there is some.
   *
   * @param length Bytes of the extent.
   * @returns A buffer as from {@linkcode MemoryBudget.tryToRead}.
   */
  async toRead(length: number): Promise<Bytes> {
    for (;;) {
      if (this.#filling > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      // Loaded data is copied first, or loads could go on dropping each other's extents without end.
      for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
      const buffer = this.#takeToRead(length, true);
      if (buffer !== null) return buffer;
    }
  }

  /** Keeps an extent whose data has been loaded, until the memory is needed. */
  filled(extent: Extent): void {
    this.#filling--;
    this.#extents.add(extent);
    this.#waiting.shift()?.();
  }

  /** Gives back the buffer of an extent that could not be loaded. */
  unfilled(buffer: Bytes): void {
    this.#filling--;
    this.#reading -= buffer.length;
    this.#keep(buffer);
    this.#waiting.shift()?.();
    this.#feedSoon();
  }

  /** Called when data was copied from an extent, which makes it the most recently used one. */
  touch(extent: Extent): void {
    if (extent.fresh) this.#settled += extent.buffer.length;
    extent.fresh = false;
    this.#extents.delete(extent);
    this.#extents.add(extent);
  }

  /** Drops an extent without a call of its `dropped`. Harmless if it was dropped before. */
  drop(extent: Extent): void {
    if (!this.#remove(extent)) return;
    if (this.#members.size > 0 || this.#extents.size > 0) this.#keep(extent.buffer);
    else {
      this.memory.free(extent.buffer);
      this.#drain(0);
    }
    this.#feedSoon();
  }

  #takeToRead(length: number, evenFresh: boolean): Bytes | null {
    while (!this.#fitsToRead(length)) if (!this.#dropOldest(evenFresh)) return null;
    const buffer = this.#claim(length);
    this.#reading += length;
    this.#filling++;
    return buffer;
  }

  #fitsToRead(length: number): boolean {
    const next = this.#reading + length;
    if (next <= this.forReading || this.#reading === 0) return true;
    return next <= this.limit * MOST_READING && this.#pieces + next <= this.limit;
  }

  #dropOldest(evenFresh: boolean): boolean {
    for (const extent of this.#extents) {
      if (extent.fresh && !evenFresh) continue;
      this.#remove(extent);
      this.#keep(extent.buffer);
      extent.dropped();
      return true;
    }
    return false;
  }

  #remove(extent: Extent): boolean {
    if (!this.#extents.delete(extent)) return false;
    this.#reading -= extent.buffer.length;
    if (!extent.fresh) this.#settled -= extent.buffer.length;
    return true;
  }

  // Buffers.

  /** Makes a buffer that isn't counted yet, and drops elastic memory for it. */
  #claim(length: number): Bytes {
    const kept = this.#takeKept(length);
    if (kept !== null) return kept;
    if (this.used + length > this.limit) this.#drain(Math.max(0, this.#reserve + this.limit - this.used - length));
    while (this.used + length > this.limit && this.#reading > this.forReading && this.#dropOldest(false)) {
      const dropped = this.#takeKept(length);
      if (dropped !== null) return dropped;
      this.#drain(0);
    }
    return this.memory.allocate(length);
  }

  #takeKept(length: number): Bytes | null {
    const kept = this.#free.get(length)?.pop();
    if (kept === undefined) return null;
    this.#reserve -= length;
    return kept;
  }

  #keep(buffer: Bytes): void {
    let kept = this.#free.get(buffer.length);
    if (kept === undefined) this.#free.set(buffer.length, kept = []);
    if (kept.length >= KEEP_BUFFERS || this.used + buffer.length > this.limit) return this.memory.free(buffer);
    kept.push(buffer);
    this.#reserve += buffer.length;
  }

  /** Frees empty buffers until no more than `most` bytes are kept. */
  #drain(most: number): void {
    for (const [length, kept] of this.#free) {
      while (this.#reserve > most && kept.length > 0) {
        this.memory.free(kept.pop()!);
        this.#reserve -= length;
      }
      if (kept.length === 0) this.#free.delete(length);
    }
  }

  #forget(length: number): void {
    for (const buffer of this.#free.get(length) ?? []) {
      this.memory.free(buffer);
      this.#reserve -= length;
    }
    this.#free.delete(length);
  }

  /**
   * Notifies the torrents that wait for memory, those with the least first. Deferred, as the caller that gives memory
   * back may not be done.
   */
  #feedSoon(): void {
    if (this.#waitingTorrents.size === 0 || this.#feeding) return;
    this.#feeding = true;
    void Promise.resolve().then(() => {
      this.#feeding = false;
      const byNeed = [...this.#waitingTorrents].sort((a, b) => this.#lent.get(a)! - this.#lent.get(b)!);
      for (const borrower of byNeed) {
        if (!this.#waitingTorrents.has(borrower)) continue;
        this.stopWaiting(borrower);
        borrower.memoryAvailable();
        if (this.#waitingTorrents.has(borrower)) break; // a torrent with less memory still lacks some
      }
    });
  }
}
