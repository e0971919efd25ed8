/**
 * Files in memory, for tests. Each call can be made to fail, to wait, or to be the last before a crash.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { FileError, type FileFault } from "../../src/platform/file_errors.ts";
import type { FileHandle, FileInfo, FileLock, FileSystem, OpenMode } from "../../src/platform/platform.ts";
import { type FileNode, MemoryTree, newFile, type PowerLoss, putWithFolders, resize } from "./memory_tree.ts";

/** Kind of a call. */
export type FileOperation =
  | "open"
  | "stat"
  | "rename"
  | "makeFolder"
  | "link"
  | "readLink"
  | "remove"
  | "removeFolder"
  | "list"
  | "readFile"
  | "writeFile"
  | "lock"
  | "realPath"
  | "read"
  | "write"
  | "truncate"
  | "sync"
  | "close";

/** A recorded call. */
export interface FileCall {
  readonly operation: FileOperation;
  /** Path of the call; the old path of a rename. */
  readonly path: string;
  /** Bytes to read or write, or the new size; 0 for other calls. */
  readonly size: number;
}

/** Options for {@linkcode MemoryFiles}. */
export interface MemoryFilesOptions {
  /** Returns modification times; always 0 when absent. */
  readonly wallClock?: () => number;
  /** Bytes that can be written before the device is full; no limit when absent. */
  readonly room?: number;
  /** Folders where another file system is mounted; none when absent. */
  readonly mounts?: readonly string[];
}

/** Calls that wait until the test lets them continue. */
export interface Gate {
  /** Number of waiting calls. */
  readonly waiting: number;
  /** Lets the waiting calls and all later calls continue. */
  open(): void;
}

/**
 * A {@linkcode FileSystem} in memory, with absolute paths. Folder `/` exists and is the current folder.
 *
 * @example
 * ```ts
 * const files = new MemoryFiles();
 * files.onCall = (call) => call.operation === "sync" ? "device" : null;
 * ```
 */
export class MemoryFiles implements FileSystem {
  /** Every call so far. */
  readonly calls: FileCall[] = [];
  /** Number of open handles. */
  openHandles = 0;
  /** The most handles open at one time. */
  mostOpenHandles = 0;
  /** Bytes that can still be written. */
  room: number;
  /** Called before each call. A returned fault makes the call fail without any effect. */
  onCall: (call: FileCall, index: number) => FileFault | null = () => null;
  readonly #tree: MemoryTree;
  readonly #wallClock: () => number;
  #gate: { readonly match: (call: FileCall) => boolean; readonly queue: (() => void)[] } | null = null;
  readonly #mounts: readonly string[];
  readonly #locks = new Set<string>();
  #dead = false;

  /** @param tree Initial contents; only folder `/` when absent. */
  constructor(options: MemoryFilesOptions = {}, tree: MemoryTree = new MemoryTree()) {
    this.#tree = tree;
    this.#wallClock = options.wallClock ?? (() => 0);
    this.room = options.room ?? Infinity;
    this.#mounts = options.mounts ?? [];
  }

  /** Makes the calls that `match` selects wait until the gate is opened. */
  hold(match: (call: FileCall) => boolean): Gate {
    const gate = { match, queue: [] as (() => void)[] };
    this.#gate = gate;
    return {
      get waiting() {
        return gate.queue.length;
      },
      open: () => {
        this.#gate = null;
        for (const go of gate.queue.splice(0)) go();
      },
    };
  }

  /**
   * Ends the process: calls under way and later calls never settle and change nothing.
   *
   * @param power Loss of data by a power failure; no power failure when absent.
   * @param wallClock Returns modification times from then on; the same as before when absent.
   * @returns The files as the next process finds them, a new copy for each call.
   */
  crash(power?: PowerLoss, wallClock: () => number = this.#wallClock): MemoryFiles {
    this.#dead = true;
    return new MemoryFiles({ wallClock, mounts: this.#mounts }, this.#tree.after(power));
  }

  /** Returns a copy of the files as another process would find them now. This file system stays usable. */
  copy(): MemoryFiles {
    return new MemoryFiles({ wallClock: this.#wallClock, mounts: this.#mounts }, this.#tree.after());
  }

  /** Adds a file and the folders above it, without a recorded call. */
  put(path: string, data: Uint8Array): void {
    const node = newFile(data, this.#wallClock());
    this.#tree.changeForGood((nodes) => putWithFolders(nodes, path, node));
  }

  /** Adds a link, without a recorded call. */
  putLink(path: string, target: string): void {
    this.#tree.changeForGood((nodes) => nodes.set(path, { kind: "link", target }));
  }

  /** Returns the contents of a file, or `null` if there is no file, without a recorded call. */
  get(path: string): Bytes | null {
    const node = this.#tree.nodes.get(path);
    return node?.kind === "file" ? node.data : null;
  }

  /**
   * Returns a text that changes with the file and with its contents, or `null` if there is no file, without a recorded
   * call.
   */
  stampOf(path: string): string | null {
    const node = this.#tree.nodes.get(path);
    return node?.kind === "file" ? `${node.id}:${node.version}` : null;
  }

  /** Returns the target of a link, or `null` if there is no link, without a recorded call. */
  linkAt(path: string): string | null {
    const node = this.#tree.nodes.get(path);
    return node?.kind === "link" ? node.target : null;
  }

  /** Resizes an existing file without a recorded call, as another program may. */
  cut(path: string, size: number): void {
    const node = this.#tree.nodes.get(path);
    if (node?.kind !== "file") throw new Error(`there is no file ${path}`);
    resize(node, size);
    node.modified = this.#wallClock();
  }

  /** Removes a file or a link, without a recorded call. */
  delete(path: string): void {
    this.#tree.changeForGood((nodes) => nodes.delete(path));
  }

  /** Returns the paths of all files and links, sorted. */
  paths(): string[] {
    return [...this.#tree.nodes].filter(([, node]) => node.kind !== "folder").map(([path]) => path).sort();
  }

  /** Returns the paths of all folders, sorted. */
  folders(): string[] {
    return [...this.#tree.nodes].filter(([, node]) => node.kind === "folder").map(([path]) => path).sort();
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    await this.#enter("open", path);
    const real = this.#tree.resolve(path, mode !== "create");
    const node = this.#tree.nodes.get(real);
    if (node && mode === "create") throw new FileError("exists", { what: "cannot open", path });
    if (node?.kind === "folder") throw new FileError("is-a-folder", { what: "cannot open", path });
    if (!node) {
      if (mode === "read" || mode === "update") throw new FileError("missing", { what: "cannot open", path });
      this.#tree.needFolder(real, "cannot open");
      const made = newFile(new Uint8Array(0), this.#wallClock());
      this.#tree.change((nodes) => nodes.set(real, made));
    }
    this.mostOpenHandles = Math.max(this.mostOpenHandles, ++this.openHandles);
    return this.#handle(path, this.#tree.nodes.get(real) as FileNode, mode);
  }

  async stat(path: string): Promise<FileInfo | null> {
    await this.#enter("stat", path);
    const node = this.#tree.nodes.get(this.#tree.resolve(path, false));
    if (!node) return null;
    return node.kind === "file" ? infoOf(node) : { kind: node.kind, size: 0, modified: 0, id: null };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#enter("rename", from);
    const real = this.#tree.resolve(from, false);
    const node = this.#tree.nodes.get(real);
    if (!node) throw new FileError("missing", { what: "cannot rename", path: from });
    const target = this.#tree.resolve(to, false);
    this.#tree.needFolder(target, "cannot rename");
    if (this.#tree.nodes.get(target)?.kind === "folder") {
      throw new FileError("is-a-folder", { what: "cannot rename", path: to });
    }
    const deviceOf = (path: string) => this.#mounts.findLast((mount) => path.startsWith(`${mount}/`));
    if (deviceOf(real) !== deviceOf(target)) throw new FileError("other-device", { what: "cannot rename", path: to });
    this.#tree.change((nodes) => {
      nodes.delete(real);
      nodes.set(target, node);
    });
  }

  async makeFolder(path: string): Promise<void> {
    await this.#enter("makeFolder", path);
    const parts = path.split("/").slice(1);
    for (let count = 1; count <= parts.length; count++) {
      const real = this.#tree.resolve(`/${parts.slice(0, count).join("/")}`, true);
      const node = this.#tree.nodes.get(real);
      if (node?.kind === "file") throw new FileError("exists", { what: "cannot make the folder", path });
      if (!node) this.#tree.change((nodes) => nodes.set(real, { kind: "folder" }));
    }
  }

  async link(target: string, path: string): Promise<void> {
    await this.#enter("link", path);
    const real = this.#tree.resolve(path, false);
    if (this.#tree.nodes.has(real)) throw new FileError("exists", { what: "cannot link", path });
    this.#tree.needFolder(real, "cannot link");
    this.#tree.change((nodes) => nodes.set(real, { kind: "link", target }));
  }

  async readLink(path: string): Promise<string> {
    await this.#enter("readLink", path);
    const node = this.#tree.nodes.get(this.#tree.resolve(path, false));
    if (node?.kind !== "link") throw new FileError("missing", { what: "cannot read the link", path });
    return node.target;
  }

  async remove(path: string): Promise<void> {
    await this.#enter("remove", path);
    const real = this.#tree.resolve(path, false);
    this.#tree.change((nodes) => {
      for (const name of [...nodes.keys()]) if (name === real || name.startsWith(`${real}/`)) nodes.delete(name);
    });
  }

  async removeFolder(path: string): Promise<boolean> {
    await this.#enter("removeFolder", path);
    const real = this.#tree.resolve(path, false);
    const node = this.#tree.nodes.get(real);
    if (node?.kind !== "folder") return node === undefined;
    for (const name of this.#tree.nodes.keys()) if (name.startsWith(`${real}/`)) return false;
    this.#tree.change((nodes) => nodes.delete(real));
    return true;
  }

  async list(path: string): Promise<string[]> {
    await this.#enter("list", path);
    const start = `${this.#tree.resolve(path, true)}/`.replace("//", "/");
    return [...this.#tree.nodes.keys()]
      .filter((name) => name.startsWith(start) && name !== start && !name.slice(start.length).includes("/"))
      .map((name) => name.slice(start.length)).sort();
  }

  async readFile(path: string, maxBytes: number): Promise<Bytes> {
    await this.#enter("readFile", path);
    const node = this.#tree.nodes.get(this.#tree.resolve(path, true));
    if (node?.kind !== "file") throw new FileError("missing", { what: "cannot read", path });
    if (node.data.length > maxBytes) throw new FileError("too-large", { what: "cannot read", path });
    return node.data.slice();
  }

  async writeFile(path: string, bytes: Bytes): Promise<void> {
    await this.#enter("writeFile", path, bytes.length);
    const real = this.#tree.resolve(path, true);
    this.#tree.needFolder(real, "cannot write");
    const node = newFile(bytes, this.#wallClock());
    this.#tree.changeForGood((nodes) => putWithFolders(nodes, real, node));
  }

  writeNote(path: string, bytes: Bytes): Promise<void> {
    return this.writeFile(path, bytes);
  }

  /** Never waits, whatever the patience. */
  async lock(path: string): Promise<FileLock | null> {
    await this.#enter("lock", path);
    if (this.#locks.has(path)) return null;
    this.#locks.add(path);
    const node = newFile(new Uint8Array(0), this.#wallClock());
    this.#tree.needFolder(path, "cannot lock");
    this.#tree.change((nodes) => nodes.set(path, node));
    return {
      release: () => {
        this.#locks.delete(path);
        this.#tree.change((nodes) => nodes.delete(path));
        return Promise.resolve();
      },
    };
  }

  async realPath(path: string): Promise<string> {
    await this.#enter("realPath", path);
    const real = this.#tree.resolve(path === "." ? "/" : path, true);
    if (!this.#tree.nodes.has(real)) throw new FileError("missing", { what: "cannot find", path });
    return real;
  }

  #handle(path: string, node: FileNode, mode: OpenMode): FileHandle {
    let tail: Promise<unknown> = Promise.resolve();
    let closed = false;
    const turn = <T>(operation: FileOperation, size: number, work: () => T): Promise<T> => {
      if (closed) throw new Error(`${operation} on a closed handle of ${path}`);
      const result = tail.then(() => this.#enter(operation, path, size)).then(work);
      tail = result.then(() => {}, () => {});
      return result;
    };
    const needWrite = () => {
      if (mode === "read") throw new FileError("denied", { what: "cannot write", path });
    };
    return {
      read: (into, position) =>
        turn("read", into.length, () => {
          const part = node.data.subarray(position, position + into.length);
          into.set(part);
          return part.length;
        }),
      write: (from, position) =>
        turn("write", from.length, () => {
          needWrite();
          const fits = from.subarray(0, Math.min(from.length, this.room));
          this.room -= fits.length;
          if (position + fits.length > node.data.length) resize(node, position + fits.length);
          node.data.set(fits, position);
          node.modified = this.#wallClock();
          node.version++;
          if (fits.length < from.length) throw new FileError("full", { what: "cannot write", path });
        }),
      truncate: (size) =>
        turn("truncate", size, () => {
          needWrite();
          resize(node, size);
          node.modified = this.#wallClock();
        }),
      stat: () => turn("stat", 0, () => infoOf(node)),
      sync: () =>
        turn("sync", 0, () => {
          this.#tree.sync(node);
        }),
      close: () => {
        const closing = turn("close", 0, () => {}).finally(() => void this.openHandles--);
        closed = true;
        return closing;
      },
    };
  }

  async #enter(operation: FileOperation, path: string, size = 0): Promise<void> {
    const call = { operation, path, size };
    if (!this.#dead) this.calls.push(call);
    const fault = this.#dead ? null : this.onCall(call, this.calls.length - 1);
    const gate = this.#gate;
    if (gate?.match(call)) await new Promise<void>((go) => gate.queue.push(go));
    else await Promise.resolve();
    if (this.#dead) await new Promise<never>(() => {});
    if (fault !== null) throw new FileError(fault, { what: `cannot ${operation}`, path });
  }
}

function infoOf({ data, modified, id }: FileNode): FileInfo {
  return { kind: "file", size: data.length, modified, id };
}
