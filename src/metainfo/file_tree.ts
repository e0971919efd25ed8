/**
 * Parses the file tree of a v2 or hybrid torrent (BEP 52), and compares the halves of a hybrid.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_FOLDERS } from "../base/defences.ts";
import { HASH_BYTES } from "../base/merkle.ts";
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
 * Returns the name of the file if a tree consists of one file that is in no folder.
 *
 * @param tree The value of `file tree`.
 * @returns The name as text or as bytes, or `null` if there are more files, folders or none.
 */
export function singleName(tree: BencodeDict): Uint8Array | string | null {
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
  const { fail, isSingle, name, ownName, reader } = context;
  const { pad, link, executable } = readAttributes(leaf);
  if (pad) fail(place.key("attr"), "a file tree has no padding, it is implied (BEP 52)");
  const target = link ? readTarget(leaf, place, context) : null;
  // A link has no bytes, so its length is ignored and may be absent (BEP 47).
  const length = link ? 0 : readLength(leaf, place, fail);
  const root = length > 0 ? readRoot(leaf, place, context) : undefined;
  const { path, own } = isSingle
    ? { path: [name], own: ownPath([ownName], [name]) }
    : reader.readNames([...names], () => place.key("name"));
  // A link that is the only file has nothing to point to, so it is a file.
  return { path, own, length, pad: false, executable, target: isSingle ? null : target, ...(root && { root }) };
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

/**
 * Inserts the padding that a v2 torrent implies: every file with bytes begins with a new piece.
 *
 * @param entries Files of a file tree.
 * @param layout Length of a piece, and the safe name of the torrent.
 * @returns The files with padding between them. There is none after the last file.
 */
export function withPadding(
  entries: readonly Entry[],
  { pieceLength, name }: { readonly pieceLength: number; readonly name: string },
): Entry[] {
  const padded: Entry[] = [];
  let over = 0; // bytes of the last file in its last piece
  for (const entry of entries) {
    if (entry.length > 0) {
      if (over > 0) padded.push(padding(pieceLength - over, name));
      over = entry.length % pieceLength;
    }
    padded.push(entry);
  }
  return padded;
}

function padding(length: number, name: string): Entry {
  return { path: [name, ".pad", String(length)], own: null, length, pad: true, executable: false, target: null };
}

/**
 * Merges the halves of a hybrid torrent. Refuses the disagreements that libtorrent refuses: other files, another order,
 * other lengths or names, and padding in the v1 half that doesn't let each file begin with a new piece. Attributes and
 * the targets of links may differ; those of the v1 half count.
 *
 * @param v1 Files of the v1 half, with padding.
 * @param tree Files of the file tree.
 * @param context Length of a piece, and what refuses the torrent.
 * @returns The files of the v1 half with the roots of the tree.
 * @throws {MetainfoError} Through `context.fail`.
 */
export function mergeHalves(
  v1: readonly Entry[],
  tree: readonly Entry[],
  { pieceLength, fail }: { readonly pieceLength: number } & Pick<FilesContext, "fail">,
): Entry[] {
  let over = 0;
  let next = 0;
  const differ = (index: number, why: string): never => {
    return fail(`info.files[${index}]`, `the v1 and v2 halves of the torrent don't match: ${why}`);
  };
  const merged = v1.map((entry, index): Entry => {
    if (entry.pad) {
      if (over === 0 || entry.length !== pieceLength - over) {
        const room = over === 0 ? "there is none to be" : `it has ${pieceLength - over} bytes`;
        differ(index, `padding of ${entry.length} bytes where ${room}`);
      }
      over = 0;
      return entry;
    }
    const other = tree[next++];
    if (other === undefined) return differ(index, `the file tree has ${tree.length} files, the list has more`);
    if (entry.length !== other.length) differ(index, `a file has ${entry.length} bytes or ${other.length}`);
    if (!isSamePath(entry, other)) differ(index, "a file has two names");
    if (entry.length > 0) {
      if (over > 0) differ(index, "a file does not begin with a new piece");
      over = entry.length % pieceLength;
    }
    return other.root ? { ...entry, root: other.root } : entry;
  });
  if (next < tree.length) differ(v1.length, `the file tree has ${tree.length} files, the list has ${next}`);
  return merged;
}

/** Compares paths as written in the torrent, as far as they could be names of files. */
function isSamePath(a: Entry, b: Entry): boolean {
  const [one, other] = [a.own ?? a.path, b.own ?? b.path];
  return one.length === other.length && one.every((name, i) => name === other[i]);
}
