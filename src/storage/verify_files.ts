/**
 * Compares the data on disk with a torrent, and changes nothing.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { DigestVerifier } from "../base/piece_verifier.ts";
import type { Platform } from "../platform/platform.ts";
import { checkPieces } from "./checker.ts";
import { DiskFiles } from "./disk_files.ts";
import { partFileName } from "./file_names.ts";
import { divertAbsent } from "./find_pieces.ts";
import { listPlace, type SearchedPlace } from "./find_place.ts";
import { FileMap, type StorageLayout } from "./layout.ts";
import { planStart } from "./resume_plan.ts";
import type { FileRecord } from "./resume_state.ts";

/**
 * Result for a file. `right`: all of its pieces are right. `missing`: it does not exist. `short`: it is too short.
 * `long`: it is too long. `wrong`: it holds other bytes. `unproven`: nothing is known to be wrong, but pieces at its
 * ends run on into files that are missing or short. `unfinished`: it has its `.part` name, and pieces may be missing.
 */
export type FileVerdict = "right" | "missing" | "short" | "long" | "wrong" | "unproven" | "unfinished";

/** Result for one file. */
export interface VerifiedFile {
  /** Path below the folder, with forward slashes. */
  readonly path: string;
  /** Expected size in bytes. */
  readonly length: number;
  /** Number of pieces that cover the file. */
  readonly pieces: number;
  /** Number of these pieces that are right. */
  readonly valid: number;
  /** Result for the file. */
  readonly verdict: FileVerdict;
}

/** Result of {@linkcode verifyFiles}. */
export interface Verification {
  /** Number of pieces of the torrent, or of those with bytes of the chosen files. */
  readonly pieces: number;
  /** Number of these pieces that are right. */
  readonly valid: number;
  /** Bytes that were hashed, padding included. */
  readonly bytes: number;
  /** All or the chosen files in the order of the torrent, padding and links left out. */
  readonly files: readonly VerifiedFile[];
  /** Where the files were looked for, and what is there, if none of them was found; else `null`. */
  readonly searched: SearchedPlace | null;
}

/** Options for {@linkcode verifyFiles}. */
export interface VerifyFilesOptions {
  /** Clock, files, digests and hashing threads. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /**
   * Folder that holds the torrent's file or top folder, or that file or folder itself, under any name. Links in it are
   * followed.
   */
  readonly folder: string;
  /** Indexes of the files to verify; all when absent. */
  readonly wanted?: ReadonlySet<number> | undefined;
  /** Info-hash of the torrent, to find the partfile of a download; without it, the partfile isn't looked for. */
  readonly infoHash?: InfoHash | undefined;
  /** Returns all paths at which a file may be, the likeliest first. Only the path in the layout is used when absent. */
  pathsOf?(index: number): readonly (readonly string[])[];
  /** Tells how pieces are hashed, and whether a digest is right. */
  readonly verifier: DigestVerifier;
  /**
   * Called with the progress, from 0 to 1 and in bytes, at most ten times a second. Not called if there is nothing to
   * hash.
   */
  onProgress(fraction: number, bytes: number): void;
  /** Aborts the hashing. */
  readonly signal?: AbortSignal | undefined;
}

/** Largest number of files that are open at one time on this thread. */
const MAX_OPEN_FILES = 16;

/**
 * Hashes all data that is present.
 *
 * @param layout Layout of the torrent; the objects of `metainfo/` have this shape.
 * @param options See {@linkcode VerifyFilesOptions}.
 * @returns What is right and what is not.
 * @throws {ShoalError} Of kind `storage` if the folder doesn't exist, or a file in it can't be read.
 * @throws The signal's reason, when it is aborted.
 */
export async function verifyFiles(layout: StorageLayout, options: VerifyFilesOptions): Promise<Verification> {
  const { platform, folder, wanted, infoHash, verifier, onProgress, signal } = options;
  const map = new FileMap(layout, wanted ?? null);
  const disk = new DiskFiles(map, {
    files: platform.files,
    folder,
    maxOpenFiles: MAX_OPEN_FILES,
    readOnly: true,
    ...(infoHash && { partName: partFileName(infoHash) }),
    ...(options.pathsOf && { pathsOf: (index) => options.pathsOf!(index) }),
  });
  try {
    await disk.scan();
    signal?.throwIfAborted();
    divertAbsent(map, disk);
    const found = disk.records();
    const pieces = wantedPieces(map);
    const { check } = planStart(map, found, { mode: "check", state: null });
    for (const piece of check) if (!pieces.has(piece)) check.clear(piece);
    let bytes = 0;
    for (const piece of check) bytes += map.pieceSize(piece);
    const right = await checkPieces(map, check, {
      disk,
      platform,
      verifier,
      onProgress: (fraction) => onProgress(fraction, Math.round(fraction * bytes)),
      signal,
    });
    const files = judge(map, { found, checked: check, right });
    const isNothing = right.isEmpty && files.every(({ verdict }) => verdict === "missing");
    const searched = isNothing ? await listPlace(disk.place, platform.files) : null;
    return { pieces: pieces.count, valid: right.count, bytes, files, searched };
  } finally {
    await disk.close();
  }
}

/** Returns the pieces with bytes of wanted files. */
function wantedPieces(map: FileMap): Bitfield {
  const { files, pieceCount } = map.layout;
  const pieces = new Bitfield(pieceCount);
  if ([...files.keys()].every((index) => map.isWanted(index))) pieces.setAll();
  for (const [index, { pad }] of files.entries()) {
    if (pad || !map.isWanted(index)) continue;
    const { first, end } = map.piecesOfFile(index);
    for (let piece = first; piece < end; piece++) pieces.set(piece);
  }
  return pieces;
}

/** What the scan and the check have found. */
interface Findings {
  readonly found: readonly FileRecord[];
  readonly checked: Bitfield;
  readonly right: Bitfield;
}

function judge(map: FileMap, { found, checked, right }: Findings): VerifiedFile[] {
  const files: VerifiedFile[] = [];
  for (const [index, file] of map.layout.files.entries()) {
    if (file.pad || file.symlink !== null || !map.isWanted(index)) continue;
    const { first, end } = map.piecesOfFile(index);
    let valid = 0;
    let wrong = 0;
    for (let piece = first; piece < end; piece++) {
      if (right.has(piece)) valid++;
      else if (checked.has(piece)) wrong++;
    }
    const pieces = end - first;
    const verdict = verdictOf(found[index]!, { length: file.length, wrong, unknown: pieces - valid - wrong });
    files.push({ path: file.path.join("/"), length: file.length, pieces, valid, verdict });
  }
  return files;
}

function verdictOf(
  { place, size }: FileRecord,
  { length, wrong, unknown }: { readonly length: number; readonly wrong: number; readonly unknown: number },
): FileVerdict {
  if (place === "absent") return "missing";
  if (place === "part") return "unfinished";
  if (size > length) return "long";
  if (size < length) return "short";
  if (wrong > 0) return "wrong";
  return unknown > 0 ? "unproven" : "right";
}
