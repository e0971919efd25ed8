/**
 * Turns errors of the file system into messages for users.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";

/** Kind of file system failure. */
export type FileFault =
  | "missing"
  | "denied"
  | "off-limits"
  | "full"
  | "exists"
  | "not-a-folder"
  | "is-a-folder"
  | "read-only"
  | "name"
  | "loop"
  | "too-large"
  | "device"
  | "too-many"
  | "other-device"
  | "other";

/** Message for one fault. */
interface Words {
  readonly why: string;
  readonly hint?: string;
}

const WORDS: Readonly<Record<Exclude<FileFault, "other">, Words>> = {
  "missing": { why: "there is no such file or folder" },
  "denied": { why: "permission denied", hint: "choose another folder with -o, or change who may write there" },
  "off-limits": {
    why: "the Deno runtime, on which Shoal runs, lets no program into /dev, /proc and /sys",
    hint: "choose a folder elsewhere",
  },
  "full": {
    why: "no space is left on the device",
    hint: "free some room and start again: what is there is kept",
  },
  "exists": { why: "something else is already there", hint: "move it away or choose another folder with -o" },
  "not-a-folder": {
    why: "a part of the path is a file, not a folder",
    hint: "move it away or choose another folder with -o",
  },
  "is-a-folder": { why: "a folder is in the place of the file", hint: "move it away or choose another folder with -o" },
  "read-only": { why: "the file system is read-only", hint: "choose another folder with -o" },
  "name": { why: "the file system does not take such a name", hint: "choose a folder with a shorter path with -o" },
  "loop": { why: "its symbolic links go round in a circle" },
  "too-large": { why: "the file is larger than it may be" },
  "device": { why: "the device failed", hint: "check the disk" },
  "other-device": { why: "source and target are on different file systems" },
  "too-many": { why: "too many files are open", hint: "allow more (ulimit -n) or download fewer torrents at a time" },
};

/** Paths that the runtime closes to all programs without every permission. */
export const OFF_LIMITS = /^\/(?:dev|proc|sys)(?:\/|$)/;

/** Fault for each system error code. */
const BY_CODE: Readonly<Record<string, FileFault>> = {
  ENOENT: "missing",
  EACCES: "denied",
  EPERM: "denied",
  ENOSPC: "full",
  EDQUOT: "full",
  EEXIST: "exists",
  ENOTEMPTY: "exists",
  ENOTDIR: "not-a-folder",
  EISDIR: "is-a-folder",
  EROFS: "read-only",
  ENAMETOOLONG: "name",
  EINVAL: "name",
  EILSEQ: "name",
  ELOOP: "loop",
  EFBIG: "too-large",
  EIO: "device",
  EMFILE: "too-many",
  ENFILE: "too-many",
  EXDEV: "other-device",
};

/** Fault for each error class of the runtime, for errors without a code. */
const BY_NAME: Readonly<Record<string, FileFault>> = {
  NotFound: "missing",
  PermissionDenied: "denied",
  NotCapable: "denied",
  AlreadyExists: "exists",
  NotADirectory: "not-a-folder",
  IsADirectory: "is-a-folder",
  FilesystemLoop: "loop",
};

/** A file system call that failed. */
export interface FailedFileCall {
  /** Action in the error message, such as `cannot write`. */
  readonly what: string;
  /** Path of the file or folder. */
  readonly path: string;
}

/** Parts of a {@linkcode FileError}. */
export interface FileErrorParts extends FailedFileCall {
  /** Underlying error, which provides the message when the fault is `other`. */
  readonly cause?: unknown;
}

/**
 * Thrown when a file or folder cannot be used.
 *
 * @example
 * ```ts
 * throw new FileError("full", { what: "cannot write", path: "/mnt/x" });
 * // cannot write (/mnt/x): no space is left on the device
 * ```
 */
export class FileError extends ShoalError {
  override name = "FileError";
  /** Kind of failure, for code that has to tell failures apart. */
  readonly fault: FileFault;
  /** Path of the file or folder. */
  readonly path: string;

  constructor(fault: FileFault, parts: FileErrorParts) {
    const words: Words = fault === "other" ? { why: plain(messageOf(parts.cause ?? "unknown failure")) } : WORDS[fault];
    super("storage", { what: parts.what, where: parts.path, ...words, cause: parts.cause });
    this.fault = fault;
    this.path = parts.path;
  }
}

/**
 * Converts a thrown value to a {@linkcode FileError}. A `FileError` is returned unchanged.
 *
 * @param thrown The thrown value.
 * @param parts See {@linkcode FailedFileCall}.
 */
export function toFileError(thrown: unknown, parts: FailedFileCall): FileError {
  if (thrown instanceof FileError) return thrown;
  const fault = faultOf(thrown);
  // The runtime refuses these folders itself, whatever the system allows.
  const isOffLimits = thrown instanceof Error && thrown.name === "NotCapable" &&
    (OFF_LIMITS.test(parts.path) || /requires all access/i.test(thrown.message));
  return new FileError(isOffLimits ? "off-limits" : fault, { ...parts, cause: thrown });
}

function faultOf(thrown: unknown): FileFault {
  if (!(thrown instanceof Error)) return "other";
  if ("code" in thrown && typeof thrown.code === "string") {
    const fault = BY_CODE[thrown.code];
    if (fault !== undefined) return fault;
  }
  if (/os error 28\b|no space|quota exceeded/i.test(thrown.message)) return "full";
  return BY_NAME[thrown.name] ?? "other";
}

/** Removes the path and the number that the runtime adds, since the message has the path already. */
function plain(message: string): string {
  return message.replace(/ \(os error \d+\).*$/s, "");
}

/** Returns `true` if a thrown value is a {@linkcode FileError} of one kind. */
export function isFileFault(thrown: unknown, fault: FileFault): boolean {
  return thrown instanceof FileError && thrown.fault === fault;
}
