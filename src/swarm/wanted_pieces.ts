/**
 * What of a torrent is wanted, piece by piece.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type Metainfo, pieceSize } from "../metainfo/mod.ts";
import { PieceLevel } from "./pieces/piece_picker.ts";

/** Pieces and bytes that are to be fetched. */
export interface WantedPieces {
  /** Pieces that cover a wanted file. */
  readonly pieces: Bitfield;
  /** Bytes of the wanted files. */
  readonly size: number;
  /** How many bytes of wanted files are in a piece. */
  bytesOf(index: number): number;
}

/**
 * What is wanted. Padding (BEP 47) doesn't count as bytes, so that what is shown adds up to what lies in the folder.
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
 * How many bytes of what is wanted are there, padding left out.
 *
 * @param wanted What is wanted.
 * @param have What is there, wanted or not.
 */
export function verifiedBytes(wanted: WantedPieces, have: Iterable<number>): number {
  let bytes = 0;
  for (const index of have) bytes += wanted.bytesOf(index);
  return bytes;
}

/** When a file is fetched: before the others, with them, or after them. */
export type FilePriority = "high" | "normal" | "low";

/** Every priority that there is. */
export const FILE_PRIORITIES: readonly unknown[] = ["high", "normal", "low"] satisfies readonly FilePriority[];

/**
 * The levels of pieces, from the priorities of files: each has that of the file that comes first of the wanted ones that it is a part of.
 *
 * @param meta The torrent.
 * @param priorities Of files, by index; one that is missing is normal.
 * @param files Indexes of the wanted files; all when absent.
 * @returns Gives the {@linkcode PieceLevel} of a piece; normal for one of which nothing is wanted.
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

/** How many bytes of some files are in each piece that has any. */
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
