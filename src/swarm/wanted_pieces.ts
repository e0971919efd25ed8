/**
 * The wanted pieces of a torrent, and the priorities of pieces.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type Metainfo, pieceSize } from "../metainfo/mod.ts";
import { PieceLevel } from "./pieces/piece_picker.ts";

/** Pieces and bytes that are wanted. */
export interface WantedPieces {
  /** Pieces that contain bytes of a wanted file. */
  readonly pieces: Bitfield;
  /** Bytes of the wanted files. */
  readonly size: number;
  /** Returns the number of bytes of wanted files in a piece. */
  bytesOf(index: number): number;
}

/**
 * Returns the wanted pieces and bytes. Padding (BEP 47) isn't counted, so that the numbers add up to what is in the
 * folder.
 *
 * @param meta The torrent.
 * @param files Indexes of the wanted files; all when absent.
 */
export function wantedPiecesOf(meta: Metainfo, files?: ReadonlySet<number>): WantedPieces {
  const pieces = new Bitfield(meta.pieceCount);
  if (files === undefined) {
    pieces.setAll();
    const padding = bytesByPiece(meta, (index) => meta.files[index]!.pad);
    return { pieces, size: meta.size, bytesOf: (index) => pieceSize(meta, index) - (padding.get(index) ?? 0) };
  }
  const bytes = bytesByPiece(meta, (index) => files.has(index));
  let size = 0;
  for (const [index, count] of bytes) {
    pieces.set(index);
    size += count;
  }
  return { pieces, size, bytesOf: (index) => bytes.get(index) ?? 0 };
}

/**
 * Returns the number of wanted bytes on disk, without padding.
 *
 * @param wanted The wanted pieces.
 * @param have Pieces on disk, wanted or not.
 */
export function verifiedBytes(wanted: WantedPieces, have: Iterable<number>): number {
  let bytes = 0;
  for (const index of have) bytes += wanted.bytesOf(index);
  return bytes;
}

/** Whether a file is fetched before the other files, with them, or after them. */
export type FilePriority = "high" | "normal" | "low";

/** All priorities. */
export const FILE_PRIORITIES: readonly unknown[] = ["high", "normal", "low"] satisfies readonly FilePriority[];

/**
 * Returns a function from a piece to its {@linkcode PieceLevel}. A piece has the highest priority of the wanted files
 * that it contains; without any it is normal.
 *
 * @param meta The torrent.
 * @param priorities Priorities of files by index. A file that is missing has normal priority.
 * @param files Indexes of the wanted files; all when absent.
 */
export function piecePriorities(
  meta: Metainfo,
  priorities: ReadonlyMap<number, FilePriority>,
  files?: ReadonlySet<number>,
): (index: number) => number {
  const none = PieceLevel.low - 1;
  const levels = new Int8Array(meta.pieceCount).fill(none);
  for (const [number, { offset, length, pad }] of meta.files.entries()) {
    if (length === 0 || pad || files?.has(number) === false) continue;
    const level = PieceLevel[priorities.get(number) ?? "normal"];
    const last = Math.floor((offset + length - 1) / meta.pieceLength);
    for (let index = Math.floor(offset / meta.pieceLength); index <= last; index++) {
      levels[index] = Math.max(level, levels[index]!);
    }
  }
  return (index) => levels[index] === none ? PieceLevel.normal : levels[index]!;
}

/** Returns the number of bytes of some files in each piece that has any. */
function bytesByPiece(meta: Metainfo, isCounted: (file: number) => boolean): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const [number, { offset, length }] of meta.files.entries()) {
    if (!isCounted(number)) continue;
    for (let at = offset, end = offset + length; at < end;) {
      const index = Math.floor(at / meta.pieceLength);
      const next = Math.min(end, (index + 1) * meta.pieceLength);
      bytes.set(index, (bytes.get(index) ?? 0) + next - at);
      at = next;
    }
  }
  return bytes;
}
