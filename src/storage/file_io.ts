/**
 * Reading and writing parts of files that are shared by all who use them.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { FileSystem } from "../platform/platform.ts";
import { endsEarly } from "./errors.ts";
import { closingAfter } from "./handles.ts";
import type { FileRange } from "./layout.ts";
import type { OpenFiles } from "./open_files.ts";

/** Files, by their numbers. */
export interface FileAccess {
  /** The files that are open. */
  readonly open: OpenFiles;
  /** The path of a file, for an error line. */
  pathOf(file: number): string;
}

/** A position in a file. */
export interface FilePosition {
  /** Index of the file. */
  readonly file: number;
  /** Offset in the file, in bytes. */
  readonly position: number;
}

/** Options for {@linkcode readFile}. */
interface ReadFileOptions extends FilePosition {
  /** Buffer to fill completely. */
  readonly into: Bytes;
}

/**
 * Reads bytes of a file.
 *
 * @param files The files.
 * @param options See {@linkcode ReadFileOptions}.
 * @throws {ShoalError} If it can't be read or ends too early.
 */
async function readFile(
  files: FileAccess,
  part: ReadFileOptions,
): Promise<void> {
  const { file, position, into } = part;
  const handle = files.open.tryAcquire(file) ?? await files.open.acquire(file);
  try {
    const length = await handle.read(into, position);
    if (length < into.length) throw endsEarly(files.pathOf(file), position + length);
  } finally {
    files.open.release(file);
  }
}

/** Options for {@linkcode readRanges}. */
export interface ReadRangesOptions {
  /** Where the bytes are stored, in order. */
  readonly ranges: readonly FileRange[];
  /** Buffer to fill completely. */
  readonly into: Bytes;
}

/**
 * Reads bytes that lie in several files; what lies in none reads as zeros.
 *
 * @param files The files.
 * @param options `ranges`: where the bytes are, in order. `into`: where to; filled whole.
 * @throws {ShoalError} If a file can't be read or ends too early.
 */
export async function readRanges(
  files: FileAccess,
  { ranges, into }: ReadRangesOptions,
): Promise<void> {
  let filled = 0;
  for (const { file, position, at, length } of ranges) {
    into.fill(0, filled, at);
    filled = at + length;
    await readFile(files, { file, position, into: into.subarray(at, filled) });
  }
  into.fill(0, filled);
}

/** Bytes that are copied in one go. */
const COPY_BYTES = 256 * 1024;

/** Options for {@linkcode copyBytes}. */
export interface CopyBytesOptions {
  /** First byte to read. */
  readonly from: FilePosition;
  /** Where the first byte is written. */
  readonly to: FilePosition;
  /** Number of bytes. */
  readonly length: number;
}

/**
 * Copies bytes from one file to another. Holds one of them at a time, as all must who use {@linkcode OpenFiles}.
 *
 * @param files The files.
 * @param part From which file and byte on, to which, and how many.
 * @throws {ShoalError} If one can't be read, or the other can't be written.
 */
export async function copyBytes(
  files: FileAccess,
  part: CopyBytesOptions,
): Promise<void> {
  const { from, to, length } = part;
  const buffer = new Uint8Array(Math.min(length, COPY_BYTES));
  for (let at = 0; at < length; at += buffer.length) {
    const into = buffer.subarray(0, Math.min(buffer.length, length - at));
    await readFile(files, { file: from.file, position: from.position + at, into });
    const handle = files.open.tryAcquire(to.file) ?? await files.open.acquire(to.file);
    try {
      await handle.write(into, to.position + at);
    } finally {
      files.open.release(to.file);
    }
  }
}

/** The two paths that {@linkcode compareFiles} compares. */
export interface ComparedPaths {
  /** File that is known to be correct. */
  readonly right: string;
  /** File to judge. */
  readonly other: string;
}

/**
 * Compares a file with one that is known to be right.
 *
 * @param paths `right`: the one that is known. `other`: the other.
 * @param fs The file system.
 * @returns `same` when they have the same bytes; `part` when the other has nothing but bytes of the right one in their places, and
 * zeros where others would be, as a download that was not finished leaves; else `different`.
 * @throws {ShoalError} If one can't be read.
 */
export async function compareFiles(
  paths: ComparedPaths,
  fs: FileSystem,
): Promise<"same" | "part" | "different"> {
  const right = await fs.open(paths.right, "read");
  return await closingAfter(right, async () => {
    const other = await fs.open(paths.other, "read");
    return await closingAfter(other, async () => {
      const [a, b] = [new Uint8Array(COPY_BYTES), new Uint8Array(COPY_BYTES)];
      let isSame = true;
      for (let at = 0;; at += COPY_BYTES) {
        const [known, found] = [await right.read(a, at), await other.read(b, at)];
        if (found > known) return "different";
        for (let i = 0; i < found; i++) {
          if (b[i] === a[i]) continue;
          if (b[i] !== 0) return "different";
          isSame = false;
        }
        if (found < known) return "part";
        if (found < COPY_BYTES) return isSame ? "same" : "part";
      }
    });
  });
}

/** Options for {@linkcode isBlank}. */
export interface IsBlankOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Offset of the first byte to look at. */
  readonly from: number;
  /** Offset just past the last byte to look at. */
  readonly end: number;
}

/**
 * Whether a stretch of a file, as far as the file goes, is nothing but zeros.
 *
 * @param path The file.
 * @param options `fs`: the file system. `from`, `end`: the stretch.
 * @returns Whether it is; also of an empty stretch.
 * @throws {ShoalError} If it can't be read.
 */
export async function isBlank(
  path: string,
  { fs, from, end }: IsBlankOptions,
): Promise<boolean> {
  if (from >= end) return true;
  const handle = await fs.open(path, "read");
  return await closingAfter(handle, async () => {
    const buffer = new Uint8Array(Math.min(COPY_BYTES, end - from));
    for (let at = from; at < end; at += buffer.length) {
      const part = buffer.subarray(0, Math.min(buffer.length, end - at));
      const length = await handle.read(part, at);
      for (let i = 0; i < length; i++) if (part[i] !== 0) return false;
      if (length < part.length) break;
    }
    return true;
  });
}
