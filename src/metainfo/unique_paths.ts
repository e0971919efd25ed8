/**
 * Renames files of a torrent that would overwrite each other.
 *
 * @module
 */

import { foldName, splitName } from "./safe_path.ts";

/** Entry of a file, in place of a folder's number. Negative numbers are files as well. */
const FILE = 0;
/** Number of the torrent's own folder. */
const ROOT = 1;

/** Limit on the number of folders. */
export interface FolderLimit {
  /** Maximum number of folders, since each takes memory. */
  readonly maxFolders: number;
  /** Throws the error for too many folders. */
  tooMany(): never;
}

/**
 * Gives every file a unique path. A file whose path equals that of another file or of a folder, even if only by case or
 * Unicode normalization, gets `.1`, `.2` and so on before its extension, as in libtorrent. Folders keep their names.
 *
 * @param paths Safe paths, at least one component each.
 * @param limit Limit on the number of folders. Unlimited when absent.
 * @returns The paths in the same order. Unchanged paths are the same arrays.
 */
export function uniquePaths(
  paths: readonly (readonly string[])[],
  limit?: FolderLimit,
): (readonly string[])[] {
  const tree = new Tree(limit);
  // Enter all folders first: a file must not take the name of a folder that only a later file needs.
  const folders = paths.map((path) => tree.openFolder(path));
  return paths.map((path, i) => tree.addFile(folders[i]!, path));
}

/** The names in a torrent. Folders are numbered, since a torrent can have too many folders for one map each. */
class Tree {
  /**
   * Entries by folder number and folded name: the number of a subfolder, or a file. A file's entry is the negative of
   * the last number given to other files of the same name, so that many equal names do not try all numbers from 1
   * again.
   */
  readonly #entries = new Map<string, number>();
  /** Last number given by folder, stem and extension, where no file's entry can hold it. */
  readonly #numbers = new Map<string, number>();
  #folders = ROOT;
  /** Path whose folders were opened last, and their numbers. The next path often starts with the same folders. */
  #latest: readonly string[] = [];
  readonly #latestFolders: number[] = [];
  readonly #limit: FolderLimit | undefined;

  constructor(limit: FolderLimit | undefined) {
    this.#limit = limit;
  }

  /** Returns the number of the folder that contains the last component of a path. Creates missing folders. */
  openFolder(path: readonly string[]): number {
    let depth = 0;
    const shared = Math.min(path.length, this.#latest.length) - 1;
    while (depth < shared && path[depth] === this.#latest[depth]) depth++;
    let folder = depth === 0 ? ROOT : this.#latestFolders[depth - 1]!;
    for (; depth < path.length - 1; depth++) {
      const key = keyOf(folder, path[depth]!);
      let next = this.#entries.get(key);
      if (next === undefined) {
        if (this.#limit !== undefined && this.#folders > this.#limit.maxFolders) this.#limit.tooMany();
        next = ++this.#folders;
        this.#entries.set(key, next);
      }
      folder = next;
      this.#latestFolders[depth] = folder;
    }
    this.#latest = path;
    return folder;
  }

  /** Adds a file to a folder, and renames it if its name is taken. */
  addFile(folder: number, path: readonly string[]): readonly string[] {
    const name = path[path.length - 1]!;
    const key = keyOf(folder, name);
    const taken = this.#entries.get(key);
    if (taken === undefined) {
      this.#entries.set(key, FILE);
      return path;
    }
    const { stem, extension } = splitName(name);
    const isCut = stem.length + extension.length < name.length;
    // Names cut to the same stem share one series of numbers. So do names that equal the name of a folder.
    const series = isCut || taken > FILE ? keyOf(folder, `${stem}/${extension}`) : null;
    let number = series === null ? -taken : this.#numbers.get(series) ?? 0;
    let candidate: string;
    do candidate = `${stem}.${++number}${extension}`; while (!this.#take(keyOf(folder, candidate)));
    if (series === null) this.#entries.set(key, -number);
    else this.#numbers.set(series, number);
    const unique = path.slice();
    unique[unique.length - 1] = candidate;
    return unique;
  }

  #take(key: string): boolean {
    if (this.#entries.has(key)) return false;
    this.#entries.set(key, FILE);
    return true;
  }
}

function keyOf(folder: number, name: string): string {
  return `${folder}/${foldName(name)}`;
}
