/**
 * Files in memory, for tests: each call can be made to fail, to wait, or to be the last before a crash.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { FileError, type FileFault } from "../../src/platform/file_errors.ts";
import type { FileHandle, FileInfo, FileSystem, OpenMode } from "../../src/platform/platform.ts";

/** What a call wants to do. */
export type FileOperation =
  | "open"
  | "stat"
  | "rename"
  | "makeFolder"
  | "link"
  | "remove"
  | "list"
  | "readFile"
  | "writeFile"
  | "realPath"
  | "read"
  | "write"
  | "truncate"
  | "sync"
  | "close";

/** One call, as it was made. */
export interface FileCall {
  /** What. */
  readonly operation: FileOperation;
  /** Where; of a rename, where from. */
  readonly path: string;
  /** Bytes to read or to write, or the size to set; 0 for the others. */
  readonly size: number;
}

/** Settings of {@linkcode MemoryFiles}. */
export interface MemoryFilesOptions {
  /** Gives the modification times; always 0 when absent. */
  readonly wallClock?: () => number;
  /** How many bytes may be written before the device is full; no limit when absent. */
  readonly room?: number;
}

interface FileNode {
  readonly kind: "file";
  readonly id: string;
  data: Bytes;
  modified: number;
  /** What a loss of power leaves for sure. */
  synced: Bytes;
}

type Node = FileNode | { readonly kind: "folder" } | { readonly kind: "link"; readonly target: string };

let lastId = 0;

function newId(): string {
  return `${++lastId}`;
}

/** Calls that wait until the test lets them go on. */
export interface Gate {
  /** How many calls wait. */
  readonly waiting: number;
  /** Lets the calls that wait go on, and all to come. */
  open(): void;
}

/**
 * A {@linkcode FileSystem} that holds everything in memory, with absolute paths and `/`. Folder `/` is there.
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
  /** Handles that are open. */
  openHandles = 0;
  /** The most handles that were open at one time. */
  mostOpenHandles = 0;
  /** Bytes that can still be written. */
  room: number;
  /** Asked before each call: a fault makes the call fail, and nothing happens. */
  onCall: (call: FileCall, index: number) => FileFault | null = () => null;
  readonly #nodes = new Map<string, Node>([["/", { kind: "folder" }]]);
  readonly #wallClock: () => number;
  #gate: { readonly match: (call: FileCall) => boolean; readonly queue: (() => void)[] } | null = null;
  #dead = false;

  /** @param options Clock and size. */
  constructor(options: MemoryFilesOptions = {}) {
    this.#wallClock = options.wallClock ?? (() => 0);
    this.room = options.room ?? Infinity;
  }

  /** Makes the calls that `match` wait until the gate is opened. */
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
   * The process ends here: calls under way and to come never settle and change nothing.
   *
   * @param power Random numbers, when the power fails too: of what wasn't synced, each 64 bytes are lost or kept by
   * chance.
   * @returns The files as the next process finds them.
   */
  crash(power?: () => number): MemoryFiles {
    this.#dead = true;
    const next = new MemoryFiles({ wallClock: this.#wallClock });
    for (const [path, node] of this.#nodes) {
      if (node.kind !== "file") {
        next.#nodes.set(path, node);
        continue;
      }
      const data = node.data.slice();
      for (let at = 0; power !== undefined && at < data.length; at += 64) {
        if (power() < 0.5) continue;
        data.fill(0, at, at + 64);
        data.set(node.synced.subarray(at, Math.min(at + 64, data.length)), Math.min(at, data.length));
      }
      next.#nodes.set(path, { kind: "file", id: node.id, data, modified: node.modified, synced: data.slice() });
    }
    return next;
  }

  /** Puts a file there, and the folders above it, without a call. */
  put(path: string, data: Uint8Array): void {
    for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) {
      this.#nodes.set(path.slice(0, at), { kind: "folder" });
    }
    this.#nodes.set(path, {
      kind: "file",
      id: newId(),
      data: new Uint8Array(data),
      synced: new Uint8Array(data),
      modified: this.#wallClock(),
    });
  }

  /** Puts a link there without a call. */
  putLink(path: string, target: string): void {
    this.#nodes.set(path, { kind: "link", target });
  }

  /** What a file holds, or `null` when there is none; without a call. */
  get(path: string): Bytes | null {
    const node = this.#nodes.get(path);
    return node?.kind === "file" ? node.data : null;
  }

  /** Where a link leads, or `null` when there is none; without a call. */
  linkAt(path: string): string | null {
    const node = this.#nodes.get(path);
    return node?.kind === "link" ? node.target : null;
  }

  /** Changes the size of a file that is there without a call, as another program may. */
  cut(path: string, size: number): void {
    const node = this.#nodes.get(path);
    if (node?.kind !== "file") throw new Error(`there is no file ${path}`);
    resize(node, size);
    node.modified = this.#wallClock();
  }

  /** Takes a file or a link away without a call. */
  delete(path: string): void {
    this.#nodes.delete(path);
  }

  /** Every path of a file or a link, sorted. */
  paths(): string[] {
    return [...this.#nodes].filter(([, node]) => node.kind !== "folder").map(([path]) => path).sort();
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    await this.#enter("open", path);
    const real = this.#resolve(path, mode !== "create");
    const node = this.#nodes.get(real);
    if (node && mode === "create") throw new FileError("exists", { what: "cannot open", path });
    if (node?.kind === "folder") throw new FileError("is-a-folder", { what: "cannot open", path });
    if (!node) {
      if (mode === "read" || mode === "update") throw new FileError("missing", { what: "cannot open", path });
      this.#needFolder(real, "cannot open");
      this.#nodes.set(real, {
        kind: "file",
        id: newId(),
        data: new Uint8Array(0),
        synced: new Uint8Array(0),
        modified: this.#wallClock(),
      });
    }
    this.mostOpenHandles = Math.max(this.mostOpenHandles, ++this.openHandles);
    return this.#handle(path, this.#nodes.get(real) as FileNode, mode);
  }

  async stat(path: string): Promise<FileInfo | null> {
    await this.#enter("stat", path);
    const node = this.#nodes.get(this.#resolve(path, false));
    if (!node) return null;
    return node.kind === "file" ? infoOf(node) : { kind: node.kind, size: 0, modified: 0, id: null };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#enter("rename", from);
    const real = this.#resolve(from, false);
    const node = this.#nodes.get(real);
    if (!node) throw new FileError("missing", { what: "cannot rename", path: from });
    const target = this.#resolve(to, false);
    this.#needFolder(target, "cannot rename");
    if (this.#nodes.get(target)?.kind === "folder") {
      throw new FileError("is-a-folder", { what: "cannot rename", path: to });
    }
    this.#nodes.delete(real);
    this.#nodes.set(target, node);
  }

  async makeFolder(path: string): Promise<void> {
    await this.#enter("makeFolder", path);
    const parts = path.split("/").slice(1);
    for (let count = 1; count <= parts.length; count++) {
      const real = this.#resolve(`/${parts.slice(0, count).join("/")}`, true);
      const node = this.#nodes.get(real);
      if (node?.kind === "file") throw new FileError("exists", { what: "cannot make the folder", path });
      this.#nodes.set(real, { kind: "folder" });
    }
  }

  async link(target: string, path: string): Promise<void> {
    await this.#enter("link", path);
    const real = this.#resolve(path, false);
    const there = this.#nodes.get(real);
    if (there && there.kind !== "link") throw new FileError("exists", { what: "cannot link", path });
    this.#needFolder(real, "cannot link");
    this.#nodes.set(real, { kind: "link", target });
  }

  async remove(path: string): Promise<void> {
    await this.#enter("remove", path);
    const real = this.#resolve(path, false);
    for (const name of [...this.#nodes.keys()]) {
      if (name === real || name.startsWith(`${real}/`)) this.#nodes.delete(name);
    }
  }

  async list(path: string): Promise<string[]> {
    await this.#enter("list", path);
    const start = `${this.#resolve(path, true)}/`.replace("//", "/");
    return [...this.#nodes.keys()]
      .filter((name) => name.startsWith(start) && name !== start && !name.slice(start.length).includes("/"))
      .map((name) => name.slice(start.length)).sort();
  }

  async readFile(path: string, maxBytes: number): Promise<Bytes> {
    await this.#enter("readFile", path);
    const node = this.#nodes.get(this.#resolve(path, true));
    if (node?.kind !== "file") throw new FileError("missing", { what: "cannot read", path });
    if (node.data.length > maxBytes) throw new FileError("too-large", { what: "cannot read", path });
    return node.data.slice();
  }

  async writeFile(path: string, bytes: Bytes): Promise<void> {
    await this.#enter("writeFile", path, bytes.length);
    const real = this.#resolve(path, true);
    this.#needFolder(real, "cannot write");
    const data = bytes.slice();
    this.#nodes.set(real, { kind: "file", id: newId(), data, synced: data.slice(), modified: this.#wallClock() });
  }

  async realPath(path: string): Promise<string> {
    await this.#enter("realPath", path);
    const real = this.#resolve(path, true);
    if (!this.#nodes.has(real)) throw new FileError("missing", { what: "cannot find", path });
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
          node.synced = node.data.slice();
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

  /** Follows links in the folders above `path`, and in its last part if asked to. */
  #resolve(path: string, followLast: boolean): string {
    if (!path.startsWith("/")) throw new Error(`MemoryFiles takes absolute paths, got "${path}"`);
    const todo = path.split("/").filter((part) => part !== "" && part !== ".");
    let real = "";
    for (let steps = 0; todo.length > 0; steps++) {
      if (steps > 100) throw new FileError("loop", { what: "cannot find", path });
      const part = todo.shift()!;
      if (part === "..") {
        real = real.slice(0, Math.max(0, real.lastIndexOf("/")));
        continue;
      }
      const node = this.#nodes.get(`${real}/${part}`);
      if (node?.kind === "link" && (todo.length > 0 || followLast)) {
        if (node.target.startsWith("/")) real = "";
        todo.unshift(...node.target.split("/").filter((name) => name !== "" && name !== "."));
        continue;
      }
      real = `${real}/${part}`;
    }
    return real === "" ? "/" : real;
  }

  #needFolder(real: string, what: string): void {
    const parent = real.slice(0, real.lastIndexOf("/")) || "/";
    const node = this.#nodes.get(parent);
    if (!node) throw new FileError("missing", { what, path: real });
    if (node.kind !== "folder") throw new FileError("not-a-folder", { what, path: real });
  }
}

function infoOf({ data, modified, id }: FileNode): FileInfo {
  return { kind: "file", size: data.length, modified, id };
}

function resize(node: FileNode, size: number): void {
  const data = new Uint8Array(size);
  data.set(node.data.subarray(0, size));
  node.data = data;
}
