/**
 * Reads streams whole, but never beyond a limit.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** Initial capacity in bytes. */
const FIRST_ROOM = 16 * 1024;

/**
 * A buffer that grows as parts arrive. A buffer that has become too small is freed at once instead of at the next
 * garbage collection. So the memory in use is the size of the data, or half as much again while it is moved.
 */
export class GrowingBytes {
  readonly #maxBytes: number;
  #buffer: ArrayBuffer;
  #length = 0;

  /**
   * @param maxBytes Most bytes that are accepted.
   * @param expected Expected number of bytes, if known. Memory that isn't written to costs nothing.
   */
  constructor(maxBytes: number, expected = FIRST_ROOM) {
    this.#maxBytes = maxBytes;
    this.#buffer = new ArrayBuffer(Math.min(maxBytes, expected));
  }

  /**
   * Appends a copy of bytes.
   *
   * @returns `false` if the limit would be exceeded. Then nothing is appended.
   */
  add(bytes: Uint8Array): boolean {
    const length = this.#length + bytes.length;
    if (length > this.#maxBytes) return false;
    if (length > this.#buffer.byteLength) {
      const room = Math.max(length, FIRST_ROOM, this.#buffer.byteLength * 2);
      this.#buffer = this.#buffer.transfer(Math.min(this.#maxBytes, room));
    }
    new Uint8Array(this.#buffer).set(bytes, this.#length);
    this.#length = length;
    return true;
  }

  /** Frees the memory at once. */
  drop(): void {
    this.#buffer.transfer(0);
    this.#buffer = new ArrayBuffer(0);
  }

  /** Returns all bytes. Nothing may be added afterwards. */
  done(): Bytes {
    if (this.#length * 2 < this.#buffer.byteLength) this.#buffer = this.#buffer.transfer(this.#length);
    return new Uint8Array(this.#buffer, 0, this.#length);
  }
}

/**
 * Reads a stream to its end.
 *
 * @param stream Stream to read.
 * @param maxBytes Most bytes that are accepted, and ever held.
 * @returns All bytes, or `null` if there are more than `maxBytes`.
 */
export async function readLimited(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Bytes | null> {
  const bytes = new GrowingBytes(maxBytes);
  // Leaving the loop cancels the stream.
  for await (const part of stream) if (!bytes.add(part)) return null;
  return bytes.done();
}
