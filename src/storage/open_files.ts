/**
 * A limited number of open files.
 *
 * @module
 */

import { onShortage } from "../platform/descriptors.ts";
import type { FileHandle, FileSystem } from "../platform/platform.ts";

/**
 * Handles that all torrents together keep open, in use or not: a quarter of the 1,024 descriptors that a process has by default,
 * the rest is for connections.
 */
const MOST_HANDLES = 256;
/** What is left of that when descriptors are short: enough to write with. */
const LEAST_HANDLES = 16;

/** By file system: descriptors are the process's, but a test has files of its own. */
const BUDGETS = new WeakMap<FileSystem, HandleBudget>();

/** How many files all torrents together may have open; whoever needs one more has one closed that nobody uses. */
export class HandleBudget {
  #limit: number;
  #open = 0;
  /** Who has files open, and how many; who opened one last comes last. */
  readonly #members = new Map<OpenFiles, number>();
  #waiting: (() => void)[] = [];
  #forget: (() => void) | null = null;

  /** @param limit How many. */
  constructor(limit: number = MOST_HANDLES) {
    this.#limit = limit;
  }

  /**
   * @param fs A file system.
   * @returns The budget of all who use it.
   */
  static of(fs: FileSystem): HandleBudget {
    const budget = BUDGETS.get(fs) ?? new HandleBudget();
    BUDGETS.set(fs, budget);
    return budget;
  }

  /** How many are open. */
  get open(): number {
    return this.#open;
  }

  /**
   * Waits until one more may be opened, and counts it.
   *
   * @param member Who opens it.
   */
  async enter(member: OpenFiles): Promise<void> {
    while (this.#open >= this.#limit) {
      if (!await this.#closeOne()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#open++;
    const count = this.#members.get(member) ?? 0;
    this.#members.delete(member);
    this.#members.set(member, count + 1);
    this.#forget ??= onShortage(() => void this.giveBack());
  }

  /**
   * One that was counted is closed.
   *
   * @param member Who had it open; forgotten when that was its last.
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

  /** Somebody has done with a file. */
  changed(): void {
    if (this.#waiting.length === 0) return;
    for (const go of this.#waiting.splice(0)) go();
  }

  /** There are no descriptors left: half of the files are closed as soon as nobody uses them, and no more are kept from now on. */
  async giveBack(): Promise<void> {
    this.#limit = Math.max(LEAST_HANDLES, Math.min(this.#limit, this.#open >> 1));
    while (this.#open > this.#limit && await this.#closeOne());
  }

  /** Closes a file that nobody uses. @returns whether there was one. */
  async #closeOne(): Promise<boolean> {
    for (const member of this.#members.keys()) if (await member.closeIdle()) return true;
    return false;
  }
}

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
  readonly #budget: HandleBudget | null;
  /** Least recently used first. */
  readonly #entries = new Map<number, Entry>();
  #waiting: (() => void)[] = [];

  /**
   * @param open Opens a file by its index.
   * @param limit How many may be open at one time, 1 or more.
   * @param budget What is shared with others.
   */
  constructor(open: (file: number) => Promise<FileHandle>, limit: number, budget: HandleBudget | null = null) {
    this.#open = open;
    this.#limit = limit;
    this.#budget = budget;
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
    if (entry === undefined || --entry.users > 0) return;
    this.#wake();
    this.#budget?.changed();
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
      if (entry.handle !== null) await this.#close(entry.handle);
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

  /**
   * Closes the file that was used least recently, of those that nobody uses.
   *
   * @returns Whether there was one. A failure to close it is not told: it is of no consequence to who needs room.
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
