/**
 * Writes pieces to files: several at a time, small neighbouring writes merged.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { DataMemory } from "../base/data_memory.ts";
import type { FileHandle } from "../platform/platform.ts";
import type { FileMap, FileRange } from "./layout.ts";
import type { OpenFiles } from "./open_files.ts";

/** Options for {@linkcode PieceWriter}. */
export interface PieceWriterOptions {
  /** Files of the torrent. */
  readonly open: OpenFiles;
  /** Memory for merged writes. */
  readonly memory: DataMemory;
  /**
   * Called before the last byte of a file is written. If it rejects, the byte is not written, and the write fails with
   * that error.
   */
  beforeEnd(file: number, handle: FileHandle): Promise<void>;
  /** Called when bytes of a file were written. */
  onWrote(file: number): void;
  /** Called when all bytes of a piece were written. */
  onPiece(index: number): void;
}

/** A piece, or a part of a piece, that is being written. */
interface Job {
  /** Index of the piece; `null` for a part. */
  readonly index: number | null;
  readonly bytes: number;
  /** Number of ranges that are not written yet. */
  left: number;
  failure: { readonly thrown: unknown } | null;
  readonly resolve: () => void;
  readonly reject: (thrown: unknown) => void;
}

/** One range of a piece. */
interface Write {
  readonly job: Job;
  readonly position: number;
  readonly data: Bytes;
}

/** The writes that wait for one file. */
interface FileQueue {
  readonly file: number;
  writes: Write[];
  /** Whether the file is in line. */
  inLine: boolean;
  /** Batches of writes that are under way. */
  active: number;
}

/**
 * Batches of writes that are under way at one time. Several for one file let its disk thread go on without waiting for
 * this one.
 */
const PARALLEL = 4;
/** Neighbouring writes of up to this many bytes together are merged into one. */
const MERGE_BYTES = 1024 * 1024;
/** Merging copies the data. For a write larger than this the copy costs more than it saves. */
const MERGE_LARGEST = 256 * 1024;
/** Merged writes that may still be started, in all torrents together. While there is none, writes are not merged. */
let mergesLeft = 4;

/** Writes the pieces of one torrent. */
export class PieceWriter {
  readonly #map: FileMap;
  readonly #options: PieceWriterOptions;
  readonly #queues = new Map<number, FileQueue>();
  readonly #line: FileQueue[] = [];
  readonly #jobs = new Map<number, Promise<void>>();
  #active = 0;
  #bytesWaiting = 0;
  #idle: (() => void)[] = [];

  constructor(map: FileMap, options: PieceWriterOptions) {
    this.#map = map;
    this.#options = options;
  }

  /**
   * Writes a piece. If the piece is already being written, returns the promise of that write.
   *
   * @param index Index of the piece.
   * @param data All bytes of the piece. They must not change until the promise settles.
   * @throws {ShoalError} If a file can't be written. A part of the piece may be on disk then.
   */
  write(index: number, data: Bytes): Promise<void> {
    const underWay = this.#jobs.get(index);
    if (underWay !== undefined) return underWay;
    const { job, promise } = this.#begin(index, this.#map.rangesOfPiece(index), data);
    this.#jobs.set(index, promise);
    this.#done(job, null);
    return promise;
  }

  /**
   * Writes bytes of a piece that is not verified. Bytes for the same place may be passed again only after the promise has
   * settled.
   *
   * @param offset Offset of the first byte in the torrent.
   * @param data Bytes to write. They must not change until the promise settles.
   * @throws {ShoalError} If a file can't be written.
   */
  writePart(offset: number, data: Bytes): Promise<void> {
    const { job, promise } = this.#begin(null, this.#map.ranges(offset, data.length), data);
    this.#done(job, null);
    return promise;
  }

  #begin(
    index: number | null,
    ranges: readonly FileRange[],
    data: Bytes,
  ): { readonly job: Job; readonly promise: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // One more than there are ranges, because a piece that is only padding has no range.
    const job: Job = { index, bytes: data.length, left: ranges.length + 1, failure: null, resolve, reject };
    this.#bytesWaiting += data.length;
    for (const range of ranges) {
      const part = range.length === data.length ? data : data.subarray(range.at, range.at + range.length);
      this.#enqueue(range.file, { job, position: range.position, data: part });
    }
    return { job, promise };
  }

  /** Waits until no write is queued or running. Never rejects. */
  idle(): Promise<void> {
    if (this.#bytesWaiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #enqueue(file: number, write: Write): void {
    let queue = this.#queues.get(file);
    if (queue === undefined) this.#queues.set(file, queue = { file, writes: [], inLine: false, active: 0 });
    queue.writes.push(write);
    // Small writes wait for the batch under way, so that they can be merged.
    if (queue.active === 0 || write.data.length > MERGE_LARGEST) this.#putInLine(queue);
    if (this.#active < PARALLEL) void this.#work();
  }

  #putInLine(queue: FileQueue): void {
    if (queue.inLine) return;
    queue.inLine = true;
    this.#line.push(queue);
  }

  /** Writes files from the line until it is empty. Never rejects: errors go to the jobs. */
  async #work(): Promise<void> {
    this.#active++;
    for (let queue = this.#line.shift(); queue !== undefined; queue = this.#line.shift()) {
      const writes = queue.writes;
      queue.writes = [];
      queue.inLine = false;
      queue.active++;
      await this.#writeAll(queue.file, writes);
      queue.active--;
      if (queue.writes.length > 0) this.#putInLine(queue); // to the end, so that every file gets its turn
      else if (queue.active === 0) this.#queues.delete(queue.file);
    }
    this.#active--;
  }

  async #writeAll(file: number, writes: Write[]): Promise<void> {
    const { open } = this.#options;
    let handle;
    try {
      handle = open.tryAcquire(file) ?? await open.acquire(file);
    } catch (thrown) {
      for (const { job } of writes) this.#done(job, { thrown });
      return;
    }
    if (writes.length > 1) writes.sort((a, b) => a.position - b.position);
    for (let from = 0, to = 0; from < writes.length; from = to) {
      to = endOfRun(writes, from);
      const isMerged = to - from > 1 && mergesLeft > 0;
      if (!isMerged) to = from + 1;
      let merged: Bytes | null = null;
      let failure: Job["failure"] = null;
      try {
        const first = writes[from]!;
        const last = writes[to - 1]!;
        if (last.position + last.data.length === this.#map.file(file).length) {
          await this.#options.beforeEnd(file, handle);
        }
        if (isMerged) merged = this.#merge(writes, { from, to });
        await handle.write(merged ?? first.data, first.position);
      } catch (thrown) {
        failure = { thrown };
      }
      if (merged !== null) this.#unmerge(merged);
      // A failed write may have written some bytes, too.
      this.#options.onWrote(file);
      for (let i = from; i < to; i++) this.#done(writes[i]!.job, failure);
    }
    open.release(file);
  }

  /** Copies adjacent writes into one buffer. */
  #merge(writes: readonly Write[], run: { readonly from: number; readonly to: number }): Bytes {
    const { memory } = this.#options;
    const last = writes[run.to - 1]!;
    const buffer = memory.allocate(last.position + last.data.length - writes[run.from]!.position);
    mergesLeft--;
    let at = 0;
    for (let i = run.from; i < run.to; i++) {
      const { data } = writes[i]!;
      memory.copy(buffer, at, data, 0, data.length);
      at += data.length;
    }
    return buffer;
  }

  #unmerge(buffer: Bytes): void {
    mergesLeft++;
    this.#options.memory.free(buffer);
  }

  /** Counts a range as done. The job settles with its last range, because its data may be in use until then. */
  #done(job: Job, failure: Job["failure"]): void {
    job.failure ??= failure;
    if (--job.left > 0) return;
    this.#bytesWaiting -= job.bytes;
    if (job.index !== null) this.#jobs.delete(job.index);
    if (job.failure !== null) {
      job.reject(job.failure.thrown);
    } else {
      if (job.index !== null) this.#options.onPiece(job.index);
      job.resolve();
    }
    if (this.#bytesWaiting > 0) return;
    for (const go of this.#idle.splice(0)) go();
  }
}

/** Returns the end of the run of adjacent writes that begins at `from`. */
function endOfRun(writes: readonly Write[], from: number): number {
  let { position, data } = writes[from]!;
  let bytes = data.length;
  let to = from + 1;
  for (; to < writes.length; to++) {
    const next = writes[to]!;
    if (data.length > MERGE_LARGEST || next.data.length > MERGE_LARGEST || next.position !== position + data.length) {
      break;
    }
    bytes += next.data.length;
    if (bytes > MERGE_BYTES) break;
    ({ position, data } = next);
  }
  return to;
}
