/**
 * Bytes from outside, read whole but never past a limit.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** Bytes that there is room for at first. */
const FIRST_ROOM = 16 * 1024;

/**
 * Bytes that come in parts, in one buffer that grows as they come. A buffer that is too small is let go of at once, not when
 * memory is next looked through, so that what is held is what has come, or half as much again while it moves.
 */
export class GrowingBytes {
  readonly #maxBytes: number;
  #buffer: ArrayBuffer;
  #length = 0;

  /**
   * @param maxBytes Most bytes that are taken.
   * @param expected How many are to come, if that is known; memory that isn't used costs nothing.
   */
  constructor(maxBytes: number, expected = FIRST_ROOM) {
    this.#maxBytes = maxBytes;
    this.#buffer = new ArrayBuffer(Math.min(maxBytes, expected));
  }

  /**
   * Takes bytes.
   *
   * @param bytes They are copied.
   * @returns `false` if there are more than may be taken; then none of these are.
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

  /** Lets go of all of them at once. */
  drop(): void {
    this.#buffer.transfer(0);
    this.#buffer = new ArrayBuffer(0);
  }

  /** @returns All of them; nothing may be added afterwards. */
  done(): Bytes {
    if (this.#length * 2 < this.#buffer.byteLength) this.#buffer = this.#buffer.transfer(this.#length);
    return new Uint8Array(this.#buffer, 0, this.#length);
  }
}

/**
 * Reads a stream to its end.
 *
 * @param stream Any bytes.
 * @param maxBytes Most bytes that are taken; no more than that is ever held.
 * @returns All of them, or `null` when there are more.
 */
export async function readLimited(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Bytes | null> {
  const bytes = new GrowingBytes(maxBytes);
  // leaving the loop cancels the stream
  for await (const part of stream) if (!bytes.add(part)) return null;
  return bytes.done();
}
