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

function v1Pieces(meta: Metainfo): V1Pieces {
  return {
    pieceCount: meta.pieceCount,
    pieceLength: meta.pieceLength,
    pieceSize: (index) => pieceSize(meta, index),
    pieceHash: (index) => pieceHash(meta, index),
  };
}
