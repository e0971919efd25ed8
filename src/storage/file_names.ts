/**
 * Chooses the names of a torrent's files on disk.
 *
 * @module
 */

import { cutUtf8, MAX_NAME_BYTES } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { StorageError } from "./errors.ts";
import { holdsData, type StorageFile, type StorageLayout } from "./layout.ts";

/**
 * A folder of a torrent. Files and folders in it refer to it, so that the paths of deeply nested folders are not stored
 * again for each file.
 */
export interface FolderName {
  /** Parent folder; `null` for a folder directly in the download folder. */
  readonly parent: FolderName | null;
  /** Path below the download folder, with forward slashes: `a/b`. */
  readonly path: string;
}

/** Names of one file, each a path below the download folder with forward slashes. */
export interface FileNames {
  /** Folder that holds the file; `null` for the download folder. */
  readonly folder: FolderName | null;
  /** Name of the complete file, whose pieces are all verified. */
  readonly final: string;
  /** Name of the unfinished file; empty for a file that holds no data on disk. */
  readonly part: string;
}

/**
 * Chooses the names of all files. An unfinished file is called `NAME.part`; if another file of the torrent has that
 * name, `NAME.1.part` and so on. Long names are cut. The same torrent always gets the same names.
 *
 * @param layout Layout of the torrent.
 * @returns Names in the order of the files.
 * @throws {StorageError} If a path could lead out of the folder. `metainfo/` never makes such a path; this check is the
 * last defence.
 */
export function nameFiles(layout: StorageLayout): FileNames[] {
  const names = new Names();
  const folders = layout.files.map((file) => {
    if (file.pad) return null;
    checkComponents(file.path);
    const folder = names.folderOf(file.path);
    names.take(folder, file.path.at(-1)!);
    return folder;
  });
  return layout.files.map((file, index) => {
    if (file.pad) return { folder: null, final: "", part: "" };
    const folder = folders[index]!;
    const name = file.path.at(-1)!;
    return { folder, final: below(folder, name), part: holdsData(file) ? names.partName(folder, name) : "" };
  });
}

/**
 * Returns the folder that holds a file, with the folders above it; `null` for the download folder.
 *
 * @param path Components of the file's path.
 */
export function folderOf(path: readonly string[]): FolderName | null {
  let folder: FolderName | null = null;
  for (const name of path.slice(0, -1)) folder = { parent: folder, path: below(folder, name) };
  return folder;
}

/** Options for {@linkcode nameElsewhere}. */
export interface ElsewhereOptions {
  /** The file in the torrent. */
  readonly layout: StorageFile;
  /**
   * Returns `true` if a path below the download folder belongs to another file of the torrent, so that no unfinished
   * file may get that path.
   */
  isTaken(path: string): boolean;
}

/**
 * Returns the names of a file at a path other than the one Shoal would choose, or `null` if the path could lead out of
 * the folder. The names may hold characters that only Windows takes for separators.
 *
 * @param path Components of the path.
 * @param options See {@linkcode ElsewhereOptions}.
 */
export function nameElsewhere(path: readonly string[], { layout, isTaken }: ElsewhereOptions): FileNames | null {
  if (path.length === 0 || path.some((name) => /^\.{0,2}$|[/\0]/.test(name))) return null;
  const folder = folderOf(path);
  const name = path.at(-1)!;
  const final = below(folder, name);
  if (!holdsData(layout)) return { folder, final, part: "" };
  for (let count = 0;; count++) {
    const part = below(folder, partOf(name, count));
    if (!isTaken(part)) return { folder, final, part };
  }
}

/**
 * A folder with the numbers by which its entries are looked up, since some file systems ignore case and Unicode form.
 */
interface Folder extends FolderName {
  readonly parent: Folder | null;
  readonly name: string;
  /** Unique number of the folder. */
  readonly number: number;
  /** Number of the first folder that some file systems take for the same folder. */
  readonly id: number;
}

/** Number of the download folder. */
const ROOT = 0;
/** Marks a name that belongs to a file, where a folder has its object. */
const FILE = -1;

/**
 * The names that are taken. Names are looked up by the number of their folder, which is cheaper than by their whole
 * path.
 */
class Names {
  /**
   * The folder that has a name, or `FILE`, by folder number and name in the form that is equal on some file systems.
   */
  readonly #taken = new Map<string, Folder | typeof FILE>();
  /** Folders that differ from one in `#taken` only in case or Unicode form, by number of the parent and exact name. */
  readonly #variants = new Map<string, Folder>();
  #count = ROOT;
  /** Path of the previous file, and the folders above it: consecutive files often share their folders. */
  #latest: readonly string[] = [];
  #above: Folder[] = [];

  /** Returns the folder that holds a file. */
  folderOf(path: readonly string[]): Folder | null {
    let depth = 0;
    const shared = Math.min(path.length, this.#latest.length) - 1;
    while (depth < shared && path[depth] === this.#latest[depth]) depth++;
    this.#above.length = depth;
    for (; depth < path.length - 1; depth++) this.#above.push(this.#open(this.#above.at(-1) ?? null, path[depth]!));
    this.#latest = path;
    return this.#above.at(-1) ?? null;
  }

  /** Takes the name of a file. */
  take(folder: Folder | null, name: string): void {
    const key = keyOf(folder, name);
    if (!this.#taken.has(key)) this.#taken.set(key, FILE);
  }

  /** Chooses and takes the name of an unfinished file. */
  partName(folder: Folder | null, name: string): string {
    for (let count = 0;; count++) {
      const part = partOf(name, count);
      const key = keyOf(folder, part);
      if (this.#taken.has(key)) continue;
      this.#taken.set(key, FILE);
      return below(folder, part);
    }
  }

  #open(parent: Folder | null, name: string): Folder {
    const key = keyOf(parent, name);
    const known = this.#taken.get(key);
    if (known === undefined || known === FILE) {
      const folder = this.#make(parent, name);
      this.#taken.set(key, folder);
      return folder;
    }
    if (known.parent === parent && known.name === name) return known;
    const exact = `${parent?.number ?? ROOT}/${name}`;
    const variant = this.#variants.get(exact) ?? { ...this.#make(parent, name), id: known.id };
    this.#variants.set(exact, variant);
    return variant;
  }

  #make(parent: Folder | null, name: string): Folder {
    const number = ++this.#count;
    return { parent, name, path: below(parent, name), number, id: number };
  }
}

function partOf(name: string, count: number): string {
  const ending = count === 0 ? ".part" : `.${count}.part`;
  return `${cutUtf8(name, MAX_NAME_BYTES - ending.length)}${ending}`;
}

function below(folder: FolderName | null, name: string): string {
  return folder === null ? name : `${folder.path}/${name}`;
}

/**
 * Returns the name of the partfile (see `layout.ts`), a hidden file in the download folder: there is space, and it
 * stays with the files it belongs to. The name holds the whole info-hash, so that no torrent can have it in its own
 * paths, and differs from the name that libtorrent gives its partfile, which has another format.
 *
 * @param infoHash Info-hash of the torrent.
 */
export function partFileName(infoHash: InfoHash): string {
  return `.shoal-${infoHash.hex}.part`;
}

/**
 * Returns the name of the hidden folder that holds copies during a move, until they get their places in the new
 * download folder.
 *
 * @param infoHash Info-hash of the torrent.
 */
export function stagingName(infoHash: InfoHash): string {
  return `.shoal-${infoHash.hex}.moving`;
}

/**
 * Refuses path components that could lead out of the folder.
 *
 * @param path Components of the path.
 * @throws {StorageError} If there is no component, or one is empty, `.`, `..`, or holds a separator or NUL.
 */
export function checkComponents(path: readonly string[]): void {
  const isBad = (name: string) => name === "" || name === "." || name === ".." || /[/\\\0]/.test(name);
  const bad = path.length === 0 ? "" : path.find(isBad);
  if (bad === undefined) return;
  const why = `"${bad}" can't be part of a path`;
  throw new StorageError({ what: "unsafe path", where: path.join("/"), why });
}

/** Returns a key that is equal for names in one folder that some file systems take for the same. */
function keyOf(folder: Folder | null, name: string): string {
  return `${folder?.id ?? ROOT}/${name.normalize("NFC").toLowerCase()}`;
}
