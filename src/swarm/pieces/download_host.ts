/**
 * What a download is made of and what it needs.
 *
 * @module
 */

import type { Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { StartedPiecesHost, StartedPiecesOptions } from "./partial_pieces.ts";

/** What a download needs from the torrent. */
export interface DownloadHost extends StartedPiecesHost {
  /** Every connected peer. */
  peers(): Iterable<Peer>;
}

/** What a download works with. */
export interface DownloadOptions extends StartedPiecesOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "giveWay">;
}
