/**
 * How much of each piece is data that a user asked for.
 *
 * @module
 */

import { type Metainfo, pieceSize } from "../metainfo/mod.ts";

/**
 * Sizes of pieces with padding files (BEP 47) left out, so that what is shown adds up to what lies in the folder.
 *
 * @param meta The torrent.
 * @returns A function from a piece's index to its bytes without padding.
 */
export function payloadSizes(meta: Metainfo): (index: number) => number {
  const padding = new Map<number, number>();
  for (const file of meta.files) {
    if (!file.pad) continue;
    for (let at = file.offset, end = file.offset + file.length; at < end;) {
      const index = Math.floor(at / meta.pieceLength);
      const next = Math.min(end, (index + 1) * meta.pieceLength);
      padding.set(index, (padding.get(index) ?? 0) + next - at);
      at = next;
    }
  }
  return (index) => pieceSize(meta, index) - (padding.get(index) ?? 0);
}
