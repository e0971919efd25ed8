/**
 * A file system in which one chosen call fails with an error of the operating system, and that records the caller of
 * each call.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { toFileError } from "../../src/platform/file_errors.ts";
import type { FileHandle, FileSystem, OpenMode, Secrecy, WriteFileOptions } from "../../src/platform/platform.ts";

/** Every operation of a file system and of its handles. */
export const OPERATIONS = [
  "open",
  "stat",
  "rename",
  "makeFolder",
  "link",
  "readLink",
  "remove",
  "removeFolder",
  "list",
  "readFile",
  "writeFile",
  "lock",
  "realPath",
  "handle.read",
  "handle.write",
  "handle.truncate",
  "handle.stat",
  "handle.sync",
  "handle.close",
] as const;

/** One of {@linkcode OPERATIONS}. */
export type Operation = typeof OPERATIONS[number];

/** Error code with which a call fails. `SHORT` is a write that writes half of the bytes before the disk is full. */
export type Fault = "ENOSPC" | "EIO" | "EACCES" | "EMFILE" | "EEXIST" | "SHORT";

/** Faults that every operation can have. */
const EVERYWHERE: readonly Fault[] = ["ENOSPC", "EIO", "EACCES", "EMFILE"];

const MESSAGES: Readonly<Record<Exclude<Fault, "SHORT">, string>> = {
  EEXIST: "File exists (os error 17)",
  ENOSPC: "No space left on device (os error 28)",
  EIO: "Input/output error (os error 5)",
  EACCES: "Permission denied (os error 13)",
  EMFILE: "Too many open files (os error 24)",
};

/** One call of the file system. */
export interface Call {
  /** Operation that was called. */
  readonly operation: Operation;
  /** Path of the call. For a rename the new path, as in the rename's error. */
  readonly path: string;
  /** Open mode, empty for other operations. */
  readonly mode: OpenMode | "";
  /** File and line in `src/` that made the call. Empty if {@linkcode FaultFilesOptions.sites} is off. */
  readonly site: string;
}

/** A fault to inject. */
export interface Plan {
  /** Number of the call that fails. */
  readonly at: number;
  /** Fault of the call. */
  readonly fault: Fault;
  /** Fault of the next call for the same path, which may be the clean-up. */
  readonly next?: Fault;
}

/** Returns all faults that a call can have, alone and together with a fault of the next call for its path. */
export function plansFor(call: Call, at: number): Plan[] {
  const plans: Plan[] = EVERYWHERE.map((fault) => ({ at, fault }));
  if (call.operation === "handle.write") plans.push({ at, fault: "SHORT" });
  if (call.operation.startsWith("handle.") || call.operation === "open") {
    plans.push({ at, fault: "ENOSPC", next: "EIO" });
  }
  if (call.mode === "create") plans.push({ at, fault: "EEXIST" }, { at, fault: "EEXIST", next: "EIO" });
  return plans;
}

/** Options for {@linkcode FaultFiles}. */
export interface FaultFilesOptions {
  /** Fault to inject, none by default. */
  readonly plan?: Plan;
  /**
   * Records the caller of every call, which takes time. Default `false`. The caller of a failed call is always
   * recorded.
   */
  readonly sites?: boolean;
  /** Called after every call. */
  after(): void;
}

/** Passes calls on to another file system, except calls that are planned to fail. */
export class FaultFiles implements FileSystem {
  /** Every call so far. */
  readonly calls: Call[] = [];
  /** The calls that failed. */
  readonly failed: Call[] = [];
  readonly #inner: FileSystem;
  readonly #options: FaultFilesOptions;

  /**
   * @param inner File system that does the work.
   * @param options See {@linkcode FaultFilesOptions}.
   */
  constructor(inner: FileSystem, options: FaultFilesOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    return this.#do(
      { operation: "open", path, mode },
      async () => this.#wrap(path, await this.#inner.open(path, mode)),
    );
  }

  stat(path: string) {
    return this.#do({ operation: "stat", path }, () => this.#inner.stat(path));
  }

  rename(from: string, to: string) {
    return this.#do({ operation: "rename", path: to }, () => this.#inner.rename(from, to));
  }

  makeFolder(path: string, options?: Secrecy) {
    return this.#do({ operation: "makeFolder", path }, () => this.#inner.makeFolder(path, options));
  }

  link(target: string, path: string) {
    return this.#do({ operation: "link", path }, () => this.#inner.link(target, path));
  }

  readLink(path: string) {
    return this.#do({ operation: "readLink", path }, () => this.#inner.readLink(path));
  }

  remove(path: string) {
    return this.#do({ operation: "remove", path }, () => this.#inner.remove(path));
  }

  removeFolder(path: string) {
    return this.#do({ operation: "removeFolder", path }, () => this.#inner.removeFolder(path));
  }

  list(path: string) {
    return this.#do({ operation: "list", path }, () => this.#inner.list(path));
  }

  readFile(path: string, maxBytes: number, options?: Secrecy) {
    return this.#do({ operation: "readFile", path }, () => this.#inner.readFile(path, maxBytes, options));
  }

  writeFile(path: string, bytes: Bytes, options?: WriteFileOptions) {
    return this.#do({ operation: "writeFile", path }, () => this.#inner.writeFile(path, bytes, options));
  }

  writeNote(path: string, bytes: Bytes) {
    return this.#do({ operation: "writeFile", path }, () => this.#inner.writeNote(path, bytes));
  }

  lock(path: string, options: { readonly patience: number }) {
    return this.#do({ operation: "lock", path }, () => this.#inner.lock(path, options));
  }

  realPath(path: string) {
    return this.#do({ operation: "realPath", path }, () => this.#inner.realPath(path));
  }

  #wrap(path: string, handle: FileHandle): FileHandle {
    return {
      read: (into, position) => this.#do({ operation: "handle.read", path }, () => handle.read(into, position)),
      write: (from, position) =>
        this.#do(
          { operation: "handle.write", path },
          () => handle.write(from, position),
          () => handle.write(from.subarray(0, from.length >> 1), position),
        ),
      truncate: (size) => this.#do({ operation: "handle.truncate", path }, () => handle.truncate(size)),
      stat: () => this.#do({ operation: "handle.stat", path }, () => handle.stat()),
      sync: () => this.#do({ operation: "handle.sync", path }, () => handle.sync()),
      // The operating system closes a file even if close() fails, such as for data that can't be written any more.
      close: () => this.#do({ operation: "handle.close", path }, () => handle.close(), () => handle.close()),
    };
  }

  /** Makes a call, or fails it as planned. Not `async`, so that the caller is on the stack for {@linkcode callSite}. */
  #do<T>(
    call: { readonly operation: Operation; readonly path: string; readonly mode?: OpenMode },
    work: () => Promise<T>,
    half?: () => Promise<unknown>,
  ): Promise<T> {
    const fault = this.#faultOf(call.path);
    const made: Call = { mode: "", ...call, site: this.#options.sites || fault !== null ? callSite() : "" };
    this.calls.push(made);
    if (fault === null) return this.#told(work());
    this.failed.push(made);
    const code = fault === "SHORT" ? "ENOSPC" : fault;
    const cause = Object.assign(new Error(MESSAGES[code]), { code });
    const error = toFileError(cause, { what: `cannot ${call.operation.replace("handle.", "")}`, path: call.path });
    const before = half !== undefined && (fault === "SHORT" || call.operation === "handle.close");
    return this.#told((before ? half() : Promise.resolve()).then(() => {
      throw error;
    }));
  }

  /** Returns the fault of the next call, or `null` if it succeeds. */
  #faultOf(path: string): Fault | null {
    const { plan } = this.#options;
    if (plan?.at === this.calls.length) return plan.fault;
    const isNext = plan?.next !== undefined && this.failed.length === 1 && this.failed[0]!.path === path;
    return isNext ? plan.next : null;
  }

  async #told<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      this.#options.after();
    }
  }
}

/** Returns the file and line of the innermost stack frame in `src/`. */
function callSite(): string {
  const found = /\/(src\/[\w/]+\.ts:\d+):\d+/.exec(new Error().stack ?? "");
  return found?.[1] ?? "elsewhere";
}
