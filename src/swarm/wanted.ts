/**
 * What of a torrent is wanted, piece by piece.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import { type Metainfo, pieceSize } from "../metainfo/mod.ts";

/** Pieces and bytes that are to be fetched. */
export interface Wanted {
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
export function wantedOf(meta: Metainfo, files?: ReadonlySet<number>): Wanted {
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
