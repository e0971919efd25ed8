/**
 * Piece buffers of one torrent, borrowed from the session's memory budget.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { DataMemory } from "../../base/data_memory.ts";
import type { MemoryBorrower, MemoryBudget } from "../../base/memory_budget.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";

/** A piece of up to this many bytes is held in one buffer, unless it is the first and doesn't fit into the budget. */
const ALWAYS_WHOLE = 256 * 1024;
/** A larger piece is held in one buffer only if this many pieces fit into the torrent's share of the budget. */
const WHOLE_IN_SHARE = 2;
/** A larger piece is held in one buffer only if this many pieces fit into the whole budget. */
const WHOLE_IN_BUDGET = 8;
/**
 * A part is so small that this many fit into the budget. Nearly always all parts have the same length, so that their
 * buffers are reused: a buffer that is thrown away takes memory beyond the budget until it is garbage-collected.
 */
const PARTS_IN_BUDGET = 256;
/** A part is so small that this many fit into the torrent's share of the budget. */
const PARTS_IN_SHARE = 8;
/** Bytes of the largest part. */
const MOST_PART = 512 * 1024;

/**
 * Part of the budget, and bytes, that complete pieces take while they are checked and written when no further piece is
 * started. More of them don't make a disk faster, but take the processor's cache from those that are being worked on.
 */
const MOST_COMPLETE = 1 / 4;
const LEAST_MOST_COMPLETE = 16 * 1024 * 1024;
/** Most such pieces, since each has objects that outlive the collection of young garbage when it waits for long. */
const MOST_COMPLETE_PIECES = 512;

/** Lower bound for {@linkcode BufferPool.capacity}, by which the pieces are divided among the peers. */
const LEAST_PIECES = 2;

/** Buffers of one torrent for whole pieces, or for parts of pieces that are too large to be held whole. */
export class BufferPool implements MemoryBorrower {
  /** Called when memory may have become available, after {@linkcode BufferPool.waitForMemory}. */
  memoryAvailable: () => void = () => {};
  /** Called when another torrent that has less memory waits for some. */
  memoryWanted: () => void = () => {};
  readonly #budget: MemoryBudget;
  readonly #size: number;
  #used = 0;
  #lent = 0;
  /** Bytes of pieces that are being checked or written. */
  #complete = 0;
  /** Number of these pieces. */
  #completePieces = 0;

  /**
   * @param budget The session's memory budget.
   * @param size Bytes of a whole piece: the torrent's piece length, or its total length if that is less.
   */
  constructor(budget: MemoryBudget, size: number) {
    this.#budget = budget;
    this.#size = size;
  }

  /** Where the buffers are. */
  get data(): DataMemory {
    return this.#budget.memory;
  }

  /** Pieces that fit into the budget if no other torrent uses it, at least 2. */
  get capacity(): number {
    return Math.max(LEAST_PIECES, Math.floor(this.#budget.forPieces / this.#size));
  }

  /** Number of buffers in use. */
  get lent(): number {
    return this.#lent;
  }

  /** Bytes of the buffers in use. */
  get used(): number {
    return this.#used;
  }

  /** Bytes of each buffer for a piece that is started now: the length of a piece, or of a part of a piece. */
  get unit(): number {
    const share = this.#budget.shareOf(this);
    const whole = Math.max(ALWAYS_WHOLE, Math.min(this.#budget.limit / WHOLE_IN_BUDGET, share / WHOLE_IN_SHARE));
    const isWhole = this.#size <= whole && (this.#used > 0 || this.#budget.has(this, this.#size));
    if (isWhole) return this.#size;
    const part = Math.min(MOST_PART, this.#budget.limit / PARTS_IN_BUDGET, share / PARTS_IN_SHARE);
    return Math.min(this.#size, Math.max(BLOCK_SIZE, 2 ** Math.floor(Math.log2(part))));
  }

  /** Whether a piece can be started. A torrent without a buffer can always start one, so that no download stalls. */
  get available(): boolean {
    return this.#used === 0 || this.#budget.has(this, this.unit);
  }

  /** Whether so many pieces are being checked and written that others should wait. */
  get isBehind(): boolean {
    return this.#completePieces > MOST_COMPLETE_PIECES ||
      this.#complete > Math.max(LEAST_MOST_COMPLETE, this.#budget.limit * MOST_COMPLETE);
  }

  /** Notes that a buffer holds a complete piece, which is checked and written, or no longer does. */
  countComplete(buffer: Bytes, isComplete: boolean): void {
    this.#complete += isComplete ? buffer.length : -buffer.length;
    this.#completePieces += isComplete ? 1 : -1;
  }

  /**
   * Takes a buffer. The torrent's first buffer is granted even if the budget is used up.
   *
   * @param length Length of the buffer in bytes.
   * @returns A buffer with arbitrary contents, or `null` if the budget or the torrent's share of it is used up.
   */
  take(length: number): Bytes | null {
    const buffer = this.#budget.take(this, length, { force: this.#used === 0 });
    if (buffer === null) return null;
    this.#lent++;
    this.#used += buffer.length;
    return buffer;
  }

  /**
   * Takes a buffer for a short time, even if the budget is used up.
   *
   * @param length Length of the buffer in bytes, which should be small.
   * @returns A buffer with arbitrary contents.
   */
  takeAnyway(length: number): Bytes {
    const buffer = this.#budget.take(this, length, { force: true })!;
    this.#lent++;
    this.#used += length;
    return buffer;
  }

  /** Returns a buffer to the budget. */
  give(buffer: Bytes): void {
    this.#lent--;
    this.#used -= buffer.length;
    this.#budget.giveBack(this, buffer);
  }

  /**
   * Registers the torrent as waiting for memory. {@linkcode BufferPool.memoryAvailable} is called when there may be
   * some.
   */
  wants(): void {
    this.#budget.waitForMemory(this);
  }

  /** Takes back {@linkcode BufferPool.waitForMemory}. */
  cancelWait(): void {
    this.#budget.stopWaiting(this);
  }

  /** Releases all memory kept for reuse when the torrent is complete or stopped. Buffers may still be returned. */
  close(): void {
    this.#budget.leave(this, this.#size);
  }
}
