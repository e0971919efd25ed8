/**
 * Hashes files that a torrent is to be made of.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { DIGEST_BYTES } from "../platform/piece_digests.ts";
import type { Platform } from "../platform/platform.ts";
import { hashPieces } from "./checker.ts";
import { changedMeanwhile } from "./errors.ts";
import { readRanges } from "./file_io.ts";
import type { ScannedFile } from "./file_scan.ts";
import { FileMap, type StorageFile } from "./layout.ts";
import { forEachLimited } from "./limited.ts";
import { OpenFiles } from "./open_files.ts";

/** Settings of {@linkcode hashFiles}. */
export interface HashFilesOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /** Bytes in every piece but the last. */
  readonly pieceLength: number;
  /** Told how far it has come, ten times a second at most: 0 to 1, and in bytes. */
  onProgress(fraction: number, bytes: number): void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Files open at one time on this thread. */
const MAX_OPEN_FILES = 16;
/** How many calls to look at files are under way at one time. */
const LOOKS = 16;

/**
 * Hashes files as one stream of pieces, on all cores.
 *
 * @param files The files, in order.
 * @param options With what.
 * @returns The SHA-1 digests of all pieces, one behind the other; none of nothing.
 * @throws {ShoalError} Of kind `storage` if a file can't be read, or isn't any more what it was when it was found.
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
      take: (index, digest) => digests.set(digest, index * DIGEST_BYTES),
      onProgress: (fraction) => onProgress(fraction, Math.round(fraction * totalLength)),
      signal,
    });
  } catch (error) {
    // What can't be read because it was cut or removed is better told so.
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

/** Whoever writes to a file leaves a trace in its size or its time of modification. */
async function checkUnchanged(
  files: readonly ScannedFile[],
  { fs }: { readonly fs: Platform["files"] },
): Promise<void> {
  await forEachLimited(files, LOOKS, async ({ source, length, modified, id }) => {
    const info = await fs.stat(source);
    const isSame = info?.kind === "file" && info.size === length && info.modified === modified && info.id === id;
    if (!isSame) throw changedMeanwhile(source);
  });
}
