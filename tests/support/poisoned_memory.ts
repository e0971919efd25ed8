/**
 * Memory that finds buffers which are used after they were freed.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { type DataMemory, PLAIN_MEMORY } from "../../src/base/data_memory.ts";

/** Overwrites what is freed, and throws when a buffer is freed twice or copied from or to after it was freed. */
export class PoisonedMemory implements DataMemory {
  readonly #inUse = new Set<ArrayBuffer>();
  readonly #freed = new WeakSet<ArrayBuffer>();

  /** Number of buffers that were allocated and not freed. */
  get inUse(): number {
    return this.#inUse.size;
  }

  allocate(length: number): Bytes {
    const buffer = new Uint8Array(length);
    this.#inUse.add(buffer.buffer);
    return buffer;
  }

  free(buffer: Bytes): void {
    this.#check(buffer);
    if (!this.#inUse.delete(buffer.buffer)) return; // it isn't of this memory, which is allowed
    this.#freed.add(buffer.buffer);
    buffer.fill(0xdd);
  }

  copy(to: Bytes, at: number, from: Bytes, begin: number, length: number): void {
    this.#check(to);
    this.#check(from);
    PLAIN_MEMORY.copy(to, at, from, begin, length);
  }

  close(): void {}

  #check({ buffer }: Bytes): void {
    if (this.#freed.has(buffer)) throw new Error("a buffer is used after it was freed");
  }
}
