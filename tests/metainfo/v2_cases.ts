/**
 * Odd v2 and hybrid torrents, and what libtorrent makes of them. Where its versions differ, see `parseMetainfo()`.
 *
 * @module
 */

import { assert } from "@std/assert";
import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import {
  A,
  B,
  bencode,
  C,
  type Dict,
  hybrid,
  layersOf,
  leaf,
  LIST,
  P,
  pad,
  Pairs,
  PIECE,
  pieces,
  TREE,
  v2,
  type Value,
} from "../support/v2_torrents.ts";

/** A torrent, and what is expected of it. */
export interface V2Case {
  /** What is odd about the torrent. */
  readonly name: string;
  /** The torrent file. */
  readonly torrent: Bytes;
  /** Version of a torrent that is taken, or a part of the reason why it is refused. */
  readonly expected: "v1" | "v2" | "hybrid" | { readonly refused: string };
  /** Where libtorrent 2.0 or 2.1 differs from us, or from each other. */
  readonly differs?: "2.0" | "2.1" | "both";
}

const [a, padding, b] = [LIST[0]!, LIST[1]!, LIST[2]!];
const zero = new Uint8Array(32);
const wrong = A.layer.map((byte, i) => i === 127 ? byte ^ 1 : byte);
const q = new Uint8Array(32).fill(113);
const link = (more: Dict = {}): Dict => ({ "": { attr: "l", "symlink path": ["a"], length: 0, ...more } });
const withB = (node: Value): Value => ({ a: leaf(A), b: node });
const entry = (path: string, length = 0, more: Dict = {}): Dict => ({ length, path: path.split("/"), ...more });
const whole = { files: LIST, pieces: pieces(136_072) };
const single = { length: A.length, pieces: pieces(A.length) };
const bytes = (...codes: number[]): Bytes => Uint8Array.from(codes);

/** Replaces a text in a torrent by one of which nothing else depends. */
function edited(torrent: Bytes, from: string, to: string): Bytes {
  const text = String.fromCharCode(...torrent);
  assert(text.includes(from), from);
  return Uint8Array.from(text.replace(from, to), (char) => char.charCodeAt(0));
}

/** The longest file that libtorrent takes. */
const LONGEST = (2 ** 30 - 1) * 16_384 - 1;

function many(count: number, length: number): Value {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i + 10}`, leaf({ length, root: q })]));
}

function deep(levels: number): Value {
  let node: Value = leaf(B);
  for (let i = 0; i < levels; i++) node = { d: node };
  return { d: node, x: leaf(A) };
}

const taken = (
  version: "v1" | "v2" | "hybrid",
  cases: Record<string, Bytes>,
  differs?: V2Case["differs"],
): V2Case[] => {
  return Object.entries(cases).map(([name, torrent]) => ({
    name,
    torrent,
    expected: version,
    ...(differs && { differs }),
  }));
};
const refused = (why: string, cases: Record<string, Bytes>, differs?: V2Case["differs"]): V2Case[] => {
  return Object.entries(cases).map(([name, torrent]) => ({
    name,
    torrent,
    expected: { refused: why },
    ...(differs && { differs }),
  }));
};

/** All cases. */
export const V2_CASES: readonly V2Case[] = [
  ...taken("v2", {
    "a file and a folder": v2(TREE),
    "no piece layers": v2(TREE, { layers: null }),
    "empty piece layers": v2(TREE, { layers: {} }),
    "piece layers of one of two files": v2({ ...TREE, c: leaf(C) }),
    "a list as piece layers": v2(TREE, { layers: [] }),
    "piece layers that are not sorted": v2({ ...TREE, c: leaf(C) }, {
      layers: new Pairs(layersOf(A, C).pairs.toReversed()),
    }),
    "an empty folder": v2({ a: leaf(A), e: {} }),
    "an empty file without a root": v2(withB(leaf({ length: 0 }))),
    "an empty file with a root of zeros": v2(withB(leaf({ length: 0, root: zero }))),
    "an empty file with a root": v2(withB(leaf({ length: 0, root: B.root }))),
    "an empty file with a short root": v2(withB(leaf({ length: 0, root: bytes(1) }))),
    "attributes x and h": v2({ a: leaf(A, { attr: "x" }), b: leaf(B, { attr: "h" }) }),
    "attributes as a number": v2({ a: leaf(A, { attr: 5 }) }),
    "a link": v2(withB(link())),
    "a link without a length": v2(withB(link({ length: undefined }))),
    "a link with a length": v2(withB(link({ length: 77 }))),
    "a link without a path": v2(withB(link({ "symlink path": undefined }))),
    "a link with a text as path": v2(withB(link({ "symlink path": "a" }))),
    "a link with an empty path": v2(withB(link({ "symlink path": [] }))),
    "a link to nowhere": v2(withB(link({ "symlink path": ["q"] }))),
    "pieces of 256 MiB": v2(TREE, { info: { "piece length": 2 ** 28 }, layers: {} }),
    "one file": v2({ top: leaf(A) }),
    "one file of another name": v2({ other: leaf(A) }),
    "one file in a folder": v2({ d: { other: leaf(A) } }),
    "two files of one name but for case": v2({ A: leaf(B), a: leaf(A) }),
    "a file with the name ..": v2({ "..": leaf(B), a: leaf(A) }),
    "a file with a slash in its name": v2({ a: leaf(A), "x/y": leaf(B) }),
    "a name that is not UTF-8": v2(new Pairs([["a", leaf(A)], [bytes(0xff), leaf(B)]])),
    "a file of exactly two pieces": v2({ c: leaf(C) }, { layers: {} }),
    "a file of exactly one piece": v2({ p: leaf(P) }, { layers: {} }),
    "v1 pieces without v1 files": v2(TREE, { info: { pieces: pieces(136_072) } }),
    "a list as v1 pieces": v2(TREE, { info: { pieces: [] } }),
    "a number as v1 files": v2(TREE, { info: { files: 5, pieces: pieces(136_072) } }),
    "94 folders in each other": v2(deep(94)),
    "a negative zero": edited(v2(TREE, { info: { private: 0 } }), "7:privatei0e", "7:privatei-0e"),
    "a negative number with a leading zero": edited(v2(TREE, { info: { x: 5 } }), "1:xi5e", "1:xi-05e"),
    "an integer of 20 digits": v2(TREE, { info: { x: 10n ** 20n - 1n } }),
    "an integer that 64 bits can't hold as length": v2(withB(leaf({ root: q }, { length: 2n ** 63n }))),
    "a negative integer that 64 bits can't hold as length": v2(withB(leaf({ root: q }, { length: -(2n ** 63n) }))),
    "a file of nearly 2^44 bytes": v2({ a: leaf({ length: LONGEST, root: q }) }, {
      info: { "piece length": 2 ** 28 },
      layers: {},
    }),
    "16 files of nearly 2^48 bytes together": v2(many(16, 2 ** 44 - 2 ** 28), {
      info: { "piece length": 2 ** 28 },
      layers: {},
    }),
    "a name with NUL in it": v2({ a: leaf(A), "b\0": leaf(B) }),
    "a private torrent": v2(TREE, { info: { private: 1 } }),
    "two files with one root": v2({ a: leaf(A), b: leaf(A) }),
    "2,000,000 pieces": v2({ a: leaf({ length: 16_384 * 2_000_000, root: q }) }, {
      info: { "piece length": 16_384 },
      layers: {},
    }),
    "a file with the name of BitComet's padding": v2({ _____padding_file_0: leaf(B), a: leaf(A) }),
    "bytes after the torrent": concatBytes([v2(TREE), utf8("xx")]),
  }),
  ...taken("v2", { "one file with the name ..": v2({ "..": leaf(A) }) }, "2.0"),
  ...taken("v2", { "pieces of 512 MiB": v2(TREE, { info: { "piece length": 2 ** 29 }, layers: {} }) }, "2.1"),
  ...refused("don't lead to its root", {
    "a wrong piece layer": v2(TREE, { layers: new Pairs([[A.root, wrong]]) }),
    "a hybrid's wrong piece layer": hybrid(LIST, TREE, { layers: new Pairs([[A.root, wrong]]) }),
  }, "2.0"),
  ...refused("needs 128 bytes of hashes", {
    "a piece layer that is too short": v2(TREE, { layers: new Pairs([[A.root, A.layer.subarray(1)]]) }),
    "a piece layer without its last hash": v2(TREE, { layers: new Pairs([[A.root, A.layer.subarray(32)]]) }),
    "a piece layer with a hash too many": v2(TREE, { layers: new Pairs([[A.root, concatBytes([A.layer, zero])]]) }),
  }),
  ...refused("needs 64 bytes of hashes", {
    "one root for files of different length": v2(withB(leaf({ length: 60_000, root: A.root }))),
  }, "2.1"),
  ...refused("expected hashes", { "a number as piece layer": v2(TREE, { layers: new Pairs([[A.root, 5]]) }) }),
  ...refused("is of no file", {
    "a piece layer of no file": v2(TREE, { layers: new Pairs([[A.root, A.layer], [q, q]].toSorted() as []) }),
    "a hybrid's piece layer of no file": hybrid(LIST, TREE, { layers: new Pairs([[A.root, A.layer], [q, q]]) }),
    "a wrong piece layer of a small file": v2(TREE, { layers: new Pairs([[A.root, A.layer], [B.root, q]]) }),
    "a piece layer of a small file": v2(TREE, { layers: new Pairs([[A.root, A.layer], [B.root, B.root]]) }),
    "a piece layer of a file of one piece": v2({ ...TREE, p: leaf(P) }, {
      layers: new Pairs([[A.root, A.layer], [P.root, P.root]]),
    }),
  }, "2.0"),
  ...refused("is of no file", {
    "a piece layer with a key that is no root": v2(TREE, { layers: new Pairs([[A.root, A.layer], ["q", q]]) }),
    "a number as piece layer of no file": v2(TREE, { layers: new Pairs([[A.root, A.layer], [q, 5]]) }),
  }),
  ...refused("the version is not 2", {
    "no version": v2(TREE, { info: { "meta version": undefined } }),
    "version 1": v2(TREE, { info: { "meta version": 1 } }),
    "version 0": v2(TREE, { info: { "meta version": 0 } }),
    "version -1": v2(TREE, { info: { "meta version": -1 } }),
    "a text as version": v2(TREE, { info: { "meta version": "2" } }),
    "a hybrid of version 1": hybrid(LIST, TREE, { info: { "meta version": 1 } }),
    "a hybrid without a version": hybrid(LIST, TREE, { info: { "meta version": undefined } }),
  }),
  ...refused("there are versions 1 and 2", {
    "version 3": v2(TREE, { info: { "meta version": 3 } }),
    "a hybrid of version 3": hybrid(LIST, TREE, { info: { "meta version": 3 } }),
    "a v1 torrent of version 3": v2(TREE, { info: { ...whole, "meta version": 3, "file tree": undefined } }),
  }),
  ...refused("info.file tree", {
    "no tree": v2(TREE, { info: { "file tree": undefined } }),
    "a list as tree": v2([]),
    "an empty tree": v2({}),
    "an empty name": v2({ "": leaf(B), a: leaf(A) }),
    "a file that is a folder, too": v2({ a: { "": { length: A.length, "pieces root": A.root }, x: leaf(B) } }),
    "a file with a text beside it": v2({ a: { "": { length: A.length, "pieces root": A.root }, x: 1 } }),
    "a number in the place of a file": v2(withB(5)),
    "a number that describes a file": v2(withB({ "": 5 })),
    "a file without a name": v2(leaf(A)),
    "a hybrid with a number as tree": hybrid(LIST, 5),
    "a v1 torrent of version 2": v2(TREE, { info: { ...whole, "file tree": undefined } }),
    "3,000,000 pieces": v2({ a: leaf({ length: 16_384 * 3_000_000, root: q }) }, {
      info: { "piece length": 16_384 },
      layers: {},
    }),
    "a file of 2^50 bytes": v2({ a: leaf({ length: 2 ** 50, root: q }) }, { layers: {} }),
    "a file of 2^44 bytes": v2({ a: leaf({ length: LONGEST + 1, root: q }) }, {
      info: { "piece length": 2 ** 28 },
      layers: {},
    }),
    "16 files of 2^48 bytes together": v2(many(16, LONGEST), { info: { "piece length": 2 ** 28 }, layers: {} }),
  }),
  ...refused("length", {
    "no length": v2(withB(leaf({ root: B.root }))),
    "a negative length": v2(withB(leaf({ length: -1, root: B.root }))),
    "only empty files": v2({ b: leaf({ length: 0 }) }),
    "a hybrid with a negative length": v2({ top: leaf(A) }, { info: { ...single, length: -5 } }),
    "a hybrid with a text as length": v2({ top: leaf(A) }, { info: { ...single, length: "x" } }),
    "a length that 64 bits can't hold, of the only file": v2({ a: leaf({ root: q }, { length: 2n ** 64n }) }, {
      layers: {},
    }),
  }),
  ...refused("pieces root", {
    "no root": v2(withB(leaf({ length: 5 }))),
    "a short root": v2(withB(leaf({ length: 5, root: zero.subarray(1) }))),
    "a root of zeros": v2(withB(leaf({ length: 5, root: zero }))),
  }),
  ...refused("has no padding", {
    "padding": v2(withB(leaf(B, { attr: "p" }))),
    "empty padding": v2(withB(leaf({ length: 0 }, { attr: "p" }))),
  }),
  ...refused("expected a name", { "a link with numbers as path": v2(withB(link({ "symlink path": [1] }))) }),
  ...refused("info.piece length", {
    "pieces of 8 KiB": v2(TREE, { info: { "piece length": 8192 } }),
    "pieces of 48 KiB": v2(TREE, { info: { "piece length": 49_152 } }),
    "pieces of 1 GiB": v2(TREE, { info: { "piece length": 2 ** 30 }, layers: {} }),
    "a hybrid with pieces of 48 KiB": hybrid(LIST, TREE, { info: { "piece length": 49_152 } }),
  }),
  ...refused("canonical", {
    "an integer of 21 digits": v2(TREE, { info: { x: 10n ** 20n } }),
    "an integer with a leading zero": edited(v2(TREE, { info: { x: 5 } }), "1:xi5e", "1:xi05e"),
    "a length of a text with a leading zero": edited(v2(TREE, { info: { x: "ab" } }), "1:x2:ab", "1:x02:ab"),
    "95 folders in each other": v2(deep(95)),
    "a tree that is not sorted": v2(new Pairs([["d", { b: leaf(B) }], ["a", leaf(A)]])),
    "a name twice": v2(new Pairs([["a", leaf(A)], ["a", leaf(B)]])),
    "an info dictionary that is not sorted": bencode({
      info: new Pairs([["piece length", PIECE], ["name", "top"], ["meta version", 2], ["file tree", TREE]]),
      "piece layers": layersOf(A),
    }),
  }),
  ...refused("nest", { "150 folders in each other": v2(deep(150)) }).map((one) => ({
    ...one,
    expected: { refused: "deep in each other" },
  })),
  ...refused("info.name", {
    "no name": v2(TREE, { info: { name: undefined } }),
    "a number as name": v2(TREE, { info: { name: 5 } }),
  }),
  ...refused("info.pieces", {
    "empty v1 pieces": v2(TREE, { info: { pieces: "" } }),
    "a hybrid with too few pieces": hybrid(LIST, TREE, { info: { pieces: pieces(131_072) } }),
  }),
  ...taken("v1", {
    "a v1 torrent of version 1": v2(TREE, { info: { ...whole, "meta version": 1, "file tree": undefined } }),
    "a v1 torrent with a text as version": v2(TREE, {
      info: { ...whole, "meta version": "2", "file tree": undefined },
    }),
    "a v1 torrent with a list as tree": v2([], { info: { ...whole, "meta version": undefined } }),
  }),
  ...taken("hybrid", {
    "a hybrid": hybrid(LIST),
    "a hybrid without piece layers": hybrid(LIST, TREE, { layers: null }),
    "a hybrid with padding at the end": hybrid([...LIST, pad(27_768)]),
    "a hybrid with BitComet's padding": hybrid([a, entry("_____padding_file_0_x", 31_072), b]),
    "a hybrid with padding of another name": hybrid([a, pad(31_072, { path: ["q", "z"] }), b]),
    "a hybrid with padding without a name": hybrid([a, { length: 31_072, attr: "p" }, b]),
    "a hybrid with executable padding": hybrid([a, pad(31_072, { attr: "px" }), b]),
    "a hybrid with attributes in the v1 half": hybrid([{ ...a, attr: "x" }, padding, b]),
    "a hybrid with attributes in the v2 half": hybrid(LIST, { a: leaf(A, { attr: "x" }), d: { b: leaf(B) } }),
    "a hybrid without v1 hashes": v2(TREE, { info: { files: LIST } }),
    "a hybrid with a list as v1 hashes": v2(TREE, { info: { files: LIST, pieces: [] } }),
    "a hybrid with a length beside its files": hybrid(LIST, TREE, { info: { length: 5 } }),
    "a hybrid of one file": v2({ top: leaf(A) }, { info: single }),
    "a hybrid with a list of one file": v2({ top: leaf(A) }, { info: { files: [entry("top", A.length)], ...single } }),
    "a hybrid with path.utf-8": hybrid([{ ...a, "path.utf-8": ["a"], path: ["q"] }, padding, b]),
    "a hybrid with an empty file": hybrid([entry("0"), ...LIST], { "0": leaf({ length: 0 }), ...TREE }),
    "a hybrid with an empty file before the padding": hybrid([a, entry("b"), padding, b], {
      ...TREE,
      b: leaf({ length: 0 }),
    }),
    "a hybrid with an empty file after the padding": hybrid([a, padding, entry("b"), b], {
      ...TREE,
      b: leaf({ length: 0 }),
    }),
    "a hybrid with a link": hybrid([a, entry("b", 0, { attr: "l", "symlink path": ["a"] }), padding, b], {
      ...TREE,
      b: link(),
    }),
    "a hybrid with a link to two places": hybrid(
      [a, entry("b", 0, { attr: "l", "symlink path": ["d", "b"] }), padding, b],
      { ...TREE, b: link() },
    ),
    "a hybrid with a link in the v1 half": hybrid(
      [a, entry("b", 0, { attr: "l", "symlink path": ["a"] }), padding, b],
      {
        ...TREE,
        b: leaf({ length: 0 }),
      },
    ),
    "a hybrid with a link in the v2 half": hybrid([a, entry("b"), padding, b], { ...TREE, b: link() }),
    "a hybrid of exact pieces": v2({ c: leaf(C) }, {
      info: { files: [entry("c", C.length)], pieces: pieces(C.length) },
      layers: layersOf(C),
    }),
    "a hybrid with two files of one name but for case": hybrid([entry("A", 5000), pad(27_768), a], {
      A: leaf(B),
      a: leaf(A),
    }),
    "a hybrid with a name that is not UTF-8": hybrid(
      [a, padding, { length: 5000, path: ["d", bytes(0xff)] }],
      { a: leaf(A), d: new Pairs([[bytes(0xff), leaf(B)]]) },
    ),
    "a hybrid with .. in both halves": hybrid([a, padding, entry("d/../b", 5000)], {
      a: leaf(A),
      d: { "..": { b: leaf(B) } },
    }),
    "a hybrid with an empty list of files": v2(TREE, { info: { files: [], pieces: pieces(136_072) } }),
    "a hybrid with attributes that contradict each other": hybrid([{ ...a, attr: "x" }, padding, b], {
      a: leaf(A),
      d: { b: leaf(B, { attr: "x" }) },
    }),
    "a hybrid with another name of an empty file": hybrid([entry("1"), ...LIST], { "0": leaf({ length: 0 }), ...TREE }),
    "a hybrid with another name of a link": hybrid([entry("1", 0, { attr: "l" }), ...LIST], {
      "0": link(),
      ...TREE,
    }),
    "a hybrid with padding in the place of an empty file": hybrid([pad(0), ...LIST], {
      "0": leaf({ length: 0 }),
      ...TREE,
    }),
    "a hybrid with padding in two parts, one in the place of an empty file": hybrid([a, pad(1000), pad(30_072), b], {
      ...TREE,
      aa: leaf({ length: 0 }),
    }),
    "a hybrid with an empty file of the name of BitComet's padding": hybrid([entry("_____padding_file_0"), ...LIST], {
      "0": leaf({ length: 0 }),
      ...TREE,
    }),
    "a hybrid with a text as path of its padding": hybrid([a, pad(31_072, { path: "q" }), b]),
    "a hybrid with padding that is a link": hybrid([pad(0, { attr: "pl" }), ...LIST], {
      "0": leaf({ length: 0 }),
      ...TREE,
    }),
    "a hybrid with NUL and slashes in the names of one half": hybrid([a, padding, {
      length: 5000,
      path: ["d\0", "/b\\"],
    }]),
    "a hybrid with an integer that 64 bits can't hold as length of an empty file": hybrid(
      [{ length: 2n ** 64n, path: ["0"] }, ...LIST],
      { "0": leaf({ length: 0 }), ...TREE },
    ),
    "a hybrid with other digests": hybrid([{ ...a, sha1: new Uint8Array(20), md5sum: q }, padding, b]),
  }),
  ...taken("hybrid", {
    "a hybrid with _ in the place of ..": hybrid([entry("_", 5000), pad(27_768), a], { "..": leaf(B), a: leaf(A) }),
  }, "2.0"),
  ...refused("a file has two names", {
    "a hybrid with a byte order mark in the v1 half": hybrid([{ ...a, path: ["\ufeffa"] }, padding, b]),
  }, "2.1"),
  ...taken("hybrid", { "a hybrid with .. in the v1 half": hybrid([a, padding, entry("d/../b", 5000)]) }, "2.1"),
  ...refused("don't match", {
    "a hybrid with too little padding at the end": hybrid([...LIST, pad(100)]),
    "a hybrid without padding": hybrid([a, b]),
    "a hybrid with too little padding": hybrid([a, pad(100), b]),
    "a hybrid with too much padding": hybrid([a, pad(31_072 + PIECE), b]),
    "a hybrid with padding in two parts": hybrid([a, pad(1000), pad(30_072), b]),
    "a hybrid with padding at the start": hybrid([pad(PIECE), ...LIST]),
    "a hybrid with padding that is a file": hybrid([a, entry(".pad/31072", 31_072), b]),
    "a hybrid with another v1 file": hybrid([...LIST, pad(27_768), entry("zz", 5)]),
    "a hybrid without a v1 file": hybrid([a]),
    "a hybrid with another name": hybrid([a, padding, entry("d/B", 5000)]),
    "a hybrid with another length": hybrid([a, padding, entry("d/b", 5001)]),
    "a hybrid with another order": hybrid([b, pad(27_768), a]),
    "a hybrid with padding with bytes that is a link": hybrid([a, pad(31_072, { attr: "pl" }), b]),
    "a hybrid with an empty name in a path of one half": hybrid([{ ...a, path: ["a", ""] }, padding, b]),
    "a hybrid whose only file is a link": v2({ top: leaf(A) }, { info: { ...single, attr: "l" } }),
    "a hybrid whose only file is padding": v2({ top: leaf(A) }, { info: { ...single, attr: "p" } }),
    "a hybrid whose only name is ..": v2({ "..": leaf(A) }, { info: { ...single, name: ".." } }),
    "a hybrid with empty padding": hybrid([a, padding, pad(0), b]),
    "a hybrid with the length of one of two files": v2(TREE, { info: single }),
    "a hybrid with another length of its file": v2({ top: leaf(A) }, {
      info: { length: A.length - 1, pieces: pieces(A.length) },
    }),
    "a hybrid with another name of its file": v2({ oth: leaf(A) }, { info: single }),
    "a hybrid with another name.utf-8": v2({ top: leaf(A) }, { info: { ...single, "name.utf-8": "other" } }),
    "a hybrid with another path.utf-8": hybrid([{ ...a, "path.utf-8": ["zzz"] }, padding, b]),
    "a hybrid with an empty v1 file": hybrid([entry("0"), ...LIST]),
    "a hybrid with an empty v2 file": hybrid(LIST, { "0": leaf({ length: 0 }), ...TREE }),
    "a hybrid with a slash in the place of a folder": hybrid([a, padding, { length: 5000, path: ["d/b"] }]),
  }),
];
