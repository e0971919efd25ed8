/**
 * What a simulated swarm shares: a torrent and the bytes that it really has.
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
  /** Below the download folder, with `/`. */
  readonly path: string;
  /** All its bytes. */
  readonly data: Bytes;
}

/** How a torrent is to be. */
export interface TruthOptions {
  /** Decides the bytes. */
  readonly seed: number;
  /** Bytes of a piece. */
  readonly pieceLength: number;
  /** Sizes of the files in bytes; one for a torrent of a single file. */
  readonly sizes: readonly number[];
  /** Announce URLs; one tier each. */
  readonly trackers: readonly string[];
}

/** A torrent and its bytes. */
export class Truth {
  readonly meta: Metainfo;
  readonly files: readonly TrueFile[];
  /** All files, one after the other. */
  readonly data: Bytes;
  readonly #byPath: ReadonlyMap<string, Bytes>;
  /** Pieces by what they begin with. */
  readonly #byStart = new Map<number, number>();
  readonly #small = new Map<string, Bytes>();

  /** @param options How it is to be. */
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
   * What a file should hold.
   *
   * @param path Below the download folder; with `.part` or without.
   * @returns Its bytes, or `null` when it is none of the torrent's.
   */
  fileAt(path: string): Bytes | null {
    return this.#byPath.get(path.replace(/\.part$/, "")) ?? null;
  }

  /**
   * The SHA-1 digest of some bytes; that of a right piece is known without work, and small inputs are remembered: every
   * connection hashes the same ones.
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

  /** Whether bytes are those of the torrent at an offset. */
  matches(bytes: Uint8Array, offset: number): boolean {
    return sameBytes(bytes, this.data.subarray(offset, offset + bytes.length));
  }
}

function startOf(data: Uint8Array): number {
  return ((data[0] ?? 0) + (data[1] ?? 0) * 0x100 + (data[2] ?? 0) * 0x10000 + (data[3] ?? 0) * 0x1000000) * 0x100 +
    (data[4] ?? 0);
}

/** The SHA-1 digest of some bytes, now. */
export function digestOf(data: Uint8Array): Bytes {
  return new Uint8Array(createHash("sha1").update(data).digest());
}

/** Whether two arrays hold the same, as fast as the machine can tell. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length &&
    Buffer.from(a.buffer, a.byteOffset, a.length).compare(Buffer.from(b.buffer, b.byteOffset, b.length)) === 0;
}
