/**
 * Keeps two processes from downloading the same torrent to the same folder, whichever users run them and wherever they
 * keep their state: the locks lie beside the data.
 *
 * A process holds one lock in each folder that it downloads to, `.shoal-sSTAMP.lock`. It is a lock of the operating
 * system, which ends with the process, however the process ends. A claim to a torrent is a small file that names that
 * lock, `.shoal-INFOHASH.lock`, and costs no descriptor. A claim is void when no process holds its lock. Claims are
 * read and written under a third lock, `.shoal.lock`, which is held for moments. All these files are removed when they
 * are no longer needed.
 *
 * @module
 */

import { fromUtf8, utf8 } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileLock, FileSystem } from "../platform/platform.ts";

/**
 * Milliseconds to wait for another process to release the torrent. An interrupted process exits within three seconds.
 */
const LOCK_PATIENCE = 4000;
/**
 * Largest number of folders in which this process holds a lock, since each lock costs a descriptor. Claims in further
 * folders name the lock of another folder. Users who have no access to that other folder can't examine the lock, and
 * are kept out.
 */
const MOST_LOCKS = 16;
/** Largest size of a claim in bytes; it holds a path. */
const MAX_CLAIM_BYTES = 8192;
/** Matches the name of a process's lock. No other file that a claim names is ever opened. */
const LOCK_NAME = /(?:^|[/\\])\.shoal-s[0-9a-z]+\.lock$/;
/** Matches the names of files that belong to a download in progress and are not data. */
const OWN_NAME = /^\.shoal(?:-(?:s[0-9a-z]+|[0-9a-f]{40}))?\.lock$|^\.shoal-[0-9a-f]{40}\.(?:part|moving)$/;

/** Result of reading a claim that this user has no permission to read. */
const UNREADABLE = Symbol("unreadable");

/** A lock that this process holds. */
interface HeldLock {
  readonly root: string;
  readonly path: string;
  readonly lock: FileLock;
  /** Number of claims that name the lock. */
  claims: number;
}

/** A job in one folder; the jobs of a folder run one at a time. Both methods never throw. */
interface Task {
  run(isGateOurs: boolean): Promise<void>;
  fail(thrown: unknown): void;
}

/** Options for {@linkcode FolderLocks.take}. */
export interface TakeLockOptions {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Current time in milliseconds since 1970; it becomes the stamp in the name of the lock. */
  readonly now: number;
}

/** Parameters of one attempt to claim a torrent. */
interface ClaimAttempt {
  /** Absolute path of the download folder, without links. */
  readonly root: string;
  /** Path of the claim. */
  readonly path: string;
  /** Current time in milliseconds since 1970. */
  readonly now: number;
  /** Whether this process holds the folder's `.shoal.lock`. */
  readonly isGateOurs: boolean;
}

/** A torrent that no other process may download to the folder. */
export interface Claim {
  /** Gives the claim up. Never fails: a claim file that can't be removed is void once this process has ended. */
  release(): Promise<void>;
}

/** Locks by file system, since paths belong to a file system. */
const LOCKS = new WeakMap<FileSystem, FolderLocks>();

/**
 * Returns `true` if a name in a download folder is that of a file that a download keeps beside the data.
 *
 * @param name A file name without folders.
 */
export function isOwnName(name: string): boolean {
  return OWN_NAME.test(name);
}

/** The claims of all torrents of this process. */
export class FolderLocks {
  readonly #fs: FileSystem;
  /** Locks by folder. */
  readonly #held = new Map<string, HeldLock>();
  /** Number of locks that are being taken. */
  #pendingLocks = 0;
  /** Paths of the claims that this process has. */
  readonly #claimed = new Set<string>();
  readonly #tasks = new Map<string, Task[]>();

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /** Returns the locks that all torrents on a file system share. */
  static of(fs: FileSystem): FolderLocks {
    const locks = LOCKS.get(fs) ?? new FolderLocks(fs);
    LOCKS.set(fs, locks);
    return locks;
  }

  /**
   * Claims a torrent in a folder. Waits a few seconds for another process that may be about to exit.
   *
   * @param root Absolute path of the folder, without links.
   * @param options See {@linkcode TakeLockOptions}.
   * @returns The claim, or `null` if another torrent or process has the torrent.
   * @throws {ShoalError} If the claim or its lock can't be written.
   */
  async take(
    root: string,
    { infoHash, now }: TakeLockOptions,
  ): Promise<Claim | null> {
    const path = `${root}/.shoal-${infoHash.hex}.lock`;
    let waited = false;
    for (;;) {
      const outcome = await this.#inTurn(root, (isGateOurs) => this.#try({ root, path, now, isGateOurs }));
      if (outcome === null || typeof outcome !== "string") return outcome;
      if (waited) return null;
      waited = true;
      // Waits for the other process to release its lock. A lock that is free but was not released belonged to a process
      // that was killed.
      try {
        const lock = await this.#fs.lock(outcome, { patience: LOCK_PATIENCE });
        await lock?.release();
      } catch (error) {
        if (!isFileFault(error, "denied")) throw error;
      }
    }
  }

  /**
   * Tries once to claim a torrent.
   *
   * @returns The claim; or the path of the lock behind the existing claim; or `null` if the torrent is taken and that
   * lock is unknown.
   */
  async #try(parts: ClaimAttempt): Promise<Claim | string | null> {
    const { root, path, isGateOurs } = parts;
    if (!isGateOurs || this.#claimed.has(path)) return null;
    const there = await this.#fs.stat(path);
    if (there?.kind === "folder") return null; // not a claim, and maybe the user's data
    if (there !== null) {
      // Reading a pipe would never end, and a link may lead anywhere.
      const holder = there.kind === "file" ? await this.#holderOf(path, root) : null;
      if (holder === UNREADABLE) return null;
      if (holder !== null && await this.#isHeld(holder)) return holder;
      await this.#fs.remove(path); // the claim may be another user's, which this user can't overwrite
    }
    const held = this.#share(root) ?? await this.#newLock(parts);
    try {
      if (held.root !== root || held.claims > 1) await this.#write(path, { root, lock: held.path });
    } catch (error) {
      await this.#letGo(held);
      throw error;
    }
    this.#claimed.add(path);
    return {
      release: async () => {
        if (!this.#claimed.has(path)) return;
        await this.#discard(path);
        this.#claimed.delete(path);
        await this.#letGo(held);
      },
    };
  }

  /**
   * Returns the path of the lock that a claim names, or `null` if it names none, as a claim that was being written when
   * the power failed.
   */
  async #holderOf(path: string, root: string): Promise<string | typeof UNREADABLE | null> {
    let bytes;
    try {
      bytes = await this.#fs.readFile(path, MAX_CLAIM_BYTES);
    } catch (error) {
      if (isFileFault(error, "denied")) return UNREADABLE;
      if (isFileFault(error, "missing") || isFileFault(error, "too-large")) return null;
      throw error;
    }
    const name = fromUtf8(bytes)?.trimEnd() ?? "";
    if (!LOCK_NAME.test(name)) return null;
    return /[/\\]/.test(name) ? name : `${root}/${name}`;
  }

  async #isHeld(path: string): Promise<boolean> {
    for (const held of this.#held.values()) if (held.path === path) return true;
    try {
      if ((await this.#fs.stat(path))?.kind !== "file") return false;
      const lock = await this.#fs.lock(path, { patience: 0 });
      await lock?.release();
      return lock === null;
    } catch (error) {
      if (isFileFault(error, "denied")) return true; // another user's lock: whether it is held can't be tested
      throw error;
    }
  }

  /**
   * Returns a held lock that a claim in a folder may name, and counts that claim; `undefined` if a new lock has to be
   * taken.
   */
  #share(root: string): HeldLock | undefined {
    const isFull = this.#held.size + this.#pendingLocks >= MOST_LOCKS;
    const held = this.#held.get(root) ?? (isFull ? [...this.#held.values()][0] : undefined);
    if (held !== undefined) held.claims++;
    return held;
  }

  /**
   * Takes a new lock for a folder. The claim that names the lock is written first, so that after a crash the claim
   * leads to the lock file.
   */
  async #newLock(
    { root, path: claim, now }: Omit<ClaimAttempt, "isGateOurs">,
  ): Promise<HeldLock> {
    this.#pendingLocks++;
    try {
      for (let stamp = Math.max(0, Math.floor(now));; stamp++) {
        const path = `${root}/.shoal-s${stamp.toString(36)}.lock`;
        if (await this.#fs.stat(path) !== null) continue;
        await this.#write(claim, { root, lock: path });
        const lock = await this.#fs.lock(path, { patience: 0 });
        if (lock === null) continue;
        const held = { root, path, lock, claims: 1 };
        this.#held.set(root, held);
        return held;
      }
    } catch (error) {
      await this.#discard(claim);
      throw error;
    } finally {
      this.#pendingLocks--;
    }
  }

  async #write(claim: string, { root, lock }: { readonly root: string; readonly lock: string }): Promise<void> {
    const name = lock.startsWith(`${root}/`) ? lock.slice(root.length + 1) : lock;
    await this.#fs.writeNote(claim, utf8(`${name}\n`));
  }

  async #discard(claim: string): Promise<void> {
    await this.#fs.remove(claim).catch(() => {}); // a claim without its lock is void
  }

  async #letGo(held: HeldLock): Promise<void> {
    if (--held.claims > 0) return;
    this.#held.delete(held.root);
    await held.lock.release();
  }

  /** Runs a job while no other job of this process runs in the same folder. `.shoal.lock` keeps other processes out. */
  #inTurn<T>(root: string, work: (isGateOurs: boolean) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const task: Task = { run: (isGateOurs) => work(isGateOurs).then(resolve, reject), fail: reject };
    const tasks = this.#tasks.get(root);
    if (tasks !== undefined) tasks.push(task);
    else {
      this.#tasks.set(root, [task]);
      void this.#work(root);
    }
    return promise;
  }

  /** Runs all jobs of a folder, and takes `.shoal.lock` once for all of them. Never rejects. */
  async #work(root: string): Promise<void> {
    const tasks = this.#tasks.get(root)!;
    let gate: FileLock | null = null;
    try {
      gate = await this.#fs.lock(`${root}/.shoal.lock`, { patience: LOCK_PATIENCE });
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) await task.run(gate !== null);
    } catch (error) {
      for (const task of tasks.splice(0)) task.fail(error);
    }
    this.#tasks.delete(root);
    await gate?.release();
  }
}
