/**
 * Refuses torrents whose data can't be verified with the hashes at hand, until missing ones are fetched from peers.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { MetainfoError } from "./errors.ts";
import type { Magnet } from "./magnet.ts";
import type { Metainfo } from "./metainfo.ts";
import { hasLayers } from "./v2_pieces.ts";

/**
 * Checks that every piece of a torrent can be verified: by SHA-1, or by piece layers (BEP 52).
 *
 * @param source A torrent, or a magnet link, whose torrent has to have a v1 info-hash.
 * @throws {ShoalError} Of kind `torrent`, if a torrent lacks hashes of pieces, or a magnet link names a v2 info-hash only.
 */
export function requireHashes(source: Metainfo | Magnet): void {
  if ("pieces" in source) {
    if (source.pieces.length > 0 || hasLayers(source)) return;
    throw new MetainfoError({
      what: "not a torrent that Shoal can use yet",
      source: source.name,
      key: "piece layers",
      why: "hashes of pieces are missing (BEP 52), and fetching them from peers is not supported yet",
      hint: "use a torrent file that has them",
    });
  }
  if (source.infoHashV1 !== null) return;
  throw new ShoalError("torrent", {
    what: "not a magnet link that Shoal can use yet",
    where: `urn:btmh:1220${source.infoHashV2?.hex}`,
    why: "it names a torrent of version 2 only (BEP 52), and fetching its hashes from peers is not supported yet",
    hint: "use the torrent file",
  });
}
