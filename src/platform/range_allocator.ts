/**
 * Hands out ranges of an address space.
 *
 * @module
 */

/** Ranges begin at multiples of this many bytes, the size of a page. */
const GRANULE = 4096;

/**
 * Allocates ranges of an address space, each in the first gap that is large enough, so that pages that were used before
 * are used again.
 */
export class RangeAllocator {
  /** Beginnings and ends of the gaps, in order; no two gaps touch. */
  readonly #starts: number[];
  readonly #ends: number[];

  /** @param size Bytes of the address space, a multiple of 4096. */
  constructor(size: number) {
    this.#starts = [0];
    this.#ends = [size];
  }

  /**
   * Takes a range.
   *
   * @param length Bytes, at least 1.
   * @returns Offset of the range, or -1 if no gap is large enough.
   */
  take(length: number): number {
    const size = roundUp(length);
    for (let i = 0; i < this.#starts.length; i++) {
      const start = this.#starts[i]!;
      if (this.#ends[i]! - start < size) continue;
      if (this.#ends[i]! - start > size) this.#starts[i] = start + size;
      else {
        this.#starts.splice(i, 1);
        this.#ends.splice(i, 1);
      }
      return start;
    }
    return -1;
  }

  /**
   * Gives back a range.
   *
   * @param offset Offset of the range.
   * @param length Length with which it was taken.
   * @throws {RangeError} If a part of the range isn't taken.
   */
  give(offset: number, length: number): void {
    const end = offset + roundUp(length);
    let i = this.#starts.length;
    while (i > 0 && this.#starts[i - 1]! >= offset) i--;
    if ((i > 0 && this.#ends[i - 1]! > offset) || (i < this.#starts.length && this.#starts[i]! < end)) {
      throw new RangeError(`the range ${offset} to ${end} is not taken`);
    }
    const joinsBefore = i > 0 && this.#ends[i - 1] === offset;
    const joinsAfter = i < this.#starts.length && this.#starts[i] === end;
    if (joinsBefore && joinsAfter) {
      this.#starts.splice(i, 1);
      this.#ends.splice(i - 1, 1);
    } else if (joinsBefore) this.#ends[i - 1] = end;
    else if (joinsAfter) this.#starts[i] = offset;
    else {
      this.#starts.splice(i, 0, offset);
      this.#ends.splice(i, 0, end);
    }
  }
}

function roundUp(length: number): number {
  return Math.ceil(length / GRANULE) * GRANULE;
}
