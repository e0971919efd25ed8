/**
 * Makes v2 and hybrid torrents (BEP 52), valid and odd ones, without the code under test.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import { nodeCrypto } from "../../src/platform/node_modules.ts";

/** A dictionary whose keys are written in the given order, however often. */
export class Pairs {
  readonly pairs: readonly (readonly [string | Bytes, Value])[];

  constructor(pairs: readonly (readonly [string | Bytes, Value])[]) {
    this.pairs = pairs;
  }
}

/** A value to encode. `undefined` in an object leaves out its key. */
export type Value = number | bigint | string | Bytes | readonly Value[] | Pairs | Dict;

/** A dictionary with text keys. */
export interface Dict {
  readonly [key: string]: Value | undefined;
}

/** Encodes a value; the keys of objects are sorted. */
export function bencode(value: Value): Bytes {
  if (typeof value === "number" || typeof value === "bigint") return utf8(`i${value}e`);
  if (typeof value === "string") return bencode(utf8(value));
  if (value instanceof Uint8Array) return concatBytes([utf8(`${value.length}:`), value]);
  if (Array.isArray(value)) return concatBytes([utf8("l"), ...value.map(bencode), utf8("e")]);
  const pairs = value instanceof Pairs
    ? value.pairs
    : Object.entries(value as Dict).filter((pair): pair is [string, Value] => pair[1] !== undefined)
      .sort(([a], [b]) => compare(utf8(a), utf8(b)));
  return concatBytes([utf8("d"), ...pairs.flatMap(([key, item]) => [bencode(key), bencode(item)]), utf8("e")]);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

const BLOCK = 16_384;

function sha256(...parts: Uint8Array[]): Bytes {
  return new Uint8Array(nodeCrypto().createHash("sha256").update(concatBytes(parts)).digest());
}

/** Computes a root as BEP 52 defines it: by halves. */
function rootOf(hashes: readonly Bytes[], width: number): Bytes {
  if (width === 1) return hashes[0] ?? new Uint8Array(32);
  const half = width / 2;
  return sha256(rootOf(hashes.slice(0, half), half), rootOf(hashes.slice(half), half));
}

function powerFrom(count: number): number {
  let width = 1;
  while (width < count) width *= 2;
  return width;
}

/** Hashes of a file. */
export interface FileHashes {
  readonly length: number;
  readonly root: Bytes;
  /** The piece layer; empty for a file of one piece. */
  readonly layer: Bytes;
}

/**
 * Hashes a file.
 *
 * @param data Content, not empty.
 * @param pieceLength Bytes per piece.
 */
export function hashFile(data: Bytes, pieceLength: number): FileHashes {
  const blocks: Bytes[] = [];
  for (let at = 0; at < data.length; at += BLOCK) blocks.push(sha256(data.subarray(at, at + BLOCK)));
  const root = rootOf(blocks, powerFrom(blocks.length));
  const perPiece = pieceLength / BLOCK;
  const layer: Bytes[] = [];
  if (data.length > pieceLength) {
    for (let at = 0; at < blocks.length; at += perPiece) layer.push(rootOf(blocks.slice(at, at + perPiece), perPiece));
  }
  return { length: data.length, root, layer: concatBytes(layer) };
}

/** Bytes per piece of the torrents below. */
export const PIECE = 32_768;
/** A file of 100,000 bytes: seven blocks, four pieces. */
export const A = hashFile(new Uint8Array(100_000).fill(97), PIECE);
/** A file of 5,000 bytes: less than a block. */
export const B = hashFile(new Uint8Array(5000).fill(98), PIECE);
/** A file of two pieces exactly. */
export const C = hashFile(new Uint8Array(65_536).fill(99), PIECE);
/** A file of one piece exactly. */
export const P = hashFile(new Uint8Array(PIECE).fill(112), PIECE);

/** Returns the node of a file in a tree. */
export function leaf({ length, root }: { length?: number; root?: Bytes }, more: Dict = {}): Dict {
  return { "": { length, "pieces root": root, ...more } };
}

/** The tree of `a` and `d/b`. */
export const TREE: Dict = { a: leaf(A), d: { b: leaf(B) } };

/** Returns made-up v1 hashes for a number of bytes. */
export function pieces(bytes: number): Bytes {
  return new Uint8Array(20 * Math.ceil(bytes / PIECE)).fill(120);
}

/** Returns an entry for padding. */
export function pad(length: number, more: Dict = {}): Dict {
  return { length, path: [".pad", `${length}`], attr: "p", ...more };
}

/** The v1 half of {@linkcode TREE}. */
export const LIST: readonly Dict[] = [{ length: A.length, path: ["a"] }, pad(31_072), {
  length: B.length,
  path: ["d", "b"],
}];

/** Options for {@linkcode v2}. */
export interface V2Options {
  /** Keys of the info dictionary to change; `undefined` removes a key. */
  readonly info?: Dict;
  /** Piece layers: those of {@linkcode A} when absent; `null` for no such key. */
  readonly layers?: Value | null;
}

/** Returns a torrent with a file tree. */
export function v2(tree: Value, { info = {}, layers = layersOf(A) }: V2Options = {}): Bytes {
  return bencode({
    info: { name: "top", "piece length": PIECE, "meta version": 2, "file tree": tree, ...info },
    "piece layers": layers ?? undefined,
  });
}

/** Returns a hybrid torrent whose v1 half has a list of files. */
export function hybrid(files: readonly Dict[], tree: Value = TREE, options: V2Options = {}): Bytes {
  const total = files.reduce((sum, { length }) => sum + (typeof length === "number" ? length : 0), 0);
  return v2(tree, { ...options, info: { files, pieces: pieces(total), ...options.info } });
}

/** Returns the piece layers of files. */
export function layersOf(...files: readonly FileHashes[]): Pairs {
  return new Pairs(
    files.map(({ root, layer }) => [root, layer] as const).sort(([a], [b]) => compare(a, b)),
  );
}
