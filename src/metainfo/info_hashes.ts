/**
 * Info-hashes of torrents and magnet links.
 *
 * @module
 */

import { InfoHashes } from "../base/info_hashes.ts";
import type { Magnet } from "./magnet.ts";
import type { Metainfo } from "./metainfo.ts";

/** Returns all known info-hashes of a torrent. */
export function infoHashesOf(source: Metainfo | Magnet): InfoHashes {
  return new InfoHashes(source.infoHashV1, source.infoHashV2);
}
