/**
 * Hashes the files that a new torrent is made of.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { PieceHashing } from "../base/piece_verifier.ts";
import { DIGEST_BYTES } from "../platform/piece_digests.ts";
import type { Platform } from "../platform/platform.ts";
import { hashPieces } from "./checker.ts";
import { changedMeanwhile } from "./errors.ts";
import { readRanges } from "./file_io.ts";
import type { ScannedFile } from "./file_scan.ts";
import { FileMap, type StorageFile } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";
import { OpenFiles } from "./open_files.ts";

/** Options for {@linkcode hashFiles}. */
export interface HashFilesOptions {
  /** Clock, files, digests and hashing threads. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /** Piece length in bytes. */
  readonly pieceLength: number;
  /** Called with the progress, from 0 to 1 and in bytes, at most ten times a second. */
  onProgress(fraction: number, bytes: number): void;
  /** Aborts the hashing. */
  readonly signal?: AbortSignal | undefined;
}

/** Largest number of files that are open at one time on this thread. */
const MAX_OPEN_FILES = 16;
/** How pieces of v1 torrents are hashed. */
const V1: PieceHashing = { digest: "sha1" };
/** Largest number of file status calls under way at one time. */
const LOOKS = 16;

/**
 * Hashes files as one stream of pieces, on all cores if there is much to hash.
 *
 * @param files Files in the order of the torrent.
 * @param options See {@linkcode HashFilesOptions}.
 * @returns The SHA-1 digests of all pieces, concatenated; empty if there are no bytes.
 * @throws {ShoalError} Of kind `storage` if a file can't be read, or has changed since it was found.
 * @throws The signal's reason, when it is aborted.
 */
export async function hashFiles(files: readonly ScannedFile[], options: HashFilesOptions): Promise<Bytes> {
  const { platform, pieceLength, onProgress, signal } = options;
  const fs = platform.files;
  const map = new FileMap(layoutOf(files, pieceLength));
  const { pieceCount, totalLength } = map.layout;
  const open = new OpenFiles((file) => fs.open(files[file]!.source, "read"), MAX_OPEN_FILES);
  const access = { open, pathOf: (file: number) => files[file]!.source };
  const digests = new Uint8Array(pieceCount * DIGEST_BYTES);
  try {
    const wanted = new Bitfield(pieceCount);
    wanted.setAll();
    await hashPieces(map, wanted, {
      disk: {
        ...access,
        read: (offset, into) => readRanges(access, { ranges: map.ranges(offset, into.length), into }),
      },
      platform,
      hashing: () => V1,
      take: (index, digest) => digests.set(digest, index * DIGEST_BYTES),
      onProgress: (fraction) => onProgress(fraction, Math.round(fraction * totalLength)),
      signal,
    });
  } catch (error) {
    // If the read failed because a file was truncated or removed, reporting that change is more helpful.
    signal?.throwIfAborted();
    await checkUnchanged(files, { fs });
    throw error;
  } finally {
    await open.closeAll();
  }
  await checkUnchanged(files, { fs });
  return digests;
}

function layoutOf(files: readonly ScannedFile[], pieceLength: number) {
  let totalLength = 0;
  const placed = files.map(({ path, length }): StorageFile => {
    const offset = totalLength;
    totalLength += length;
    return { path, length, offset, pad: false, symlink: null, executable: false };
  });
  return { pieceLength, pieceCount: Math.ceil(totalLength / pieceLength), totalLength, files: placed };
}

/** Throws if a file has changed. Every write shows in the file's size or modification time. */
export async function checkUnchanged(
  files: readonly ScannedFile[],
  { fs }: { readonly fs: Platform["files"] },
): Promise<void> {
  await forEachLimited(files, LOOKS, async ({ source, length, modified, id }) => {
    const info = await fs.stat(source);
    const isSame = info?.kind === "file" && info.size === length && info.modified === modified && info.id === id;
    if (!isSame) throw changedMeanwhile(source);
  });
}
