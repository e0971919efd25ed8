/**
 * Verifies files on disk against a torrent, without a session.
 *
 * @module
 */

import { digestsOf, layoutOf, type Metainfo, pathsOnDisk } from "../metainfo/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { type Verification, verifyFiles } from "../storage/mod.ts";

export type { FileVerdict, Verification, VerifiedFile } from "../storage/mod.ts";

/** Options for {@linkcode verify}. */
export interface VerifyOptions {
  /** System services: clock, files and hashing. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /** Folder that contains the torrent's file or folder. Symbolic links in it are followed. */
  readonly folder: string;
  /**
   * Called with the progress, at most ten times a second: as a fraction from 0 to 1, and in bytes. Not called if there
   * is nothing to hash.
   */
  onProgress?(fraction: number, bytes: number): void;
  /** Aborts the verification. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hashes a torrent's files on all cores, without changing them. Symbolic links are followed.
 *
 * @param meta The torrent.
 * @param options See {@linkcode VerifyOptions}.
 * @returns The verdict on each file, and the number of valid pieces.
 * @throws {ShoalError} Of kind `storage` if the folder doesn't exist, or a file in it can't be read.
 * @throws The signal's reason, when it is aborted.
 *
 * @example
 * ```ts
 * const { files } = await verify(meta, { platform: denoPlatform, folder: "." });
 * const bad = files.filter((file) => file.verdict !== "right");
 * ```
 */
export function verify(meta: Metainfo, options: VerifyOptions): Promise<Verification> {
  const { platform, folder, signal } = options;
  return verifyFiles(layoutOf(meta), {
    platform,
    folder,
    verifier: digestsOf(meta),
    pathsOf: (index) => pathsOnDisk(meta.files[index]!),
    onProgress: (fraction, bytes) => options.onProgress?.(fraction, bytes),
    signal,
  });
}
