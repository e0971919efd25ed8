/**
 * Compares what is on disk with a torrent, and changes nothing.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import type { Platform } from "../platform/platform.ts";
import { checkPieces } from "./checker.ts";
import { DiskFiles } from "./disk_files.ts";
import { FileMap, type StorageLayout } from "./layout.ts";
import { planStart } from "./resume_plan.ts";
import type { FileRecord } from "./resume_state.ts";

/**
 * What a file is like: `right`; not there; `short`, as it ends too early; `long`, as it goes on after its end; `wrong`,
 * as there are other bytes in it; `unproven`, as nothing is known to be wrong with it, but the pieces at its ends run on
 * into files that are missing or short.
 */
export type FileVerdict = "right" | "missing" | "short" | "long" | "wrong" | "unproven";

/** One file. */
export interface VerifiedFile {
  /** Its path below the folder, with forward slashes. */
  readonly path: string;
  /** Bytes that it should have. */
  readonly length: number;
  /** Pieces that it has a part in. */
  readonly pieces: number;
  /** How many of these are right. */
  readonly valid: number;
  /** What it is like. */
  readonly verdict: FileVerdict;
}

/** How the data compares with the torrent. */
export interface Verification {
  /** How many pieces the torrent has. */
  readonly pieces: number;
  /** How many of them are right. */
  readonly valid: number;
  /** Bytes that were hashed, padding included. */
  readonly bytes: number;
  /** The files in the order of the torrent, padding and links left out. */
  readonly files: readonly VerifiedFile[];
}

/** Settings of {@linkcode verifyFiles}. */
export interface VerifyFilesOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "files" | "digest" | "startFileHashers">;
  /** The folder that holds the torrent's file or folder. Links in it are followed. */
  readonly folder: string;
  /** All paths at which a file may lie, the likeliest first; that of the layout when absent. */
  pathsOf?(index: number): readonly (readonly string[])[];
  /** The SHA-1 digest that a piece must have. */
  pieceHash(index: number): Uint8Array;
  /** Told how far it has come, ten times a second at most: 0 to 1, and in bytes. Not called with nothing to hash. */
  onProgress(fraction: number, bytes: number): void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** Files open at one time on this thread. */
const MAX_OPEN_FILES = 16;

/**
 * Hashes all data that is there.
 *
 * @param layout The torrent; the objects of `metainfo/` fit.
 * @param options Where, and with what.
 * @returns What is right and what isn't.
 * @throws {ShoalError} Of kind `storage` if the folder isn't there, or a file in it can't be read.
 * @throws The signal's reason, when it is aborted.
 */
export async function verifyFiles(layout: StorageLayout, options: VerifyFilesOptions): Promise<Verification> {
  const { platform, folder, pieceHash, onProgress, signal } = options;
  const map = new FileMap(layout);
  const disk = new DiskFiles(map, {
    files: platform.files,
    folder,
    maxOpenFiles: MAX_OPEN_FILES,
    readOnly: true,
    ...(options.pathsOf && { pathsOf: (index) => options.pathsOf!(index) }),
  });
  try {
    await disk.scan();
    signal?.throwIfAborted();
    const found = disk.records();
    const { check } = planStart(map, found, { mode: "check", state: null });
    let bytes = 0;
    for (const piece of check) bytes += map.pieceSize(piece);
    const right = await checkPieces(map, check, {
      disk,
      platform,
      pieceHash: (index) => pieceHash(index),
      onProgress: (fraction) => onProgress(fraction, Math.round(fraction * bytes)),
      signal,
    });
    return {
      pieces: layout.pieceCount,
      valid: right.count,
      bytes,
      files: judge(map, { found, checked: check, right }),
    };
  } finally {
    await disk.close();
  }
}

/** What was found out. */
interface Findings {
  readonly found: readonly FileRecord[];
  readonly checked: Bitfield;
  readonly right: Bitfield;
}

function judge(map: FileMap, { found, checked, right }: Findings): VerifiedFile[] {
  const files: VerifiedFile[] = [];
  for (const [index, file] of map.layout.files.entries()) {
    if (file.pad || file.symlink !== null) continue;
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
  if (size < length) return "short";
  if (size > length) return "long";
  if (wrong > 0) return "wrong";
  return unknown > 0 ? "unproven" : "right";
}
