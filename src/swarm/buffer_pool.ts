/**
 * Memory for pieces in flight: a budget for all torrents, and a pool of buffers for each.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** Buffers that a torrent may always have, whatever the budget: with fewer nothing could be downloaded. */
const LEAST_BUFFERS = 2;
/** Empty buffers that a pool keeps for the next piece. Pages that were touched once are far cheaper than fresh ones. */
const KEEP_BUFFERS = 8;

/** Bytes that all torrents of a session share. */
export class MemoryBudget {
  /** Bytes in all. */
  readonly limit: number;
  #used = 0;

  /**
   * @param limit Bytes in all.
   */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /**
   * Takes bytes from the budget.
   *
   * @param bytes How many.
   * @param options `force`: go past the limit if need be.
   * @returns Whether they were taken.
   */
  take(bytes: number, options: { readonly force?: boolean } = {}): boolean {
    if (this.#used + bytes > this.limit && !options.force) return false;
    this.#used += bytes;
    return true;
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#used -= bytes;
  }
}

/** Piece buffers of one torrent, used again and again. */
export class BufferPool {
  readonly #budget: MemoryBudget;
  readonly #size: number;
  readonly #free: Bytes[] = [];
  #lent = 0;

  /**
   * @param budget Where the memory is counted.
   * @param size Bytes of a buffer: the torrent's piece length, or its total length when that is less.
   */
  constructor(budget: MemoryBudget, size: number) {
    this.#budget = budget;
    this.#size = size;
  }

  /** Buffers that are in use. */
  get lent(): number {
    return this.#lent;
  }

  /** Whether {@linkcode BufferPool.take} would give a buffer. */
  get available(): boolean {
    return this.#free.length > 0 || this.#lent < LEAST_BUFFERS ||
      this.#budget.used + this.#size <= this.#budget.limit;
  }

  /** @returns A buffer with anything in it, or `null` when the budget is used up. */
  take(): Bytes | null {
    const kept = this.#free.pop();
    if (!kept && !this.#budget.take(this.#size, { force: this.#lent < LEAST_BUFFERS })) return null;
    this.#lent++;
    return kept ?? new Uint8Array(this.#size);
  }

  /** Takes a buffer back. */
  give(buffer: Bytes): void {
    this.#lent--;
    if (this.#free.length < KEEP_BUFFERS) this.#free.push(buffer);
    else this.#budget.give(this.#size);
  }

  /** Gives the empty buffers back to the budget; for a torrent that is complete or stopped. */
  drain(): void {
    this.#budget.give(this.#free.length * this.#size);
    this.#free.length = 0;
  }
}
