/**
 * Finds the wrong blocks of pieces that failed their hash check, by the hashes of single blocks (BEP 52).
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { HASH_BYTES } from "../../base/merkle.ts";
import type { PieceVerdict } from "../../base/piece_verifier.ts";
import type { BlockHashes } from "./block_hashes.ts";
import type { BufferPool } from "./buffer_pool.ts";
import type { PartialPiece } from "./partial_piece.ts";

/** Part of the pieces for which there is memory that may wait for hashes. They hold their memory meanwhile. */
const MOST_WAITING = 1 / 2;

/** Options for {@linkcode WrongBlocks}. */
export interface WrongBlocksOptions {
  /** Source of the hashes. */
  readonly hashes: BlockHashes;
  /** Memory of the pieces. */
  readonly pool: BufferPool;
}

/** Asks for the block hashes of wrong pieces, and compares them with the digests of the blocks. */
export class WrongBlocks {
  readonly #hashes: BlockHashes;
  readonly #pool: BufferPool;
  /** Pieces that wait for hashes, the first first, and what ends their wait. */
  readonly #waiting = new Map<PartialPiece, () => void>();

  constructor({ hashes, pool }: WrongBlocksOptions) {
    this.#hashes = hashes;
    this.#pool = pool;
  }

  /** Wrong pieces that wait for the hashes of their blocks. */
  get waiting(): Iterable<PartialPiece> {
    return this.#waiting.keys();
  }

  /**
   * Finds the wrong blocks of a piece.
   *
   * @param piece A complete piece, which must not change meanwhile.
   * @param verdict The verdict that the piece is wrong.
   * @returns Their numbers; `null` if nobody gave the hashes of the blocks in time, or they can't help.
   */
  async find(piece: PartialPiece, { wrongBlocks, blockDigests }: PieceVerdict): Promise<readonly number[] | null> {
    if (wrongBlocks !== null) return wrongBlocks;
    if (blockDigests?.length !== piece.blockCount * HASH_BYTES || !this.#hashes.obtainable) return null;
    const hashes = piece.hashes ?? this.#hashes.get(piece.index) ?? await this.#wait(piece);
    const wrong = hashes === null ? [] : differingBlocks(blockDigests, hashes);
    return wrong.length > 0 ? wrong : null;
  }

  /**
   * Ends waits for hashes. The pieces are treated as if nobody had given any.
   *
   * @param which Returns `true` for a piece that doesn't wait any longer.
   */
  end(which: (piece: PartialPiece) => boolean): void {
    for (const [piece, end] of [...this.#waiting]) if (which(piece)) end();
  }

  async #wait(piece: PartialPiece): Promise<Bytes | null> {
    const most = Math.max(1, Math.floor(this.#pool.capacity * MOST_WAITING));
    if (this.#waiting.size >= most) this.#waiting.values().next().value!();
    // Nothing works on the piece, so that others need not wait for that.
    if (piece.buffer !== null) this.#pool.countComplete(piece.buffer, false);
    const hashes = await new Promise<Bytes | null>((resolve) => {
      this.#waiting.set(
        piece,
        this.#hashes.ask(piece.index, (hashes) => {
          this.#waiting.delete(piece);
          resolve(hashes);
        }),
      );
    });
    if (piece.buffer !== null) this.#pool.countComplete(piece.buffer, true);
    return hashes;
  }
}

/** Returns the numbers of the hashes that differ. */
function differingBlocks(one: Bytes, other: Bytes): number[] {
  const blocks: number[] = [];
  for (let block = 0; block * HASH_BYTES < one.length; block++) {
    if (!isHash(one.subarray(block * HASH_BYTES, (block + 1) * HASH_BYTES), other, block)) blocks.push(block);
  }
  return blocks;
}

/**
 * Returns `true` if a digest is one of a row of hashes.
 *
 * @param digest 32 bytes.
 * @param hashes Hashes one after the other.
 * @param at Number of the hash.
 */
export function isHash(digest: Bytes, hashes: Bytes, at: number): boolean {
  const from = at * HASH_BYTES;
  for (let i = 0; i < HASH_BYTES; i++) if (digest[i] !== hashes[from + i]) return false;
  return true;
}
