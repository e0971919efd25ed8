/**
 * Verifies files on disk against a torrent, without a session.
 *
 * @module
 */

import { digestsOf, layoutOf, type Metainfo, pathsOnDisk, requireHashes } from "../metainfo/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { type Verification, verifyFiles } from "../storage/mod.ts";

export { nothingIn } from "../storage/mod.ts";
export type { FileVerdict, SearchedPlace, Verification, VerifiedFile } from "../storage/mod.ts";

/** Options for {@linkcode verify}. */
export interface VerifyOptions {
  /** System services: clock, files and hashing. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /**
   * Folder that contains the torrent's file or top folder, or that file or folder itself, under any name. Symbolic links
   * in it are followed.
   */
  readonly folder: string;
  /** Indexes of the files to verify in `meta.files`, as returned by `selectFiles()`; all when absent. */
  readonly files?: ReadonlySet<number> | undefined;
  /**
   * Called with the progress, at most ten times a second: as a fraction from 0 to 1, and in bytes. Not called if there
   * is nothing to hash.
   */
  onProgress?(fraction: number, bytes: number): void;
  /** Aborts the verification. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hashes a torrent's files on all cores, without changing them. Symbolic links are followed. Unfinished files and the
 * partfile of a download are read as well.
 *
 * @param meta The torrent.
 * @param options See {@linkcode VerifyOptions}.
 * @returns The verdict on each file, and the number of valid pieces.
 * @throws {ShoalError} Of kind `storage` if the folder doesn't exist, or a file in it can't be read. Of kind `torrent` if
 * hashes of the torrent's pieces are missing, or if the folder is a file and the torrent has several.
 * @throws The signal's reason, when it is aborted.
 *
 * @example
 * ```ts
 * const { files } = await verify(meta, { platform: denoPlatform, folder: "." });
 * const bad = files.filter((file) => file.verdict !== "right");
 * ```
 */
export async function verify(meta: Metainfo, options: VerifyOptions): Promise<Verification> {
  requireHashes(meta);
  const { platform, folder, signal } = options;
  return await verifyFiles(layoutOf(meta), {
    platform,
    folder,
    wanted: options.files,
    infoHash: meta.infoHash,
    verifier: digestsOf(meta),
    pathsOf: (index) => pathsOnDisk(meta.files[index]!),
    onProgress: (fraction, bytes) => options.onProgress?.(fraction, bytes),
    signal,
  });
}
