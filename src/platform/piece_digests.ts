/**
 * Digests of consecutive pieces whose bytes arrive in parts of any size.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES } from "../base/merkle.ts";
import type { PieceHashing } from "../base/piece_verifier.ts";
import { MerkleDigest } from "./merkle_digest.ts";
import type { Digest, Platform } from "./platform.ts";

/** Length of a SHA-1 digest in bytes. */
export const DIGEST_BYTES = 20;

/** Returns the length in bytes of the digests that a way of hashing gives. */
export function digestBytes({ digest }: PieceHashing): number {
  return digest === "sha1" ? DIGEST_BYTES : HASH_BYTES;
}

/** Options for {@linkcode PieceDigests}. */
export interface PieceDigestsOptions {
  /** How each piece is hashed. */
  readonly hashing: PieceHashing;
  /** Bytes of every piece but the last. */
  readonly pieceLength: number;
  /** Bytes of all pieces, at least 1. */
  readonly total: number;
}

/** Hashes the bytes of consecutive pieces, and stores the digest of each piece at its end. */
export class PieceDigests {
  /** Digests one after the other. Those of pieces that are not complete are zeros. */
  readonly bytes: Bytes;
  readonly #start: Platform["digest"];
  readonly #hashing: PieceHashing;
  readonly #digestBytes: number;
  readonly #pieceLength: number;
  #digest: Digest;
  /** Bytes that the current piece still needs. */
  #left: number;
  /** Bytes that all pieces still need. */
  #leftInAll: number;
  #filled = 0;

  /**
   * @param start Starts a digest.
   * @param options See {@linkcode PieceDigestsOptions}.
   */
  constructor(start: Platform["digest"], options: PieceDigestsOptions) {
    const { hashing, pieceLength, total } = options;
    this.#start = start;
    this.#hashing = hashing;
    this.#digestBytes = digestBytes(hashing);
    this.#pieceLength = pieceLength;
    this.#left = Math.min(pieceLength, total);
    this.#leftInAll = total;
    this.#digest = this.#startPiece();
    this.bytes = new Uint8Array(Math.ceil(total / pieceLength) * this.#digestBytes);
  }

  /**
   * Hashes the next bytes.
   *
   * @param bytes No more than all pieces still need.
   */
  update(bytes: Bytes): void {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + this.#left);
      this.#digest.update(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
      this.#left -= end - at;
      this.#leftInAll -= end - at;
      at = end;
      if (this.#left === 0) this.#endPiece();
    }
  }

  /** Starts the digest of a piece of which `#left` bytes will come. */
  #startPiece(): Digest {
    if (this.#hashing.digest === "sha1") return this.#start("sha1");
    return new MerkleDigest(() => this.#start("sha256"), { length: this.#left, leaves: this.#hashing.leaves });
  }

  #endPiece(): void {
    this.bytes.set(this.#digest.digest(), this.#filled);
    this.#filled += this.#digestBytes;
    this.#left = Math.min(this.#pieceLength, this.#leftInAll);
    if (this.#left > 0) this.#digest = this.#startPiece();
  }
}
