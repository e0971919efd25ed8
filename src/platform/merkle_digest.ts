/**
 * SHA-256 digests of blocks, and the root of the Merkle tree above them (BEP 52); for hybrids in the same pass the
 * SHA-1 digest of the piece.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES, heightOf, merkle, MERKLE_BLOCK } from "../base/merkle.ts";
import type { BlockHashes, BlockHashOptions, Digest } from "./platform.ts";
import { addZeros } from "./start_digest.ts";

/** Starts a digest. */
type Start = (algorithm: "sha1" | "sha256") => Digest;

/** Options for {@linkcode MerkleDigest}. */
export interface MerkleOptions extends BlockHashOptions {
  /** Bytes that will be hashed, at least 1. */
  readonly length: number;
  /** Leaves of the tree, a power of two, at least one for each block. Leaves without a block are 32 zeros. */
  readonly leaves: number;
}

/** Digest of data that arrives in parts: the root of the Merkle tree over its blocks. */
export class MerkleDigest implements Digest {
  readonly #start: Start;
  readonly #sha1: Digest | null;
  readonly #padding: number;
  readonly #leaves: number;
  readonly #blocks: Bytes;
  #digest: Digest;
  /** Bytes that the current block still needs. */
  #left: number;
  /** Bytes that all blocks still need. */
  #leftInAll: number;
  #filled = 0;

  /**
   * @param start Starts a digest.
   * @param options See {@linkcode MerkleOptions}.
   */
  constructor(start: Start, options: MerkleOptions) {
    const { sha1Padding = null } = options;
    this.#start = start;
    this.#sha1 = sha1Padding === null ? null : start("sha1");
    this.#padding = sha1Padding ?? 0;
    this.#leaves = options.leaves;
    this.#leftInAll = options.length;
    this.#left = Math.min(MERKLE_BLOCK, options.length);
    this.#blocks = new Uint8Array(Math.ceil(options.length / MERKLE_BLOCK) * HASH_BYTES);
    this.#digest = start("sha256");
  }

  /** Digests of the blocks, one after the other. Those of blocks that are not complete are zeros. */
  get blocks(): Bytes {
    return this.#blocks;
  }

  /** Hashes the next bytes, no more than the blocks still need. */
  update(bytes: Bytes): void {
    this.#sha1?.update(bytes);
    for (let at = 0; at < bytes.length;) {
      const end = Math.min(bytes.length, at + this.#left);
      this.#digest.update(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
      this.#left -= end - at;
      this.#leftInAll -= end - at;
      at = end;
      if (this.#left === 0) this.#endBlock();
    }
  }

  /** Returns the root, once every block is complete. */
  digest(): Bytes {
    return merkle.root(this.#blocks, { from: 0, to: heightOf(this.#leaves) });
  }

  /**
   * Returns the SHA-1 digest of the bytes and the padding, once every block is complete; `null` if it wasn't wanted.
   */
  sha1(): Bytes | null {
    if (this.#sha1 === null) return null;
    addZeros(this.#sha1, this.#padding);
    return this.#sha1.digest();
  }

  /** Returns all digests, once every block is complete. */
  hashes(): BlockHashes {
    const sha1 = this.sha1();
    return { blocks: this.#blocks, root: this.digest(), ...(sha1 !== null && { sha1 }) };
  }

  #endBlock(): void {
    this.#blocks.set(this.#digest.digest(), this.#filled);
    this.#filled += HASH_BYTES;
    this.#left = Math.min(MERKLE_BLOCK, this.#leftInAll);
    if (this.#left > 0) this.#digest = this.#start("sha256");
  }
}

/**
 * Computes the digests of the blocks of data, and the root above them, on the caller's thread.
 *
 * @param data At least one byte.
 * @param leaves See {@linkcode MerkleOptions.leaves}.
 * @param start Starts a digest.
 * @param options See {@linkcode BlockHashOptions}.
 */
export function hashBlocks(data: Bytes, leaves: number, start: Start, options: BlockHashOptions = {}): BlockHashes {
  const digest = new MerkleDigest(start, { ...options, length: data.length, leaves });
  digest.update(data);
  return digest.hashes();
}
