/**
 * What one torrent borrows of the session's memory for pieces in flight.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Borrower, MemoryBudget } from "../base/memory_budget.ts";

/** Pieces that a torrent is counted as having memory for, at the least, when they are shared out among those who send. */
const LEAST_PIECES = 2;

/** Piece buffers of one torrent. */
export class BufferPool implements Borrower {
  /** Called when there may be memory, after {@linkcode BufferPool.wants}. */
  fed: () => void = () => {};
  readonly #budget: MemoryBudget;
  readonly #size: number;
  #used = 0;
  #lent = 0;

  /**
   * @param budget Where the memory comes from.
   * @param size Bytes of a buffer: the torrent's piece length, or its total length when that is less.
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

  /** Whether {@linkcode BufferPool.take} would give a buffer. One it always gives, so that no download stands still. */
  get available(): boolean {
    return this.#used === 0 || this.#budget.has(this, this.#size);
  }

  /** @returns A buffer with anything in it, or `null` when the budget, or the torrent's share of it, is used up. */
  take(): Bytes | null {
    const buffer = this.#budget.take(this, this.#size, { force: this.#used === 0 });
    if (buffer === null) return null;
    this.#lent++;
    this.#used += buffer.length;
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
