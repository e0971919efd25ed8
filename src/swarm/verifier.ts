/**
 * Whether a piece is right; and if not, whose fault it is.
 *
 * @module
 */

import { equalBytes } from "../base/bytes.ts";
import { BLOCK_SIZE } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import type { ActivePiece } from "./active_piece.ts";
import { Blame } from "./blame.ts";

/** What a verifier needs from the torrent. */
export interface VerifierHost {
  /** SHA-1 of a piece. */
  pieceHash(index: number): Uint8Array;
  /** The address of a connection, over or not. */
  hostOf(connection: number): string;
  /** A piece failed its hash; `hosts` sent its blocks. */
  pieceFailed(index: number, hosts: readonly string[]): void;
  /** An address sent wrong data for certain. */
  lied(host: string, index: number): void;
}

/** Checks complete pieces against their hashes. */
export class Verifier {
  readonly #host: VerifierHost;
  readonly #platform: Pick<Platform, "digest">;
  readonly #blame = new Blame();

  /**
   * @param host The torrent.
   * @param platform The hash function.
   */
  constructor(host: VerifierHost, platform: Pick<Platform, "digest">) {
    this.#host = host;
    this.#platform = platform;
  }

  /** Whether a piece has failed and not been right since: it should come from one peer alone. */
  suspects(index: number): boolean {
    return this.#blame.suspects(index);
  }

  /**
   * Checks a complete piece, and tells of those who are to blame if it, or an earlier attempt at it, is wrong.
   *
   * @param piece Complete.
   * @returns Whether it is right.
   */
  check(piece: ActivePiece): boolean {
    const { index } = piece;
    if (equalBytes(piece.digest, this.#host.pieceHash(index))) {
      if (this.suspects(index)) this.#accuse(this.#blame.passed(index, this.#digests(piece)), index);
      return true;
    }
    const senders = Array.from(piece.senders, (connection) => this.#host.hostOf(connection));
    const guilty = this.#blame.failed(index, { digests: this.#digests(piece), senders });
    this.#host.pieceFailed(index, [...new Set(senders)]);
    this.#accuse(guilty, index);
    return false;
  }

  #accuse(hosts: readonly string[], index: number): void {
    for (const host of hosts) this.#host.lied(host, index);
  }

  #digests(piece: ActivePiece): Uint8Array[] {
    return Array.from({ length: piece.blockCount }, (_, i) => {
      const digest = this.#platform.digest("sha1");
      digest.update(piece.buffer.subarray(i * BLOCK_SIZE, i * BLOCK_SIZE + piece.blockLength(i)));
      return digest.digest();
    });
  }
}
