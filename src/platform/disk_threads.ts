/**
 * The main thread's side of disk threads: posts operations to them, and hands out what comes back.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import {
  Count,
  type Failure,
  Operation,
  RING_BYTES,
  RING_SLOTS,
  Slot,
  slotAt,
  Status,
  type ThreadMessage,
} from "./disk_ring.ts";

const WORKER = new URL("./disk_worker.ts", import.meta.url);
/** Most threads. More of them don't make a disk faster, and each takes some ten MiB. */
const MOST_THREADS = 8;
/** Files that a thread keeps open. They are open a second time on the main thread. */
const FILES_PER_THREAD = 32;
/** What an operation counts for, in addition to its data, where threads are compared: as much as some bytes. */
const LEAST_LOAD = 4096;

/** Data in an arena. */
export interface ArenaData {
  /** Number of the arena. */
  readonly arena: number;
  /** The data. */
  readonly bytes: Bytes;
}

/** Options for {@linkcode DiskThreads.hashBlocks}. */
export interface HashBlocksOptions {
  /** Leaves of the Merkle tree; see `Platform.blockHashes`. */
  readonly leaves: number;
  /** Takes the digests of the blocks and, after them, the root. Must be in the same arena as the data. */
  readonly target: Bytes;
  /** See `BlockHashOptions.sha1Padding`. */
  readonly sha1Padding: number | null;
}

/** An operation that is posted and whose result hasn't been read. */
interface Pending {
  /** Bytes to work on. */
  readonly bytes: number;
  /** Reads the result from the slot of the operation. */
  readonly read: (slot: number) => void;
  readonly reject: (error: Error) => void;
}

/** An operation that waits for a free slot. */
interface Waiting {
  readonly fill: (slot: number) => void;
  readonly pending: Pending;
}

/** A file that a disk thread has open, too. */
export interface ThreadFile {
  /** Whether the thread takes no more. */
  readonly isLost: boolean;
  /**
   * Writes data.
   *
   * @returns Number of bytes written, less than all only if the file system takes no more.
   */
  write(data: ArenaData, position: number): Promise<number>;
  /** Closes the file after the operations posted before. Settles when it is closed, and never rejects. */
  close(): Promise<void>;
}

/** One thread. It ends with the first fault in its own code; its operations fail then, and there are no more. */
class DiskThread {
  readonly #worker: Worker;
  readonly #ring: Int32Array;
  readonly #unsigned: Uint32Array;
  readonly #bytes: Bytes;
  #posted = 0;
  #read = 0;
  /** The posted operations, in order. */
  #pending: Pending[] = [];
  #waiting: Waiting[] = [];
  /** Operations whose results say that they failed, by number, and the errors of which messages tell. */
  readonly #failed = new Map<number, PromiseWithResolvers<Error>>();
  #failure: Error | null = null;
  #hasEnded = false;
  /** What the thread has to do, in bytes; an operation without data counts as some. */
  #load = 0;
  #files = 0;
  #fileCount = 0;

  constructor() {
    const ring = new SharedArrayBuffer(RING_BYTES);
    this.#ring = new Int32Array(ring);
    this.#unsigned = new Uint32Array(ring);
    this.#bytes = new Uint8Array(ring as ArrayBufferLike as ArrayBuffer);
    this.#worker = new Worker(WORKER, { type: "module", name: "disk" });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Failure | null>) => {
      this.collect();
      if (data !== null) this.#fail(data);
    });
    this.#worker.addEventListener("messageerror", () => this.#break(new Error("an answer was lost")));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault(); // the program goes on without the thread
      this.#break(new Error(event.message));
    });
    this.#send({ kind: "start", ring });
  }

  /** Whether the thread takes no more. */
  get isLost(): boolean {
    return this.#failure !== null || this.#hasEnded;
  }

  /** What the thread has to do, in bytes. */
  get load(): number {
    return this.#load;
  }

  /** Whether the thread can open another file. */
  get mayOpen(): boolean {
    return this.#files < FILES_PER_THREAD;
  }

  /** Makes an arena known to the thread, or forgets it. */
  setArena(arena: number, buffer: ArrayBufferLike | null): void {
    void this.#message({ kind: "arena", arena, buffer }).catch(() => {}); // what needs the thread fails by itself
  }

  /** Computes a SHA-1 digest. The data must not change until the promise settles. */
  hash(data: ArenaData): Promise<Bytes> {
    return this.#post(
      data.bytes.length,
      (slot) => this.#fill(slot, Operation.hash, data),
      (slot) => this.#sha1At(slot),
    );
  }

  /** Hashes blocks; see {@linkcode DiskThreads.hashBlocks}. */
  hashBlocks(data: ArenaData, options: HashBlocksOptions): Promise<Bytes | null> {
    const { sha1Padding } = options;
    const fill = (slot: number) => {
      this.#fill(slot, Operation.hashBlocks, data);
      this.#ring[slot + Slot.leaves] = options.leaves;
      this.#unsigned[slot + Slot.target] = options.target.byteOffset;
      this.#ring[slot + Slot.sha1Padding] = sha1Padding ?? -1;
    };
    return this.#post(data.bytes.length, fill, (slot) => sha1Padding === null ? null : this.#sha1At(slot));
  }

  #sha1At(slot: number): Bytes {
    const at = 4 * (slot + Slot.digest);
    return this.#bytes.slice(at, at + 20);
  }

  /** Opens a file for writing. Returns `null` if it can't. */
  async open(path: string, id: string): Promise<ThreadFile | null> {
    this.#files++;
    const file = this.#fileCount++;
    let status: number = Status.declined;
    try {
      status = await this.#message({ kind: "open", file, path, id });
    } finally {
      if (status !== Status.done) this.#files--;
    }
    if (status !== Status.done) return null;
    const isLost = () => this.isLost;
    return {
      get isLost() {
        return isLost();
      },
      write: (data, position) => this.#write(file, data, position),
      close: () => {
        this.#files--;
        const close = (slot: number) => {
          this.#ring[slot + Slot.operation] = Operation.close;
          this.#ring[slot + Slot.file] = file;
        };
        return this.#post(0, close, () => {}).catch(() => {}); // errors don't matter any more: the data was written
      },
    };
  }

  /** Hands out the results that have come. */
  collect(): void {
    const done = Atomics.load(this.#ring, Count.done);
    if (done === this.#read || this.#failure !== null) return;
    let taken = 0;
    while (this.#read !== done) {
      const pending = this.#pending[taken++]!;
      const slot = slotAt(this.#read);
      this.#load -= LEAST_LOAD + pending.bytes;
      if (this.#ring[slot + Slot.status] === Status.failed) void this.#errorOf(this.#read).then(pending.reject);
      else pending.read(slot);
      this.#read = (this.#read + 1) | 0;
    }
    this.#pending.splice(0, taken);
    Atomics.store(this.#ring, Count.read, this.#read);
    while (this.#waiting.length > 0 && this.#pending.length < RING_SLOTS) {
      const { fill, pending } = this.#waiting.shift()!;
      this.#put(fill, pending);
    }
  }

  /** Ends the thread when it has done what it was given, whose results it still tells. */
  end(): void {
    if (this.isLost) return;
    void this.#message({ kind: "end" }).catch(() => {}); // it has no result
    this.#hasEnded = true;
  }

  #write(file: number, data: ArenaData, position: number): Promise<number> {
    return this.#post(data.bytes.length, (slot) => {
      this.#fill(slot, Operation.write, data);
      this.#ring[slot + Slot.file] = file;
      this.#ring[slot + Slot.positionHigh] = Math.floor(position / 2 ** 32);
      this.#unsigned[slot + Slot.positionLow] = position % 2 ** 32;
    }, (slot) => this.#ring[slot + Slot.count]!);
  }

  #fill(slot: number, operation: number, { arena, bytes }: ArenaData): void {
    this.#ring[slot + Slot.operation] = operation;
    this.#ring[slot + Slot.arena] = arena;
    this.#unsigned[slot + Slot.offset] = bytes.byteOffset;
    this.#unsigned[slot + Slot.length] = bytes.length;
  }

  /** Sends a message in its turn among the operations. Returns the status of the operation that takes it. */
  #message(message: ThreadMessage): Promise<number> {
    const fill = (slot: number) => {
      this.#ring[slot + Slot.operation] = Operation.message;
      this.#send(message);
    };
    return this.#post(0, fill, (slot) => this.#ring[slot + Slot.status]!);
  }

  #send(message: ThreadMessage): void {
    this.#worker.postMessage(message);
  }

  /**
   * Posts an operation.
   *
   * @param bytes Bytes to work on.
   * @param fill Fills the slot of the operation.
   * @param result Reads the result from the slot.
   */
  #post<T>(bytes: number, fill: (slot: number) => void, result: (slot: number) => T): Promise<T> {
    if (this.isLost) return Promise.reject(this.#failure ?? new Error("the disk threads have ended"));
    this.#load += LEAST_LOAD + bytes;
    return new Promise((resolve, reject) => {
      const pending: Pending = { bytes, read: (slot) => resolve(result(slot)), reject };
      if (this.#pending.length < RING_SLOTS && this.#waiting.length === 0) this.#put(fill, pending);
      else this.#waiting.push({ fill, pending });
    });
  }

  #put(fill: (slot: number) => void, pending: Pending): void {
    fill(slotAt(this.#posted));
    this.#pending.push(pending);
    this.#posted = (this.#posted + 1) | 0;
    Atomics.store(this.#ring, Count.posted, this.#posted);
    Atomics.notify(this.#ring, Count.posted);
  }

  /** Takes the error of an operation. It may come before the result or after it. */
  #fail({ operation, name, message, code }: Failure): void {
    const error = Object.assign(new Error(message), { name });
    this.#failureOf(operation).resolve(code === undefined ? error : Object.assign(error, { code }));
  }

  async #errorOf(operation: number): Promise<Error> {
    const error = await this.#failureOf(operation).promise;
    this.#failed.delete(operation);
    return error;
  }

  #failureOf(operation: number): PromiseWithResolvers<Error> {
    let failure = this.#failed.get(operation);
    if (failure === undefined) this.#failed.set(operation, failure = Promise.withResolvers());
    return failure;
  }

  #break(cause: Error): void {
    if (this.#failure !== null) return;
    this.collect(); // what it has done before
    this.#failure = new Error(`a disk thread has failed: ${cause.message}`, { cause });
    this.#worker.terminate();
    for (const { reject } of this.#pending) reject(this.#failure);
    for (const { pending } of this.#waiting) pending.reject(this.#failure);
    for (const { resolve } of this.#failed.values()) resolve(this.#failure);
    this.#pending = [];
    this.#waiting = [];
  }
}

/** Returns `true` if the program may start threads: one that is run from source needs to read theirs. */
export function mayStartThreads(): boolean {
  if (WORKER.protocol !== "file:") return true;
  return Deno.permissions.querySync({ name: "read", path: WORKER }).state === "granted";
}

/** The disk threads of the program. */
export class DiskThreads {
  readonly #threads: DiskThread[];

  /** @param cores Processors of the machine. One is left to the main thread. */
  constructor(cores: number) {
    const count = Math.max(1, Math.min(MOST_THREADS, cores - 1));
    this.#threads = Array.from({ length: count }, () => new DiskThread());
  }

  /** Makes an arena known to the threads. */
  addArena(arena: number, buffer: ArrayBufferLike): void {
    for (const thread of this.#threads) thread.setArena(arena, buffer);
  }

  /** Lets the threads forget an arena, once they have done what they were given. */
  removeArena(arena: number): void {
    for (const thread of this.#threads) thread.setArena(arena, null);
  }

  /** Computes a SHA-1 digest. The data must not change until the promise settles. Returns `null` without a thread. */
  hash(data: ArenaData): Promise<Bytes> | null {
    return this.#leastBusy()?.hash(data) ?? null;
  }

  /**
   * Computes the SHA-256 digests of the blocks of data, and the root of the Merkle tree above them. The data must not
   * change, nor the target be used, until the promise settles. Resolves with the SHA-1 digest if it is wanted, else
   * with `null`. Returns `null` without a thread.
   */
  hashBlocks(data: ArenaData, options: HashBlocksOptions): Promise<Bytes | null> | null {
    return this.#leastBusy()?.hashBlocks(data, options) ?? null;
  }

  /**
   * Opens a file a second time, for writing.
   *
   * @param path Path of the file.
   * @param id Identity of the file, see `FileInfo.id`. Another file that is at the path is not opened.
   * @returns The file, or `null` if no thread can open it.
   */
  async open(path: string, id: string): Promise<ThreadFile | null> {
    return await this.#leastBusy((thread) => thread.mayOpen)?.open(path, id) ?? null;
  }

  /** Hands out the results that have come. */
  collect(): void {
    for (const thread of this.#threads) thread.collect();
  }

  /** Ends the threads. */
  end(): void {
    for (const thread of this.#threads) thread.end();
  }

  #leastBusy(suits: (thread: DiskThread) => boolean = () => true): DiskThread | null {
    let best: DiskThread | null = null;
    for (const thread of this.#threads) {
      if (!thread.isLost && suits(thread) && (best === null || thread.load < best.load)) best = thread;
    }
    return best;
  }
}
