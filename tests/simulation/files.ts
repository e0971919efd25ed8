/**
 * Disks in memory with simulated latency and faults. Right data costs no memory: a page whose bytes equal the torrent's
 * is stored as a mark.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { FileError, type FileFault } from "../../src/platform/file_errors.ts";
import type { FileHandle, FileInfo, FileLock, FileSystem, OpenMode } from "../../src/platform/platform.ts";
import { sameBytes } from "./truth.ts";

const PAGE = 16 * 1024;

/** Speed and size of a disk. */
export interface DiskProfile {
  /** Milliseconds for each call. */
  readonly latency: number;
  /** Bytes a second. */
  readonly speed: number;
  /** Capacity in bytes. */
  readonly room: number;
}

/** A disk without delay and with unlimited capacity. */
export const PERFECT_DISK: DiskProfile = { latency: 0, speed: Infinity, room: Infinity };

/** Options for {@linkcode SimFiles}. */
export interface SimFilesOptions {
  /** Speed and size of the disk. */
  readonly profile: DiskProfile;
  /** Returns the bytes that a file of the torrent has when it is complete, or `null` for other files. */
  expected(path: string): Bytes | null;
  /** Returns the wall clock in milliseconds since 1970. */
  wallClock(): number;
  /** Waits until the disk has worked for a number of milliseconds. The disk does one thing at a time. */
  wait(milliseconds: number): Promise<void>;
}

/** One call of the file system. */
export interface DiskCall {
  readonly operation: string;
  readonly path: string;
  readonly size: number;
}

/** Content of a file, in pages. */
class Content {
  size = 0;
  modified = 0;
  readonly id: string;
  #expected: Bytes | null;
  /** By page number: the bytes, or `true` if they are the expected ones. Missing pages are zeros. */
  readonly #pages = new Map<number, Bytes | true>();

  constructor(id: string, expected: Bytes | null) {
    this.id = id;
    this.#expected = expected;
  }

  /** Bytes that the file takes on the disk. */
  get used(): number {
    return this.#pages.size * PAGE;
  }

  /** Sets the expected bytes when the file is renamed. The content doesn't change. */
  expect(expected: Bytes | null): void {
    if (expected !== null && this.#expected === null) this.#expected = expected;
  }

  /** Returns `true` if a range has the expected bytes. */
  isRight(from: number, end: number): boolean {
    if (!this.#expected || end > this.size) return false;
    for (let page = Math.floor(from / PAGE); page * PAGE < end; page++) {
      if (this.#pages.get(page) === true) continue;
      const first = Math.max(from, page * PAGE);
      const last = Math.min(end, (page + 1) * PAGE);
      const own = new Uint8Array(last - first);
      this.read(own, first);
      if (!sameBytes(own, this.#expected.subarray(first, last))) return false;
    }
    return true;
  }

  read(into: Bytes, position: number): number {
    const end = Math.min(this.size, position + into.length);
    for (let at = position; at < end;) {
      const number = Math.floor(at / PAGE);
      const stop = Math.min(end, (number + 1) * PAGE);
      const page = this.#pages.get(number);
      const target = into.subarray(at - position, stop - position);
      if (page === undefined) target.fill(0);
      else if (page === true) target.set(this.#expected!.subarray(at, stop));
      else target.set(page.subarray(at - number * PAGE, stop - number * PAGE));
      at = stop;
    }
    return Math.max(0, end - position);
  }

  write(from: Bytes, position: number): void {
    const end = position + from.length;
    this.size = Math.max(this.size, end);
    for (let at = position; at < end;) {
      const number = Math.floor(at / PAGE);
      const start = number * PAGE;
      const stop = Math.min(end, start + PAGE);
      this.#writePage(number, from.subarray(at - position, stop - position), at - start);
      at = stop;
    }
  }

  resize(size: number): void {
    for (const number of [...this.#pages.keys()]) {
      if (number * PAGE >= size) this.#pages.delete(number);
      else if ((number + 1) * PAGE > size && size < this.size) this.#own(number).fill(0, size - number * PAGE);
    }
    this.size = size;
  }

  /** Flips one bit. */
  flip(at: number): void {
    const page = this.#own(Math.floor(at / PAGE));
    page[at % PAGE]! ^= 1;
  }

  #writePage(number: number, part: Bytes, at: number): void {
    const wanted = this.#expected?.subarray(number * PAGE, (number + 1) * PAGE);
    const right = wanted !== undefined && sameBytes(part, wanted.subarray(at, at + part.length));
    const there = this.#pages.get(number);
    if (right && (there === true || part.length === wanted.length)) return void this.#pages.set(number, true);
    const own = this.#own(number);
    own.set(part, at);
    if (right && sameBytes(own.subarray(0, wanted.length), wanted)) this.#pages.set(number, true);
  }

  #own(number: number): Bytes {
    const there = this.#pages.get(number);
    if (there instanceof Uint8Array) return there;
    const page = new Uint8Array(PAGE);
    if (there === true) page.set(this.#expected!.subarray(number * PAGE, (number + 1) * PAGE));
    this.#pages.set(number, page);
    return page;
  }
}

/** A disk with absolute paths and no links. */
export class SimFiles implements FileSystem {
  /** Capacity in bytes. It may be changed at any time. */
  room: number;
  /** Called before each call. Returns the fault of the call, or `null` if the call succeeds. */
  fault: (call: DiskCall) => FileFault | null = () => null;
  /** Called with the new path after each rename. */
  renamed: (path: string) => void = () => {};
  /** Number of calls that failed with an injected fault. */
  faults = 0;
  /** Paths whose removal failed. */
  readonly unremoved = new Set<string>();
  /** Open handles. */
  readonly #open = new Set<FileHandle>();
  readonly #options: SimFilesOptions;
  readonly #files = new Map<string, Content>();
  readonly #folders = new Set<string>(["/"]);
  readonly #locks = new Set<string>();
  #lastId = 0;

  constructor(options: SimFilesOptions) {
    this.#options = options;
    this.room = options.profile.room;
  }

  /** Number of open handles. */
  get openHandles(): number {
    return this.#open.size;
  }

  /** Closes all handles and locks, since their program has ended. */
  forgetHandles(): void {
    this.#open.clear();
    this.#locks.clear();
  }

  /** Paths of all files, sorted. */
  get paths(): string[] {
    return [...this.#files.keys()].sort();
  }

  /** Returns `true` if a range of a file has the expected bytes. Doesn't count as a call. */
  isRight(path: string, from: number, end: number): boolean {
    return this.#files.get(path)?.isRight(from, end) ?? false;
  }

  /** Returns `true` if a file contains some bytes at an offset. Doesn't count as a call. */
  holds(path: string, at: number, bytes: Bytes): boolean {
    const own = new Uint8Array(bytes.length);
    return this.#files.get(path)?.read(own, at) === bytes.length && sameBytes(own, bytes);
  }

  /** Returns the size of a file, or -1 if it is missing. Doesn't count as a call. */
  sizeOf(path: string): number {
    return this.#files.get(path)?.size ?? -1;
  }

  /** Writes a range of the expected bytes to a file. Doesn't count as a call. */
  plant(path: string, options: { readonly from: number; readonly end: number; readonly size: number }): void {
    const folder = path.slice(0, path.lastIndexOf("/"));
    for (let at = folder; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) this.#folders.add(at);
    const file = this.#files.get(path) ?? this.#create(path);
    const data = this.#options.expected(path);
    if (!data) throw new Error(`nothing is expected at ${path}`);
    file.resize(options.size);
    file.write(data.slice(options.from, options.end), options.from);
  }

  /** Flips one bit of a file. */
  flip(path: string, at: number): void {
    this.#files.get(path)!.flip(at);
  }

  /** Removes a file, as a user who moves it elsewhere. */
  moveAway(path: string): void {
    this.#files.delete(path);
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    await this.#enter("open", path);
    let file = this.#files.get(path);
    if (this.#folders.has(path)) throw new FileError("is-a-folder", { what: "cannot open", path });
    if (file && mode === "create") throw new FileError("exists", { what: "cannot open", path });
    if (!file) {
      if (mode === "read" || mode === "update") throw new FileError("missing", { what: "cannot open", path });
      this.#needFolder(path);
      file = this.#create(path);
    }
    const handle = this.#handle(path, file);
    this.#open.add(handle);
    return handle;
  }

  async stat(path: string): Promise<FileInfo | null> {
    await this.#enter("stat", path);
    if (this.#folders.has(path)) return { kind: "folder", size: 0, modified: 0, id: null };
    const file = this.#files.get(path);
    return file ? infoOf(file) : null;
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#enter("rename", from);
    const file = this.#files.get(from);
    if (!file) throw new FileError("missing", { what: "cannot rename", path: from });
    this.#needFolder(to);
    if (deviceOf(from) !== deviceOf(to)) throw new FileError("other-device", { what: "cannot rename", path: from });
    this.#files.delete(from);
    file.expect(this.#options.expected(to));
    this.#files.set(to, file);
    this.renamed(to);
  }

  async makeFolder(path: string): Promise<void> {
    await this.#enter("makeFolder", path);
    for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) this.#folders.add(at);
  }

  link(_target: string, path: string): Promise<void> {
    return Promise.reject(new FileError("other", { what: "cannot link", path, cause: new Error("no links here") }));
  }

  readLink(path: string): Promise<string> {
    return Promise.reject(new FileError("missing", { what: "cannot read the link", path }));
  }

  async removeFolder(path: string): Promise<boolean> {
    await this.#enter("remove", path);
    if (!this.#folders.has(path)) return !this.#files.has(path);
    for (const name of [...this.#files.keys(), ...this.#folders]) if (name.startsWith(`${path}/`)) return false;
    return this.#folders.delete(path);
  }

  async remove(path: string): Promise<void> {
    await this.#enter("remove", path);
    for (const name of [...this.#files.keys()]) {
      if (name === path || name.startsWith(`${path}/`)) this.#files.delete(name);
    }
    this.#folders.delete(path);
  }

  async list(path: string): Promise<string[]> {
    await this.#enter("list", path);
    const start = `${path}/`.replace("//", "/");
    return [...this.#files.keys(), ...this.#folders]
      .filter((name) => name.startsWith(start) && name !== start && !name.slice(start.length).includes("/"))
      .map((name) => name.slice(start.length)).sort();
  }

  async readFile(path: string, maxBytes: number): Promise<Bytes> {
    await this.#enter("readFile", path);
    const file = this.#files.get(path);
    if (!file) throw new FileError("missing", { what: "cannot read", path });
    if (file.size > maxBytes) throw new FileError("too-large", { what: "cannot read", path });
    const bytes = new Uint8Array(file.size);
    file.read(bytes, 0);
    return bytes;
  }

  async writeFile(path: string, bytes: Bytes): Promise<void> {
    await this.#enter("writeFile", path, bytes.length);
    this.#needFolder(path);
    this.#needRoom(bytes.length, path);
    const file = this.#create(path);
    file.write(bytes.slice(), 0);
  }

  writeNote(path: string, bytes: Bytes): Promise<void> {
    return this.writeFile(path, bytes);
  }

  async lock(path: string): Promise<FileLock | null> {
    await this.#enter("lock", path);
    this.#needFolder(path);
    if (this.#locks.has(path)) return null;
    if (!this.#files.has(path)) this.#create(path);
    this.#locks.add(path);
    return {
      release: () => {
        this.#locks.delete(path);
        this.#files.delete(path);
        return Promise.resolve();
      },
    };
  }

  async realPath(path: string): Promise<string> {
    await this.#enter("realPath", path);
    if (!this.#files.has(path) && !this.#folders.has(path)) {
      throw new FileError("missing", { what: "cannot find", path });
    }
    return path;
  }

  #handle(path: string, file: Content): FileHandle {
    let tail: Promise<unknown> = Promise.resolve();
    let closed = false;
    const turn = <T>(operation: string, size: number, work: () => T): Promise<T> => {
      if (closed) throw new Error(`${operation} on a closed handle of ${path}`);
      const result = tail.then(() => this.#enter(operation, path, size)).then(work);
      tail = result.then(() => {}, () => {});
      return result;
    };
    const touch = () => void (file.modified = this.#options.wallClock());
    const handle: FileHandle = {
      read: (into, position) => turn("read", into.length, () => file.read(into, position)),
      write: (from, position) =>
        turn("write", from.length, () => {
          touch();
          const fits = this.#roomFor(from.length);
          file.write(fits < from.length ? from.subarray(0, fits) : from, position);
          if (fits < from.length) throw new FileError("full", { what: "cannot write", path });
        }),
      truncate: (size) =>
        turn("truncate", 0, () => {
          touch();
          file.resize(size);
        }),
      stat: () => turn("stat", 0, () => infoOf(file)),
      sync: () => turn("sync", 0, () => {}),
      close: () => {
        const closing = turn("close", 0, () => {}).finally(() => void this.#open.delete(handle));
        closed = true;
        return closing;
      },
    };
    return handle;
  }

  async #enter(operation: string, path: string, size = 0): Promise<void> {
    const { latency, speed } = this.#options.profile;
    const fault = this.fault({ operation, path, size });
    const time = latency + 1000 * size / speed;
    if (time > 0) await this.#options.wait(time);
    else await Promise.resolve();
    if (fault === null) return;
    this.faults++;
    if (operation === "remove") this.unremoved.add(path);
    throw new FileError(fault, { what: `cannot ${operation}`, path });
  }

  #roomFor(bytes: number): number {
    if (this.room === Infinity) return bytes;
    let used = 0;
    for (const file of this.#files.values()) used += file.used;
    // Whole pages are counted. That is inexact, but a full disk is full.
    return Math.max(0, Math.min(bytes, this.room - used));
  }

  #needRoom(bytes: number, path: string): void {
    if (this.#roomFor(bytes) < bytes) throw new FileError("full", { what: "cannot write", path });
  }

  #create(path: string): Content {
    const file = new Content(`${++this.#lastId}`, this.#options.expected(path));
    file.modified = this.#options.wallClock();
    this.#files.set(path, file);
    return file;
  }

  #needFolder(path: string): void {
    const parent = path.slice(0, path.lastIndexOf("/")) || "/";
    if (!this.#folders.has(parent)) throw new FileError("missing", { what: "cannot open", path });
  }
}

/** Returns the device of a path. A top-level folder whose name begins with "usb" is its own device. */
function deviceOf(path: string): string {
  const [, top = ""] = path.split("/");
  return top.startsWith("usb") ? top : "";
}

function infoOf(file: Content): FileInfo {
  return { kind: "file", size: file.size, modified: file.modified, id: file.id };
}
