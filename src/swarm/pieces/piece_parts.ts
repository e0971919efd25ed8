/**
 * The memory of a piece that is too large to be held whole: parts that have a buffer for as long as blocks of them come.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";

/** What {@linkcode PieceParts} work with. */
export interface PartMemory {
  /** Bytes of a part: whole blocks. */
  readonly length: number;
  /** @returns A buffer of that length with anything in it, or `null` when there is no memory and `force` isn't set. */
  take(force: boolean): Bytes | null;
  /** Takes a buffer back. */
  give(buffer: Bytes): void;
  /** What is here of a part goes to disk. The buffer is to be given back, and the part noted as written, when it is there. */
  leave(part: LeavingPart): void;
}

/** A part on its way to disk. */
export interface LeavingPart {
  /** Which. */
  readonly part: number;
  /** Its buffer; the part begins with its first byte. */
  readonly buffer: Bytes;
  /** What of it is to be written. */
  readonly stretches: readonly Stretch[];
  /** Whether an earlier write of the part is under way, of what has come anew since. */
  readonly again: boolean;
}

/** Bytes of a piece. */
export interface Stretch {
  /** First byte. */
  readonly begin: number;
  /** The byte after the last. */
  readonly end: number;
}

/** Where the blocks of one piece are: in memory, or on disk, or nowhere yet. */
export class PieceParts {
  readonly #memory: PartMemory;
  readonly #size: number;
  readonly #perPart: number;
  readonly #blockCount: number;
  readonly #buffers: (Bytes | null)[];
  /** Parts that have a buffer. */
  readonly #held = new Set<number>();
  /** For each part, how many of its blocks are asked for, or here in memory. */
  readonly #busy: Uint8Array;
  /** For each part, how many of its blocks aren't here. */
  readonly #missing: Uint8Array;
  /** For each part, how many writes are under way. */
  readonly #writing: Uint8Array;
  /** For each block, 1 when it is on disk or on its way there. */
  readonly #gone: Uint8Array;

  /**
   * @param size Bytes of the piece.
   * @param memory Where its buffers come from and its parts go to.
   */
  constructor(size: number, memory: PartMemory) {
    this.#memory = memory;
    this.#size = size;
    this.#perPart = memory.length / BLOCK_SIZE;
    this.#blockCount = Math.ceil(size / BLOCK_SIZE);
    const count = Math.ceil(size / memory.length);
    this.#buffers = new Array<Bytes | null>(count).fill(null);
    [this.#busy, this.#missing, this.#writing] = [new Uint8Array(count), new Uint8Array(count), new Uint8Array(count)];
    this.#gone = new Uint8Array(this.#blockCount);
    for (let part = 0; part < count; part++) this.#missing[part] = this.#endOf(part) - part * this.#perPart;
  }

  /** Whether any part has a buffer. */
  get inMemory(): boolean {
    return this.#held.size > 0;
  }

  /** Whether a block is on disk or on its way there. */
  isGone(block: number): boolean {
    return this.#gone[block] === 1;
  }

  /** Whether a block is on disk and can be read. */
  isOnDisk(block: number): boolean {
    return this.#gone[block] === 1 && this.#writing[this.#partOf(block)] === 0;
  }

  /** The byte after the last of the part that a byte is in. */
  endOfPart(at: number): number {
    const { length } = this.#memory;
    return Math.min(this.#size, (Math.floor(at / length) + 1) * length);
  }

  /** Makes sure that there is memory for a block. @returns Whether there is. */
  hold(block: number, force: boolean): boolean {
    const part = this.#partOf(block);
    if (this.#buffers[part] !== null) return true;
    const buffer = this.#memory.take(force);
    if (buffer === null) return false;
    this.#buffers[part] = buffer;
    this.#held.add(part);
    return true;
  }

  /** @returns The first of the blocks for which there is memory that is as it should be; -1 when there is none. */
  findHeld(isRight: (block: number) => boolean): number {
    for (const part of this.#held) {
      for (let block = part * this.#perPart; block < this.#endOf(part); block++) if (isRight(block)) return block;
    }
    return -1;
  }

  /** Takes bytes of a block; there must be memory for it. */
  put(bytes: Bytes, begin: number): void {
    const part = Math.floor(begin / this.#memory.length);
    this.#buffers[part]!.set(bytes, begin - part * this.#memory.length);
  }

  /** Bytes in memory; all in one part. */
  bytes({ begin, end }: Stretch): Bytes {
    const part = Math.floor(begin / this.#memory.length);
    const start = part * this.#memory.length;
    return this.#buffers[part]!.subarray(begin - start, end - start);
  }

  /** A block is asked for, or comes without that. */
  began(block: number): void {
    this.#busy[this.#partOf(block)]!++;
  }

  /** A block isn't asked for any more and isn't here. */
  ended(block: number): void {
    const part = this.#partOf(block);
    if (--this.#busy[part]! === 0) this.#release(part);
  }

  /** A block is here. @returns Whether all of its part is. */
  arrived(block: number): boolean {
    return --this.#missing[this.#partOf(block)]! === 0;
  }

  /** What is here of a block's part goes to disk. */
  leave(block: number): void {
    this.#leavePart(this.#partOf(block), () => true);
  }

  /**
   * What is in memory goes to disk; nothing is asked for any more.
   *
   * @param isHere Whether a block is here.
   */
  leaveAll(isHere: (block: number) => boolean): void {
    for (const part of [...this.#held]) this.#leavePart(part, isHere);
    this.#busy.fill(0);
  }

  /** A part that left is on disk. */
  written(part: number): void {
    this.#writing[part]!--;
  }

  /**
   * Some blocks are to come anew, and nothing is asked for any more.
   *
   * @param isHere Whether a block is here and stays.
   */
  reset(isHere: (block: number) => boolean): void {
    this.#busy.fill(0);
    this.#missing.fill(0);
    for (let block = 0; block < this.#blockCount; block++) {
      const part = this.#partOf(block);
      if (!isHere(block)) {
        this.#gone[block] = 0;
        this.#missing[part]!++;
      } else if (!this.isGone(block)) this.#busy[part]!++;
    }
    for (const part of [...this.#held]) if (this.#busy[part] === 0) this.#release(part);
  }

  /** Gives all memory back. */
  close(): void {
    for (const part of [...this.#held]) this.#release(part);
  }

  #leavePart(part: number, isHere: (block: number) => boolean): void {
    const stretches: { begin: number; end: number }[] = [];
    for (let block = part * this.#perPart; block < this.#endOf(part); block++) {
      if (this.isGone(block) || !isHere(block)) continue;
      this.#gone[block] = 1;
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

  /** The block after the last of a part. */
  #endOf(part: number): number {
    return Math.min(this.#blockCount, (part + 1) * this.#perPart);
  }
}
