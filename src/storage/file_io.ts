/**
 * Reading and writing parts of files that are shared by all who use them.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { endsEarly } from "./errors.ts";
import type { FileRange } from "./layout.ts";
import type { OpenFiles } from "./open_files.ts";

/** Files, by their numbers. */
export interface FileAccess {
  /** The files that are open. */
  readonly open: OpenFiles;
  /** The path of a file, for an error line. */
  pathOf(file: number): string;
}

/**
 * Reads bytes of a file.
 *
 * @param files The files.
 * @param part Which file, from which byte on, and where to; filled whole.
 * @throws {ShoalError} If it can't be read or ends too early.
 */
async function readFile(
  files: FileAccess,
  part: { readonly file: number; readonly position: number; readonly into: Bytes },
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

/**
 * Reads bytes that lie in several files; what lies in none reads as zeros.
 *
 * @param files The files.
 * @param options `ranges`: where the bytes are, in order. `into`: where to; filled whole.
 * @throws {ShoalError} If a file can't be read or ends too early.
 */
export async function readRanges(
  files: FileAccess,
  { ranges, into }: { readonly ranges: readonly FileRange[]; readonly into: Bytes },
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

/**
 * Copies bytes from one file to another. Holds one of them at a time, as all must who use {@linkcode OpenFiles}.
 *
 * @param files The files.
 * @param part From which file and byte on, to which, and how many.
 * @throws {ShoalError} If one can't be read, or the other can't be written.
 */
export async function copyBytes(
  files: FileAccess,
  part: {
    readonly from: { readonly file: number; readonly position: number };
    readonly to: { readonly file: number; readonly position: number };
    readonly length: number;
  },
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
