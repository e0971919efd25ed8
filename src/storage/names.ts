/**
 * The names of a torrent's files on disk.
 *
 * @module
 */

import { cutUtf8, MAX_NAME_BYTES } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { StorageError } from "./errors.ts";
import { holdsData, type StorageFile, type StorageLayout } from "./layout.ts";

/** A folder of a torrent. Files and folders in it refer to it, so that a torrent of deep folders takes no more than it says. */
export interface FolderName {
  /** The folder that it is in; `null` for one that is in the download folder. */
  readonly parent: FolderName | null;
  /** Path below the download folder with forward slashes: `a/b`. */
  readonly path: string;
}

/** Names of one file, each a path below the download folder with forward slashes. */
export interface FileNames {
  /** The folder that it is in; `null` for the download folder. */
  readonly folder: FolderName | null;
  /** The name under which everything is verified. */
  readonly final: string;
  /** The name until then; empty for a file that holds no data on disk. */
  readonly part: string;
}

/**
 * The names of all files. The name of an unfinished file is `NAME.part`; where another file of the torrent has that
 * name already it is `NAME.1.part` and so on, and a long name is cut. The same torrent always gives the same names.
 *
 * @param layout The torrent.
 * @returns The names, in the order of the files.
 * @throws {StorageError} If a path could lead out of the folder. `metainfo/` never makes such a path; this is the last
 * door.
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
 * The folders above a file.
 *
 * @param path Components of the file's path.
 * @returns The folder that it is in; `null` for the download folder.
 */
export function folderOf(path: readonly string[]): FolderName | null {
  let folder: FolderName | null = null;
  for (const name of path.slice(0, -1)) folder = { parent: folder, path: below(folder, name) };
  return folder;
}

/** A file at another path than the one that we would give it. */
export interface ElsewhereOptions {
  /** The file. */
  readonly layout: StorageFile;
  /** Tells whether a path below the download folder is another file's of the torrent, so that no unfinished file is called that. */
  isTaken(path: string): boolean;
}

/**
 * The names of a file that lies, or may lie, at another path than the one that we would give it. What only Windows takes for a
 * separator may be in them.
 *
 * @param path Components.
 * @param options The file, and what others are called.
 * @returns The names, or `null` when the path could lead out of the folder.
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

/** A folder, and what it is called where case and Unicode form don't count. */
interface Folder extends FolderName {
  readonly parent: Folder | null;
  readonly name: string;
  /** Its own number. */
  readonly number: number;
  /** The number of the first folder that some file systems hold for the same. */
  readonly id: number;
}

/** The number of the download folder. */
const ROOT = 0;
/** In the place of a folder's number: a file. */
const FILE = -1;

/** The names that are taken. Folders have numbers: a name is looked up by that of its folder, not by its whole path. */
class Names {
  /** By folder and name as some file systems see it: the folder that has it, or `FILE`. */
  readonly #taken = new Map<string, Folder | typeof FILE>();
  /** Folders that differ from one in `#taken` by case or Unicode form alone, by the number of their folder and exact name. */
  readonly #variants = new Map<string, Folder>();
  #count = ROOT;
  /** The path of the file that was looked at last, and the folders above it: the next one often begins alike. */
  #latest: readonly string[] = [];
  #above: Folder[] = [];

  /** The folder that a file is in. */
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

  /** The name of an unfinished file. */
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
 * The name of the partfile (see `layout.ts`). It lies in the download folder: there is room, and it stays with the files
 * that it belongs to. The whole info-hash is in it, which no torrent can have in its own paths; and it isn't the name
 * that libtorrent gives a file of another form for the same purpose.
 *
 * @param infoHash Which torrent.
 * @returns A hidden name.
 */
export function partFileName(infoHash: InfoHash): string {
  return `.shoal-${infoHash.hex}.part`;
}

/**
 * The name of the folder into which files are copied before they get their places in another download folder.
 *
 * @param infoHash Which torrent.
 * @returns A hidden name.
 */
export function stagingName(infoHash: InfoHash): string {
  return `.shoal-${infoHash.hex}.moving`;
}

/**
 * Refuses path components that could lead out of the folder.
 *
 * @param path Components.
 * @throws {StorageError} If there is none, or one is empty, `.`, `..`, or holds a separator or NUL.
 */
export function checkComponents(path: readonly string[]): void {
  const isBad = (name: string) => name === "" || name === "." || name === ".." || /[/\\\0]/.test(name);
  const bad = path.length === 0 ? "" : path.find(isBad);
  if (bad === undefined) return;
  const why = `"${bad}" can't be part of a path`;
  throw new StorageError({ what: "unsafe path", where: path.join("/"), why });
}

/** Equal for names in one folder that some file systems hold for the same. */
function keyOf(folder: Folder | null, name: string): string {
  return `${folder?.id ?? ROOT}/${name.normalize("NFC").toLowerCase()}`;
}
