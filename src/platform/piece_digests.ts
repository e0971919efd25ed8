/**
 * SHA-1 digests of consecutive pieces whose bytes arrive in parts of any size.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Digest } from "./platform.ts";

/** Length of a SHA-1 digest in bytes. */
export const DIGEST_BYTES = 20;

/** Options for {@linkcode PieceDigests}. */
export interface PieceDigestsOptions {
  /** Bytes of every piece but the last. */
  readonly pieceLength: number;
  /** Bytes of all pieces, at least 1. */
  readonly total: number;
}

/** Hashes the bytes of consecutive pieces, and stores the digest of each piece at its end. */
export class PieceDigests {
  /** Digests one after the other. Those of pieces that are not complete are zeros. */
  readonly bytes: Bytes;
  readonly #start: () => Digest;
  readonly #pieceLength: number;
  #digest: Digest;
  /** Bytes that the current piece still needs. */
  #left: number;
  /** Bytes that all pieces still need. */
  #leftInAll: number;
  #filled = 0;

  /**
   * @param start Starts a SHA-1 digest.
   * @param options See {@linkcode PieceDigestsOptions}.
   */
  constructor(start: () => Digest, options: PieceDigestsOptions) {
    const { pieceLength, total } = options;
    this.#start = start;
    this.#pieceLength = pieceLength;
    this.#left = Math.min(pieceLength, total);
    this.#leftInAll = total;
    this.#digest = start();
    this.bytes = new Uint8Array(Math.ceil(total / pieceLength) * DIGEST_BYTES);
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

  #endPiece(): void {
    this.bytes.set(this.#digest.digest(), this.#filled);
    this.#filled += DIGEST_BYTES;
    this.#left = Math.min(this.#pieceLength, this.#leftInAll);
    if (this.#left > 0) this.#digest = this.#start();
  }
}
