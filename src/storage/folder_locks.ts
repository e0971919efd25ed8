/**
 * Keeps two programs from downloading the same torrent to the same folder, whoever runs them and wherever they keep their state:
 * what says so lies beside the data.
 *
 * A process holds one lock in each folder that it downloads to, `.shoal-sSTAMP.lock`; it is the system's, and ends with the process,
 * however that ends. A claim to a torrent is a small file that names that lock, `.shoal-INFOHASH.lock`, and costs no descriptor. A
 * claim whose lock nobody holds counts for nothing. Claims are read and written under a third lock, `.shoal.lock`, which is held
 * for moments. All of these files go when they have served.
 *
 * @module
 */

import { fromUtf8, utf8 } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileLock, FileSystem } from "../platform/platform.ts";

/** Milliseconds that another process has to let go of the torrent: one that was interrupted leaves within three seconds. */
const LOCK_PATIENCE = 4000;
/**
 * Folders in which a lock is held at one time, as each costs a descriptor. Claims in further folders name the lock of another one,
 * which other users can perhaps not look at: they are kept out then.
 */
const MOST_LOCKS = 16;
/** Bytes of a claim that are looked at: a path. */
const MAX_CLAIM_BYTES = 8192;
/** What the lock of a process is called; nothing else that a claim names is ever opened. */
const LOCK_NAME = /(?:^|[/\\])\.shoal-s[0-9a-z]+\.lock$/;
/** What is called so belongs to a download that goes on, and is no data. */
const OWN_NAME = /^\.shoal(?:-(?:s[0-9a-z]+|[0-9a-f]{40}))?\.lock$|^\.shoal-[0-9a-f]{40}\.(?:part|moving)$/;

/** Of a claim of somebody who lets nobody read it. */
const UNREADABLE = Symbol("unreadable");

/** A lock that this process holds. */
interface HeldLock {
  readonly root: string;
  readonly path: string;
  readonly lock: FileLock;
  /** Claims that name it. */
  claims: number;
}

/** What is to be done in one folder, in turn; never fails. */
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

/** A torrent in a folder that nobody else may download to it. */
export interface Claim {
  /** Gives it up. Never fails: what stays counts for nothing once this process has ended. */
  release(): Promise<void>;
}

/** By file system, since that is what paths belong to. */
const LOCKS = new WeakMap<FileSystem, FolderLocks>();

/**
 * Whether a name in a download folder is that of a file that a download keeps beside the data.
 *
 * @param name A name without folders.
 * @returns Whether it is.
 */
export function isOwnName(name: string): boolean {
  return OWN_NAME.test(name);
}

/** The claims of all torrents of this process. */
export class FolderLocks {
  readonly #fs: FileSystem;
  /** By folder. */
  readonly #held = new Map<string, HeldLock>();
  /** Locks that are being taken. */
  #coming = 0;
  /** Paths of claims. */
  readonly #claimed = new Set<string>();
  readonly #tasks = new Map<string, Task[]>();

  /** @param fs The file system. */
  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /**
   * @param fs A file system.
   * @returns The claims in it.
   */
  static of(fs: FileSystem): FolderLocks {
    const locks = LOCKS.get(fs) ?? new FolderLocks(fs);
    LOCKS.set(fs, locks);
    return locks;
  }

  /**
   * Claims a torrent in a folder. Waits a few seconds for another process that is about to leave.
   *
   * @param root Absolute path of the folder, without links.
   * @param options `infoHash`: the torrent. `now`: milliseconds since 1970, which name the lock.
   * @returns The claim, or `null` when somebody else has it.
   * @throws {ShoalError} If nothing can be written there.
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
      // Who leaves gives back its lock; if that is free, and was not given back, whoever had it was killed.
      try {
        const lock = await this.#fs.lock(outcome, { patience: LOCK_PATIENCE });
        await lock?.release();
      } catch (error) {
        if (!isFileFault(error, "denied")) throw error;
      }
    }
  }

  /** Claims a torrent if nobody has it. @returns the claim, or the path of the lock of whoever has it; `null` if that isn't known. */
  async #try(
    parts: ClaimAttempt,
  ): Promise<Claim | string | null> {
    const { root, path, isGateOurs } = parts;
    if (!isGateOurs || this.#claimed.has(path)) return null;
    const there = await this.#fs.stat(path);
    if (there?.kind === "folder") return null; // nobody's claim, and perhaps somebody's data
    if (there !== null) {
      // A pipe would never end, and a link lead anywhere.
      const holder = there.kind === "file" ? await this.#holderOf(path, root) : null;
      if (holder === UNREADABLE) return null;
      if (holder !== null && await this.#isHeld(holder)) return holder;
      await this.#fs.remove(path); // it may be another user's, so that it can't be written to
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

  /** The lock that a claim names; `null` when it names none, as one does that was being written when the power failed. */
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
      if (isFileFault(error, "denied")) return true; // nobody else can tell
      throw error;
    }
  }

  /** A lock that is held already and that a claim in a folder may name; that claim is counted. */
  #share(root: string): HeldLock | undefined {
    const isFull = this.#held.size + this.#coming >= MOST_LOCKS;
    const held = this.#held.get(root) ?? (isFull ? [...this.#held.values()][0] : undefined);
    if (held !== undefined) held.claims++;
    return held;
  }

  /** Takes a lock for a folder. The claim that names it is there before it, so that the one leads to the other after a crash. */
  async #newLock(
    { root, path: claim, now }: Omit<ClaimAttempt, "isGateOurs">,
  ): Promise<HeldLock> {
    this.#coming++;
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
      this.#coming--;
    }
  }

  async #write(claim: string, { root, lock }: { readonly root: string; readonly lock: string }): Promise<void> {
    const name = lock.startsWith(`${root}/`) ? lock.slice(root.length + 1) : lock;
    await this.#fs.writeNote(claim, utf8(`${name}\n`));
  }

  async #discard(claim: string): Promise<void> {
    await this.#fs.remove(claim).catch(() => {}); // without its lock it counts for nothing
  }

  async #letGo(held: HeldLock): Promise<void> {
    if (--held.claims > 0) return;
    this.#held.delete(held.root);
    await held.lock.release();
  }

  /** Does what others in this process don't do in the same folder meanwhile; those of other processes are kept out by the gate. */
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

  /** Does all that is to be done in a folder, and opens and closes the gate but once for it. Never fails. */
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
