/**
 * Parses the file tree of a v2 or hybrid torrent (BEP 52).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_FOLDERS } from "../base/defences.ts";
import { HASH_BYTES, MERKLE_BLOCK } from "../base/merkle.ts";
import { BencodeDict, type BencodeValue } from "../bencode/mod.ts";
import type { Fail } from "./errors.ts";
import {
  type Entry,
  type FilesContext,
  type ListContext,
  MAX_FILES,
  PathReader,
  Place,
  readAttributes,
  readLength,
  readTarget,
} from "./files.ts";
import { ownPath } from "./paths_on_disk.ts";
import { describeValue } from "./values.ts";

/** Key of the list in error messages. */
const TREE = "file tree";
/** Maximum length of a file in bytes, as in libtorrent, which counts blocks with 30 bits. */
const MAX_TREE_FILE = (2 ** 30 - 1) * MERKLE_BLOCK - 1;
/** Maximum length of all files with their padding in bytes, as in libtorrent. */
const MAX_TREE_TOTAL = 2 ** 48 - 1;

/** Context for parsing a file tree. */
export interface TreeContext extends FilesContext {
  /**
   * The info dictionary, as a copy that stays, and where it is in the input. Roots are views of the copy.
   */
  readonly info: { readonly copy: Bytes; readonly input: Bytes };
  /** Whether the tree is a single file, whose path is just the name of the torrent; see {@linkcode singleName}. */
  readonly isSingle: boolean;
}

/**
 * Returns the name of the file if a torrent consists of one file that is in no folder.
 *
 * @param info The info dictionary.
 * @param tree The value of its `file tree`.
 * @returns The name as text or as bytes, or `null` if there are more files, folders or none, or a list of v1 files.
 */
export function singleName(info: BencodeDict, tree: BencodeDict): Uint8Array | string | null {
  if (info.getList("files") !== undefined) return null;
  let name: string | null = null;
  for (const [key, value] of tree.pairs()) {
    if (name !== null || !(value instanceof BencodeDict) || leafOf(value) === undefined) return null;
    name = key;
  }
  return name === null || name === "" ? null : nameOf(name);
}

/**
 * Parses a file tree.
 *
 * @param tree The value of `file tree`.
 * @param context See {@linkcode TreeContext}.
 * @returns The files in the order of the tree, not yet placed.
 * @throws {MetainfoError} Through `context.fail`.
 */
export function readTree(tree: BencodeDict, context: TreeContext): Entry[] {
  const { fail } = context;
  const within = { ...context, reader: new PathReader(context) };
  const entries: Entry[] = [];
  for (const { leaf, names } of leavesOf(tree, fail)) {
    if (entries.length === MAX_FILES) fail("info.file tree", `there are more than ${MAX_FILES} files`);
    entries.push(readLeaf(leaf, { place: new Place(entries.length, TREE), names, context: within }));
  }
  if (entries.length === 0) fail("info.file tree", "there are no files");
  return entries;
}

/** A file of a tree. */
export interface Leaf {
  /** What the tree says about the file. */
  readonly leaf: BencodeDict;
  /** Names of folders and file, as text or as bytes. Valid until the next file. */
  readonly names: readonly (Uint8Array | string)[];
}

/**
 * Yields the files of a tree in its order.
 *
 * @param tree The value of `file tree`.
 * @param fail Rejects a tree that is none. Unnecessary for a tree that was read before.
 */
export function* leavesOf(tree: BencodeDict, fail: Fail = unexpected): Generator<Leaf, void> {
  // The names of the folders that are being read, and what is left of them. A tree is as deep as its author wants.
  const names: (Uint8Array | string)[] = [];
  const folders: Iterator<[string, BencodeValue]>[] = [tree.pairs()];
  let count = 0;
  while (folders.length > 0) {
    const next = folders.at(-1)!.next();
    if (next.done) {
      folders.pop();
      names.pop();
      continue;
    }
    const [key, value] = next.value;
    if (key === "") return fail("info.file tree", "a name is empty, or a file is a folder, too");
    if (!(value instanceof BencodeDict)) {
      return fail("info.file tree", `expected a dictionary for each name, found ${describeValue(value)}`);
    }
    names.push(nameOf(key));
    const leaf = leafOf(value);
    if (leaf === undefined) {
      if (++count > MAX_FOLDERS) return fail("info.file tree", `there are more than ${MAX_FOLDERS} folders`);
      folders.push(value.pairs());
      continue;
    }
    if (!(leaf instanceof BencodeDict)) {
      return fail("info.file tree", `expected a dictionary for each file, found ${describeValue(leaf)}`);
    }
    yield { leaf, names };
    names.pop();
  }
}

function unexpected(key: string, why: string): never {
  throw new TypeError(`${key}: ${why}`);
}

function readLeaf(
  leaf: BencodeDict,
  { place, names, context }: {
    readonly place: Place;
    readonly names: readonly (Uint8Array | string)[];
    readonly context: TreeContext & ListContext;
  },
): Entry {
  const { fail, isHybrid, isSingle, name, ownName, reader } = context;
  const { pad, link, executable } = readAttributes(leaf);
  if (pad) fail(place.key("attr"), "a file tree has no padding, it is implied (BEP 52)");
  const target = link ? readTarget(leaf, place, context) : null;
  // A link has no bytes, so its length is ignored and may be absent (BEP 47).
  const length = link ? 0 : readTreeLength(leaf, place, context);
  const root = length > 0 ? readRoot(leaf, place, context) : undefined;
  const { path, own, texts } = isSingle
    ? { path: [name], own: ownPath([ownName], [name]), texts: [ownName] }
    : reader.readNames([...names], () => place.key("name"));
  // A link that is the only file has nothing to point to, so it is a file.
  return {
    path,
    own,
    length,
    pad: false,
    executable,
    target: isSingle ? null : target,
    ...(isHybrid && { names: texts }),
    ...(root && { root }),
  };
}

function readTreeLength(leaf: BencodeDict, place: Place, context: TreeContext): number {
  const length = readLength(leaf, place, context);
  if (length <= MAX_TREE_FILE) return length;
  return context.fail(
    place.key("length"),
    `a file of a v2 torrent has at most ${MAX_TREE_FILE} bytes, found ${length}`,
  );
}

function readRoot(leaf: BencodeDict, place: Place, { fail, info }: TreeContext): Bytes {
  const value = leaf.get("pieces root");
  const key = place.key("pieces root");
  if (value === undefined) return fail(key, "it is missing");
  if (!(value instanceof Uint8Array)) return fail(key, `expected a hash, found ${describeValue(value)}`);
  if (value.length !== HASH_BYTES) return fail(key, `a hash has ${HASH_BYTES} bytes, found ${value.length}`);
  if (value.every((byte) => byte === 0)) return fail(key, "it is zero, and the file has bytes");
  const start = value.byteOffset - info.input.byteOffset;
  return info.copy.subarray(start, start + HASH_BYTES);
}

/** Returns the value that describes a file, or `undefined` if a node of the tree is a folder. */
function leafOf(node: BencodeDict): BencodeValue | undefined {
  let leaf: BencodeValue | undefined;
  for (const [key, value] of node.pairs()) {
    if (key !== "" || leaf !== undefined) return undefined;
    leaf = value;
  }
  return leaf;
}

/** Longer names are read as bytes, as those of a list are. */
const SHORT_NAME = 64;

/** Returns a key of a dictionary, which has one character for each byte: short ASCII as text, anything else as bytes. */
function nameOf(key: string): Uint8Array | string {
  if (key.length > SHORT_NAME) return Uint8Array.from(key, (char) => char.charCodeAt(0));
  for (let i = 0; i < key.length; i++) {
    if (key.charCodeAt(i) > 0x7f) return Uint8Array.from(key, (char) => char.charCodeAt(0));
  }
  return key;
}

/** Options for {@linkcode alignFiles}. */
export interface AlignOptions {
  /** Length of a piece in bytes. */
  readonly pieceLength: number;
  /** Safe name of the torrent. */
  readonly name: string;
  /** Rejects the torrent. */
  readonly fail: Fail;
}

/**
 * Inserts the padding that a v2 torrent implies: every file with bytes begins with a new piece. As in libtorrent, padding
 * comes right after the file that doesn't fill its last piece, before empty files.
 *
 * @param entries Files of a file tree.
 * @param options See {@linkcode AlignOptions}.
 * @returns The files with padding between them, and after the last one.
 * @throws {MetainfoError} Through `options.fail`.
 */
export function alignFiles(entries: readonly Entry[], { pieceLength, name, fail }: AlignOptions): Entry[] {
  const aligned: Entry[] = [];
  let total = 0;
  for (const entry of entries) {
    aligned.push(entry);
    const over = entry.length % pieceLength;
    if (over > 0) aligned.push(padding(pieceLength - over, name));
    total += entry.length + (over > 0 ? pieceLength - over : 0);
  }
  if (total > MAX_TREE_TOTAL) fail("info.file tree", `the files have more than ${MAX_TREE_TOTAL} bytes together`);
  return aligned;
}

function padding(length: number, name: string): Entry {
  return { path: [name, ".pad", String(length)], own: null, length, pad: true, executable: false, target: null };
}
