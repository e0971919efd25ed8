/**
 * What one torrent borrows of the session's memory for pieces in flight.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { MemoryBorrower, MemoryBudget } from "../../base/memory_budget.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";

/** Pieces up to this size are never taken to disk in parts, unless there is no memory for one at all. */
const ALWAYS_WHOLE = 256 * 1024;
/** Larger ones are held whole if so many would fit into the torrent's share of the memory, and so many into the budget. */
const WHOLE_IN_SHARE = 2;
const WHOLE_IN_BUDGET = 8;
/**
 * Parts that would fit into the budget, and that have to fit into the torrent's share of it. Nearly always all parts have one
 * length, so that their buffers are used again and again: what is thrown away is the collector's for a while, beyond the budget.
 */
const PARTS_IN_BUDGET = 256;
const PARTS_IN_SHARE = 8;
const MOST_PART = 512 * 1024;

/** Pieces that a torrent is counted as having memory for, at the least, when they are shared out among those who send. */
const LEAST_PIECES = 2;

/** Buffers of one torrent for pieces, or for parts of pieces that are too large. */
export class BufferPool implements MemoryBorrower {
  /** Called when there may be memory, after {@linkcode BufferPool.wants}. */
  fed: () => void = () => {};
  /** Called when another torrent waits for memory that has less. */
  pressed: () => void = () => {};
  readonly #budget: MemoryBudget;
  readonly #size: number;
  #used = 0;
  #lent = 0;

  /**
   * @param budget Where the memory comes from.
   * @param size Bytes of a whole piece: the torrent's piece length, or its total length when that is less.
   */
  constructor(budget: MemoryBudget, size: number) {
    this.#budget = budget;
    this.#size = size;
  }

  /** Pieces that it could have memory for at best, with nobody else. */
  get capacity(): number {
    return Math.max(LEAST_PIECES, Math.floor(this.#budget.forPieces / this.#size));
  }

  /** Buffers that are in use. */
  get lent(): number {
    return this.#lent;
  }

  /** Bytes of them. */
  get used(): number {
    return this.#used;
  }

  /** Bytes of the buffers for a piece that is started now: as long as a piece, or as a part of one. */
  get unit(): number {
    const share = this.#budget.shareOf(this);
    const whole = Math.max(ALWAYS_WHOLE, Math.min(this.#budget.limit / WHOLE_IN_BUDGET, share / WHOLE_IN_SHARE));
    const isWhole = this.#size <= whole && (this.#used > 0 || this.#budget.has(this, this.#size));
    if (isWhole) return this.#size;
    const part = Math.min(MOST_PART, this.#budget.limit / PARTS_IN_BUDGET, share / PARTS_IN_SHARE);
    return Math.min(this.#size, Math.max(BLOCK_SIZE, 2 ** Math.floor(Math.log2(part))));
  }

  /** Whether a piece could be started. It always can while the torrent has no buffer, so that no download stands still. */
  get available(): boolean {
    return this.#used === 0 || this.#budget.has(this, this.unit);
  }

  /**
   * Takes a buffer. The first one it always gets.
   *
   * @param length Its bytes.
   * @returns One with anything in it, or `null` when the budget, or the torrent's share of it, is used up.
   */
  take(length: number): Bytes | null {
    const buffer = this.#budget.take(this, length, { force: this.#used === 0 });
    if (buffer === null) return null;
    this.#lent++;
    this.#used += buffer.length;
    return buffer;
  }

  /**
   * Takes a buffer for a moment.
   *
   * @param length Its bytes; few.
   * @returns One with anything in it, even if the budget is used up.
   */
  takeAnyway(length: number): Bytes {
    const buffer = this.#budget.take(this, length, { force: true })!;
    this.#lent++;
    this.#used += length;
    return buffer;
  }

  /** Takes a buffer back. */
  give(buffer: Bytes): void {
    this.#lent--;
    this.#used -= buffer.length;
    this.#budget.give(this, buffer);
  }

  /** The torrent waits for memory: {@linkcode BufferPool.fed} is called when there may be some. */
  wants(): void {
    this.#budget.wants(this);
  }

  /** The torrent waits for memory no more. */
  sated(): void {
    this.#budget.sated(this);
  }

  /** Keeps nothing any more: the torrent is complete or stopped. Buffers that are in use may still be given back. */
  close(): void {
    this.#budget.leave(this, this.#size);
  }
}
