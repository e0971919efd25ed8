/**
 * Reads, writes, copies and compares parts of files, most of them through handles that all users of a file share.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { FileSystem } from "../platform/platform.ts";
import { endsEarly } from "./errors.ts";
import { closingAfter } from "./handles.ts";
import type { FileRange } from "./layout.ts";
import type { OpenFiles } from "./open_files.ts";

/** Files of a torrent by index. */
export interface FileAccess {
  /** Open files. */
  readonly open: OpenFiles;
  /** Returns the path of a file for an error message. */
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
 * @param files Files to read from.
 * @param part See {@linkcode ReadFileOptions}.
 * @throws {ShoalError} If the file can't be read or ends too early.
 */
async function readFile(files: FileAccess, part: ReadFileOptions): Promise<void> {
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
 * Reads bytes that are stored in several files. Bytes that are stored in none of them read as zeros.
 *
 * @param files Files to read from.
 * @param options See {@linkcode ReadRangesOptions}.
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

/** Bytes that are copied or compared at a time. */
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
 * Copies bytes from one file to another. Holds one file at a time, as every user of {@linkcode OpenFiles} must.
 *
 * @param files Both files.
 * @param part See {@linkcode CopyBytesOptions}.
 * @throws {ShoalError} If the source can't be read, or the target can't be written.
 */
export async function copyBytes(files: FileAccess, part: CopyBytesOptions): Promise<void> {
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
 * Compares a file with one that is known to be correct.
 *
 * @param paths See {@linkcode ComparedPaths}.
 * @param fs File system.
 * @returns `same` if both have the same bytes. `part` if the other file has only bytes of the correct one, in their
 * places, and zeros or nothing elsewhere, as an unfinished download has. Else `different`.
 * @throws {ShoalError} If a file can't be read.
 */
export async function compareFiles(paths: ComparedPaths, fs: FileSystem): Promise<"same" | "part" | "different"> {
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
 * Returns `true` if a range of a file, as far as the file reaches, holds only zeros. An empty range does.
 *
 * @param path Path of the file.
 * @param options See {@linkcode IsBlankOptions}.
 * @throws {ShoalError} If the file can't be read.
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
