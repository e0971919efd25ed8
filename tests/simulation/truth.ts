/**
 * The torrent of a simulated swarm, and its right bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { type Encodable, encode } from "../../src/bencode/mod.ts";
import { type Metainfo, parseMetainfo, pieceHash, pieceSize } from "../../src/metainfo/mod.ts";
import { noise } from "../support/payload.ts";

/** A file of the torrent. */
export interface TrueFile {
  /** Path relative to the download folder, with `/`. */
  readonly path: string;
  /** Content of the file. */
  readonly data: Bytes;
}

/** Options for {@linkcode Truth}. */
export interface TruthOptions {
  /** Seed of the content. */
  readonly seed: number;
  /** Piece length in bytes. */
  readonly pieceLength: number;
  /** Sizes of the files in bytes. One size makes a single-file torrent. */
  readonly sizes: readonly number[];
  /** Announce URLs. Each is its own tier. */
  readonly trackers: readonly string[];
}

/** A torrent and its bytes. */
export class Truth {
  readonly meta: Metainfo;
  readonly files: readonly TrueFile[];
  /** Content of all files, concatenated. */
  readonly data: Bytes;
  readonly #byPath: ReadonlyMap<string, Bytes>;
  /** Piece indices by the first bytes of the piece. */
  readonly #byStart = new Map<number, number>();
  readonly #small = new Map<string, Bytes>();

  constructor(options: TruthOptions) {
    const { pieceLength, sizes } = options;
    const total = sizes.reduce((sum, size) => sum + size, 0);
    this.data = noise(total, options.seed);
    const names = sizes.map((_, i) => `f${i % 7}/part ${i}.bin`);
    let at = 0;
    const single = sizes.length === 1;
    this.files = sizes.map((size, i) => ({
      path: single ? "data.bin" : `data/${names[i]}`,
      data: this.data.subarray(at, at += size),
    }));
    const digests: Bytes[] = [];
    for (let begin = 0; begin < total; begin += pieceLength) {
      const piece = this.data.subarray(begin, begin + pieceLength);
      this.#byStart.set(startOf(piece), digests.length);
      digests.push(digestOf(piece));
    }
    const info: Encodable = {
      "piece length": pieceLength,
      pieces: concatBytes(digests),
      ...(single
        ? { name: "data.bin", length: total }
        : { name: "data", files: sizes.map((length, i) => ({ length, path: names[i]!.split("/") })) }),
    };
    const tiers = options.trackers.map((url) => [url]);
    this.meta = parseMetainfo(encode({ "announce-list": tiers, info }));
    this.#byPath = new Map(this.files.map((file) => [file.path, file.data]));
  }

  /**
   * Returns the right content of a file, or `null` if the path is not a file of the torrent.
   *
   * @param path Path relative to the download folder, with or without `.part`.
   */
  fileAt(path: string): Bytes | null {
    return this.#byPath.get(path.replace(/\.part$/, "")) ?? null;
  }

  /**
   * Returns the SHA-1 digest of some bytes. Digests of right pieces are looked up. Those of small inputs are cached,
   * since every connection hashes the same ones.
   */
  digest(data: Bytes): Bytes {
    if (data.length <= 64) {
      const key = String.fromCharCode(...data);
      let known = this.#small.get(key);
      if (!known) this.#small.set(key, known = digestOf(data));
      return known.slice();
    }
    const index = this.#byStart.get(startOf(data));
    if (index !== undefined && data.length === pieceSize(this.meta, index)) {
      const offset = index * this.meta.pieceLength;
      if (sameBytes(data, this.data.subarray(offset, offset + data.length))) return pieceHash(this.meta, index).slice();
    }
    return digestOf(data);
  }

  /** Returns `true` if bytes equal those of the torrent at an offset. */
  matches(bytes: Uint8Array, offset: number): boolean {
    return sameBytes(bytes, this.data.subarray(offset, offset + bytes.length));
  }
}

function startOf(data: Uint8Array): number {
  return ((data[0] ?? 0) + (data[1] ?? 0) * 0x100 + (data[2] ?? 0) * 0x10000 + (data[3] ?? 0) * 0x1000000) * 0x100 +
    (data[4] ?? 0);
}

/** Computes the SHA-1 digest of some bytes. */
export function digestOf(data: Uint8Array): Bytes {
  return new Uint8Array(createHash("sha1").update(data).digest());
}

/** Returns `true` if two arrays are equal. Uses `Buffer.compare()`, which is native code. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length &&
    Buffer.from(a.buffer, a.byteOffset, a.length).compare(Buffer.from(b.buffer, b.byteOffset, b.length)) === 0;
}
