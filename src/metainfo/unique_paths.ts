/**
 * Files of a torrent that would overwrite each other.
 *
 * @module
 */

import { foldName, splitName } from "./safe_path.ts";

/** In the place of a folder's number: a file. So are negative numbers. */
const FILE = 0;
/** The number of the torrent's own folder. */
const ROOT = 1;

/** How many folders there may be. */
export interface FolderLimit {
  /** So many; each takes memory. */
  readonly maxFolders: number;
  /** Throws an error that says that there are more. */
  tooMany(): never;
}

/**
 * Gives every file a path of its own. A file whose path is taken, by another file or by a folder, and be it by case or Unicode form
 * alone, gets `.1`, `.2` ... before its extension, as in libtorrent. Folders keep their names.
 *
 * @param paths Safe paths, at least one component each.
 * @param limit How many folders there may be; any number when absent.
 * @returns The paths in the same order; those that did not change are the same arrays.
 */
export function uniquePaths(
  paths: readonly (readonly string[])[],
  limit?: FolderLimit,
): (readonly string[])[] {
  const tree = new Tree(limit);
  // All folders come first: a file must not take the name of one that only a later file needs.
  const folders = paths.map((path) => tree.openFolder(path));
  return paths.map((path, i) => tree.addFile(folders[i]!, path));
}

/** The names of a torrent. Folders have numbers, since a torrent can have too many for a map in each of them. */
class Tree {
  /**
   * What a folder's number and a folded name stand for: the number of another folder, or a file. A file has the last number
   * that was given to others of its name, negative, so that many equal names don't try all numbers again and again.
   */
  readonly #entries = new Map<string, number>();
  /** The last number given where it belongs to no file: by folder, stem and extension. */
  readonly #numbers = new Map<string, number>();
  #folders = ROOT;
  /** The path of the folder that was opened last, with the numbers of its parts: the next path often begins alike. */
  #latest: readonly string[] = [];
  readonly #latestFolders: number[] = [];
  readonly #limit: FolderLimit | undefined;

  constructor(limit: FolderLimit | undefined) {
    this.#limit = limit;
  }

  /** The number of the folder that a path's last component is in. */
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

  /** Adds a file to a folder, under another name if need be. */
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
    // Names that are cut to the same stem count together; so do those that have the name of a folder.
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
