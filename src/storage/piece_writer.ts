/**
 * Writes pieces: in turn within a file, several files at a time.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { FileHandle } from "../platform/platform.ts";
import type { FileMap, FileRange } from "./layout.ts";
import type { OpenFiles } from "./open_files.ts";

/** What {@linkcode PieceWriter} works with. */
export interface PieceWriterOptions {
  /** The files. */
  readonly open: OpenFiles;
  /** Called before the last byte of a file is written; what it throws is why that is not done. */
  beforeEnd(file: number, handle: FileHandle): Promise<void>;
  /** Told that bytes of a file were written. */
  onWrote(file: number): void;
  /** Told that all of a piece was written. */
  onPiece(index: number): void;
}

/** One piece, or a part of one, on its way. */
interface Job {
  /** Which piece; `null` for a part. */
  readonly index: number | null;
  readonly bytes: number;
  /** Ranges that aren't done. */
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

/** What waits for one file. */
interface FileQueue {
  readonly file: number;
  writes: Write[];
  /** Whether it is being written or in line for that. */
  scheduled: boolean;
}

/** Files that are written at one time. */
const PARALLEL = 4;
/** Neighbours up to this size together are written in one go. */
const MERGE_BYTES = 1024 * 1024;
/** Copying a write that is larger than this to merge it costs more than it saves. */
const MERGE_LARGEST = 256 * 1024;
/** Buffers to merge in, for all torrents together; where there is none free, nothing is merged. */
const MERGE_BUFFERS: Bytes[] = [];
let mergeBuffersLeft = 4;

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

  /**
   * @param map The torrent.
   * @param options Where to write and whom to tell.
   */
  constructor(map: FileMap, options: PieceWriterOptions) {
    this.#map = map;
    this.#options = options;
  }

  /**
   * Writes a piece. One that is being written already isn't written twice.
   *
   * @param index Which.
   * @param data All of it; must not change until the promise settles.
   * @throws {ShoalError} If a file can't be written; some of the piece may be on disk then.
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
   * Writes bytes of a piece that isn't verified. What is given for the same bytes later is written later.
   *
   * @param offset First byte, counted over the whole torrent.
   * @param data The bytes; must not change until the promise settles.
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
    // One more than there are ranges: what is nothing but padding has none.
    const job: Job = { index, bytes: data.length, left: ranges.length + 1, failure: null, resolve, reject };
    this.#bytesWaiting += data.length;
    for (const range of ranges) {
      const part = range.length === data.length ? data : data.subarray(range.at, range.at + range.length);
      this.#enqueue(range.file, { job, position: range.position, data: part });
    }
    return { job, promise };
  }

  /** Waits until nothing is waiting. Never fails. */
  idle(): Promise<void> {
    if (this.#bytesWaiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #enqueue(file: number, write: Write): void {
    let queue = this.#queues.get(file);
    if (queue === undefined) this.#queues.set(file, queue = { file, writes: [], scheduled: false });
    queue.writes.push(write);
    if (queue.scheduled) return;
    queue.scheduled = true;
    this.#line.push(queue);
    if (this.#active < PARALLEL) void this.#work();
  }

  /** Takes files from the line until it is empty. Never fails: what goes wrong goes to the jobs. */
  async #work(): Promise<void> {
    this.#active++;
    for (let queue = this.#line.shift(); queue !== undefined; queue = this.#line.shift()) {
      const writes = queue.writes;
      queue.writes = [];
      await this.#writeAll(queue.file, writes);
      if (queue.writes.length > 0) {
        this.#line.push(queue); // at the end, so that every file gets its turn
      } else {
        queue.scheduled = false;
        this.#queues.delete(queue.file);
      }
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
      const buffer = to - from > 1 ? takeMergeBuffer() : null;
      if (buffer === null) to = from + 1;
      let failure: Job["failure"] = null;
      try {
        const first = writes[from]!;
        const last = writes[to - 1]!;
        if (last.position + last.data.length === this.#map.file(file).length) {
          await this.#options.beforeEnd(file, handle);
        }
        await handle.write(buffer === null ? first.data : merge(writes, { from, to, buffer }), first.position);
      } catch (thrown) {
        failure = { thrown };
      }
      if (buffer !== null) MERGE_BUFFERS.push(buffer);
      // Even a write that failed may have written something.
      this.#options.onWrote(file);
      for (let i = from; i < to; i++) this.#done(writes[i]!.job, failure);
    }
    open.release(file);
  }

  /** One range is done. The job settles with its last range: until then its data may still be in use. */
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

function takeMergeBuffer(): Bytes | null {
  const kept = MERGE_BUFFERS.pop();
  if (kept !== undefined || mergeBuffersLeft === 0) return kept ?? null;
  mergeBuffersLeft--;
  return new Uint8Array(MERGE_BYTES);
}

/** Where the run of neighbours that begins at `from` ends. */
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

function merge(
  writes: readonly Write[],
  run: { readonly from: number; readonly to: number; readonly buffer: Bytes },
): Bytes {
  let at = 0;
  for (let i = run.from; i < run.to; i++) {
    run.buffer.set(writes[i]!.data, at);
    at += writes[i]!.data.length;
  }
  return run.buffer.subarray(0, at);
}
