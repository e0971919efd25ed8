/**
 * Torrent files put together from what is known.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../base/bytes.ts";
import { encode } from "../bencode/mod.ts";

/** What stands beside the info dictionary. */
export interface TorrentFileParts {
  /** Announce URLs in tiers (BEP 12). */
  readonly trackers: readonly (readonly string[])[];
  /** Web seeds (BEP 19). */
  readonly webSeeds: readonly string[];
}

/**
 * A torrent file round an info dictionary that exists already, and that comes out byte for byte as it is: its hash names the
 * torrent.
 *
 * @param info The info dictionary, bencoded.
 * @param parts What stands beside it.
 * @returns The torrent file.
 */
export function torrentFile(info: Uint8Array, { trackers, webSeeds }: TorrentFileParts): Bytes {
  const before = encode({
    ...(trackers.length > 0 && { announce: trackers[0]![0]!, "announce-list": trackers }),
  });
  const after = encode({ ...(webSeeds.length > 0 && { "url-list": webSeeds }) });
  // "info" stands between "announce-list" and "url-list", as the order of keys has it.
  return concatBytes([before.subarray(0, -1), utf8("4:info"), info, after.subarray(1)]);
}
