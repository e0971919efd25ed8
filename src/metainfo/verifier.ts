/**
 * Chooses the verifier of a torrent. Nothing else depends on the version of its hashes.
 *
 * @module
 */

import type { DigestVerifier, PieceVerifier } from "../base/piece_verifier.ts";
import type { Platform } from "../platform/platform.ts";
import { type Metainfo, pieceHash, pieceSize } from "./metainfo.ts";
import { V1Digests, type V1Pieces, V1Verifier } from "./v1_verifier.ts";

/**
 * Returns the verifier of a torrent.
 *
 * @param meta A torrent.
 * @param platform Hash functions.
 */
export function verifierOf(meta: Metainfo, platform: Pick<Platform, "digest" | "sha1">): PieceVerifier {
  return new V1Verifier(v1Pieces(meta), platform);
}

/** Returns what digests of a torrent's pieces are compared with, if threads compute all of them. */
export function digestsOf(meta: Metainfo): DigestVerifier {
  return new V1Digests(v1Pieces(meta));
}

/** A torrent as storage sees it: pieces, and where files are in the payload. */
export interface PayloadLayout extends Pick<Metainfo, "pieceLength" | "pieceCount" | "totalLength" | "files"> {
  /** Returns the size of a piece in bytes; see {@linkcode PieceVerifier.pieceSize}. */
  pieceSize(index: number): number;
}

/** Returns the layout of a torrent. Its pieces have the sizes that the torrent's verifier tells. */
export function layoutOf(meta: Metainfo): PayloadLayout {
  const { pieceLength, pieceCount, totalLength, files } = meta;
  return { pieceLength, pieceCount, totalLength, files, pieceSize: (index) => pieceSize(meta, index) };
}

function v1Pieces(meta: Metainfo): V1Pieces {
  return {
    pieceCount: meta.pieceCount,
    pieceLength: meta.pieceLength,
    pieceSize: (index) => pieceSize(meta, index),
    pieceHash: (index) => pieceHash(meta, index),
  };
}
