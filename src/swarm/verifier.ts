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
  readonly #sha1: Platform["sha1"];
  readonly #blame = new Blame();

  /**
   * @param host The torrent.
   * @param platform The hash function.
   */
  constructor(host: VerifierHost, platform: Pick<Platform, "sha1">) {
    this.#host = host;
    this.#sha1 = (data) => platform.sha1(data);
  }

  /** Whether a piece has failed and not been right since: it should come from one peer alone. */
  suspects(index: number): boolean {
    return this.#blame.suspects(index);
  }

  /**
   * Checks a complete piece, and tells of those who are to blame if it, or an earlier attempt at it, is wrong.
   *
   * @param piece Complete; must not change meanwhile.
   * @returns Whether it is right.
   */
  async check(piece: ActivePiece): Promise<boolean> {
    const { index } = piece;
    if (equalBytes(await this.#sha1(piece.data), this.#host.pieceHash(index))) {
      if (this.suspects(index)) this.#accuse(this.#blame.passed(index, await this.#digests(piece)), index);
      return true;
    }
    const senders = Array.from(piece.senders, (connection) => this.#host.hostOf(connection));
    const guilty = this.#blame.failed(index, { digests: await this.#digests(piece), senders });
    this.#host.pieceFailed(index, [...new Set(senders)]);
    this.#accuse(guilty, index);
    return false;
  }

  #accuse(hosts: readonly string[], index: number): void {
    for (const host of hosts) this.#host.lied(host, index);
  }

  #digests(piece: ActivePiece): Promise<Uint8Array[]> {
    const blocks = Array.from(
      { length: piece.blockCount },
      (_, i) => piece.buffer.subarray(i * BLOCK_SIZE, i * BLOCK_SIZE + piece.blockLength(i)),
    );
    return Promise.all(blocks.map((block) => this.#sha1(block)));
  }
}
