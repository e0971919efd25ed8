/**
 * The torrent of a simulated swarm, and its right bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { type Metainfo, parseMetainfo, pieceHash, pieceSize } from "../../src/metainfo/mod.ts";
import { noise } from "../support/payload.ts";
import { bencode, type Dict, type FileHashes, hashFile, layersOf, leaf } from "../support/v2_torrents.ts";

/** Versions of a torrent. */
export type Version = Metainfo["version"];

/** A file of the torrent. */
export interface TrueFile {
  /** Path relative to the download folder, with `/`. */
  readonly path: string;
  /** Content of the file. */
  readonly data: Bytes;
  /** Offset of the file in the torrent. */
  readonly offset: number;
  /** Index of the file in the torrent, where padding counts. */
  readonly index: number;
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
  /** Version of the torrent, `v1` by default. The piece length of the others is a power of two. */
  readonly version?: Version;
}

/** A torrent and its bytes. */
export class Truth {
  readonly meta: Metainfo;
  readonly files: readonly TrueFile[];
  /** Content of all files, with zeros for the padding. */
  readonly data: Bytes;
  readonly #byPath: ReadonlyMap<string, Bytes>;
  /** Piece indices by the first bytes of the piece. */
  readonly #byStart = new Map<number, number>();
  readonly #small = new Map<string, Bytes>();

  constructor(options: TruthOptions) {
    const { pieceLength, sizes, version = "v1" } = options;
    const single = sizes.length === 1;
    const names = sizes.map((_, i) => `f${i % 7}/part ${i}.bin`);
    // A file tree is sorted.
    if (version !== "v1") names.sort();
    const contents = noise(sizes.reduce((sum, size) => sum + size, 0), options.seed);
    let [at, end, total] = [0, 0, 0];
    const placed = sizes.map((size, i) => {
      const path = single ? "data.bin" : `data/${names[i]}`;
      const offset = end;
      end = version === "v1" ? end + size : alignedTo(pieceLength, end + size);
      if (size > 0) total = offset + size;
      return { path, offset, data: contents.subarray(at, at += size) };
    });
    this.data = version === "v1" ? contents : new Uint8Array(total);
    if (version !== "v1") { for (const { data, offset } of placed) if (data.length > 0) this.data.set(data, offset); }
    const digests: Bytes[] = [];
    for (let begin = 0; begin < total && version !== "v2"; begin += pieceLength) {
      const piece = this.data.subarray(begin, begin + pieceLength);
      this.#byStart.set(startOf(piece), digests.length);
      digests.push(digestOf(piece));
    }
    const hashes = version === "v1"
      ? []
      : placed.map(({ data }) => data.length > 0 ? hashFile(data, pieceLength) : null);
    const info: Dict = {
      name: single ? "data.bin" : "data",
      "piece length": pieceLength,
      ...(version !== "v2" && {
        pieces: concatBytes(digests),
        ...(single ? { length: total } : { files: listOf(placed, total) }),
      }),
      ...(version !== "v1" && { "meta version": 2, "file tree": treeOf(placed, hashes) }),
    };
    const long = hashes.filter((file): file is FileHashes => file !== null && file.layer.length > 0);
    this.meta = parseMetainfo(bencode({
      "announce-list": options.trackers.map((url) => [url]),
      info,
      ...(version !== "v1" && { "piece layers": layersOf(...long) }),
    }));
    const indexes = [...this.meta.files.keys()].filter((index) => !this.meta.files[index]!.pad);
    this.files = placed.map((file, i) => ({ ...file, index: indexes[i]! }));
    this.#byPath = new Map(this.files.map((file) => [file.path, file.data]));
  }

  /**
   * Returns the torrent as a client has it that knows only one half of a hybrid.
   *
   * @param half The half that is known.
   */
  half(half: "v1" | "v2"): Metainfo {
    const { infoHashV1, infoHashV2 } = this.meta;
    if (infoHashV1 === null || infoHashV2 === null) throw new Error(`a ${this.meta.version} torrent has no halves`);
    return half === "v2"
      ? { ...this.meta, version: "v2", infoHash: infoHashV2.truncated, infoHashV1: null, pieces: new Uint8Array(0) }
      : {
        ...this.meta,
        version: "v1",
        infoHashV2: null,
        files: this.meta.files.map(({ root: _, layer: __, ...file }) => file),
      };
  }

  /** Returns the file with an index in the torrent. */
  fileOf(index: number): TrueFile {
    return this.files.find((file) => file.index === index)!;
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

/** A file, and where it is in the torrent. */
type Placed = Omit<TrueFile, "index">;

function alignedTo(pieceLength: number, offset: number): number {
  return Math.ceil(offset / pieceLength) * pieceLength;
}

/** Returns the files of a v1 torrent, or those of a hybrid with padding before each file that isn't the first. */
function listOf(placed: readonly Placed[], total: number): Dict[] {
  const list: Dict[] = [];
  let end = 0;
  for (const { path, data, offset } of placed) {
    const at = Math.min(offset, total);
    if (at > end) list.push({ length: at - end, path: [".pad", `${at - end}`], attr: "p" });
    list.push({ length: data.length, path: path.split("/").slice(1) });
    end = at + data.length;
  }
  return list;
}

function treeOf(placed: readonly Placed[], hashes: readonly (FileHashes | null)[]): Dict {
  const folders: Record<string, Record<string, Dict>> = {};
  for (const [i, { path }] of placed.entries()) {
    const node = leaf(hashes[i] ?? { length: 0 });
    const [, folder, name] = path.split("/");
    if (folder === undefined || name === undefined) return { [path]: node };
    (folders[folder] ??= {})[name] = node;
  }
  return folders;
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
