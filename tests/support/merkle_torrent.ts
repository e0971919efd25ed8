/**
 * A torrent with data, and a verifier like that of v2 torrents (BEP 52): pieces aligned to files and Merkle trees. Its
 * verdicts can also name wrong blocks, which those of real v2 torrents do only once the hashes of blocks have come from
 * peers. It is made from the data, so that tests of what uses a `PieceVerifier` need no torrent file.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes } from "../../src/base/bytes.ts";
import { MERKLE_BLOCK } from "../../src/base/merkle.ts";
import type { PieceHasher, PieceHashing, PieceVerdict, PieceVerifier } from "../../src/base/piece_verifier.ts";
import { hashBlocks } from "../../src/platform/merkle_digest.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import type { StorageFile, StorageLayout } from "../../src/storage/mod.ts";
import { noise } from "./payload.ts";

const startSha256 = () => startDigest("sha256");
const HASH = 32;

/** A piece of a {@linkcode MerkleTorrent}. */
interface MerklePiece {
  readonly size: number;
  readonly hashing: PieceHashing & { readonly digest: "merkle" };
  readonly root: Bytes;
  readonly blocks: Bytes;
}

/** Options for {@linkcode MerkleTorrent}. */
export interface MerkleTorrentOptions {
  /** Whether there is padding between the files, as in hybrid torrents, and not only a gap. Default: `false`. */
  readonly padded?: boolean;
}

/** A torrent of files that begin at pieces, with data. */
export class MerkleTorrent implements PieceVerifier {
  readonly pieceCount: number;
  readonly pieceLength: number;
  /** Where the files are, with gaps or padding between them. */
  readonly layout: StorageLayout;
  /** The payload; the gaps are zeros. */
  readonly data: Bytes;
  /** Whether verdicts name wrong blocks. */
  knowsBlocks = true;
  readonly #pieces: readonly MerklePiece[];

  /**
   * @param pieceLength Length of a piece in bytes, a power of two of at least 16 KiB.
   * @param lengths Lengths of the files by their names, in bytes.
   * @param options See {@linkcode MerkleTorrentOptions}.
   */
  constructor(pieceLength: number, lengths: Readonly<Record<string, number>>, options: MerkleTorrentOptions = {}) {
    let offset = 0;
    let totalLength = 0;
    const files = Object.entries(lengths).map(([name, length]) => {
      const file = { path: ["t", name], length, offset, pad: false, symlink: null, executable: false };
      if (length > 0) totalLength = offset + length;
      offset += Math.ceil(length / pieceLength) * pieceLength;
      return file;
    });
    this.pieceLength = pieceLength;
    this.data = new Uint8Array(totalLength);
    const pieces: MerklePiece[] = [];
    for (const { length, offset: at } of files) {
      this.data.set(noise(length, at + 1), at);
      const blocks = Math.ceil(Math.min(length, pieceLength) / MERKLE_BLOCK);
      const hashing = { digest: "merkle", leaves: 2 ** Math.ceil(Math.log2(blocks)) } as const;
      for (let from = 0; from < length; from += pieceLength) {
        const size = Math.min(pieceLength, length - from);
        const hashes = hashBlocks(this.data.subarray(at + from, at + from + size), hashing.leaves, startSha256);
        pieces.push({ size, hashing, ...hashes });
      }
    }
    this.#pieces = pieces;
    this.pieceCount = pieces.length;
    this.layout = {
      pieceLength,
      pieceCount: pieces.length,
      totalLength,
      files: options.padded
        ? withPadding(files, totalLength)
        : files.map((file) => ({ ...file, offset: Math.min(file.offset, totalLength) })),
      pieceSize: (index) => this.pieceSize(index),
    };
  }

  pieceSize(index: number): number {
    return this.#pieces[index]!.size;
  }

  servedSize(index: number): number {
    const { totalLength, files } = this.layout;
    const isPadded = files.some(({ pad }) => pad);
    return isPadded ? Math.min(this.pieceLength, totalLength - index * this.pieceLength) : this.pieceSize(index);
  }

  hashing(index: number): PieceHashing {
    return this.#pieces[index]!.hashing;
  }

  matches(index: number, digest: Bytes): boolean {
    return equalBytes(digest, this.#pieces[index]!.root);
  }

  check(index: number, data: Bytes): Promise<PieceVerdict> {
    return Promise.resolve(this.#verdict(index, data));
  }

  start(index: number): PieceHasher {
    const parts: Bytes[] = [];
    return {
      update: (bytes) => void parts.push(bytes.slice()),
      verdict: () => this.#verdict(index, concatBytes(parts)),
    };
  }

  /** Returns the hashes of a piece's blocks. */
  blockHashes(index: number): Bytes {
    return this.#pieces[index]!.blocks;
  }

  /** Returns a copy of a piece. */
  piece(index: number): Bytes {
    return this.data.slice(index * this.pieceLength, index * this.pieceLength + this.pieceSize(index));
  }

  /** Returns a copy of a block. */
  block(index: number, begin: number): Bytes {
    const at = index * this.pieceLength + begin;
    return this.data.slice(at, at + Math.min(MERKLE_BLOCK, this.pieceSize(index) - begin));
  }

  #verdict(index: number, data: Bytes): PieceVerdict {
    const { blocks, root } = hashBlocks(data, this.#pieces[index]!.hashing.leaves, startSha256);
    const isRight = this.matches(index, root);
    const wrongBlocks = isRight ? [] : this.knowsBlocks ? this.#differing(index, blocks) : null;
    return { isRight, wrongBlocks, blockDigests: blocks };
  }

  #differing(index: number, blocks: Bytes): number[] {
    const right = this.#pieces[index]!.blocks;
    const at = (hashes: Bytes, block: number) => hashes.subarray(block * HASH, (block + 1) * HASH);
    const all = Array.from({ length: right.length / HASH }, (_, block) => block);
    return all.filter((block) => !equalBytes(at(blocks, block), at(right, block)));
  }
}

/** Fills the gaps before files with padding. */
function withPadding(files: readonly StorageFile[], totalLength: number): StorageFile[] {
  const padded: StorageFile[] = [];
  let end = 0;
  for (const file of files) {
    const offset = Math.min(file.offset, totalLength);
    const gap = offset - end;
    if (gap > 0) padded.push({ ...file, path: ["t", ".pad", `${gap}`], length: gap, offset: end, pad: true });
    padded.push({ ...file, offset });
    end = offset + file.length;
  }
  return padded;
}
