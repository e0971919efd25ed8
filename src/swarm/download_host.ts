/**
 * What a download is made of and what it needs.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Peer } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { BufferPool } from "./buffer_pool.ts";
import type { VerifierHost } from "./verifier.ts";

/** What a download needs from the torrent. */
export interface DownloadHost extends VerifierHost {
  /** Bytes of a piece. */
  pieceSize(index: number): number;
  /** Writes a verified piece; resolves when it can be read back. */
  writePiece(index: number, data: Bytes): Promise<void>;
  /** Every connected peer. */
  peers(): Iterable<Peer>;
  /** A piece is verified and written. */
  pieceDone(index: number): void;
  /** The disk failed: the download cannot go on. */
  broke(error: unknown): void;
}

/** What a download works with. */
export interface DownloadOptions {
  /** What is on disk; changed as pieces are finished. */
  readonly have: Bitfield;
  /** The pieces that are to be there in the end. */
  readonly wanted: Bitfield;
  /** Whether pieces are fetched in order instead of the rarest first. */
  readonly sequential?: boolean;
  /** Buffers for pieces. */
  readonly pool: BufferPool;
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "giveWay">;
}
