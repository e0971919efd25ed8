/**
 * What the system says about files, in words for a user.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";

/** What went wrong with a file. */
export type FileFault =
  | "missing"
  | "denied"
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

/** The words for one fault. */
interface Words {
  readonly why: string;
  readonly hint?: string;
}

const WORDS: Readonly<Record<Exclude<FileFault, "other">, Words>> = {
  "missing": { why: "there is no such file or folder" },
  "denied": { why: "permission denied", hint: "choose another folder with -o, or change who may write there" },
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

/** By the code of the system's error. */
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

/** By the class of the runtime's error, for those that have no code. */
const BY_NAME: Readonly<Record<string, FileFault>> = {
  NotFound: "missing",
  PermissionDenied: "denied",
  NotCapable: "denied",
  AlreadyExists: "exists",
  NotADirectory: "not-a-folder",
  IsADirectory: "is-a-folder",
  FilesystemLoop: "loop",
};

/**
 * A file or a folder could not be used.
 *
 * @example
 * ```ts
 * throw new FileError("full", { what: "cannot write", path: "/mnt/x" });
 * // cannot write (/mnt/x): no space is left on the device
 * ```
 */
export class FileError extends ShoalError {
  override name = "FileError";
  /** What went wrong, for code that wants to decide on it. */
  readonly fault: FileFault;
  /** The path. */
  readonly path: string;

  /**
   * @param fault What went wrong.
   * @param parts `what`: what was tried, such as `cannot write`. `path`: where. `cause`: the error underneath, which
   * gives the words when `fault` is `other`.
   */
  constructor(
    fault: FileFault,
    parts: { readonly what: string; readonly path: string; readonly cause?: unknown },
  ) {
    const words: Words = fault === "other" ? { why: plain(messageOf(parts.cause ?? "unknown failure")) } : WORDS[fault];
    super("storage", { what: parts.what, where: parts.path, ...words, cause: parts.cause });
    this.fault = fault;
    this.path = parts.path;
  }
}

/**
 * Any failure of a file operation as a {@linkcode FileError}.
 *
 * @param thrown What the system threw; a `FileError` is returned as it is.
 * @param parts `what`: what was tried, such as `cannot write`. `path`: where.
 * @returns The typed error.
 */
export function toFileError(
  thrown: unknown,
  parts: { readonly what: string; readonly path: string },
): FileError {
  return thrown instanceof FileError ? thrown : new FileError(faultOf(thrown), { ...parts, cause: thrown });
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

/** Without the path and the number that the runtime adds: the error line has the path already. */
function plain(message: string): string {
  return message.replace(/ \(os error \d+\).*$/s, "");
}

/**
 * Whether a failure is a {@linkcode FileError} of one kind.
 *
 * @param thrown What was thrown.
 * @param fault The kind.
 * @returns Whether it is.
 */
export function isFileFault(thrown: unknown, fault: FileFault): boolean {
  return thrown instanceof FileError && thrown.fault === fault;
}
