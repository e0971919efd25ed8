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
  readonly #pools = new Set<BufferPool>();
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

  /** A pool begins to draw on this budget: what it keeps in reserve may be called in. */
  join(pool: BufferPool): void {
    this.#pools.add(pool);
  }

  /** A pool is done with this budget. */
  leave(pool: BufferPool): void {
    this.#pools.delete(pool);
  }

  /**
   * Whether bytes could be taken, counting what pools keep in reserve.
   *
   * @param bytes How many.
   */
  has(bytes: number): boolean {
    if (this.#used + bytes <= this.limit) return true;
    let reserve = 0;
    for (const pool of this.#pools) reserve += pool.reserve;
    return this.#used - reserve + bytes <= this.limit;
  }

  /**
   * Takes bytes from the budget.
   *
   * @param bytes How many.
   * @param options `force`: go past the limit if need be.
   * @returns Whether they were taken.
   */
  take(bytes: number, options: { readonly force?: boolean } = {}): boolean {
    for (const pool of this.#pools) {
      if (this.#used + bytes <= this.limit) break;
      pool.drain();
    }
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
  #closed = false;

  /**
   * @param budget Where the memory is counted.
   * @param size Bytes of a buffer: the torrent's piece length, or its total length when that is less.
   */
  constructor(budget: MemoryBudget, size: number) {
    this.#budget = budget;
    this.#size = size;
    budget.join(this);
  }

  /** Bytes of empty buffers that are kept for the next piece. */
  get reserve(): number {
    return this.#free.length * this.#size;
  }

  /** Buffers that it could have at best, with the whole budget for itself. */
  get capacity(): number {
    return Math.max(LEAST_BUFFERS, Math.floor(this.#budget.limit / this.#size));
  }

  /** Buffers that are in use. */
  get lent(): number {
    return this.#lent;
  }

  /** Whether {@linkcode BufferPool.take} would give a buffer. */
  get available(): boolean {
    return this.#free.length > 0 || this.#lent < LEAST_BUFFERS || this.#budget.has(this.#size);
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
    if (!this.#closed && this.#free.length < KEEP_BUFFERS) this.#free.push(buffer);
    else this.#budget.give(this.#size);
  }

  /** Gives the empty buffers back to the budget. */
  drain(): void {
    this.#budget.give(this.reserve);
    this.#free.length = 0;
  }

  /** Draws on the budget again after {@linkcode BufferPool.close}. Harmless when it is open. */
  open(): void {
    this.#closed = false;
    this.#budget.join(this);
  }

  /** Keeps nothing any more: the torrent is complete or stopped. Buffers that are in use may still be given back. */
  close(): void {
    this.#closed = true;
    this.drain();
    this.#budget.leave(this);
  }
}
