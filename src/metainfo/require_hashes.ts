/**
 * Tells whether the data of a torrent can be verified with the hashes at hand.
 *
 * @module
 */

import { MetainfoError } from "./errors.ts";
import type { Metainfo } from "./metainfo.ts";
import { hasLayers } from "./v2_pieces.ts";

/** Returns `true` if every piece of a torrent can be verified: by SHA-1, or by piece layers (BEP 52). */
export function hasHashes(meta: Metainfo): boolean {
  return meta.pieces.length > 0 || hasLayers(meta);
}

/**
 * Checks that every piece of a torrent can be verified, without peers to ask for the hashes.
 *
 * @throws {MetainfoError} If hashes of pieces are missing.
 */
export function requireHashes(meta: Metainfo): void {
  if (hasHashes(meta)) return;
  throw new MetainfoError({
    what: "not enough to check data with",
    source: meta.name,
    key: "piece layers",
    why: "hashes of pieces are missing (BEP 52), which only peers can send",
    hint: "use a torrent file that has them: `shoal info -o FILE` with the magnet link fetches them and writes one",
  });
}
