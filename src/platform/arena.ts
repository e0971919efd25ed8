/**
 * Memory that all threads share, and the disk threads that work on it.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES, MERKLE_BLOCK } from "../base/merkle.ts";
import { type DataMemory, PLAIN_MEMORY } from "../base/data_memory.ts";
import { type CopyMemory, copyMemoryOf } from "./copy_memory.ts";
import { type ArenaData, DiskThreads, mayStartThreads } from "./disk_threads.ts";
import type { BlockHashes, BlockHashOptions } from "./platform.ts";
import { RangeAllocator } from "./range_allocator.ts";

/** Bytes of a page of WebAssembly. */
const PAGE = 64 * 1024;
/** Most pages: all that a 32-bit address reaches, less one. */
const MOST_PAGES = 65_535;
/**
 * Bytes beyond the budget, for the receive and send buffers of peers, and for gaps between ranges. Memory that is never
 * touched takes only addresses.
 */
const SLACK = 64 * 1024 * 1024;
/** Sources and targets are aligned alike if they are equal modulo this many bytes. */
const WORD = 8;
/** Fewer bytes than this are worked on in less time than it takes to hand them to a thread and to come back to its result. */
const LEAST_FOR_THREAD = 128 * 1024;
/** Bytes that are copied through the staging buffer at a time. */
const STAGING = 64 * 1024;

/** Threads of the program while an arena is open. */
let threads: DiskThreads | null = null;
/** Open arenas by their memory. */
const arenas = new Map<ArrayBufferLike, Arena>();
let arenaCount = 0;
/** Whether threads may be started; unknown before the first attempt. */
let mayStart: boolean | null = null;

/** Shared memory, as far as there is some. */
interface SharedPart {
  readonly buffer: ArrayBuffer;
  readonly copy: CopyMemory;
  readonly ranges: RangeAllocator;
  /** Offset of the staging buffer. */
  readonly staging: number;
}

/**
 * Memory that hands out shared buffers. It is opened with the first buffer. When it is used up, or the system grants no
 * address space for it, it hands out memory of the engine instead.
 */
class Arena implements DataMemory {
  /** Number by which the threads know the arena. */
  readonly number = arenaCount++;
  readonly #pages: number;
  /** The shared part; `null` before the first buffer, `false` if there can't be one. */
  #shared: SharedPart | null | false = null;
  #isClosed = false;

  constructor(bytes: number) {
    this.#pages = Math.min(MOST_PAGES, Math.ceil((bytes + SLACK) / PAGE));
  }

  allocate(length: number): Bytes {
    this.#shared ??= !this.#isClosed && this.#open();
    const offset = this.#shared ? this.#shared.ranges.take(length) : -1;
    return this.#shared && offset >= 0
      ? new Uint8Array(this.#shared.buffer, offset, length)
      : PLAIN_MEMORY.allocate(length);
  }

  free(buffer: Bytes): void {
    if (this.#shared && buffer.buffer === this.#shared.buffer) {
      this.#shared.ranges.give(buffer.byteOffset, buffer.length);
    }
  }

  copy(to: Bytes, at: number, from: Bytes, begin: number, length: number): void {
    if (begin + length > from.length || at + length > to.length) throw new RangeError("the copy leaves its buffers");
    const shared = this.#shared;
    if (!shared || to.buffer !== shared.buffer) return PLAIN_MEMORY.copy(to, at, from, begin, length);
    const target = to.byteOffset + at;
    const source = from.byteOffset + begin;
    if (from.buffer === shared.buffer) return shared.copy(target, source, length);
    if ((target - source) % WORD === 0) return PLAIN_MEMORY.copy(to, at, from, begin, length);
    // Two fast copies take half of the time of one that goes byte by byte.
    for (let done = 0; done < length; done += STAGING) {
      const part = Math.min(STAGING, length - done);
      const staged = shared.staging + (source + done) % WORD;
      new Uint8Array(shared.buffer, staged, part).set(from.subarray(begin + done, begin + done + part));
      shared.copy(target + done, staged, part);
    }
  }

  close(): void {
    this.#isClosed = true;
    if (!this.#shared || !arenas.delete(this.#shared.buffer)) return;
    threads?.removeArena(this.number);
    if (arenas.size > 0) return;
    threads?.end();
    threads = null;
  }

  #open(): SharedPart | false {
    let memory, copy;
    try {
      memory = new WebAssembly.Memory({ initial: this.#pages, maximum: this.#pages, shared: true });
      copy = copyMemoryOf(memory);
    } catch (thrown) {
      // No address space, or a processor without the instructions of the routine.
      if (!(thrown instanceof RangeError || thrown instanceof WebAssembly.CompileError)) throw thrown;
      return false;
    }
    const buffer = memory.buffer as ArrayBufferLike as ArrayBuffer;
    const ranges = new RangeAllocator(this.#pages * PAGE);
    const staging = ranges.take(STAGING + WORD);
    arenas.set(buffer, this);
    threads?.addArena(this.number, buffer);
    return { buffer, copy, ranges, staging };
  }
}

/**
 * Opens memory that the disk threads share.
 *
 * @param bytes Bytes that will be in use at most, besides the buffers of connections.
 * @returns The memory, which has to be closed.
 */
export function openMemory(bytes: number): DataMemory {
  return new Arena(bytes);
}

/**
 * Returns data as disk threads know it, or `null` if it isn't in an open arena, or too little to be handed to a thread.
 *
 * @param bytes The data.
 * @param work Bytes that are to be worked on, if they are more.
 */
export function arenaData(bytes: Bytes, work: number = bytes.length): ArenaData | null {
  const arena = work < LEAST_FOR_THREAD ? undefined : arenas.get(bytes.buffer);
  return arena === undefined ? null : { arena: arena.number, bytes };
}

/**
 * Computes the digests of blocks in a disk thread; see `Platform.blockHashes`.
 *
 * @returns The digests; `null` if the caller's thread has to compute them, because the data isn't in an open arena or is
 * too little, or there is no thread.
 */
export async function hashBlocksInThread(
  data: Bytes,
  leaves: number,
  { sha1Padding = null }: BlockHashOptions,
): Promise<BlockHashes | null> {
  const shared = arenaData(data, data.length + (sha1Padding ?? 0));
  const pool = shared && diskThreads();
  if (!shared || !pool) return null;
  const arena = arenas.get(data.buffer)!;
  const length = Math.ceil(data.length / MERKLE_BLOCK) * HASH_BYTES;
  const target = arena.allocate(length + HASH_BYTES);
  try {
    const options = { leaves, target, sha1Padding };
    const done = target.buffer === data.buffer ? pool.hashBlocks(shared, options) : null;
    if (done === null) return null;
    const sha1 = await done;
    return { blocks: target.slice(0, length), root: target.slice(length), ...(sha1 !== null && { sha1 }) };
  } finally {
    arena.free(target);
  }
}

/** Returns the disk threads, which are started on first use, while an arena is open; otherwise `null`. */
export function diskThreads(): DiskThreads | null {
  if (threads !== null || arenas.size === 0 || !(mayStart ??= mayStartThreads())) return threads;
  threads = new DiskThreads(navigator.hardwareConcurrency);
  for (const [buffer, arena] of arenas) threads.addArena(arena.number, buffer);
  return threads;
}

/** Hands out the results of the disk threads that have come. */
export function collectResults(): void {
  threads?.collect();
}
