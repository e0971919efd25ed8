/**
 * Shares open file handles, and limits their number per torrent and in total.
 *
 * @module
 */

import { onShortage } from "../platform/descriptors.ts";
import type { FileHandle, FileSystem } from "../platform/platform.ts";

/**
 * Largest number of file handles that all torrents together keep open, in use or not: a quarter of the 1,024
 * descriptors that a process has by default. The rest is for connections.
 */
const MOST_HANDLES = 256;
/** Lower bound of that limit when descriptors run out: enough to write with. */
const LEAST_HANDLES = 16;

/** Budgets by file system. Descriptors belong to the process, but each test has a file system of its own. */
const BUDGETS = new WeakMap<FileSystem, HandleBudget>();

/**
 * Limits the number of files that all torrents together have open. When a torrent needs another file, an unused one is
 * closed.
 */
export class HandleBudget {
  #limit: number;
  #open = 0;
  /** Number of open files by owner. The owner that opened a file last comes last. */
  readonly #members = new Map<OpenFiles, number>();
  #waiting: (() => void)[] = [];
  #forget: (() => void) | null = null;

  /** @param limit Largest number of open files. */
  constructor(limit: number = MOST_HANDLES) {
    this.#limit = limit;
  }

  /** Returns the budget that all users of a file system share. */
  static of(fs: FileSystem): HandleBudget {
    const budget = BUDGETS.get(fs) ?? new HandleBudget();
    BUDGETS.set(fs, budget);
    return budget;
  }

  /** Number of open files. */
  get open(): number {
    return this.#open;
  }

  /** Waits until another file may be opened, and counts it. */
  async enter(member: OpenFiles): Promise<void> {
    while (this.#open >= this.#limit) {
      if (!await this.#closeOne()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#open++;
    const count = this.#members.get(member) ?? 0;
    this.#members.delete(member);
    this.#members.set(member, count + 1);
    this.#forget ??= onShortage(() => void this.reduce());
  }

  /**
   * Discounts a file that was closed.
   *
   * @param member Owner of the file. The budget forgets the owner with its last file.
   */
  leave(member: OpenFiles): void {
    const left = this.#members.get(member)! - 1;
    if (left > 0) this.#members.set(member, left);
    else this.#members.delete(member);
    if (--this.#open === 0) {
      this.#forget?.();
      this.#forget = null;
    }
    this.changed();
  }

  /** Called when a file has become unused. Lets waiting callers try again. */
  changed(): void {
    if (this.#waiting.length === 0) return;
    for (const go of this.#waiting.splice(0)) go();
  }

  /**
   * Called when no descriptors are left. Lowers the limit to half of the open files for good, and closes unused files
   * until the limit is met or all files are in use.
   */
  async reduce(): Promise<void> {
    this.#limit = Math.max(LEAST_HANDLES, Math.min(this.#limit, this.#open >> 1));
    while (this.#open > this.#limit && await this.#closeOne());
  }

  /** Closes an unused file. Returns `true` if there was one. */
  async #closeOne(): Promise<boolean> {
    for (const member of this.#members.keys()) if (await member.closeIdle()) return true;
    return false;
  }
}

interface Entry {
  handle: FileHandle | null;
  users: number;
  /** Settles when the file is neither being opened, nor being closed, nor held by `exclusive()`. Never rejects. */
  busy: Promise<void> | null;
}

/**
 * Shares one handle per file among all its users, and closes the least recently used handle when too many are open.
 * Every user must hold at most one file at a time, so that no two users wait for each other.
 */
export class OpenFiles {
  readonly #open: (file: number) => Promise<FileHandle>;
  readonly #limit: number;
  readonly #budget: HandleBudget | null;
  /** Files by index, least recently used first. */
  readonly #entries = new Map<number, Entry>();
  #waiting: (() => void)[] = [];

  /**
   * @param open Opens a file by its index.
   * @param limit Largest number of files that are open at one time, at least 1.
   * @param budget Budget that is shared with other torrents; none when absent.
   */
  constructor(open: (file: number) => Promise<FileHandle>, limit: number, budget: HandleBudget | null = null) {
    this.#open = open;
    this.#limit = limit;
    this.#budget = budget;
  }

  /**
   * Returns the handle of a file that is already open, or `null` if {@linkcode OpenFiles.acquire} is needed. Give a
   * handle back with {@linkcode OpenFiles.release}.
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
   * Returns the handle of a file, and opens the file if necessary. Give it back with {@linkcode OpenFiles.release}.
   *
   * @throws {ShoalError} If the file can't be opened.
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

  /** Gives back the handle of a file. */
  release(file: number): void {
    const entry = this.#entries.get(file);
    if (entry === undefined || --entry.users > 0) return;
    this.#wake();
    this.#budget?.changed();
  }

  /**
   * Runs a job, such as renaming, while the file is not open: waits for its users to finish, and keeps new ones
   * waiting.
   *
   * @returns Result of `work`.
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
      if (entry.handle !== null) await this.#close(entry.handle);
      return await work();
    } finally {
      this.#entries.delete(file);
      done();
    }
  }

  /**
   * Closes every file as soon as its users are done.
   *
   * @throws {ShoalError} The first failure, after the other files were closed.
   */
  async closeAll(): Promise<void> {
    const closing = [...this.#entries.keys()].map((file) => this.exclusive(file, () => Promise.resolve()));
    const results = await Promise.allSettled(closing);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /**
   * Closes the least recently used file that is not in use. Errors of closing are ignored, since they don't matter to a
   * caller who needs a descriptor.
   *
   * @returns Whether there was such a file.
   */
  async closeIdle(): Promise<boolean> {
    for (const [file, entry] of this.#entries) {
      if (entry.users > 0 || entry.busy !== null || entry.handle === null) continue;
      await this.exclusive(file, () => Promise.resolve()).catch(() => {});
      return true;
    }
    return false;
  }

  async #openNow(file: number): Promise<FileHandle> {
    const entry: Entry = { handle: null, users: 0, busy: null };
    this.#entries.set(file, entry);
    const done = this.#occupy(entry);
    await this.#budget?.enter(this);
    try {
      entry.handle = await this.#open(file);
      entry.users = 1;
      return entry.handle;
    } finally {
      if (entry.handle === null) {
        this.#entries.delete(file);
        this.#budget?.leave(this);
      }
      done();
    }
  }

  async #close(handle: FileHandle): Promise<void> {
    try {
      await handle.close();
    } finally {
      this.#budget?.leave(this);
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
