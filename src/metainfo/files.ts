/**
 * The list of files in an info dictionary (BEP 3, BEP 47).
 *
 * @module
 */

import { BencodeDict, BencodeList, type BencodeValue } from "../bencode/mod.ts";
import type { Fail } from "./errors.ts";
import type { MetainfoFile } from "./metainfo.ts";
import { byteLength, safePath, type SafePathOptions } from "./safe_path.ts";
import { type LinkEntry, resolveLinks } from "./symlinks.ts";
import type { TextReader } from "./text.ts";
import { uniquePaths } from "./unique_paths.ts";
import { describeValue } from "./values.ts";

/** More files than any torrent seen, few enough to keep in memory. */
export const MAX_FILES = 500_000;
/** Folders and a file in one path. */
export const MAX_COMPONENTS = 100;
/** Bytes of a path with its separators; Linux opens none that is longer than 4,096, the download folder included. */
export const MAX_PATH_LENGTH = 3072;

/** What the list of files is read with. */
export interface FilesContext {
  /** The torrent's safe name. */
  readonly name: string;
  /** Reads names. */
  readonly text: TextReader;
  /** How careful paths are made. */
  readonly paths: SafePathOptions;
  /** Refuses the torrent. */
  readonly fail: Fail;
}

/** A file as it stands in the torrent, its path safe but perhaps not its own. */
interface Entry {
  readonly path: readonly string[];
  readonly length: number;
  readonly pad: boolean;
  readonly executable: boolean;
  /** For a symbolic link the safe path from the download folder on; `null` for anything else. */
  readonly target: readonly string[] | null;
}

/**
 * Reads the files of an info dictionary.
 *
 * A symbolic link that leads nowhere in the torrent becomes an empty file, as one without a target does in libtorrent: it keeps its
 * place in the list, so that files have the numbers that other clients give them.
 *
 * @param info The info dictionary.
 * @param context What to read it with.
 * @returns The files in order, each with its own safe path.
 * @throws {MetainfoError} Through `context.fail`.
 */
export function readFiles(info: BencodeDict, context: FilesContext): MetainfoFile[] {
  const { fail } = context;
  const several = info.has("files");
  if (several && info.has("length")) {
    fail("info.length", "a torrent has one length or a list of files, this one has both");
  }
  const entries = several ? readList(info, context) : [readSingle(info, context)];

  const written = entries.filter((entry) => !entry.pad);
  const paths = uniquePaths(written.map((entry) => entry.path));
  const links = written.some((entry) => entry.target)
    ? resolveLinks(written.map(({ path, target }, i): LinkEntry => ({ path, finalPath: paths[i]!, target })))
    : null;
  let offset = 0;
  let next = 0;
  return entries.map(({ path, length, pad, executable }, index): MetainfoFile => {
    const at = pad ? -1 : next++;
    const symlink = pad || !links ? null : links[at]!;
    const file = { path: pad ? path : paths[at]!, length, offset, pad, symlink, executable };
    offset += length;
    if (!Number.isSafeInteger(offset)) {
      fail(`info.files[${index}].length`, "the files have more than 2^53 bytes together");
    }
    return file;
  });
}

/** Where in the torrent something stands, for errors: `info` or `info.files[3]`. Words are made only when they are needed. */
class Place {
  readonly #index: number | null;

  /** @param index The number of a file in the list, or `null` for the only file. */
  constructor(index: number | null) {
    this.#index = index;
  }

  /** The full name of a key that stands here. */
  key(name: string): string {
    return this.#index === null ? `info.${name}` : `info.files[${this.#index}].${name}`;
  }
}

function readSingle(info: BencodeDict, context: FilesContext): Entry {
  const attributes = readAttributes(info);
  const length = readLength(info, new Place(null), context.fail);
  // A link needs a torrent around it to point into, so a lone one is an empty file, and that makes a torrent without pieces.
  return { path: [context.name], length, pad: attributes.pad, executable: attributes.executable, target: null };
}

function readList(info: BencodeDict, context: FilesContext): Entry[] {
  const { fail } = context;
  const list = info.get("files");
  if (!(list instanceof BencodeList)) return fail("info.files", `expected a list, found ${describeValue(list)}`);
  if (list.length === 0) fail("info.files", "the list is empty");
  if (list.length > MAX_FILES) fail("info.files", `there are ${list.length} files, at most ${MAX_FILES} are accepted`);
  const entries: Entry[] = [];
  for (const item of list) {
    if (!(item instanceof BencodeDict)) {
      return fail(`info.files[${entries.length}]`, `expected a dictionary, found ${describeValue(item)}`);
    }
    entries.push(readEntry(item, new Place(entries.length), context));
  }
  return entries;
}

function readEntry(dict: BencodeDict, place: Place, context: FilesContext): Entry {
  const attributes = readAttributes(dict);
  const link = attributes.link && !attributes.pad;
  const target = link ? readTarget(dict, place, context) : null;
  // A link has no bytes in the stream, so its length does not count, and need not be there (BEP 47).
  const length = link ? 0 : readLength(dict, place, context.fail);
  const variant = dict.getList("path.utf-8") ? "path.utf-8" : "path";
  const names = dict.get(variant);
  const path = attributes.pad && isEmpty(names)
    ? [context.name, ".pad", String(length)] // BEP 47 allows padding without a name
    : readPath(names, () => place.key(variant), context);
  const pad = attributes.pad || path[path.length - 1]!.startsWith("_____padding_file_"); // BitComet's way, before BEP 47
  return { path, length, pad, executable: attributes.executable, target: pad ? null : target };
}

const NO_ATTRIBUTES = { pad: false, link: false, executable: false };

function readAttributes(dict: BencodeDict): { pad: boolean; link: boolean; executable: boolean } {
  const attributes = dict.getText("attr");
  if (attributes === undefined) return NO_ATTRIBUTES;
  return { pad: attributes.includes("p"), link: attributes.includes("l"), executable: attributes.includes("x") };
}

function readLength(dict: BencodeDict, place: Place, fail: Fail): number {
  const value = dict.get("length");
  if (typeof value === "number" && value >= 0) return value;
  const key = place.key("length");
  if (value === undefined) return fail(key, "it is missing");
  if (typeof value !== "number" && typeof value !== "bigint") {
    return fail(key, `expected an integer, found ${describeValue(value)}`);
  }
  if (value < 0) return fail(key, `a length is not negative, found ${value}`);
  return fail(key, `a file has at most 2^53 bytes, found ${value}`);
}

function isEmpty(list: BencodeValue | undefined): boolean {
  return list === undefined || (list instanceof BencodeList && list.length === 0);
}

function readTarget(dict: BencodeDict, place: Place, context: FilesContext): readonly string[] | null {
  const list = dict.get("symlink path");
  return list === undefined ? null : readPath(list, () => place.key("symlink path"), context);
}

/** A path from the download folder on. */
function readPath(list: BencodeValue | undefined, key: () => string, context: FilesContext): string[] {
  const { fail, text, paths, name } = context;
  if (list === undefined) return fail(key(), "it is missing");
  if (!(list instanceof BencodeList)) return fail(key(), "expected a list of names");
  if (list.length === 0) fail(key(), "the list of names is empty");
  if (list.length > MAX_COMPONENTS) {
    fail(key(), `there are ${list.length} names in it, at most ${MAX_COMPONENTS} are accepted`);
  }
  const names = list.toTexts().map((item) => {
    if (typeof item === "string") return item;
    return item instanceof Uint8Array
      ? text.readName(item)
      : fail(key(), `expected a name, found ${describeValue(item)}`);
  });
  const path = safePath(names, paths);
  path.unshift(name);
  let length = path.length - 1; // the separators
  for (const part of path) length += byteLength(part);
  if (length > MAX_PATH_LENGTH) fail(key(), `the path has ${length} bytes, at most ${MAX_PATH_LENGTH} are accepted`);
  return path;
}
