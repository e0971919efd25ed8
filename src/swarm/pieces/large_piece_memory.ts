/**
 * The memory of a piece that is too large to be held whole. Each part has a buffer while blocks of it are arriving.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";

/** What {@linkcode LargePieceMemory} uses to take memory and to write parts to disk. */
export interface PartMemory {
  /** Length of a part in bytes, a multiple of the block size. */
  readonly length: number;
  /**
   * Takes a buffer of {@linkcode PartMemory.length} bytes with arbitrary contents. Returns `null` if there is no memory
   * and `force` isn't set.
   */
  take(force: boolean): Bytes | null;
  /** Returns a buffer. */
  give(buffer: Bytes): void;
  /** Writes a part to disk. Then the buffer is to be returned and {@linkcode LargePieceMemory.written} to be called. */
  leave(part: LeavingPart): void;
}

/** A part on its way to disk. */
export interface LeavingPart {
  /** Number of the part. */
  readonly part: number;
  /** Buffer of the part, which begins with the part's first byte. */
  readonly buffer: Bytes;
  /** Ranges of the piece to be written. */
  readonly stretches: readonly Stretch[];
  /** Whether an earlier write of the same part is in progress. This one has the blocks that arrived since. */
  readonly again: boolean;
}

/** A range of bytes of a piece. */
export interface Stretch {
  /** Offset of the first byte. */
  readonly begin: number;
  /** Offset after the last byte. */
  readonly end: number;
}

/** Where the blocks of one piece are: in memory, on disk, or not yet received. */
export class LargePieceMemory {
  readonly #memory: PartMemory;
  readonly #size: number;
  readonly #perPart: number;
  readonly #blockCount: number;
  readonly #buffers: (Bytes | null)[];
  /** Parts that have a buffer. */
  readonly #held = new Set<number>();
  /** For each part, the number of blocks that are requested, or received and in memory. */
  readonly #busy: Uint8Array;
  /** For each part, the number of blocks that haven't been received. */
  readonly #missing: Uint8Array;
  /** For each part, the number of writes in progress. */
  readonly #writing: Uint8Array;
  /** For each block, 1 if it is on disk or being written. */
  readonly #onDisk: Uint8Array;

  /**
   * @param size Bytes of the piece.
   * @param memory Source of buffers, and destination of parts.
   */
  constructor(size: number, memory: PartMemory) {
    this.#memory = memory;
    this.#size = size;
    this.#perPart = memory.length / BLOCK_SIZE;
    this.#blockCount = Math.ceil(size / BLOCK_SIZE);
    const count = Math.ceil(size / memory.length);
    this.#buffers = new Array<Bytes | null>(count).fill(null);
    [this.#busy, this.#missing, this.#writing] = [new Uint8Array(count), new Uint8Array(count), new Uint8Array(count)];
    this.#onDisk = new Uint8Array(this.#blockCount);
    for (let part = 0; part < count; part++) this.#missing[part] = this.#endOf(part) - part * this.#perPart;
  }

  /** Whether any part has a buffer. */
  get inMemory(): boolean {
    return this.#held.size > 0;
  }

  /** Returns `true` if a block is on disk or being written. */
  isGone(block: number): boolean {
    return this.#onDisk[block] === 1;
  }

  /** Returns `true` if a block is on disk and can be read. */
  isOnDisk(block: number): boolean {
    return this.#onDisk[block] === 1 && this.#writing[this.#partOf(block)] === 0;
  }

  /** Returns `true` if the part of a block has a buffer. */
  isHeld(block: number): boolean {
    return this.#buffers[this.#partOf(block)] !== null;
  }

  /** Returns the offset after the last byte of the part that contains an offset. */
  endOfPart(at: number): number {
    const { length } = this.#memory;
    return Math.min(this.#size, (Math.floor(at / length) + 1) * length);
  }

  /** Takes memory for a block's part, if it has none. Returns `true` if there is memory for the block. */
  hold(block: number, force: boolean): boolean {
    const part = this.#partOf(block);
    if (this.#buffers[part] !== null) return true;
    const buffer = this.#memory.take(force);
    if (buffer === null) return false;
    this.#buffers[part] = buffer;
    this.#held.add(part);
    return true;
  }

  /** Returns the first block that has memory and passes a test, or -1 if there is none. */
  findHeld(isRight: (block: number) => boolean): number {
    for (const part of this.#held) {
      for (let block = part * this.#perPart; block < this.#endOf(part); block++) if (isRight(block)) return block;
    }
    return -1;
  }

  /** Returns where the bytes of a block that has memory are stored, given their offset in the piece. */
  placeOf(begin: number): { readonly buffer: Bytes; readonly at: number } {
    const part = Math.floor(begin / this.#memory.length);
    return { buffer: this.#buffers[part]!, at: begin - part * this.#memory.length };
  }

  /** Returns bytes in memory, which must be in one part. */
  bytes({ begin, end }: Stretch): Bytes {
    const part = Math.floor(begin / this.#memory.length);
    const start = part * this.#memory.length;
    return this.#buffers[part]!.subarray(begin - start, end - start);
  }

  /** Notes that a block is requested, or arrives without a request. */
  began(block: number): void {
    this.#busy[this.#partOf(block)]!++;
  }

  /** Notes that a block that hasn't been received is no longer requested. Frees the buffer of an idle part. */
  ended(block: number): void {
    const part = this.#partOf(block);
    if (--this.#busy[part]! === 0) this.#release(part);
  }

  /** Notes that a block has been received. Returns `true` if the whole part has been received. */
  arrived(block: number): boolean {
    return --this.#missing[this.#partOf(block)]! === 0;
  }

  /** Writes the part of a block to disk; every block of the part has been received. */
  leave(block: number): void {
    this.#leavePart(this.#partOf(block), () => true);
  }

  /**
   * Writes the received blocks in memory to disk and forgets all requests.
   *
   * @param isHere Returns `true` if a block has been received.
   */
  leaveAll(isHere: (block: number) => boolean): void {
    for (const part of [...this.#held]) this.#leavePart(part, isHere);
    this.#busy.fill(0);
  }

  /** Notes that a write of a part has ended. */
  written(part: number): void {
    this.#writing[part]!--;
  }

  /**
   * Restarts some blocks and forgets all requests.
   *
   * @param isHere Returns `true` if a block has been received and is kept.
   */
  reset(isHere: (block: number) => boolean): void {
    this.#busy.fill(0);
    this.#missing.fill(0);
    for (let block = 0; block < this.#blockCount; block++) {
      const part = this.#partOf(block);
      if (!isHere(block)) {
        this.#onDisk[block] = 0;
        this.#missing[part]!++;
      } else if (!this.isGone(block)) this.#busy[part]!++;
    }
    for (const part of [...this.#held]) if (this.#busy[part] === 0) this.#release(part);
  }

  /** Frees all buffers. */
  close(): void {
    for (const part of [...this.#held]) this.#release(part);
  }

  #leavePart(part: number, isHere: (block: number) => boolean): void {
    const stretches: { begin: number; end: number }[] = [];
    for (let block = part * this.#perPart; block < this.#endOf(part); block++) {
      if (this.isGone(block) || !isHere(block)) continue;
      this.#onDisk[block] = 1;
      const begin = block * BLOCK_SIZE;
      const end = Math.min(this.#size, begin + BLOCK_SIZE);
      const last = stretches.at(-1);
      if (last?.end === begin) last.end = end;
      else stretches.push({ begin, end });
    }
    this.#busy[part] = 0;
    if (stretches.length === 0) return this.#release(part);
    const buffer = this.#buffers[part]!;
    this.#buffers[part] = null;
    this.#held.delete(part);
    const again = this.#writing[part]!++ > 0;
    this.#memory.leave({ part, buffer, stretches, again });
  }

  #release(part: number): void {
    const buffer = this.#buffers[part] ?? null;
    if (buffer === null) return;
    this.#buffers[part] = null;
    this.#held.delete(part);
    this.#memory.give(buffer);
  }

  #partOf(block: number): number {
    return Math.floor(block / this.#perPart);
  }

  /** Returns the number after the last block of a part. */
  #endOf(part: number): number {
    return Math.min(this.#blockCount, (part + 1) * this.#perPart);
  }
}
