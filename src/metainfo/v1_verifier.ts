/**
 * Verification of v1 torrents (BEP 3).
 *
 * @module
 */

import { type Bytes, equalBytes } from "../base/bytes.ts";
import type { DigestVerifier, PieceHasher, PieceHashing, PieceVerdict, PieceVerifier } from "../base/piece_verifier.ts";
import type { Platform } from "../platform/platform.ts";
import { addZeros } from "../platform/start_digest.ts";

/** Pieces of a v1 torrent. */
export interface V1Pieces {
  /** Number of pieces. */
  readonly pieceCount: number;
  /** Length of every piece but the last in bytes. */
  readonly pieceLength: number;
  /** Returns the length of a piece in bytes. */
  pieceSize(index: number): number;
  /** Returns the SHA-1 digest of a piece. */
  pieceHash(index: number): Uint8Array;
  /** Returns the number of zeros at the end of a piece that no peer is asked for, since they are padding; 0 when absent. */
  padding?(index: number): number;
}

const HASHING: PieceHashing = { digest: "sha1" };
const RIGHT: PieceVerdict = { isRight: true, wrongBlocks: [], blockDigests: null };
const WRONG: PieceVerdict = { isRight: false, wrongBlocks: null, blockDigests: null };

function withZeros(data: Bytes, count: number): Bytes {
  const whole = new Uint8Array(data.length + count);
  whole.set(data);
  return whole;
}

/** Compares digests of pieces with those of a v1 torrent. */
export class V1Digests implements DigestVerifier {
  readonly #expected: Pick<V1Pieces, "pieceHash">;

  constructor(expected: Pick<V1Pieces, "pieceHash">) {
    this.#expected = expected;
  }

  hashing(): PieceHashing {
    return HASHING;
  }

  matches(index: number, digest: Bytes): boolean {
    return equalBytes(digest, this.#expected.pieceHash(index));
  }
}

/** Verifies pieces by their SHA-1 digests. */
export class V1Verifier extends V1Digests implements PieceVerifier {
  readonly pieceCount: number;
  readonly pieceLength: number;
  readonly #pieces: V1Pieces;
  readonly #platform: Pick<Platform, "digest" | "sha1">;

  constructor(pieces: V1Pieces, platform: Pick<Platform, "digest" | "sha1">) {
    super(pieces);
    this.pieceCount = pieces.pieceCount;
    this.pieceLength = pieces.pieceLength;
    this.#pieces = pieces;
    this.#platform = platform;
  }

  pieceSize(index: number): number {
    return this.#pieces.pieceSize(index) - this.#padding(index);
  }

  servedSize(index: number): number {
    return this.#pieces.pieceSize(index);
  }

  async check(index: number, data: Bytes): Promise<PieceVerdict> {
    const padding = this.#padding(index);
    return this.#verdict(index, await this.#platform.sha1(padding === 0 ? data : withZeros(data, padding)));
  }

  start(index: number): PieceHasher {
    const digest = this.#platform.digest("sha1");
    return {
      update: (bytes) => digest.update(bytes),
      verdict: () => {
        addZeros(digest, this.#padding(index));
        return this.#verdict(index, digest.digest());
      },
    };
  }

  #padding(index: number): number {
    return this.#pieces.padding?.(index) ?? 0;
  }

  #verdict(index: number, digest: Bytes): PieceVerdict {
    return this.matches(index, digest) ? RIGHT : WRONG;
  }
}
