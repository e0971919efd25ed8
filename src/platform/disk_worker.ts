/**
 * Disk thread: hashes and writes data where it lies in memory that it shares with the main thread.
 *
 * @module
 */

/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import type { Bytes } from "../base/bytes.ts";
import { Count, type Failure, Operation, Slot, slotAt, Status, type ThreadMessage } from "./disk_ring.ts";
import { hashBlocks } from "./merkle_digest.ts";
import { sha1, startDigest } from "./start_digest.ts";

/**
 * Milliseconds for which a result may wait for the main thread to look at the ring, as it does after each read from a
 * socket. Waking it by a message costs both threads more than an operation.
 */
const PATIENCE_MS = 0.2;

/** A file that the thread has opened. */
interface OpenFile {
  readonly file: Deno.FsFile;
  /** Position of the file in the kernel; -1 when unknown. */
  position: number;
}

/** What the thread has to work with, and its main loop. */
class DiskThread {
  readonly #ring: Int32Array;
  readonly #unsigned: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #arenas = new Map<number, Bytes>();
  readonly #files = new Map<number, OpenFile>();
  /** Operations done, as {@linkcode Count} counts them. */
  #done = 0;
  /** Results of which the main thread knows, because it was told or has read them. */
  #told = 0;
  /** When the first result of which it doesn't know came, in milliseconds. */
  #untoldSince = 0;

  constructor(ring: ArrayBufferLike) {
    this.#ring = new Int32Array(ring);
    this.#unsigned = new Uint32Array(ring);
    this.#bytes = new Uint8Array(ring);
  }

  /** Works until the next operation is to take a message. */
  run(): void {
    for (;;) {
      if (Atomics.load(this.#ring, Count.posted) === this.#done) this.#wait();
      else if (this.#ring[slotAt(this.#done) + Slot.operation] === Operation.message) return;
      else this.#work();
    }
  }

  /** Takes a message. Returns `false` when the thread is to end. */
  take(message: ThreadMessage): boolean {
    if (message.kind === "end") {
      for (const { file } of this.#files.values()) file.close();
      this.#tell(); // what was done last
      return false;
    }
    let status: number = Status.done;
    if (message.kind === "arena") {
      if (message.buffer === null) this.#arenas.delete(message.arena);
      else this.#arenas.set(message.arena, new Uint8Array(message.buffer as ArrayBuffer));
    } else if (message.kind === "open" && !this.#open(message)) status = Status.declined;
    this.#finish(status);
    return true;
  }

  #wait(): void {
    if (Atomics.load(this.#ring, Count.read) === this.#done) this.#told = this.#done;
    if (this.#told === this.#done) return void Atomics.wait(this.#ring, Count.posted, this.#done);
    const left = PATIENCE_MS - (performance.now() - this.#untoldSince);
    if (left > 0 && Atomics.wait(this.#ring, Count.posted, this.#done, left) !== "timed-out") return;
    if (Atomics.load(this.#ring, Count.read) !== this.#done) this.#tell();
  }

  /** Wakes the main thread. */
  #tell(): void {
    self.postMessage(null);
    this.#told = this.#done;
  }

  #work(): void {
    let status: number = Status.done;
    try {
      this.#do(slotAt(this.#done));
    } catch (thrown) {
      status = Status.failed;
      self.postMessage(failureOf(this.#done, thrown));
    }
    this.#finish(status);
  }

  /** Publishes the result of an operation. */
  #finish(status: number): void {
    this.#ring[slotAt(this.#done) + Slot.status] = status;
    const wasTold = this.#told === this.#done || Atomics.load(this.#ring, Count.read) === this.#done;
    this.#done = (this.#done + 1) | 0;
    Atomics.store(this.#ring, Count.done, this.#done);
    const now = performance.now();
    if (wasTold) {
      this.#told = (this.#done - 1) | 0;
      this.#untoldSince = now;
    } else if (now - this.#untoldSince > PATIENCE_MS && Atomics.load(this.#ring, Count.read) !== this.#done) {
      this.#tell();
    }
  }

  #do(slot: number): void {
    switch (this.#ring[slot + Slot.operation]) {
      case Operation.hash:
        return this.#bytes.set(sha1(this.#data(slot)), 4 * (slot + Slot.digest));
      case Operation.hashBlocks:
        return this.#hashBlocks(slot);
      case Operation.write:
        return this.#write(slot);
      case Operation.close: {
        const number = this.#ring[slot + Slot.file]!;
        this.#files.get(number)?.file.close();
        return void this.#files.delete(number);
      }
      default:
        throw new Error(`there is no operation ${this.#ring[slot + Slot.operation]}`);
    }
  }

  #hashBlocks(slot: number): void {
    const arena = this.#arenas.get(this.#ring[slot + Slot.arena]!)!;
    const target = this.#unsigned[slot + Slot.target]!;
    const padding = this.#ring[slot + Slot.sha1Padding]!;
    const options = { sha1Padding: padding < 0 ? null : padding };
    const { blocks, root, sha1 } = hashBlocks(this.#data(slot), this.#ring[slot + Slot.leaves]!, startDigest, options);
    if (sha1 !== undefined) this.#bytes.set(sha1, 4 * (slot + Slot.digest));
    arena.set(blocks, target);
    arena.set(root, target + blocks.length);
  }

  /** Writes until all is written, or the file system takes no more. */
  #write(slot: number): void {
    const open = this.#files.get(this.#ring[slot + Slot.file]!)!;
    const data = this.#data(slot);
    const start = this.#ring[slot + Slot.positionHigh]! * 2 ** 32 + this.#unsigned[slot + Slot.positionLow]!;
    let done = 0;
    if (open.position !== start) open.file.seekSync(start, Deno.SeekMode.Start);
    open.position = -1; // until all is written, which may fail
    while (done < data.length) {
      const count = open.file.writeSync(done === 0 ? data : data.subarray(done));
      if (count === 0) break;
      done += count;
    }
    open.position = start + done;
    this.#ring[slot + Slot.count] = done;
  }

  #data(slot: number): Bytes {
    const offset = this.#unsigned[slot + Slot.offset]!;
    return this.#arenas.get(this.#ring[slot + Slot.arena]!)!.subarray(
      offset,
      offset + this.#unsigned[slot + Slot.length]!,
    );
  }

  /** Opens a file. Returns `false` if the file at the path is a different one, or can't be opened a second time. */
  #open({ file, path, id }: Extract<ThreadMessage, { readonly kind: "open" }>): boolean {
    let opened: Deno.FsFile | null = null;
    try {
      opened = Deno.openSync(path, { write: true });
      const { dev, ino } = opened.statSync();
      if (`${dev}:${ino}` === id) {
        this.#files.set(file, { file: opened, position: 0 });
        return true;
      }
    } catch (thrown) {
      // The main thread has the file open, and goes on with that.
      if (!(thrown instanceof Error)) throw thrown;
    }
    opened?.close();
    return false;
  }
}

function failureOf(operation: number, thrown: unknown): Failure {
  if (!(thrown instanceof Error)) return { operation, name: "Error", message: String(thrown) };
  const code = "code" in thrown && typeof thrown.code === "string" ? { code: thrown.code } : {};
  return { operation, name: thrown.name, message: thrown.message, ...code };
}

let thread: DiskThread | null = null;

self.addEventListener("message", ({ data }: MessageEvent<ThreadMessage>) => {
  if (data.kind === "start") thread = new DiskThread(data.ring);
  else if (!thread!.take(data)) return self.close();
  thread!.run();
});
