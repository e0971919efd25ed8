/**
 * Memory for data on its way between sockets and files.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";

/** Source of buffers for data, which other threads may work on where they are. */
export interface DataMemory {
  /** Returns a buffer of `length` bytes with arbitrary content. */
  allocate(length: number): Bytes;
  /**
   * Takes back a buffer, whole. Nothing may use it any more, not even a read or write under way. A buffer that is not of
   * this memory is left alone.
   */
  free(buffer: Bytes): void;
  /**
   * Copies bytes from one buffer to another. The buffers need not be of this memory. Within one buffer, bytes may be
   * copied to a place before the source.
   *
   * @param to Target.
   * @param at Offset of the first byte in the target.
   * @param from Source.
   * @param begin Offset of the first byte in the source.
   * @param length Number of bytes.
   */
  copy(to: Bytes, at: number, from: Bytes, begin: number, length: number): void;
  /** Ends the threads that work on the memory, unless others use them. The memory may still be used. */
  close(): void;
}

/** Memory of the engine, for platforms without threads. */
export const PLAIN_MEMORY: DataMemory = {
  allocate: (length) => new Uint8Array(length),
  free() {},
  copy(to, at, from, begin, length) {
    to.set(begin === 0 && length === from.length ? from : from.subarray(begin, begin + length), at);
  },
  close() {},
};
