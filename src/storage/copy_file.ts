/**
 * Copies a file.
 *
 * @module
 */

import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { changedByOthers, endsEarly } from "./errors.ts";
import { closingAfter } from "./handles.ts";

/** Options for {@linkcode copyFile}. */
export interface CopyFileOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Called with the number of bytes copied since the last call. */
  onCopied?(bytes: number): void;
  /** Aborts the copying. */
  readonly signal?: AbortSignal;
}

/** Bytes that are copied at a time. */
const COPY_BYTES = 1024 * 1024;

/**
 * Copies a file to a path that doesn't exist yet, and syncs the copy. Blocks of zeros are not written, so that they
 * take no space in the copy.
 *
 * @param from Path of the file.
 * @param to Path of the copy.
 * @param options See {@linkcode CopyFileOptions}.
 * @returns Status of the copy.
 * @throws {ShoalError} If the file can't be copied. A part of the copy may exist then.
 * @throws The signal's reason, when it is aborted. A part of the copy may exist then.
 */
export async function copyFile(
  from: string,
  to: string,
  { fs, onCopied, signal }: CopyFileOptions,
): Promise<FileInfo> {
  const source = await fs.open(from, "read");
  return await closingAfter(source, async () => {
    const { size } = await source.stat();
    const target = await fs.open(to, "create");
    return await closingAfter(target, async () => {
      await target.truncate(size);
      const buffer = new Uint8Array(Math.min(COPY_BYTES, size));
      for (let at = 0; at < size; at += buffer.length) {
        signal?.throwIfAborted();
        const part = buffer.subarray(0, Math.min(buffer.length, size - at));
        const length = await source.read(part, at);
        if (length < part.length) throw endsEarly(from, at + length);
        if (!isZero(part)) await target.write(part, at);
        onCopied?.(part.length);
      }
      await target.sync();
      const info = await target.stat();
      if (info.size !== size || (await source.stat()).size !== size) throw changedByOthers(from);
      return info;
    });
  });
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
