/**
 * Verification of v2 and hybrid torrents (BEP 52).
 *
 * @module
 */

import { type Bytes, equalBytes } from "../base/bytes.ts";
import { MERKLE_BLOCK } from "../base/merkle.ts";
import type { DigestVerifier, PieceHasher, PieceHashing, PieceVerdict, PieceVerifier } from "../base/piece_verifier.ts";
import { MerkleDigest } from "../platform/merkle_digest.ts";
import type { BlockHashes, Platform } from "../platform/platform.ts";
import type { V2Pieces } from "./v2_pieces.ts";

/**
 * Zeros behind a small piece that are hashed at most, in bytes. Thousands of small files in large pieces, each with a piece
 * of padding, would keep the processor busy for much longer than their data.
 */
const MAX_ZEROS_HASHED = 256 * 1024;

/** Compares roots of pieces with the piece layers of a torrent. */
export class V2Digests implements DigestVerifier {
  readonly #expected: Pick<V2Pieces, "hashing" | "hash">;

  constructor(expected: Pick<V2Pieces, "hashing" | "hash">) {
    this.#expected = expected;
  }

  hashing(index: number): PieceHashing {
    return this.#expected.hashing(index);
  }

  matches(index: number, digest: Bytes): boolean {
    return equalBytes(digest, this.#expected.hash(index));
  }
}

/**
 * Verifies pieces by the roots of their Merkle trees. Pieces of a hybrid that arrive are compared with their v1 hashes
 * as well, as libtorrent does, since others who know only v1 would refuse them, unless they are mostly padding. For data on
 * disk the v2 hashes are enough: they are the stronger ones, and cover all bytes but the padding.
 */
export class V2Verifier extends V2Digests implements PieceVerifier {
  readonly pieceCount: number;
  readonly pieceLength: number;
  readonly #pieces: V2Pieces;
  readonly #platform: Pick<Platform, "digest" | "blockHashes">;

  constructor(pieces: V2Pieces, platform: Pick<Platform, "digest" | "blockHashes">) {
    super(pieces);
    this.pieceCount = pieces.pieceCount;
    this.pieceLength = pieces.pieceLength;
    this.#pieces = pieces;
    this.#platform = platform;
  }

  pieceSize(index: number): number {
    return this.#pieces.pieceSize(index);
  }

  servedSize(index: number): number {
    return this.#pieces.servedSize(index);
  }

  async check(index: number, data: Bytes): Promise<PieceVerdict> {
    const sha1Padding = this.#sha1Padding(index);
    return this.#verdict(index, await this.#platform.blockHashes(data, this.#pieces.leaves(index), { sha1Padding }));
  }

  start(index: number): PieceHasher {
    const digest = new MerkleDigest((algorithm) => this.#platform.digest(algorithm), {
      length: this.pieceSize(index),
      leaves: this.#pieces.leaves(index),
      sha1Padding: this.#sha1Padding(index),
    });
    return { update: (bytes) => digest.update(bytes), verdict: () => this.#verdict(index, digest.hashes()) };
  }

  /** Returns the number of zeros that the v1 hash of a piece covers; `null` if the piece isn't compared with it. */
  #sha1Padding(index: number): number | null {
    const padding = this.#pieces.v1Hash(index)?.padding ?? null;
    if (padding === null || padding <= Math.max(MAX_ZEROS_HASHED, this.pieceSize(index))) return padding;
    return null;
  }

  #verdict(index: number, { blocks, root, sha1 }: BlockHashes): PieceVerdict {
    const isRight = this.matches(index, root);
    const isBlock = this.pieceSize(index) <= MERKLE_BLOCK;
    const verdict = { isRight, wrongBlocks: isRight ? [] : isBlock ? [0] : null, blockDigests: blocks };
    const isContradictory = sha1 !== undefined && equalBytes(sha1, this.#pieces.v1Hash(index)!.digest) !== isRight;
    return isContradictory ? { ...verdict, isContradictory } : verdict;
  }
}
