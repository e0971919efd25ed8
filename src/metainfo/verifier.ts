/**
 * Chooses the verifier of a torrent. Nothing else depends on the version of its hashes.
 *
 * @module
 */

import type { DigestVerifier, PieceVerifier } from "../base/piece_verifier.ts";
import type { Platform } from "../platform/platform.ts";
import { type Metainfo, pieceHash, pieceSize } from "./metainfo.ts";
import { V1Digests, type V1Pieces, V1Verifier } from "./v1_verifier.ts";
import { hasLayers, V2Pieces } from "./v2_pieces.ts";
import { V2Digests, V2Verifier } from "./v2_verifier.ts";

/**
 * Returns the verifier of a torrent. A hybrid is verified by its v2 hashes, or by its v1 hashes if it lacks piece layers.
 * Its pieces end before the padding in both cases.
 *
 * @param meta A torrent with the hashes of all pieces; see `requireHashes()`.
 * @param platform Hash functions.
 */
export function verifierOf(
  meta: Metainfo,
  platform: Pick<Platform, "digest" | "sha1" | "blockHashes">,
): PieceVerifier {
  return hasLayers(meta) ? new V2Verifier(new V2Pieces(meta), platform) : new V1Verifier(v1Pieces(meta), platform);
}

/** Returns what digests of a torrent's pieces are compared with, if threads compute all of them. */
export function digestsOf(meta: Metainfo): DigestVerifier {
  return hasLayers(meta) ? new V2Digests(new V2Pieces(meta)) : new V1Digests(v1Pieces(meta));
}

/** A torrent as storage sees it: pieces, and where files are in the payload. */
export interface PayloadLayout extends Pick<Metainfo, "pieceLength" | "pieceCount" | "totalLength" | "files"> {
  /** Returns the size of a piece in bytes; see {@linkcode PieceVerifier.pieceSize}. */
  pieceSize(index: number): number;
  /** Returns how many bytes of a piece may be read; see {@linkcode PieceVerifier.servedSize}. */
  servedSize(index: number): number;
}

/**
 * Returns the layout of a torrent. Its pieces have the sizes that the torrent's verifier tells, but for a hybrid that is
 * verified by its v1 hashes: they cover the padding, which reads as zeros.
 */
export function layoutOf(meta: Metainfo): PayloadLayout {
  const { pieceLength, pieceCount, totalLength, files } = meta;
  const pieceSizes = hasLayers(meta) ? new V2Pieces(meta) : null;
  return {
    ...{ pieceLength, pieceCount, totalLength, files },
    pieceSize: (index) => pieceSizes?.pieceSize(index) ?? pieceSize(meta, index),
    servedSize: (index) => pieceSizes?.servedSize(index) ?? pieceSize(meta, index),
  };
}

function v1Pieces(meta: Metainfo): V1Pieces {
  const padding = meta.version === "hybrid" ? paddingOf(meta) : new Map<number, number>();
  return {
    padding: (index) => padding.get(index) ?? 0,
    pieceCount: meta.pieceCount,
    pieceLength: meta.pieceLength,
    pieceSize: (index) => pieceSize(meta, index),
    pieceHash: (index) => pieceHash(meta, index),
  };
}

/** Returns the bytes of padding at the end of each piece of a hybrid that has some, behind the file whose bytes it holds. */
function paddingOf(meta: Metainfo): Map<number, number> {
  const padding = new Map<number, number>();
  for (const { offset, length, pad } of meta.files) {
    if (pad || length === 0) continue;
    const end = offset + length;
    const last = Math.ceil(end / meta.pieceLength) - 1;
    const over = last * meta.pieceLength + pieceSize(meta, last) - end;
    if (over > 0) padding.set(last, over);
  }
  return padding;
}
