/**
 * Finds out how a path that the user has named leads to data that is only read: it may be the folder that holds the
 * torrent's file or top folder, or that file or folder itself, under any name.
 *
 * @module
 */

import { ShoalError } from "../base/errors.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileSystem } from "../platform/platform.ts";
import type { DiskFile } from "./find_file.ts";
import type { FileNames } from "./file_names.ts";
import { isOwnName } from "./folder_locks.ts";
import type { StorageLayout } from "./layout.ts";

/** Where the data of a torrent is. */
export interface DataPlace {
  /**
   * What the path is: `parent`, the folder that holds the torrent's file or top folder; `top`, the top folder under
   * another name; `file`, the only file under another name.
   */
  readonly kind: "parent" | "top" | "file";
  /** Absolute path of the folder below which the files are, links resolved. */
  readonly root: string;
  /** Absolute path of the folder in which the partfile would be. */
  readonly partRoot: string;
  /** Name of the only file in `root`; empty unless `kind` is `file`. */
  readonly name: string;
  /** Absolute path of what the user has named, links resolved. */
  readonly path: string;
}

/** Options for {@linkcode findPlace}. */
export interface FindPlaceOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Path that the user has named. */
  readonly path: string;
  /** Names of the files in a download folder. */
  readonly names: readonly FileNames[];
  /** Returns all paths at which a file may be; none for only that in the layout. */
  pathsOf(index: number): readonly (readonly string[])[];
}

/**
 * Finds out what a path is. A folder that holds the torrent's top folder isn't taken for the top folder itself, unless
 * more of the torrent's files are found that way.
 *
 * @param layout Layout of the torrent.
 * @param options See {@linkcode FindPlaceOptions}.
 * @throws {ShoalError} Of kind `storage` if the path doesn't exist, of kind `torrent` if it is a file and the torrent
 * has several.
 */
export async function findPlace(layout: StorageLayout, options: FindPlaceOptions): Promise<DataPlace> {
  const { fs } = options;
  const files = layout.files.filter((file) => !file.pad);
  const path = trimmed(await realPath(options.path, { fs, orPart: files.length === 1 }));
  const info = await fs.stat(path);
  const [folder, name] = split(path);
  if (info?.kind !== "folder") {
    if (files.length !== 1) {
      const why = `it is a file, and the torrent is a folder with ${files.length} files`;
      const hint = "choose the folder that holds it, or that folder itself";
      throw new ShoalError("torrent", { what: "the data does not match the torrent", where: options.path, why, hint });
    }
    if (files[0]!.path.length === 1 && files[0]!.path[0] === name) return parentOf(folder, path);
    return { kind: "file", root: folder, partRoot: folder, name, path };
  }
  const search = new Search(layout, { ...options, path });
  if (await search.isTop()) {
    return search.tops.has(name)
      ? parentOf(folder, path)
      : { kind: "top", root: path, partRoot: folder, name: "", path };
  }
  return parentOf(path, path);
}

/**
 * Finds out what a path is, as {@linkcode findPlace} does, and gives all files the names that they have there.
 *
 * @param files Files in the torrent's order, followed by the partfile.
 * @param layout Layout of the torrent.
 * @param options Options for {@linkcode findPlace} without the names.
 * @throws {ShoalError} As {@linkcode findPlace}.
 */
export async function placeFiles(
  files: readonly DiskFile[],
  layout: StorageLayout,
  options: Omit<FindPlaceOptions, "names">,
): Promise<DataPlace> {
  const place = await findPlace(layout, { ...options, names: files.map(({ names }) => names) });
  for (const file of files.slice(0, -1)) file.names = namesAt(place, file.names);
  if (place.partRoot !== place.root) files.at(-1)!.root = place.partRoot;
  return place;
}

/**
 * Returns the names of a file at a place.
 *
 * @param place The place.
 * @param names Names of the file in a download folder.
 */
function namesAt({ kind, name }: DataPlace, names: FileNames): FileNames {
  if (kind === "parent") return names;
  if (kind === "file") return { folder: null, final: name, part: `${name}.part` };
  return { folder: null, final: withoutTop(names.final), part: withoutTop(names.part) };
}

/**
 * Returns the path of a file at a place.
 *
 * @param place The place.
 * @param path Path of the file in a download folder.
 */
export function pathAt({ kind, name }: DataPlace, path: readonly string[]): readonly string[] {
  return kind === "parent" ? path : kind === "file" ? [name] : path.slice(1);
}

function parentOf(root: string, path: string): DataPlace {
  return { kind: "parent", root, partRoot: root, name: "", path };
}

/** Looks for the files of a torrent in a folder, with and without the torrent's top folder. */
class Search {
  /** Names that the top folder may have. */
  readonly tops = new Set<string>();
  readonly #layout: StorageLayout;
  readonly #options: FindPlaceOptions;

  constructor(layout: StorageLayout, options: FindPlaceOptions) {
    this.#layout = layout;
    this.#options = options;
    for (const index of this.#indexes()) for (const [top] of this.#pathsOf(index)) this.tops.add(top!);
  }

  /** Returns `true` if the folder is the torrent's top folder. */
  async isTop(): Promise<boolean> {
    if (!this.#layout.files.some(({ path }) => path.length > 1)) return false;
    const { fs, path } = this.#options;
    let hasTop = false;
    for (const top of this.tops) hasTop ||= await fs.stat(below(path, top)) !== null;
    // The top folder may hold a folder of its own name.
    const isTwice = this.#layout.files.some((file) => file.path.length > 1 && this.tops.has(file.path[1]!));
    const most = isTwice ? Infinity : 1;
    const asParent = hasTop ? await this.#count((file) => file, most) : 0;
    if (asParent > 0 && !isTwice) return false;
    return await this.#count(withoutTop, most) > asParent;
  }

  /** Counts the files that exist, up to a number. */
  async #count(at: (file: string) => string, most: number): Promise<number> {
    const { fs, path, names: allNames } = this.#options;
    let count = 0;
    for (const index of this.#indexes()) {
      const { part } = allNames[index]!;
      for (const file of [...this.#pathsOf(index).map((names) => names.join("/")), ...(part === "" ? [] : [part])]) {
        const kind = at(file) === "" ? undefined : (await fs.stat(below(path, at(file))))?.kind;
        if (kind !== "file" && kind !== "link") continue;
        if (++count >= most) return count;
        break;
      }
    }
    return count;
  }

  *#indexes(): Generator<number> {
    for (const [index, { pad, symlink }] of this.#layout.files.entries()) if (!pad && symlink === null) yield index;
  }

  #pathsOf(index: number): readonly (readonly string[])[] {
    // On Windows, an unsafe name may mean another path.
    const isWindows = /^[a-z]:|^[/\\]{2}/i.test(this.#options.path);
    const paths = isWindows ? [] : this.#options.pathsOf(index);
    return paths.length > 0 ? paths : [this.#layout.files[index]!.path];
  }
}

/** Returns the absolute path of a file or folder, or of a file whose `.part` file is there. */
async function realPath(
  path: string,
  { fs, orPart }: { readonly fs: FileSystem; readonly orPart: boolean },
): Promise<string> {
  try {
    return await fs.realPath(path);
  } catch (error) {
    if (!orPart || !isFileFault(error, "missing") || (await fs.stat(`${path}.part`))?.kind !== "file") throw error;
    return (await fs.realPath(`${path}.part`)).slice(0, -".part".length);
  }
}

function trimmed(path: string): string {
  return path.replace(/(?<=.)[/\\]$/, "");
}

/** Splits an absolute path into folder and name. The root of the file system has no name. */
function split(path: string): readonly [folder: string, name: string] {
  const at = Math.max(path.lastIndexOf("/"), /^[a-z]:|^\\\\/i.test(path) ? path.lastIndexOf("\\") : -1);
  return [path.slice(0, at), path.slice(at + 1)];
}

function below(folder: string, name: string): string {
  return `${folder.replace(/[/\\]$/, "")}/${name}`;
}

function withoutTop(path: string): string {
  const at = path.indexOf("/");
  return at < 0 ? "" : path.slice(at + 1);
}

/** A folder in which none of a torrent's files was found. */
export interface SearchedPlace {
  /** Absolute path of the folder. */
  readonly path: string;
  /** Names of what is in the folder instead, sorted. */
  readonly holds: readonly string[];
}

/**
 * Lists what is in a folder where none of a torrent's files was found.
 *
 * @param path Absolute path of the folder.
 * @param fs File system.
 * @throws {ShoalError} If the folder can't be read.
 */
export async function listPlace(path: string, fs: FileSystem): Promise<SearchedPlace> {
  return { path, holds: (await fs.list(path)).filter((name) => !isOwnName(name)) };
}

/** Largest number of names that are told. */
const NAMES_TOLD = 5;

/**
 * Tells the user where a torrent's files were looked for in vain, and what is there instead.
 *
 * @param place The folder.
 * @returns A sentence without its end.
 */
export function nothingIn({ path, holds }: SearchedPlace): string {
  const more = holds.length - NAMES_TOLD;
  const names = holds.slice(0, NAMES_TOLD).map((name) => JSON.stringify(name));
  const told = more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ").replace(/, ("[^"]*")$/, " and $1");
  return `none of its files is in ${path}, which ${holds.length === 0 ? "is empty" : `holds ${told}`}`;
}
