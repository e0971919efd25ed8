/**
 * Digests of consecutive pieces of one file of a v2 or hybrid torrent (BEP 52), whose bytes arrive in parts of any size.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES, MERKLE_BLOCK, type MerkleHasher, MerkleStack } from "../base/merkle.ts";
import { DIGEST_BYTES } from "./piece_digests.ts";
import type { Digest, TreePieces } from "./platform.ts";

/** What {@linkcode TreeDigests} hashes with. */
export interface TreeDigestsOptions extends TreePieces {
  /** Number of bytes of all pieces together, without padding. */
  readonly length: number;
  /** Starts a digest. */
  readonly digest: (algorithm: "sha1" | "sha256") => Digest;
  /** Computes the hashes above the blocks. */
  readonly hasher: MerkleHasher;
}

const zeros = new Uint8Array(MERKLE_BLOCK);

/**
 * Returns the number of bytes that {@linkcode TreeDigests} stores for a piece.
 *
 * @param pieces What is wanted of the pieces.
 */
export function treeDigestBytes({ padding }: Pick<TreePieces, "padding">): number {
  return padding === null ? HASH_BYTES : HASH_BYTES + DIGEST_BYTES;
}

/** Hashes the bytes of consecutive pieces: blocks and their tree, and for a hybrid SHA-1 over data and padding. */
export class TreeDigests {
  /** For each piece its hash of the wanted layer, and for a hybrid its SHA-1 digest. */
  readonly bytes: Bytes;
  readonly #options: TreeDigestsOptions;
  readonly #stack: MerkleStack;
  /** Digest of the current block, if it came in parts. */
  #block: Digest | null = null;
  #sha1: Digest | null = null;
  /** Bytes that the current block, the current piece and all pieces still need. */
  #leftInBlock = 0;
  #leftInPiece = 0;
  #left: number;
  #filled = 0;

  /** @param options See {@linkcode TreeDigestsOptions}. */
  constructor(options: TreeDigestsOptions) {
    const { length, pieceLength, hasher } = options;
    this.#options = options;
    this.#stack = new MerkleStack(hasher);
    this.#left = length;
    this.bytes = new Uint8Array(Math.ceil(length / pieceLength) * treeDigestBytes(options));
    this.#startPiece();
  }

  /**
   * Hashes the next bytes.
   *
   * @param bytes No more than all pieces still need.
   */
  update(bytes: Bytes): void {
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + this.#leftInBlock);
      const part = bytes.subarray(at, end);
      this.#sha1?.update(part);
      this.#hash(part);
      this.#leftInBlock -= part.length;
      this.#leftInPiece -= part.length;
      this.#left -= part.length;
      at = end;
      if (this.#leftInBlock === 0) this.#endBlock();
    }
  }

  #hash(part: Bytes): void {
    if (this.#block === null && part.length === this.#leftInBlock) {
      this.#stack.add(this.#options.hasher.block(part));
    } else {
      this.#block ??= this.#options.digest("sha256");
      this.#block.update(part);
    }
  }

  #endBlock(): void {
    if (this.#block !== null) this.#stack.add(this.#block.digest());
    this.#block = null;
    if (this.#leftInPiece === 0) this.#endPiece();
    else this.#leftInBlock = Math.min(MERKLE_BLOCK, this.#leftInPiece);
  }

  #startPiece(): void {
    const { pieceLength, digest, padding } = this.#options;
    this.#leftInPiece = Math.min(pieceLength, this.#left);
    this.#leftInBlock = Math.min(MERKLE_BLOCK, this.#leftInPiece);
    this.#sha1 = padding === null ? null : digest("sha1");
  }

  #endPiece(): void {
    this.bytes.set(this.#stack.finish(this.#options.layer), this.#filled);
    this.#filled += HASH_BYTES;
    if (this.#sha1 !== null) {
      if (this.#left === 0) this.#pad(this.#sha1);
      this.bytes.set(this.#sha1.digest(), this.#filled);
      this.#filled += DIGEST_BYTES;
    }
    if (this.#left > 0) this.#startPiece();
  }

  #pad(sha1: Digest): void {
    for (let left = this.#options.padding!; left > 0; left -= zeros.length) sha1.update(zeros.subarray(0, left));
  }
}
