/**
 * The file system on Deno.
 *
 * @module
 */

import type { StatsFs } from "node:fs";
import { type Bytes, cutUtf8, MAX_NAME_BYTES } from "../base/bytes.ts";
import { arenaData, diskThreads } from "./arena.ts";
import { lockFile, readableByAll } from "./deno_lock.ts";
import type { ArenaData, ThreadFile } from "./disk_threads.ts";
import { withDescriptor } from "./descriptors.ts";
import { FileError, isFileFault, OFF_LIMITS, toFileError } from "./file_errors.ts";
import { DiskPace } from "./disk_pace.ts";
import { nodeFs } from "./node_modules.ts";
import type { FileHandle, FileInfo, FileSystem, OpenMode, WriteFileOptions } from "./platform.ts";

/**
 * Writes of up to this many bytes are made on the main thread while the file system is fast. A piece of this size is
 * still in the processor's cache when it is written straight after hashing, and its buffer can be reused at once.
 */
const SMALL_WRITE = 1024 * 1024;
/** Reads of up to this many bytes are made on the main thread while they are fast. */
const SMALL_READ = 1024 * 1024;
/** Speed of everything but reading. One value serves all file systems, since few users download to two at a time. */
const pace = new DiskPace(() => performance.now());
/** Speed of reading, which is slow where much was not read lately, while writes still go to memory at once. */
const readPace = new DiskPace(() => performance.now());

/** A disk thread opens a file once this many bytes were written that it could have. Small files aren't opened twice. */
const OPEN_IN_THREAD_AFTER = 1024 * 1024;

const isWindows = Deno.build.os === "windows";
/** Mode of a file that only the user may read and write. */
const SECRET_FILE = 0o600;
/** Mode of a folder that only the user may use. */
const SECRET_FOLDER = 0o700;
/** Mode bits of all users but the owner. */
const OTHERS = 0o077;

/** {@linkcode FileSystem} of the machine. */
export const denoFiles: FileSystem = {
  open(path, mode) {
    return openFile(path, mode);
  },

  async stat(path) {
    try {
      return toInfo(await pace.run({ here: () => Deno.lstatSync(path), there: () => Deno.lstat(path) }));
    } catch (thrown) {
      const error = toFileError(thrown, { what: "cannot look at", path });
      // Nothing exists below a file either, nor under a name that the file system doesn't allow.
      if (error.fault === "missing" || error.fault === "not-a-folder" || error.fault === "name") return null;
      throw error;
    }
  },

  rename(from, to) {
    const call = { here: () => Deno.renameSync(from, to), there: () => Deno.rename(from, to) };
    return guard("cannot rename", to, () => pace.run(call));
  },

  makeFolder(path, { secret = false } = {}) {
    const options = { recursive: true, ...(secret ? { mode: SECRET_FOLDER } : {}) };
    const call = { here: () => Deno.mkdirSync(path, options), there: () => Deno.mkdir(path, options) };
    return guard("cannot make the folder", path, async () => {
      if (OFF_LIMITS.test(path)) await refuseOffLimits(path);
      await pace.run(call);
    });
  },

  async disk(path) {
    // The user is not prompted for the permission, since all callers can do without.
    const { state } = await Deno.permissions.query({ name: "sys", kind: "statfs" });
    if (state !== "granted") return null;
    return await guard("cannot look at the disk of", path, async () => {
      const { bavail, bsize } = await new Promise<StatsFs>((resolve, reject) =>
        nodeFs().statfs(path, (error, stats) => error ? reject(error) : resolve(stats))
      );
      return { device: `${(await Deno.stat(path)).dev || ""}`, free: bavail * bsize };
    });
  },

  link(target, path) {
    return guard("cannot make the symbolic link", path, () => Deno.symlink(target, path)); // fails if the path exists
  },

  readLink(path) {
    return guard("cannot read the symbolic link", path, () => Deno.readLink(path));
  },

  async remove(path) {
    try {
      await Deno.remove(path, { recursive: true });
    } catch (thrown) {
      const error = toFileError(thrown, { what: "cannot remove", path });
      if (error.fault !== "missing" && error.fault !== "not-a-folder") throw error;
    }
  },

  async removeFolder(path) {
    try {
      const info = await Deno.lstat(path);
      if (!info.isDirectory) return false;
      await Deno.remove(path);
      return true;
    } catch (thrown) {
      const error = toFileError(thrown, { what: "cannot remove", path });
      if (error.fault === "exists") return false; // the folder is not empty
      if (error.fault === "missing" || error.fault === "not-a-folder") return true;
      throw error;
    }
  },

  list(path) {
    return guard("cannot list", path, () =>
      withDescriptor(async () => {
        const names: string[] = [];
        for await (const entry of Deno.readDir(path)) names.push(entry.name);
        return names.sort();
      }));
  },

  async readFile(path, maxBytes, { secret = false } = {}) {
    // Opened on a thread: the user may name a pipe without a writer, which would block the program.
    const file = await guard(
      "cannot open",
      path,
      async () => new DenoFileHandle(await withDescriptor(() => Deno.open(path)), path),
    );
    try {
      // One byte more than allowed tells a file that is too large from one that just fits, even if the file grows.
      const { size, mode } = await guard("cannot read", path, () => Deno.stat(path));
      if (secret && ((mode ?? 0) & OTHERS) !== 0) await hideFromOthers(path);
      const buffer = new Uint8Array(Math.min(size, maxBytes) + 1);
      const length = await file.read(buffer, 0);
      if (length > maxBytes) throw new FileError("too-large", { what: "cannot read", path });
      return buffer.subarray(0, length);
    } finally {
      await file.close();
    }
  },

  writeFile(path, bytes, options = {}) {
    return inLine(() => writeWhole(path, bytes, options));
  },

  writeNote(path, bytes) {
    return guard("cannot write", path, async () => {
      await withDescriptor(() => Deno.writeFile(path, bytes));
      await readableByAll(path);
    });
  },

  lock(path, { patience }) {
    return lockFile(path, patience);
  },

  realPath(path) {
    return guard("cannot find", path, () => Deno.realPath(path));
  },
};

/** A call of a {@linkcode DenoFileHandle}. The promises never reject. */
interface Call {
  /** Makes the call outside the disk thread. */
  readonly here: () => Promise<void>;
  /** Makes the call in the disk thread. Returns `null` if that can't be. */
  readonly inThread: () => Promise<void> | null;
}

/**
 * Deno has no positioned read or write, so calls are queued: each seeks if the position isn't right already, then
 * transfers. The seek is always synchronous, since it only sets a number in the kernel. Writes in a disk thread, which
 * has the file open a second time, don't wait for each other.
 */
class DenoFileHandle implements FileHandle {
  readonly #file: Deno.FsFile;
  readonly #path: string;
  /** The same file in a disk thread; `undefined` before the attempt to open it there, `null` if there is none. */
  #threadFile: ThreadFile | null | undefined;
  /** Settles when the file has been opened in a disk thread. */
  #opening: Promise<void> | undefined;
  /** Settles when the file has been closed in a disk thread. */
  #leaving: Promise<void> | undefined;
  /** Bytes that a disk thread could have written so far. */
  #forThread = 0;
  /** Position of the file in the kernel; -1 when unknown. */
  #position = 0;
  /** End of the data written through this handle. */
  #reached = 0;
  readonly #waiting: Call[] = [];
  /** Calls under way in the disk thread. */
  #inThread = 0;
  /** Whether a call is under way elsewhere. */
  #isBusy = false;
  #closing: Promise<void> | null = null;

  constructor(file: Deno.FsFile, path: string) {
    this.#file = file;
    this.#path = path;
  }

  read(into: Bytes, position: number): Promise<number> {
    return this.#turn("cannot read", async () => {
      let done = 0;
      while (done < into.length) {
        this.#seek(position + done);
        const rest = done === 0 ? into : into.subarray(done);
        const call = { here: () => this.#file.readSync(rest), there: () => this.#file.read(rest) };
        const part = await (rest.length > SMALL_READ ? call.there() : readPace.run(call));
        if (part === null) break;
        done += part;
        this.#position = position + done;
      }
      return done;
    });
  }

  write(from: Bytes, position: number): Promise<void> {
    const here = () => this.#writeHere(from, position);
    if (arenaData(from) === null) return this.#turn("cannot write", here);
    this.#openInThread(from.length);
    return this.#turn("cannot write", here, () => {
      const file = this.#threadFile;
      if (!file || file.isLost || this.#leavesGap(position)) return null;
      const data = arenaData(from); // the memory may have been closed meanwhile
      return data && this.#writeInThread(file, data, position);
    });
  }

  truncate(size: number): Promise<void> {
    const there = () => this.#file.truncate(size);
    const call = { here: () => this.#file.truncateSync(size), there };
    // Some file systems write zeros over the whole length.
    return this.#turn("cannot set the size of", () => size > SMALL_WRITE ? there() : pace.run(call));
  }

  stat(): Promise<FileInfo> {
    const call = { here: () => this.#file.statSync(), there: () => this.#file.stat() };
    return this.#turn("cannot look at", async () => toInfo(await pace.run(call)));
  }

  sync(): Promise<void> {
    return this.#turn("cannot write", () => this.#file.syncData());
  }

  close(): Promise<void> {
    return this.#closing ??= this.#turn("cannot close", async () => {
      await this.#opening;
      this.#leaveThread();
      await this.#leaving;
      this.#file.close();
    });
  }

  async #writeHere(from: Bytes, position: number): Promise<void> {
    let done = 0;
    while (done < from.length) {
      this.#seek(position + done);
      const rest = done === 0 ? from : from.subarray(done);
      const part = rest.length > SMALL_WRITE || this.#leavesGap(position + done)
        ? await this.#file.write(rest)
        : await pace.run({ here: () => this.#file.writeSync(rest), there: () => this.#file.write(rest) });
      if (part === 0) throw new FileError("full", { what: "cannot write", path: this.#path });
      done += part;
      this.#position = position + done;
      this.#reached = Math.max(this.#reached, this.#position);
    }
  }

  async #writeInThread(file: ThreadFile, data: ArenaData, position: number): Promise<void> {
    const { length } = data.bytes;
    this.#reached = Math.max(this.#reached, position + length);
    const count = await file.write(data, position);
    if (count < length) throw new FileError("full", { what: "cannot write", path: this.#path });
  }

  /** Some file systems fill a gap before the written data with zeros, which may take minutes. */
  #leavesGap(position: number): boolean {
    return position > this.#reached + SMALL_WRITE;
  }

  /**
   * Opens the file in a disk thread, too, once enough was written. The main thread writes until then, and if the file
   * can't be opened there.
   *
   * @param bytes Bytes that are going to be written.
   */
  #openInThread(bytes: number): void {
    if (this.#threadFile !== undefined) return;
    this.#forThread += bytes;
    if (this.#forThread <= OPEN_IN_THREAD_AFTER) return;
    this.#threadFile = null;
    const id = this.#idOrNull();
    if (id === null) return;
    this.#opening = diskThreads()?.open(this.#path, id).then((file) => {
      this.#threadFile = file;
    }, () => {}); // a thread that has failed opens nothing, and says so where its work is lost
  }

  #idOrNull(): string | null {
    try {
      return toInfo(this.#file.statSync()).id;
    } catch (thrown) {
      if (!(thrown instanceof Error)) throw thrown;
      return null; // the main thread goes on alone, and meets the error if it lasts
    }
  }

  #leaveThread(): void {
    if (this.#threadFile) this.#leaving = this.#threadFile.close();
    this.#threadFile = null;
  }

  #seek(position: number): void {
    if (this.#position === position) return;
    this.#file.seekSync(position, Deno.SeekMode.Start);
    this.#position = position;
  }

  /**
   * Makes a call after all earlier ones, or at once if there are none.
   *
   * @param what The action, for an error message.
   * @param work Makes the call.
   * @param inThread Makes the call in the disk thread instead, beside others there. Returns `null` if that can't be.
   */
  #turn<T>(what: string, work: () => Promise<T>, inThread: () => Promise<T> | null = () => null): Promise<T> {
    if (this.#closing !== null) {
      const cause = new Error("the file is closed");
      return Promise.reject(new FileError("other", { what, path: this.#path, cause }));
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const settle = (result: Promise<T>) =>
      result.then(resolve, (thrown) => {
        this.#position = -1;
        this.#leaveThread(); // which may be the cause
        reject(toFileError(thrown, { what, path: this.#path }));
      });
    const call: Call = {
      here: () => settle(work()),
      inThread: () => {
        const result = inThread();
        return result && settle(result);
      },
    };
    this.#waiting.push(call);
    this.#next();
    return promise;
  }

  /** Makes the calls that need not wait any more. */
  #next(): void {
    while (this.#waiting.length > 0 && !this.#isBusy) {
      const call = this.#waiting[0]!;
      const inThread = call.inThread();
      if (inThread !== null) {
        this.#inThread++;
        void inThread.then(() => {
          this.#inThread--;
          this.#next();
        });
      } else if (this.#inThread > 0) return;
      else {
        this.#isBusy = true;
        void call.here().then(() => {
          this.#isBusy = false;
          this.#next();
        });
      }
      this.#waiting.shift();
    }
  }
}

/** Small files that are written at a time. A thousand torrents may want to save their state in the same second. */
const WRITERS = 16;
let writers = 0;
const line: (() => void)[] = [];

/** Runs `work` when fewer than {@linkcode WRITERS} others run. */
async function inLine<T>(work: () => Promise<T>): Promise<T> {
  if (writers < WRITERS) writers++;
  else await new Promise<void>((resolve) => line.push(resolve));
  try {
    return await work();
  } finally {
    const next = line.shift();
    if (next === undefined) writers--;
    else next();
  }
}

/** Implements `FileSystem.writeFile`. */
async function writeWhole(
  path: string,
  bytes: Bytes,
  { alone = false, secret = false }: WriteFileOptions,
): Promise<void> {
  // Another process may be writing the same file, so the draft has a random name unless the caller is `alone`.
  const draft = draftOf(path, alone ? ".new" : `.${crypto.randomUUID().slice(0, 8)}.new`);
  const file = await openFile(draft, alone ? "write" : "create", secret ? SECRET_FILE : undefined);
  try {
    try {
      // An older program may have left the draft when it crashed.
      if (secret && alone) await hideFromOthers(draft);
      await file.truncate(0);
      await file.write(bytes, 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await denoFiles.rename(draft, path);
    await syncFolderOf(path);
  } catch (error) {
    await denoFiles.remove(draft).catch(() => {}); // the first error is the one to report
    throw error;
  }
}

/** Returns the path of a file's draft: beside the file, with the name cut if the suffix would make it too long. */
function draftOf(path: string, suffix: string): string {
  const slash = path.lastIndexOf("/") + 1;
  return path.slice(0, slash) + cutUtf8(path.slice(slash), MAX_NAME_BYTES - suffix.length) + suffix;
}

/** Waits until the directory entries of the folder of `path` are on the device, where the system supports that. */
async function syncFolderOf(path: string): Promise<void> {
  if (isWindows) return; // folders can't be opened there
  const slash = path.lastIndexOf("/");
  const folder = slash < 0 ? "." : path.slice(0, slash + 1);
  await guard("cannot write", folder, async () => {
    using handle = await withDescriptor(() => Deno.open(folder));
    await handle.syncData();
  }).catch((error) => {
    if (!isFileFault(error, "name")) throw error; // EINVAL: this file system can't sync folders
  });
}

function openFile(path: string, how: OpenMode, mode?: number): Promise<DenoFileHandle> {
  return guard("cannot open", path, async () => {
    const options = {
      read: true,
      write: how !== "read",
      create: how === "write",
      createNew: how === "create",
      ...(mode === undefined || isWindows ? {} : { mode }),
    };
    const call = { here: () => Deno.openSync(path, options), there: () => Deno.open(path, options) };
    return new DenoFileHandle(await withDescriptor(() => pace.run(call)), path);
  });
}

/** Removes other users' access to a file where possible. Another user may own it, or there may be no modes. */
async function hideFromOthers(path: string): Promise<void> {
  if (isWindows) return;
  try {
    await Deno.chmod(path, SECRET_FILE);
  } catch (thrown) {
    // The file can be used nevertheless.
    if (!(thrown instanceof Error)) throw thrown;
  }
}

async function guard<T>(what: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw toFileError(thrown, { what, path });
  }
}

/** Mode bit of a file that its owner may execute. */
const EXECUTABLE = 0o100;

function toInfo(info: Deno.FileInfo): FileInfo {
  const kind = info.isFile ? "file" : info.isDirectory ? "folder" : info.isSymlink ? "link" : "other";
  const id = info.ino === null ? null : `${info.dev}:${info.ino}`;
  const { mode } = info;
  const executable = isWindows || mode === null ? {} : { executable: (mode & EXECUTABLE) !== 0 };
  return { kind, size: info.size, modified: info.mtime?.getTime() ?? 0, id, ...executable };
}

/**
 * Throws if the runtime lets us open no file below a path. Old runtimes make a folder there nevertheless, which would
 * then be of no use.
 */
async function refuseOffLimits(path: string): Promise<void> {
  try {
    (await Deno.open(path)).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
  }
}
