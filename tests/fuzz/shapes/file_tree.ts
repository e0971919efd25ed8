/**
 * Torrents with file trees and piece layers (BEP 52) that a fuzzer writes.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../../src/base/bytes.ts";
import { merkle, pieceLayer, rootLayer } from "../../../src/base/merkle.ts";
import type { Dice } from "../dice.ts";
import { anyInteger, disturb, Pairs, type Shape } from "./bencode.ts";
import { anyName } from "./metainfo.ts";

const PIECE_LENGTHS = [16_384, 16_384, 32_768, 1 << 20, 1 << 29];
const ODD_PIECE_LENGTHS = [8192, 49_152];
const ATTRIBUTES = ["x", "h", "l", "lx", ""];

/** A file of a tree, and of the v1 half of a hybrid. */
interface TreeFile {
  readonly path: readonly Bytes[];
  readonly length: number;
  readonly leaf: Pairs;
  readonly layer: readonly [root: Bytes, hashes: Bytes] | null;
}

/** Returns a v2 or hybrid torrent that is valid except for something odd. */
export function anyTreeTorrent(dice: Dice): Pairs {
  const pieceLength = dice.pick(dice.oneIn(20) ? ODD_PIECE_LENGTHS : PIECE_LENGTHS);
  const files: TreeFile[] = [];
  const tree = anyTree(dice, { pieceLength, files, folder: [], depth: 0 });
  const hybrid = dice.oneIn(2) ? listOf(dice, files, pieceLength) : null;
  const count = Math.min(200, Math.max(0, Math.ceil((hybrid?.total ?? 0) / pieceLength)));
  const info = new Pairs({
    "file tree": dice.oneIn(60) ? [] : tree,
    files: hybrid?.list,
    "meta version": dice.oneIn(30) ? anyInteger(dice) : 2,
    name: anyName(dice),
    "piece length": pieceLength,
    pieces: hybrid && !dice.oneIn(10) ? dice.bytes(20 * count) : undefined,
  });
  disturb(info, dice, 60);
  const layers = new Pairs();
  const seen = new Set<string>();
  for (const { layer } of files) {
    if (!layer || seen.has(String(layer[0])) || dice.oneIn(10)) continue;
    seen.add(String(layer[0]));
    layers.list.push([layer[0], dice.oneIn(40) ? changed(dice, layer[1]) : layer[1]]);
  }
  const torrent = new Pairs({ info, "piece layers": dice.oneIn(10) ? undefined : layers });
  disturb(torrent, dice, 80);
  return torrent;
}

interface Place {
  readonly pieceLength: number;
  /** Files found so far. */
  readonly files: TreeFile[];
  readonly folder: readonly Bytes[];
  readonly depth: number;
}

function anyTree(dice: Dice, { pieceLength, files, folder, depth }: Place): Pairs {
  const names = new Map<string, Bytes>();
  for (let left = dice.oneIn(10) ? dice.below(20) : 1 + dice.below(4); left > 0; left--) {
    const name = dice.oneIn(2) ? dice.pick(["a", "b", "A", "a.1", "\u00e9"]) : anyName(dice);
    const bytes = typeof name === "string" ? utf8(name) : new Uint8Array(name);
    if (bytes.length > 0 || dice.oneIn(20)) names.set(String(bytes), bytes);
  }
  const tree = new Pairs();
  for (const name of [...names.values()].sort(compare)) {
    const path = [...folder, name];
    if (dice.oneIn(4) && depth < 6) {
      tree.list.push([name, anyTree(dice, { pieceLength, files, folder: path, depth: depth + 1 })]);
    } else {
      const file = anyFile(dice, path, pieceLength);
      files.push(file);
      const node = new Pairs({ "": file.leaf });
      disturb(node, dice, 200);
      tree.list.push([name, node]);
    }
  }
  return tree;
}

function anyFile(dice: Dice, path: readonly Bytes[], pieceLength: number): TreeFile {
  const attr = dice.oneIn(6) ? (dice.oneIn(20) ? "p" : dice.pick(ATTRIBUTES)) : undefined;
  const isLink = attr?.includes("l") ?? false;
  const length = isLink || dice.oneIn(5)
    ? 0
    : dice.oneIn(60)
    ? Number(anyInteger(dice)) || 0
    : dice.below(4) * pieceLength + dice.below(20_000);
  const layer = length > pieceLength && length < 10 * pieceLength ? layerOf(dice, length, pieceLength) : null;
  const leaf = new Pairs({
    attr,
    length,
    "pieces root": layer ? layer[0] : length > 0 || dice.oneIn(10) ? dice.bytes(dice.oneIn(80) ? 31 : 32) : undefined,
    "symlink path": isLink ? [dice.pick(["a", "b", "..", ""])] : undefined,
  });
  disturb(leaf, dice, 100);
  return { path, length, leaf, layer };
}

/** Returns made-up hashes of pieces with the root above them. Wrong numbers of a file's length have no root. */
function layerOf(dice: Dice, length: number, pieceLength: number): readonly [Bytes, Bytes] | null {
  if (pieceLength < 16_384 || !Number.isInteger(Math.log2(pieceLength))) return null;
  const hashes = dice.bytes(32 * Math.ceil(length / pieceLength));
  return [merkle.root(hashes, { from: pieceLayer(pieceLength), to: rootLayer(length) }), hashes];
}

/** Returns the v1 half, which agrees with the tree except for something odd. */
function listOf(
  dice: Dice,
  files: readonly TreeFile[],
  pieceLength: number,
): { readonly list: Shape[]; readonly total: number } {
  const list: Shape[] = [];
  let total = 0;
  for (const { path, length } of files) {
    const over = total % pieceLength;
    if (over > 0 && length > 0 && !dice.oneIn(40)) {
      const padding = dice.oneIn(40) ? dice.below(100) : pieceLength - over;
      list.push(new Pairs({ attr: "p", length: padding, path: [".pad", String(padding)] }));
      total += padding;
    }
    const told = dice.oneIn(80) ? length + 1 : length;
    list.push(new Pairs({ length: told, path: dice.oneIn(80) ? path.slice(1) : path }));
    total += told;
  }
  return { list, total };
}

function changed(dice: Dice, hashes: Bytes): Bytes {
  if (dice.oneIn(2)) return concatBytes([hashes, dice.bytes(dice.pick([1, 32]))]);
  const copy = hashes.slice();
  copy[dice.below(copy.length)]! ^= 1 + dice.below(255);
  return copy;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
