/**
 * Refuses what only a v2 torrent's peers have, until the rooms that transfer data can use it.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { MetainfoError } from "./errors.ts";
import type { Magnet } from "./magnet.ts";
import type { Metainfo } from "./metainfo.ts";

/**
 * Checks that the data of a torrent can be verified by SHA-1.
 *
 * @param source A torrent, or a magnet link.
 * @throws {ShoalError} Of kind `torrent`, if it is of version 2 only, or lacks the SHA-1 digests.
 */
export function requireV1(source: Metainfo | Magnet): void {
  if ("pieces" in source) {
    if (source.pieces.length > 0) return;
    throw new MetainfoError({
      what: "not a torrent that Shoal can use yet",
      source: source.name,
      ...(source.version === "v2"
        ? { key: "info.meta version", why: "it is a torrent of version 2 only (BEP 52), and v2 is not supported yet" }
        : { key: "info.pieces", why: "its v1 half has no hashes, and v2 (BEP 52) is not supported yet" }),
    });
  }
  if (source.infoHashV1 !== null) return;
  throw new ShoalError("torrent", {
    what: "not a magnet link that Shoal can use yet",
    where: `urn:btmh:1220${source.infoHashV2?.hex}`,
    why: "it names a torrent of version 2 only (BEP 52), and v2 is not supported yet",
  });
}
