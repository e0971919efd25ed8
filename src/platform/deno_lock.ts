/**
 * Locks on Deno: `flock`, or what Windows has for it, which the system takes back from a process that ends in any way.
 *
 * @module
 */

import { withDescriptor } from "./descriptors.ts";
import { toFileError } from "./file_errors.ts";
import type { FileLock } from "./platform.ts";

/** Deno 2.4 can't ask for a lock without waiting for it. */
type Lockable = Deno.FsFile & { tryLock?(exclusive: boolean): Promise<boolean> };

/** Milliseconds between two tries. */
const RETRY_MS = 50;
/** Milliseconds that even an old Deno may wait: a lock that is free comes at once, unless the machine is very busy. */
const SHORTEST_WAIT_MS = 2_000;
/** What the system says where a file system knows no locks: ENOLCK, ENOSYS, ENOTSUP. Deno gives some of them no code. */
const NO_LOCKS = /no locks available|not implemented|not supported/i;

/**
 * Takes a lock; see `FileSystem.lock`.
 *
 * @param path Of its file, which is made.
 * @param patience Milliseconds to wait for it.
 * @returns The lock, or `null` when somebody else has it.
 * @throws {FileError} If the file can't be made.
 */
export async function lockFile(path: string, patience: number): Promise<FileLock | null> {
  const end = performance.now() + patience;
  try {
    for (;;) {
      const file = await withDescriptor(() => openLock(path));
      if (!await isLocked(file, end)) return null;
      const { there, isSame } = await lookAt(file, path);
      if (isSame) {
        await readableByAll(path);
        return lockOf(file, path);
      }
      file.close(); // whoever had the lock has removed this file: the lock is another one by now
      if (there?.isSymlink) throw new Deno.errors.AlreadyExists("a symbolic link is in the place of the lock");
    }
  } catch (thrown) {
    throw toFileError(thrown, { what: "cannot lock", path });
  }
}

/**
 * Opens the file of a lock, be it one of another user that can only be read: locking needs no more on most file systems. What
 * another user of the folder has put there is not opened: a link may lead anywhere, and a pipe never end.
 */
async function openLock(path: string): Promise<Lockable> {
  const there = await Deno.lstat(path).catch(() => null); // opening tells what is wrong
  if (there !== null && !there.isFile) {
    throw new Deno.errors.AlreadyExists("something else is in the place of the lock");
  }
  try {
    return await Deno.open(path, { read: true, write: true, create: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    return await Deno.open(path);
  }
}

/**
 * Lets every user of the machine read a file, as far as the system knows of that.
 *
 * @param path The file.
 */
export async function readableByAll(path: string): Promise<void> {
  await Deno.chmod(path, 0o644).catch(() => {}); // it is another user's, or there are no such modes
}

/** Locks an open file; closes it when that can't be. */
async function isLocked(file: Lockable, end: number): Promise<boolean> {
  try {
    if (file.tryLock === undefined) return await isLockedInTime(file, end);
    while (!await file.tryLock(true)) {
      if (performance.now() >= end) {
        file.close();
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    return true;
  } catch (error) {
    // Where there are no locks, nothing keeps two processes apart, as in most programs.
    if (error instanceof Error && NO_LOCKS.test(error.message)) return true;
    file.close();
    throw error;
  }
}

async function isLockedInTime(file: Deno.FsFile, end: number): Promise<boolean> {
  const locked = file.lock(true).then(() => true);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(SHORTEST_WAIT_MS, end - performance.now()));
  });
  const inTime = await Promise.race([locked, late]);
  clearTimeout(timer);
  // A lock that comes after all is given back.
  if (!inTime) locked.then(() => file.close(), () => file.close());
  return inTime;
}

async function lookAt(
  file: Deno.FsFile,
  path: string,
): Promise<{ readonly there: Deno.FileInfo | null; readonly isSame: boolean }> {
  try {
    const [own, there] = await Promise.all([file.stat(), Deno.lstat(path)]);
    return { there, isSame: own.ino === there.ino && own.dev === there.dev };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { there: null, isSame: false };
    throw error;
  }
}

function lockOf(file: Deno.FsFile, path: string): FileLock {
  return {
    async release() {
      // While it is locked nobody else takes the file for theirs. One that stays does no harm: it is empty, and the lock
      // counts, not the file.
      await Deno.remove(path).catch(() => {});
      file.close();
    },
  };
}
