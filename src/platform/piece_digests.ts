/**
 * Digests of pieces whose bytes come in parts of any size.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Digest } from "./platform.ts";

/** Bytes of a SHA-1 digest. */
export const DIGEST_BYTES = 20;

/** Takes the bytes of pieces that follow each other, and notes the SHA-1 digest of each at its end. */
export class PieceDigests {
  /** The digests so far, one behind the other; those that are to come are zeros. */
  readonly bytes: Bytes;
  readonly #start: () => Digest;
  readonly #pieceLength: number;
  #digest: Digest;
  /** Bytes that the piece has still to get. */
  #left: number;
  /** Bytes that all pieces have still to get. */
  #leftInAll: number;
  #filled = 0;

  /**
   * @param start Starts a SHA-1 digest.
   * @param options `pieceLength`: bytes in every piece but the last. `total`: bytes of all pieces, 1 or more.
   */
  constructor(start: () => Digest, options: { readonly pieceLength: number; readonly total: number }) {
    const { pieceLength, total } = options;
    this.#start = start;
    this.#pieceLength = pieceLength;
    this.#left = Math.min(pieceLength, total);
    this.#leftInAll = total;
    this.#digest = start();
    this.bytes = new Uint8Array(Math.ceil(total / pieceLength) * DIGEST_BYTES);
  }

  /**
   * Takes the next bytes in.
   *
   * @param bytes No more than all pieces have still to get.
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
