/**
 * Digests of consecutive pieces whose bytes arrive in parts of any size.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES } from "../base/merkle.ts";
import type { PieceHashing } from "../base/piece_verifier.ts";
import { MerkleDigest } from "./merkle_digest.ts";
import type { Digest, Platform, TreePieces } from "./platform.ts";

/** Length of a SHA-1 digest in bytes. */
export const DIGEST_BYTES = 20;

/**
 * Returns the number of bytes that {@linkcode PieceDigests} stores for a piece.
 *
 * @param hashing How the piece is hashed.
 * @param sha1Padding See {@linkcode PieceDigestsOptions.sha1Padding}.
 */
export function digestBytes({ digest }: PieceHashing, sha1Padding: number | null = null): number {
  if (digest === "sha1") return DIGEST_BYTES;
  return sha1Padding === null ? HASH_BYTES : HASH_BYTES + DIGEST_BYTES;
}

/** Returns what {@linkcode PieceDigests} has to do for pieces of a file of a new v2 or hybrid torrent. */
export function optionsOfTree(
  { layer, pieceLength, padding, length }: TreePieces & { readonly length: number },
): PieceDigestsOptions {
  return { hashing: { digest: "merkle", leaves: 2 ** layer }, pieceLength, total: length, sha1Padding: padding };
}

/** Options for {@linkcode PieceDigests}. */
export interface PieceDigestsOptions {
  /** How each piece is hashed. */
  readonly hashing: PieceHashing;
  /** Bytes of every piece but the last. */
  readonly pieceLength: number;
  /** Bytes of all pieces, at least 1. */
  readonly total: number;
  /**
   * For pieces of a hybrid: zeros behind the last piece that its SHA-1 digest covers as well. No SHA-1 digests are
   * stored behind those of Merkle trees when `null` or absent.
   */
  readonly sha1Padding?: number | null;
}

/** Hashes the bytes of consecutive pieces, and stores the digest of each piece at its end. */
export class PieceDigests {
  /** Digests one after the other. Those of pieces that are not complete are zeros. */
  readonly bytes: Bytes;
  readonly #start: Platform["digest"];
  readonly #hashing: PieceHashing;
  readonly #sha1Padding: number | null;
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
    const { hashing, pieceLength, total, sha1Padding = null } = options;
    this.#start = start;
    this.#hashing = hashing;
    this.#sha1Padding = sha1Padding;
    this.#pieceLength = pieceLength;
    this.#left = Math.min(pieceLength, total);
    this.#leftInAll = total;
    this.#digest = this.#startPiece();
    this.bytes = new Uint8Array(Math.ceil(total / pieceLength) * digestBytes(hashing, sha1Padding));
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
    const isLast = this.#left === this.#leftInAll;
    return new MerkleDigest(this.#start, {
      length: this.#left,
      leaves: this.#hashing.leaves,
      sha1Padding: this.#sha1Padding === null || isLast ? this.#sha1Padding : 0,
    });
  }

  #endPiece(): void {
    this.#store(this.#digest.digest());
    const sha1 = this.#digest instanceof MerkleDigest ? this.#digest.sha1() : null;
    if (sha1 !== null) this.#store(sha1);
    this.#left = Math.min(this.#pieceLength, this.#leftInAll);
    if (this.#left > 0) this.#digest = this.#startPiece();
  }

  #store(digest: Bytes): void {
    this.bytes.set(digest, this.#filled);
    this.#filled += digest.length;
  }
}
