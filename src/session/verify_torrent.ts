/**
 * Comparing data on disk with a torrent, without a session.
 *
 * @module
 */

import { type Metainfo, pathsOnDisk, pieceHash } from "../metainfo/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { type Verification, verifyFiles } from "../storage/mod.ts";

export type { FileVerdict, Verification, VerifiedFile } from "../storage/mod.ts";

/** Settings of {@linkcode verify}. */
export interface VerifyOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /** The folder that holds the torrent's file or folder. Links in it are followed. */
  readonly folder: string;
  /** Told how far it has come, ten times a second at most: 0 to 1, and in bytes. Not called with nothing to hash. */
  onProgress?(fraction: number, bytes: number): void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Hashes what is there of a torrent, on all cores. Changes nothing; links are followed.
 *
 * @param meta The torrent.
 * @param options See {@linkcode VerifyOptions}.
 * @returns What is right and what isn't.
 * @throws {ShoalError} Of kind `storage` if the folder isn't there, or a file in it can't be read.
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
  return verifyFiles(meta, {
    platform,
    folder,
    pieceHash: (index) => pieceHash(meta, index),
    pathsOf: (index) => pathsOnDisk(meta.files[index]!),
    onProgress: (fraction, bytes) => options.onProgress?.(fraction, bytes),
    signal,
  });
}
