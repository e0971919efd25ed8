/**
 * Pieces of v2 and hybrid torrents (BEP 52): which file each belongs to, how long it is, and its hash.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { HASH_BYTES, heightOf, layerSize, pieceLayer } from "../base/merkle.ts";
import type { PieceHashing } from "../base/piece_verifier.ts";
import type { Metainfo, MetainfoFile } from "./metainfo.ts";

/** Bytes of a SHA-1 digest. */
const SHA1_BYTES = 20;

/** Returns `true` if the v2 hashes of all pieces of a torrent are known. */
export function hasLayers({ version, files, pieceLength }: Metainfo): boolean {
  return version !== "v1" && files.every(({ root, layer, length }) => !root || length <= pieceLength || layer);
}

/**
 * How pieces are hashed, by the parity of their file and the height of their tree. Files that follow each other never
 * share an object, since a shorter piece lies between them: see `PieceVerifier.hashing()`.
 */
const HASHINGS: readonly (readonly PieceHashing[])[] = [0, 1].map(() =>
  Array.from({ length: 32 }, (_, height) => ({ digest: "merkle", leaves: 2 ** height }))
);

/** Pieces of a torrent whose v2 hashes are known. */
export class V2Pieces {
  /** Number of pieces. */
  readonly pieceCount: number;
  /** Distance between the beginnings of two pieces in bytes. */
  readonly pieceLength: number;
  readonly #isHybrid: boolean;
  /** The v1 hashes of all pieces of a hybrid that has them; else `null`. */
  readonly #sha1s: Bytes | null;
  readonly #totalLength: number;
  /** Files that have bytes, without padding. */
  readonly #files: readonly MetainfoFile[];
  /** First piece of each file. */
  readonly #first: Uint32Array;

  /**
   * @param meta A v2 or hybrid torrent.
   * @throws {RangeError} If a piece belongs to no file, or its hash isn't known.
   */
  constructor(meta: Metainfo) {
    const { pieceCount, pieceLength, totalLength } = meta;
    this.pieceCount = pieceCount;
    this.pieceLength = pieceLength;
    this.#isHybrid = meta.version === "hybrid";
    this.#sha1s = this.#isHybrid && meta.pieces.length > 0 ? meta.pieces : null;
    this.#totalLength = totalLength;
    this.#files = meta.files.filter(({ root }) => root !== undefined);
    this.#first = new Uint32Array(this.#files.length);
    let next = 0;
    for (const [i, { offset, length }] of this.#files.entries()) {
      if (offset !== next * pieceLength) throw new RangeError(`A file is at byte ${offset}, not at piece ${next}`);
      this.#first[i] = next;
      next += Math.ceil(length / pieceLength);
    }
    if (next !== pieceCount) throw new RangeError(`The files have ${next} pieces, the torrent ${pieceCount}`);
    if (!hasLayers(meta)) throw new RangeError("Hashes of pieces are missing");
  }

  /** See `PieceVerifier.pieceSize()`. */
  pieceSize(index: number): number {
    const at = this.#fileOf(index);
    return Math.min(this.pieceLength, this.#files[at]!.length - (index - this.#first[at]!) * this.pieceLength);
  }

  /**
   * See `PieceVerifier.servedSize()`. libtorrent 2.0 asks for whole blocks of v2-only torrents, also behind the last file.
   */
  servedSize(index: number): number {
    return this.#isHybrid ? Math.min(this.pieceLength, this.#totalLength - index * this.pieceLength) : this.pieceLength;
  }

  /** Returns how a piece is hashed: see `PieceVerifier.hashing()`. */
  hashing(index: number): PieceHashing {
    const at = this.#fileOf(index);
    return HASHINGS[at % 2]![this.#height(at)]!;
  }

  /** Returns the number of leaves of the tree above a piece. */
  leaves(index: number): number {
    return 2 ** this.#height(this.#fileOf(index));
  }

  /** Returns the hash of a piece, 32 bytes. */
  hash(index: number): Bytes {
    const at = this.#fileOf(index);
    const { root, layer, length } = this.#files[at]!;
    if (length <= this.pieceLength) return root!;
    const from = (index - this.#first[at]!) * HASH_BYTES;
    return layer!.subarray(from, from + HASH_BYTES);
  }

  /** Returns the file that a piece belongs to, and the number of the piece in that file, from 0. */
  placeOf(index: number): { readonly file: MetainfoFile; readonly indexInFile: number } {
    const at = this.#fileOf(index);
    return { file: this.#files[at]!, indexInFile: index - this.#first[at]! };
  }

  /** Returns the files that have bytes, each with its first piece. */
  *filesWithPieces(): Generator<{ readonly file: MetainfoFile; readonly first: number }, void> {
    for (const [at, file] of this.#files.entries()) yield { file, first: this.#first[at]! };
  }

  /**
   * Returns the v1 hash of a piece of a hybrid, and the number of zeros behind the piece that it covers.
   *
   * @returns `null` if the torrent has no v1 hashes.
   */
  v1Hash(index: number): { readonly digest: Bytes; readonly padding: number } | null {
    if (this.#sha1s === null) return null;
    const digest = this.#sha1s.subarray(index * SHA1_BYTES, (index + 1) * SHA1_BYTES);
    return { digest, padding: this.servedSize(index) - this.pieceSize(index) };
  }

  /** Returns the height of the trees of a file's pieces. That of a file that is shorter than a piece may be lower. */
  #height(file: number): number {
    const { length } = this.#files[file]!;
    return length > this.pieceLength ? pieceLayer(this.pieceLength) : heightOf(layerSize(length, 0));
  }

  /** Returns the position in `#files` of the file that a piece belongs to. */
  #fileOf(index: number): number {
    if (!Number.isInteger(index) || index < 0 || index >= this.pieceCount) {
      throw new RangeError(`Pieces are numbered 0 to ${this.pieceCount - 1}, got ${index}`);
    }
    let low = 0;
    let high = this.#first.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#first[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
