/**
 * Sets of piece indexes as bits.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";

/** Number of set bits in each byte value. */
const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length);

/**
 * A set of piece indexes in the byte form of the `bitfield` message (BEP 3): piece 0 is the highest bit of the first
 * byte, and spare bits at the end are zero. The number of set bits is always at hand.
 *
 * @example
 * ```ts
 * const have = new Bitfield(10);
 * have.set(0);
 * have.count; // 1
 * have.toBytes(); // Uint8Array [128, 0]
 * ```
 */
export class Bitfield {
  /** Number of bits. */
  readonly length: number;
  readonly #bytes: Bytes;
  #count = 0;

  /**
   * @param length Number of bits. All are clear at first.
   * @throws {RangeError} If `length` is negative or not a whole number.
   */
  constructor(length: number) {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new RangeError(`A bitfield has a whole number of bits, got ${length}`);
    }
    this.length = length;
    this.#bytes = new Uint8Array(Math.ceil(length / 8));
  }

  /**
   * Makes a bitfield from its byte form, as in a message or a resume file.
   *
   * @param bytes Byte form, which is copied.
   * @param length Number of bits.
   * @returns The bitfield, or `null` if `bytes` has the wrong length or a spare bit is set.
   */
  static fromBytes(bytes: Uint8Array, length: number): Bitfield | null {
    const field = new Bitfield(length);
    if (bytes.length !== field.#bytes.length) return null;
    const spare = bytes.length * 8 - length;
    if (spare > 0 && ((bytes[bytes.length - 1] ?? 0) & ((1 << spare) - 1)) !== 0) return null;
    field.#bytes.set(bytes);
    let count = 0;
    for (let i = 0; i < bytes.length; i++) count += ONES[bytes[i]!]!;
    field.#count = count;
    return field;
  }

  /** Number of set bits. */
  get count(): number {
    return this.#count;
  }

  /** `true` if every bit is set. */
  get isFull(): boolean {
    return this.#count === this.length;
  }

  /** `true` if no bit is set. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Returns `true` if a bit is set, and `false` for an index out of range. */
  has(index: number): boolean {
    if (index < 0 || index >= this.length) return false;
    return (this.#bytes[index >> 3]! & (128 >> (index & 7))) !== 0;
  }

  /**
   * Sets a bit.
   *
   * @returns `true` if the bit was clear before.
   * @throws {RangeError} If `index` is out of range.
   */
  set(index: number): boolean {
    this.#check(index);
    const mask = 128 >> (index & 7);
    const byte = this.#bytes[index >> 3]!;
    if ((byte & mask) !== 0) return false;
    this.#bytes[index >> 3] = byte | mask;
    this.#count++;
    return true;
  }

  /**
   * Clears a bit.
   *
   * @returns `true` if the bit was set before.
   * @throws {RangeError} If `index` is out of range.
   */
  clear(index: number): boolean {
    this.#check(index);
    const mask = 128 >> (index & 7);
    const byte = this.#bytes[index >> 3]!;
    if ((byte & mask) === 0) return false;
    this.#bytes[index >> 3] = byte & ~mask;
    this.#count--;
    return true;
  }

  /** Sets every bit. */
  setAll(): void {
    this.#bytes.fill(255);
    const spare = this.#bytes.length * 8 - this.length;
    if (spare > 0) this.#bytes[this.#bytes.length - 1] = (255 << spare) & 255;
    this.#count = this.length;
  }

  /**
   * Sets every bit that is set in another bitfield.
   *
   * @param other Bitfield of the same length.
   * @returns Indexes of the bits that were clear before, in order.
   * @throws {RangeError} If the lengths differ.
   */
  addAll(other: Bitfield): number[] {
    if (other.length !== this.length) {
      throw new RangeError(`Bitfields of ${this.length} and ${other.length} bits differ`);
    }
    const added: number[] = [];
    for (let at = 0; at < this.#bytes.length; at++) {
      const fresh = other.#bytes[at]! & ~this.#bytes[at]!;
      if (fresh === 0) continue;
      for (let bit = 0; bit < 8; bit++) if ((fresh & (128 >> bit)) !== 0) added.push(at * 8 + bit);
    }
    for (const index of added) this.set(index);
    return added;
  }

  /**
   * Returns the index of the first bit that is set in both bitfields, or -1.
   *
   * @param other Bitfield of the same length.
   */
  firstShared(other: Bitfield): number {
    for (let at = 0; at < this.#bytes.length; at++) {
      const shared = this.#bytes[at]! & other.#bytes[at]!;
      if (shared !== 0) return at * 8 + Math.clz32(shared) - 24;
    }
    return -1;
  }

  /**
   * Returns the number of bits that are set in both bitfields.
   *
   * @param other Bitfield of the same length.
   */
  countShared(other: Bitfield): number {
    let count = 0;
    for (let at = 0; at < this.#bytes.length; at++) count += ONES[this.#bytes[at]! & other.#bytes[at]!]!;
    return count;
  }

  /** Clears every bit. */
  clearAll(): void {
    this.#bytes.fill(0);
    this.#count = 0;
  }

  /** Returns a copy. */
  clone(): Bitfield {
    const copy = new Bitfield(this.length);
    copy.#bytes.set(this.#bytes);
    copy.#count = this.#count;
    return copy;
  }

  /**
   * Returns the same bits in a bitfield of another length.
   *
   * @param length Number of bits of the result.
   * @returns The bitfield, or `null` if a set bit would be out of range.
   * @throws {RangeError} If `length` is negative or not a whole number.
   */
  resized(length: number): Bitfield | null {
    const other = new Bitfield(length);
    const shared = Math.min(this.#bytes.length, other.#bytes.length);
    other.#bytes.set(this.#bytes.subarray(0, shared));
    const spare = shared * 8 - length;
    if (spare > 0) other.#bytes[shared - 1]! &= 255 << spare;
    for (let i = 0; i < shared; i++) other.#count += ONES[other.#bytes[i]!]!;
    return other.#count === this.#count ? other : null;
  }

  /** Returns a copy of the byte form, for a message or a file. */
  toBytes(): Bytes {
    return this.#bytes.slice();
  }

  /** Iterates over the indexes of the set bits, in order. */
  *[Symbol.iterator](): Generator<number, void, void> {
    for (let at = 0; at < this.#bytes.length; at++) {
      const byte = this.#bytes[at]!;
      if (byte === 0) continue;
      for (let bit = 0; bit < 8; bit++) if ((byte & (128 >> bit)) !== 0) yield at * 8 + bit;
    }
  }

  #check(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new RangeError(`A bitfield of ${this.length} bits has no bit ${index}`);
    }
  }
}
