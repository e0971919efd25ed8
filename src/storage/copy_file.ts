/**
 * Copying a file.
 *
 * @module
 */

import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { changedByOthers, endsEarly } from "./errors.ts";
import { closingAfter } from "./handles.ts";

/** How {@linkcode copyFile} works. */
export interface CopyFileOptions {
  /** The file system. */
  readonly fs: FileSystem;
  /** Told how many bytes more have been copied. */
  onCopied?(bytes: number): void;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** Bytes that are copied in one go. */
const COPY_BYTES = 1024 * 1024;

/**
 * Copies a file to a path where there is none, and syncs it. What is nothing but zeros takes no room in the copy.
 *
 * @param from The file.
 * @param to Where to.
 * @param options With what.
 * @returns What is there then.
 * @throws {ShoalError} If that can't be done; a part of the copy may be there then.
 * @throws The signal's reason, when it is aborted.
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
