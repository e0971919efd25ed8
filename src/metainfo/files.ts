/**
 * Parses the list of files in an info dictionary (BEP 3, BEP 47).
 *
 * @module
 */

import { type Bytes, equalBytes } from "../base/bytes.ts";
import { MAX_FOLDERS, MAX_PATH_PARTS } from "../base/defences.ts";
import { BencodeDict, BencodeList, type BencodeValue } from "../bencode/mod.ts";
import type { Fail, Warn } from "./errors.ts";
import type { MetainfoFile } from "./metainfo.ts";
import { ownPath } from "./paths_on_disk.ts";
import { byteLength, safeName, type SafePathOptions } from "./safe_path.ts";
import { type LinkEntry, resolveLinks } from "./symlinks.ts";
import type { TextReader } from "./text_encoding.ts";
import { uniquePaths } from "./unique_paths.ts";
import { describeValue } from "./values.ts";

/** Maximum number of files: more than in any known torrent, and few enough to keep in memory. */
export const MAX_FILES = 500_000;
/** Maximum length of a path in bytes. Linux accepts paths up to 4,096 bytes, which include the download folder. */
export const MAX_PATH_LENGTH = 3072;

/** Context for parsing the list of files. */
export interface FilesContext {
  /** Safe name of the torrent. */
  readonly name: string;
  /** Name of the torrent as written in the torrent. */
  readonly ownName: string;
  /** Whether the torrent has a file tree (BEP 52), so that only libtorrent decides what is valid. */
  readonly hasTree: boolean;
  /** Whether the torrent has two halves, so that their names have to be compared. */
  readonly isHybrid: boolean;
  /** Decodes names. */
  readonly text: TextReader;
  /** Options for making paths safe. */
  readonly paths: SafePathOptions;
  /** Rejects the torrent. */
  readonly fail: Fail;
  /** Records a problem that is tolerated. */
  readonly warn: Warn;
}

/** A file as written in the torrent, with a path that is safe but perhaps not unique. */
export interface Entry {
  readonly path: readonly string[];
  /** The path as written in the torrent, if it differs from `path` and a file system accepts it; else `null`. */
  readonly own: readonly string[] | null;
  readonly length: number;
  readonly pad: boolean;
  readonly executable: boolean;
  /** Safe target path of a symbolic link, relative to the download folder; `null` for anything else. */
  readonly target: readonly string[] | null;
  /** Root of the file's Merkle tree (BEP 52), if the torrent has one and the file has bytes. */
  readonly root?: Bytes;
  /** Names as written in the torrent, without the torrent's, if the torrent is a hybrid: to compare its halves. */
  readonly names?: readonly string[];
}

/**
 * Parses the files of the v1 half of an info dictionary.
 *
 * @returns The files in order, not yet placed.
 * @throws {MetainfoError} Through `context.fail`.
 */
export function readFiles(info: BencodeDict, context: FilesContext): Entry[] {
  const entries = hasList(info, context) ? readList(info, context) : [readSingle(info, context)];
  return context.hasTree ? entries : withoutPaddingAlone(entries, context);
}

/**
 * Places files one after the other, and makes their paths unique.
 *
 * A symbolic link that leads nowhere in the torrent becomes an empty file, as a link without a target does in
 * libtorrent. It keeps its place in the list, so that files have the same indexes as in other clients.
 *
 * @returns The files in order, each with a unique safe path.
 * @throws {MetainfoError} Through `context.fail`.
 */
export function placeFiles(entries: readonly Entry[], { fail }: Pick<FilesContext, "fail">): MetainfoFile[] {
  const written = entries.filter((entry) => !entry.pad);
  const paths = uniquePaths(written.map((entry) => entry.path), {
    maxFolders: MAX_FOLDERS,
    tooMany: () => fail("info.files", `there are more than ${MAX_FOLDERS} folders`),
  });
  const links = written.some((entry) => entry.target)
    ? resolveLinks(written.map(({ path, target }, i): LinkEntry => ({ path, finalPath: paths[i]!, target })))
    : null;
  let offset = 0;
  let next = 0;
  return entries.map(({ path, own, length, pad, executable, root }, index): MetainfoFile => {
    const at = pad ? -1 : next++;
    const symlink = pad || !links ? null : links[at]!;
    // The data of a file that was renamed to be unique may also exist under the name in the torrent.
    const named = pad || symlink ? null : own ?? (paths[at] === path ? null : path);
    const file = {
      path: pad ? path : paths[at]!,
      ...(named && { own: named }),
      length,
      offset,
      pad,
      symlink,
      executable,
      ...(root && { root }),
    };
    offset += length;
    if (!Number.isSafeInteger(offset)) {
      fail(`info.files[${index}].length`, "the files have more than 2^53 bytes together");
    }
    return file;
  });
}

/** Position in the torrent for errors, such as `info` or `info.files[3]`. Text is created only when needed. */
export class Place {
  readonly #index: number | null;
  readonly #list: string;

  /**
   * @param index Index of a file in the list, or `null` for a single file.
   * @param list Key of the list.
   */
  constructor(index: number | null, list = "files") {
    this.#index = index;
    this.#list = list;
  }

  /** Returns the full name of a key at this position. */
  key(name: string): string {
    return this.#index === null ? `info.${name}` : `info.${this.#list}[${this.#index}].${name}`;
  }
}

/** Returns `true` if the torrent has a list of files. Other clients prefer the list over a length. */
function hasList(info: BencodeDict, { warn }: FilesContext): boolean {
  if (!info.has("files")) return false;
  if (!info.has("length")) return true;
  const isList = info.get("files") instanceof BencodeList;
  if (isList) {
    warn("info.length", "a torrent has one length or a list of files, this one has both, and the list counts");
  } else warn("info.files", `expected a list, found ${describeValue(info.get("files"))}; the length counts`);
  return isList;
}

function readSingle(info: BencodeDict, context: FilesContext): Entry {
  const attributes = readAttributes(info);
  const length = attributes.link && context.hasTree ? 0 : readLength(info, new Place(null), context);
  // A link that is the only file has nothing to point to, so it is a file. It usually has no data to download.
  const path = [context.name];
  const own = ownPath([context.ownName], path);
  // A name of which nothing is left was replaced by the info-hash.
  const names = context.isHybrid && { names: [safeName(context.ownName) === "" ? context.name : context.ownName] };
  return { path, own, length, pad: attributes.pad, executable: attributes.executable, target: null, ...names };
}

/** Treats padding files as ordinary files if there are no other files with data, as other clients do. */
function withoutPaddingAlone(entries: Entry[], { warn }: FilesContext): Entry[] {
  if (!entries.some((entry) => entry.pad) || entries.some((entry) => !entry.pad && entry.length > 0)) return entries;
  warn("info", "there is nothing but padding, which is taken for files");
  return entries.map((entry) => ({ ...entry, pad: false }));
}

function readList(info: BencodeDict, context: FilesContext): Entry[] {
  const { fail } = context;
  const list = info.get("files");
  if (!(list instanceof BencodeList)) return fail("info.files", `expected a list, found ${describeValue(list)}`);
  if (list.length === 0) fail("info.files", "the list is empty");
  if (list.length > MAX_FILES) fail("info.files", `there are ${list.length} files, at most ${MAX_FILES} are accepted`);
  const entries: Entry[] = [];
  const within: ListContext = { ...context, reader: new PathReader(context) };
  for (const item of list) {
    if (!(item instanceof BencodeDict)) {
      return fail(`info.files[${entries.length}]`, `expected a dictionary, found ${describeValue(item)}`);
    }
    entries.push(readEntry(item, new Place(entries.length), within));
  }
  return entries;
}

function readEntry(dict: BencodeDict, place: Place, context: ListContext): Entry {
  const attributes = readAttributes(dict);
  const link = attributes.link && !attributes.pad;
  const target = link ? readTarget(dict, place, context) : null;
  // A link has no bytes in the stream, so its length is ignored and may be absent (BEP 47). Where libtorrent alone
  // decides, that is so for padding as well.
  const length = link || (attributes.link && context.hasTree) ? 0 : readLength(dict, place, context);
  const variant = dict.getList("path.utf-8") ? "path.utf-8" : "path";
  const names = dict.get(variant);
  const { path, own, texts } = attributes.pad && !hasNames(names)
    ? { path: [context.name, ".pad", String(length)], own: null, texts: [] } // BEP 47 allows padding without a name
    : context.reader.read(names, () => place.key(variant));
  const pad = attributes.pad || path[path.length - 1]!.startsWith("_____padding_file_"); // BitComet, before BEP 47
  return {
    path,
    own,
    length,
    pad,
    executable: attributes.executable,
    target: pad ? null : target,
    ...(context.isHybrid && { names: texts }),
  };
}

const NO_ATTRIBUTES = { pad: false, link: false, executable: false };

/** Reads what `attr` says about a file (BEP 47). */
export function readAttributes(dict: BencodeDict): { pad: boolean; link: boolean; executable: boolean } {
  const attributes = dict.getText("attr");
  if (attributes === undefined) return NO_ATTRIBUTES;
  return { pad: attributes.includes("p"), link: attributes.includes("l"), executable: attributes.includes("x") };
}

/**
 * Reads the length of a file in bytes. An integer that 64 bits can't hold is 0 for libtorrent, and for us where it alone
 * decides.
 */
export function readLength(
  dict: BencodeDict,
  place: Place,
  { fail, hasTree }: Pick<FilesContext, "fail" | "hasTree">,
): number {
  const value = dict.get("length");
  if (typeof value === "number" && value >= 0) return value;
  if (hasTree && typeof value === "bigint" && (value >= 2n ** 63n || value <= -(2n ** 63n))) return 0;
  const key = place.key("length");
  if (value === undefined) return fail(key, "it is missing");
  if (typeof value !== "number" && typeof value !== "bigint") {
    return fail(key, `expected an integer, found ${describeValue(value)}`);
  }
  if (value < 0) return fail(key, `a length is not negative, found ${value}`);
  return fail(key, `a file has at most 2^53 bytes, found ${value}`);
}

function hasNames(list: BencodeValue | undefined): boolean {
  return list instanceof BencodeList && list.length > 0;
}

/** Reads the target of a symbolic link; returns `null` if there is none. */
export function readTarget(dict: BencodeDict, place: Place, { reader, warn }: ListContext): readonly string[] | null {
  const list = dict.get("symlink path");
  if (list === undefined) return null;
  if (list instanceof BencodeList && list.length > 0) return reader.read(list, () => place.key("symlink path")).path;
  warn(
    place.key("symlink path"),
    `expected a list of names, found ${list instanceof BencodeList ? "an empty one" : describeValue(list)}`,
  );
  return null;
}

/** A path as {@linkcode PathReader} returns it. */
export interface ReadPath {
  /** The safe path, the torrent's name first. */
  readonly path: string[];
  /** The path as written in the torrent, if it differs and a file system accepts it; else `null`. */
  readonly own: readonly string[] | null;
  /** The names as written in the torrent, without the torrent's. */
  readonly texts: readonly string[];
}

/**
 * Reads paths. Consecutive files are usually in the same folder, so the names that a path shares with the previous path
 * are reused and not made safe again.
 */
export class PathReader {
  readonly #context: FilesContext;
  /** Number of names in all paths. */
  #parts = 0;
  /** Names of the previous path as written in the torrent. */
  #raw: readonly (BencodeValue | string)[] = [];
  /** The same names as text. */
  #texts: readonly string[] = [];
  /** The same names made safe. A name of which nothing is left is empty. */
  #safe: readonly string[] = [];

  constructor(context: FilesContext) {
    this.#context = context;
  }

  /** Reads a path relative to the download folder. */
  read(list: BencodeValue | undefined, key: () => string): ReadPath {
    const { fail } = this.#context;
    if (list === undefined) return fail(key(), "it is missing");
    if (!(list instanceof BencodeList)) return fail(key(), "expected a list of names");
    if (list.length === 0) fail(key(), "the list of names is empty");
    this.#count(list.length, key);
    return this.#read(list.toTexts(), key);
  }

  /** Reads a path of a file tree: names as text or as bytes. */
  readNames(names: readonly (Uint8Array | string)[], key: () => string): ReadPath {
    this.#count(names.length, key);
    return this.#read(names as readonly (Bytes | string)[], key);
  }

  #count(names: number, key: () => string): void {
    this.#parts += names;
    if (this.#parts <= MAX_PATH_PARTS) return;
    this.#context.fail(key(), `there are more than ${MAX_PATH_PARTS} names in the paths of all files together`);
  }

  #read(raw: readonly (BencodeValue | string)[], key: () => string): ReadPath {
    const { fail, name, ownName, paths } = this.#context;
    const texts: string[] = [];
    const safe: string[] = [];
    const path = [name];
    let length = byteLength(name);
    let shared = 0;
    while (shared < raw.length && shared < this.#raw.length && isSame(raw[shared]!, this.#raw[shared]!)) shared++;
    for (let i = 0; i < raw.length; i++) {
      const text = i < shared ? this.#texts[i]! : this.#text(raw[i]!, key);
      const part = i < shared ? this.#safe[i]! : safeName(text, paths);
      texts.push(text);
      safe.push(part);
      if (part === "") continue;
      path.push(part);
      length += 1 + byteLength(part);
      if (length > MAX_PATH_LENGTH) fail(key(), `the path has more than ${MAX_PATH_LENGTH} bytes`);
    }
    this.#raw = raw;
    this.#texts = texts;
    this.#safe = safe;
    if (path.length === 1) path.push("_"); // nothing is left of the path
    return { path, own: ownPath([ownName, ...texts], path), texts };
  }

  #text(part: BencodeValue | string, key: () => string): string {
    const { fail, text } = this.#context;
    if (typeof part === "string") return part;
    if (part instanceof Uint8Array) return text.readName(part);
    return fail(key(), `expected a name, found ${describeValue(part)}`);
  }
}

/** Context for parsing one entry of the list. */
export interface ListContext extends FilesContext {
  readonly reader: PathReader;
}

function isSame(a: BencodeValue | string, b: BencodeValue | string): boolean {
  return a === b || (a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b));
}
