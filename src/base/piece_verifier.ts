/**
 * What the rest of the program knows of a torrent's hashes, whatever their version: SHA-1 over pieces that run across
 * files (v1, BEP 3), SHA-256 Merkle trees over files whose pieces are aligned to them (v2, BEP 52), or both.
 *
 * @module
 */

import type { Bytes } from "./bytes.ts";

/**
 * How a thread that knows nothing of torrents hashes a piece: `sha1` is the SHA-1 digest of its bytes (20 bytes),
 * `merkle` the root of a Merkle tree over the SHA-256 digests of its blocks (32 bytes), padded with zeros to a number of
 * leaves.
 */
export type PieceHashing =
  | { readonly digest: "sha1" }
  | {
    readonly digest: "merkle";
    /** Leaves of the tree: a power of two, at least one for each block. */
    readonly leaves: number;
  };

/** Result of comparing a piece with the torrent's hashes. */
export interface PieceVerdict {
  /** Whether the piece is right. */
  readonly isRight: boolean;
  /**
   * Numbers of the blocks that are wrong, at least one if the piece is; `null` if the piece is wrong and nothing tells which blocks are, as in v1, and
   * in v2 while the hashes of the piece's blocks aren't known.
   */
  readonly wrongBlocks: readonly number[] | null;
  /**
   * A digest of each block, one after the other, if they were computed for the verdict. All verdicts of a torrent have
   * digests of one kind, or none has any.
   */
  readonly blockDigests: Bytes | null;
  /**
   * Whether the two halves of a hybrid disagree: the piece is right by its hash of one version and wrong by that of the
   * other. Then no source is to blame, and the torrent can't be downloaded.
   */
  readonly isContradictory?: boolean;
}

/** Takes the bytes of one piece in order, in parts of any size. */
export interface PieceHasher {
  /** Adds the next bytes. */
  update(bytes: Bytes): void;
  /** Compares the piece, once, after all of its bytes have been added. */
  verdict(): PieceVerdict;
}

/**
 * Tells how long the pieces of a torrent are and which bytes belong there. Swarm, storage and session ask it and never
 * the version. It exists once the hash of every piece is known; v2 hashes of single blocks may come later.
 *
 * Piece n begins at byte n * `pieceLength` of the payload, in every version. In v2 every file begins at such a byte, and
 * the bytes between its end and the next file belong to no piece.
 */
export interface PieceVerifier {
  /** Number of pieces. */
  readonly pieceCount: number;
  /** Distance between the beginnings of two pieces in bytes. No piece is longer. */
  readonly pieceLength: number;
  /**
   * Returns the length of a piece in bytes, which is shorter than `pieceLength` only at the end of the torrent (v1) or of
   * a file (v2).
   *
   * @throws {RangeError} If there is no such piece.
   */
  pieceSize(index: number): number;
  /**
   * Returns how many bytes of a piece peers may ask for: {@linkcode PieceVerifier.pieceSize}, and the padding after them,
   * which is zeros: peers that know only the v1 half of a hybrid ask for it, and some peers of v2-only torrents.
   */
  servedSize(index: number): number;
  /**
   * Returns how a piece is hashed where {@linkcode PieceVerifier.check} isn't used. Consecutive pieces for which this is
   * the same object may be hashed as one stream of bytes: all but the last of them are `pieceLength` long.
   */
  hashing(index: number): PieceHashing;
  /**
   * Returns `true` if a piece is right.
   *
   * @param index Piece index.
   * @param digest Digest that was made as {@linkcode PieceVerifier.hashing} says.
   */
  matches(index: number, digest: Bytes): boolean;
  /**
   * Hashes a whole piece on another thread.
   *
   * @param index Piece index.
   * @param data All bytes of the piece, which must not change until the promise settles.
   */
  check(index: number, data: Bytes): Promise<PieceVerdict>;
  /** Starts to hash a piece that isn't held whole, on the caller's thread. */
  start(index: number): PieceHasher;
}

/** What is needed to compare digests that threads have made. */
export type DigestVerifier = Pick<PieceVerifier, "hashing" | "matches">;
