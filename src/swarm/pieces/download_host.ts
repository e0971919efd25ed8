/**
 * What a download is made of and what it needs.
 *
 * @module
 */

import type { Peer } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { PartialPiecesHost, PartialPiecesOptions } from "./partial_pieces.ts";

/** What a download needs from the torrent. */
export interface PieceDownloadHost extends PartialPiecesHost {
  /** Every connected peer. */
  peers(): Iterable<Peer>;
}

/** What a download works with. */
export interface PieceDownloadOptions extends PartialPiecesOptions {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "giveWay">;
}
