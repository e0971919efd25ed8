/**
 * Hashes files on all cores.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { HashAnswer, HashOrder } from "./hash_worker.ts";
import type { FileHashers, HashBatch, TreeBatch, TreeHashers } from "./platform.ts";

/** Most threads. Each takes some ten MiB, and a disk doesn't serve more readers at a time. */
const MOST_THREADS = 8;
/** Batches that a thread has at a time: one to work on while the answer for another is on its way. */
const BATCHES_PER_THREAD = 2;

/** One thread. A thread that fails ends, and its batches fail with it. */
class HashThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<Bytes>>();
  #orders = 0;
  #failure: Error | null = null;

  constructor() {
    this.#worker = new Worker(new URL("./hash_worker.ts", import.meta.url), { type: "module", name: "hasher" });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<HashAnswer>) => this.#answered(data));
    this.#worker.addEventListener("messageerror", () => this.end(new Error("the answer of a thread was lost")));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault(); // the caller hashes the thread's batches in another way, so the program goes on
      this.end(new Error(event.message));
    });
  }

  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** Number of batches that the thread has. */
  get load(): number {
    return this.#waiting.size;
  }

  hash(batch: HashBatch | TreeBatch): Promise<Bytes> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const order: HashOrder = { id: this.#orders++, batch };
    const waiting = Promise.withResolvers<Bytes>();
    this.#waiting.set(order.id, waiting);
    this.#worker.postMessage(order);
    return waiting.promise;
  }

  end(why: Error): void {
    this.#failure ??= why;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }

  #answered({ id, outcome }: HashAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (typeof outcome === "string") waiting?.reject(new Error(outcome));
    else waiting?.resolve(outcome);
  }
}

/** The threads that all users share. */
class HashThreads {
  readonly #most: number;
  readonly #threads: HashThread[] = [];
  /** Users that have not closed the threads. */
  users = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async hash(batch: HashBatch | TreeBatch): Promise<Bytes> {
    const thread = this.#leastBusy();
    if (thread === null) throw new Error("all threads have failed");
    return await thread.hash(batch);
  }

  close(): void {
    for (const thread of this.#threads) thread.end(new Error("the threads were closed"));
  }

  /** Returns the least busy thread, starting another while all are busy. A failed thread is not replaced. */
  #leastBusy(): HashThread | null {
    let best: HashThread | null = null;
    for (const thread of this.#threads) if (!thread.hasFailed && thread.load < (best?.load ?? Infinity)) best = thread;
    if (this.#threads.length < this.#most && (best === null || best.load > 0)) {
      this.#threads.push(best = new HashThread());
    }
    return best;
  }
}

let shared: HashThreads | null = null;

/**
 * Starts hashing files on other threads. All callers share one thread per core, and at most eight.
 *
 * @returns The hashers, or `null` on a single core.
 */
export function startFileHashers(): FileHashers | null {
  return startHashers();
}

/**
 * Starts hashing files for v2 torrents (BEP 52) on the threads of {@linkcode startFileHashers}.
 *
 * @returns The hashers, or `null` on a single core.
 */
export function startTreeHashers(): TreeHashers | null {
  const hashers = startHashers();
  return hashers && {
    lanes: hashers.lanes,
    hashTree: (batch) => hashers.hash(batch),
    close: () => hashers.close(),
  };
}

function startHashers(): FileHashers & { hash(batch: HashBatch | TreeBatch): Promise<Bytes> } | null {
  const cores = Math.min(MOST_THREADS, navigator.hardwareConcurrency);
  if (cores < 2) return null;
  const threads = shared ??= new HashThreads(cores);
  threads.users++;
  let closed = false;
  return {
    lanes: cores * BATCHES_PER_THREAD,
    hash: (batch) => closed ? Promise.reject(new Error("the threads were closed")) : threads.hash(batch),
    close() {
      if (closed) return;
      closed = true;
      if (--threads.users > 0) return;
      threads.close();
      shared = null;
    },
  };
}
