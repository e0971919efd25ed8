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

/** Blocks that are hashed before others have their turn. */
const BLOCKS_AT_ONCE = 64;

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
  readonly #platform: Pick<Platform, "digest" | "giveWay">;
  readonly #blame = new Blame();

  /**
   * @param host The torrent.
   * @param platform The hash function.
   */
  constructor(host: VerifierHost, platform: Pick<Platform, "digest" | "giveWay">) {
    this.#host = host;
    this.#platform = platform;
  }

  /** Pieces that have failed and not been right since. */
  get failed(): Pick<Blame, "pieces" | "size"> {
    return this.#blame;
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
    await undefined; // what follows may close connections, and the read of one is being parsed
    while (!piece.hashMore()) await this.#platform.giveWay();
    if (equalBytes(piece.digest, this.#host.pieceHash(index))) {
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

  async #digests(piece: ActivePiece): Promise<Uint8Array[]> {
    const digests: Uint8Array[] = [];
    for (let i = 0; i < piece.blockCount; i++) {
      if (i % BLOCKS_AT_ONCE === BLOCKS_AT_ONCE - 1) await this.#platform.giveWay();
      const digest = this.#platform.digest("sha1");
      digest.update(piece.buffer.subarray(i * BLOCK_SIZE, i * BLOCK_SIZE + piece.blockLength(i)));
      digests.push(digest.digest());
    }
    return digests;
  }
}
