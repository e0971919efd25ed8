/**
 * The memory of all torrents of a session: for pieces in flight, and for what peers and readers ask for.
 *
 * Both borrow from one budget. Reading is the elastic half: what it keeps is dropped, least recently used first over all
 * torrents, when pieces need the memory. Neither can starve the other: an eighth is always there for reading, and half is
 * there for pieces without a wait.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";

/** Bytes that are always there for reading, however small the budget: four extents of the smallest size. */
export const LEAST_READING = 256 * 1024;
/** Part of the budget that pieces in flight leave to reading. */
const READING_SHARE = 1 / 8;
/** Part of the budget that reading may have while nobody needs it for pieces; and that pieces can have, at the least. */
const MOST_READING = 1 / 2;
/**
 * Empty buffers of each length that are kept for the next who needs one, within the budget: pages that were touched are far
 * cheaper than fresh ones, and what is thrown away stays in the process until the collector comes by.
 */
const KEEP_BUFFERS = 256;
/** Promises in a row between the end of a load and the code that waits for it, with some to spare. */
const TURNS = 8;

/** Somebody who borrows memory for pieces: one torrent. */
export interface MemoryBorrower {
  /** There may be memory now; called after {@linkcode MemoryBudget.wants}. */
  fed(): void;
  /** Somebody waits who has less: what is held in vain is to be given back. */
  pressed(): void;
}

/** A stretch of a torrent that is kept in memory for those who read. */
export interface Extent {
  /** Its bytes. */
  readonly buffer: Bytes;
  /** Whether nothing has been copied from it yet: whoever had it loaded is about to. The budget's to change. */
  fresh: boolean;
  /** The memory is needed for something else. The buffer may not be used any more. */
  dropped(): void;
}

/** Bytes that all torrents of a session share. */
export class MemoryBudget {
  /** Bytes in all. */
  readonly limit: number;
  /** Bytes that pieces in flight may have, of all torrents together. */
  readonly forPieces: number;
  /** Bytes that are left to reading whatever pieces need. */
  readonly forReading: number;
  /** Those who have memory for pieces or wait for some, and how much each has. */
  readonly #lent = new Map<MemoryBorrower, number>();
  readonly #hungry = new Set<MemoryBorrower>();
  /** Those who keep what they give back for the next time. */
  readonly #members = new Set<MemoryBorrower>();
  /** Empty buffers, by their length. */
  readonly #free = new Map<number, Bytes[]>();
  /** What is kept for reading, least recently used first. */
  readonly #extents = new Set<Extent>();
  #pieces = 0;
  #reserve = 0;
  #reading = 0;
  /** Of that, what was copied from: the rest is being read, or about to be copied. */
  #settled = 0;
  /** Extents that are being read from disk. */
  #filling = 0;
  /** Readers that wait for memory, in order. */
  #waiting: (() => void)[] = [];
  #feeding = false;

  /**
   * @param limit Bytes in all.
   * @param options `reading`: bytes that are left to reading whatever pieces need; an eighth, but {@linkcode LEAST_READING}
   * at the least, when absent.
   */
  constructor(limit: number, options: { readonly reading?: number } = {}) {
    if (!(limit >= 0 && limit < Infinity)) throw new RangeError(`The memory is a number of bytes, and not ${limit}`);
    this.limit = limit;
    this.forReading = options.reading ?? Math.max(LEAST_READING, Math.floor(limit * READING_SHARE));
    this.forPieces = Math.max(Math.ceil(limit * (1 - MOST_READING)), limit - this.forReading);
  }

  /** Bytes in use: pieces in flight, what is kept for reading, and empty buffers that are kept for the next who needs one. */
  get used(): number {
    return this.#pieces + this.#reading + this.#reserve;
  }

  /** Bytes that pieces in flight take. */
  get pieces(): number {
    return this.#pieces;
  }

  /** Bytes for pieces that a torrent has a right to among those that compete for them: all of them with nobody else. */
  shareOf(borrower: MemoryBorrower): number {
    return this.forPieces / (this.#lent.size + (this.#lent.has(borrower) ? 0 : 1));
  }

  // Pieces.

  /**
   * Whether a torrent would be given memory for pieces. Beyond {@linkcode MemoryBudget.shareOf} it is not while somebody
   * waits who has less.
   *
   * @param borrower The torrent.
   * @param bytes How many.
   */
  has(borrower: MemoryBorrower, bytes: number): boolean {
    if (this.#pieces + bytes > this.forPieces) return false;
    // What is being read, or about to be copied, can't be dropped.
    const elastic = this.#reserve + Math.max(0, Math.min(this.#reading - this.forReading, this.#settled));
    if (this.used - elastic + bytes > this.limit) return false;
    if (this.#hungry.size === 0) return true;
    const own = this.#lent.get(borrower) ?? 0;
    if (own + bytes <= this.shareOf(borrower)) return true;
    for (const other of this.#hungry) if (other !== borrower && this.#lent.get(other)! < own) return false;
    return true;
  }

  /**
   * Takes a buffer for a piece.
   *
   * @param borrower The torrent.
   * @param length Its bytes.
   * @param options `force`: go past the limit if need be.
   * @returns A buffer with anything in it, or `null` when there is no memory.
   */
  take(borrower: MemoryBorrower, length: number, options: { readonly force?: boolean } = {}): Bytes | null {
    if (!this.has(borrower, length) && !options.force) return null;
    const buffer = this.#claim(length);
    this.#members.add(borrower);
    this.#hungry.delete(borrower);
    this.#lent.set(borrower, (this.#lent.get(borrower) ?? 0) + length);
    this.#pieces += length;
    return buffer;
  }

  /**
   * Takes a buffer of a piece back.
   *
   * @param borrower Who had it.
   * @param buffer What it had.
   */
  give(borrower: MemoryBorrower, buffer: Bytes): void {
    const left = this.#lent.get(borrower)! - buffer.length;
    if (left > 0 || this.#hungry.has(borrower)) this.#lent.set(borrower, left);
    else this.#lent.delete(borrower);
    this.#pieces -= buffer.length;
    if (this.#members.has(borrower)) this.#keep(buffer);
    this.#feedSoon();
  }

  /** A torrent waits for memory: it is told when there may be some. */
  wants(borrower: MemoryBorrower): void {
    this.#hungry.add(borrower);
    if (!this.#lent.has(borrower)) this.#lent.set(borrower, 0);
    const own = this.#lent.get(borrower)!;
    for (const [other, lent] of this.#lent) if (lent > own) other.pressed();
  }

  /** A torrent doesn't wait for memory any more. */
  sated(borrower: MemoryBorrower): void {
    this.#hungry.delete(borrower);
    if (this.#lent.get(borrower) === 0) this.#lent.delete(borrower);
  }

  /**
   * A torrent needs no memory for pieces for now: nothing is kept for it. Buffers that are in use may still be given back.
   *
   * @param borrower Which.
   * @param length Bytes of the buffers that it used.
   */
  leave(borrower: MemoryBorrower, length: number): void {
    this.sated(borrower);
    this.#members.delete(borrower);
    if (this.#members.size === 0) this.#drain(0);
    else this.#forget(length);
    this.#feedSoon();
  }

  // Reading.

  /** Bytes of the largest extent that is worth its memory: with 32 of them there is something for many. */
  get largestExtent(): number {
    return Math.max(LEAST_READING / 4, Math.floor(this.limit / 32));
  }

  /**
   * Takes memory to read into, if there is some at once.
   *
   * @param length Its bytes.
   * @returns A buffer with anything in it; to be handed to {@linkcode MemoryBudget.filled} or {@linkcode MemoryBudget.unfilled}.
   */
  tryToRead(length: number): Bytes | null {
    return this.#waiting.length > 0 ? null : this.#takeToRead(length, false);
  }

  /**
   * Takes memory to read into, as soon as there is some.
   *
   * @param length Its bytes.
   * @returns As {@linkcode MemoryBudget.tryToRead}.
   */
  async toRead(length: number): Promise<Bytes> {
    for (;;) {
      if (this.#filling > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      // What was loaded is copied first; else loads could go on dropping each other's extents for ever.
      for (let turn = 0; turn < TURNS; turn++) await Promise.resolve();
      const buffer = this.#takeToRead(length, true);
      if (buffer !== null) return buffer;
    }
  }

  /** What was taken to read into is filled, and is kept until the memory is needed. */
  filled(extent: Extent): void {
    this.#filling--;
    this.#extents.add(extent);
    this.#waiting.shift()?.();
  }

  /** What was taken to read into isn't filled, and needed no more. */
  unfilled(buffer: Bytes): void {
    this.#filling--;
    this.#reading -= buffer.length;
    this.#keep(buffer);
    this.#waiting.shift()?.();
    this.#feedSoon();
  }

  /** Somebody has copied from an extent: the others are dropped before it. */
  touch(extent: Extent): void {
    if (extent.fresh) this.#settled += extent.buffer.length;
    extent.fresh = false;
    this.#extents.delete(extent);
    this.#extents.add(extent);
  }

  /** Drops an extent. Its owner isn't told. Harmless when it was dropped before. */
  drop(extent: Extent): void {
    if (!this.#remove(extent)) return;
    if (this.#members.size > 0 || this.#extents.size > 0) this.#keep(extent.buffer);
    else this.#drain(0);
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

  /** A buffer that isn't counted yet. Whatever is elastic makes way for it. */
  #claim(length: number): Bytes {
    const kept = this.#takeKept(length);
    if (kept !== null) return kept;
    if (this.used + length > this.limit) this.#drain(Math.max(0, this.#reserve + this.limit - this.used - length));
    while (this.used + length > this.limit && this.#reading > this.forReading && this.#dropOldest(false)) {
      const dropped = this.#takeKept(length);
      if (dropped !== null) return dropped;
      this.#drain(0);
    }
    return new Uint8Array(length);
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
    if (kept.length >= KEEP_BUFFERS || this.used + buffer.length > this.limit) return;
    kept.push(buffer);
    this.#reserve += buffer.length;
  }

  /** Lets go of empty buffers until no more than so many bytes are kept. */
  #drain(most: number): void {
    for (const [length, kept] of this.#free) {
      while (this.#reserve > most && kept.pop() !== undefined) this.#reserve -= length;
      if (kept.length === 0) this.#free.delete(length);
    }
  }

  #forget(length: number): void {
    this.#reserve -= length * (this.#free.get(length)?.length ?? 0);
    this.#free.delete(length);
  }

  /** Those who wait for memory for pieces are told, who has the least first; not at once, since whoever gives some back isn't done. */
  #feedSoon(): void {
    if (this.#hungry.size === 0 || this.#feeding) return;
    this.#feeding = true;
    void Promise.resolve().then(() => {
      this.#feeding = false;
      const byNeed = [...this.#hungry].sort((a, b) => this.#lent.get(a)! - this.#lent.get(b)!);
      for (const borrower of byNeed) {
        if (!this.#hungry.has(borrower)) continue;
        this.sated(borrower);
        borrower.fed();
        if (this.#hungry.has(borrower)) break; // who has less didn't find enough
      }
    });
  }
}
