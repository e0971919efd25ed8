/**
 * File locks on Deno: `flock`, or its equivalent on Windows. The system releases such a lock however the process ends.
 *
 * @module
 */

import { withDescriptor } from "./descriptors.ts";
import { toFileError } from "./file_errors.ts";
import type { FileLock } from "./platform.ts";

/** Deno 2.4 has no `tryLock`, and can only wait for a lock. */
type Lockable = Deno.FsFile & { tryLock?(exclusive: boolean): Promise<boolean> };

/** Milliseconds between two attempts. */
const RETRY_MS = 50;
/** Shortest wait where there is no `tryLock`. A free lock is granted at once unless the machine is very busy. */
const SHORTEST_WAIT_MS = 2_000;
/** Error texts of a file system without locks: ENOLCK, ENOSYS, ENOTSUP. Deno gives some of these errors no code. */
const NO_LOCKS = /no locks available|not implemented|not supported/i;

/**
 * Takes a lock; see `FileSystem.lock`.
 *
 * @param path Path of the lock file, which is created.
 * @param patience Milliseconds to wait for the lock.
 * @returns The lock, or `null` if another process holds it.
 * @throws {FileError} If the file can't be created.
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
      file.close(); // the previous holder has removed this file, so the lock is on another file by now
      if (there?.isSymlink) throw new Deno.errors.AlreadyExists("a symbolic link is in the place of the lock");
    }
  } catch (thrown) {
    throw toFileError(thrown, { what: "cannot lock", path });
  }
}

/**
 * Opens a lock file. A file of another user is opened for reading, which is enough for a lock on most file systems.
 * Anything but a regular file is not opened, because another user of the folder may have put it there: a link may lead
 * anywhere, and opening a pipe may never end.
 */
async function openLock(path: string): Promise<Lockable> {
  const there = await Deno.lstat(path).catch(() => null); // opening fails with the reason
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

/** Lets every user of the machine read a file, where the system has such modes. */
export async function readableByAll(path: string): Promise<void> {
  await Deno.chmod(path, 0o644).catch(() => {}); // another user owns the file, or there are no modes
}

/** Locks an open file. Closes the file if it can't be locked. */
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
    // Without locks nothing keeps two processes apart, as in most programs.
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
  // A lock that is granted too late is released.
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
      // While the lock is held no other process takes the file for its own. A file that stays does no harm, as it is
      // empty and only the lock on it counts.
      await Deno.remove(path).catch(() => {});
      file.close();
    },
  };
}
