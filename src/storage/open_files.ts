/**
 * A limited number of open files.
 *
 * @module
 */

import type { FileHandle } from "../platform/platform.ts";

interface Entry {
  handle: FileHandle | null;
  users: number;
  /** Settles when the file is neither being opened, nor being closed, nor held by `exclusive()`; never fails. */
  busy: Promise<void> | null;
}

/**
 * Shares one handle a file among all who use it, and closes the one that was left alone for longest when there are too
 * many. Whoever uses files holds one at a time, so nobody waits for ever.
 */
export class OpenFiles {
  readonly #open: (file: number) => Promise<FileHandle>;
  readonly #limit: number;
  /** Least recently used first. */
  readonly #entries = new Map<number, Entry>();
  #waiting: (() => void)[] = [];

  /**
   * @param open Opens a file by its index.
   * @param limit How many may be open at one time, 1 or more.
   */
  constructor(open: (file: number) => Promise<FileHandle>, limit: number) {
    this.#open = open;
    this.#limit = limit;
  }

  /**
   * Uses a file that is open already. Give it back with {@linkcode OpenFiles.release}.
   *
   * @param file Its index.
   * @returns The handle, or `null` when {@linkcode OpenFiles.acquire} is needed.
   */
  tryAcquire(file: number): FileHandle | null {
    const entry = this.#entries.get(file);
    if (entry === undefined || entry.busy !== null || entry.handle === null) return null;
    entry.users++;
    this.#entries.delete(file);
    this.#entries.set(file, entry);
    return entry.handle;
  }

  /**
   * Uses a file; opens it if need be. Give it back with {@linkcode OpenFiles.release}.
   *
   * @param file Its index.
   * @returns The handle.
   * @throws {ShoalError} If it can't be opened.
   */
  async acquire(file: number): Promise<FileHandle> {
    for (;;) {
      const handle = this.tryAcquire(file);
      if (handle !== null) return handle;
      const entry = this.#entries.get(file);
      if (entry !== undefined) await entry.busy;
      else if (this.#entries.size < this.#limit) return await this.#openNow(file);
      else await this.#makeRoom();
    }
  }

  /**
   * Gives back a file.
   *
   * @param file Its index.
   */
  release(file: number): void {
    const entry = this.#entries.get(file);
    if (entry !== undefined && --entry.users === 0) this.#wake();
  }

  /**
   * Does something while nobody has the file open, such as renaming it: waits for its users, keeps new ones out.
   *
   * @param file Its index.
   * @param work What to do.
   * @returns What `work` returns.
   */
  async exclusive<T>(file: number, work: () => Promise<T>): Promise<T> {
    let entry = this.#entries.get(file);
    while (entry !== undefined && entry.busy !== null) {
      await entry.busy;
      entry = this.#entries.get(file);
    }
    entry ??= { handle: null, users: 0, busy: null };
    this.#entries.set(file, entry);
    const done = this.#occupy(entry);
    try {
      while (entry.users > 0) await this.#change();
      await entry.handle?.close();
      return await work();
    } finally {
      this.#entries.delete(file);
      done();
    }
  }

  /**
   * Closes every file, once its users are done.
   *
   * @throws {ShoalError} The first failure; the other files are closed all the same.
   */
  async closeAll(): Promise<void> {
    const closing = [...this.#entries.keys()].map((file) => this.exclusive(file, () => Promise.resolve()));
    const results = await Promise.allSettled(closing);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #openNow(file: number): Promise<FileHandle> {
    const entry: Entry = { handle: null, users: 0, busy: null };
    this.#entries.set(file, entry);
    const done = this.#occupy(entry);
    try {
      entry.handle = await this.#open(file);
      entry.users = 1;
      return entry.handle;
    } finally {
      if (entry.handle === null) this.#entries.delete(file);
      done();
    }
  }

  async #makeRoom(): Promise<void> {
    for (const [file, entry] of this.#entries) {
      if (entry.users === 0 && entry.busy === null) return await this.exclusive(file, () => Promise.resolve());
    }
    await this.#change();
  }

  /** Marks an entry as busy until the returned function is called. */
  #occupy(entry: Entry): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    entry.busy = promise;
    return () => {
      entry.busy = null;
      resolve();
      this.#wake();
    };
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}
