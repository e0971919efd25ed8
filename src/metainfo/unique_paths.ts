/**
 * Files of a torrent that would overwrite each other.
 *
 * @module
 */

import { foldName, splitName } from "./safe_path.ts";

/** A folder of the torrent; its keys are folded names. */
interface Folder {
  /** What is in it: folders, or `null` for a file. */
  readonly entries: Map<string, Folder | null>;
  /** The last number given, by stem and extension, so that many equal names don't try all numbers again and again. */
  readonly numbers: Map<string, number>;
}

/**
 * Gives every file a path of its own. A file whose path is taken, by another file or by a folder, and be it by case or Unicode form
 * alone, gets `.1`, `.2` ... before its extension, as in libtorrent. Folders keep their names.
 *
 * @param paths Safe paths, at least one component each.
 * @returns The paths in the same order; those that did not change are the same arrays.
 */
export function uniquePaths(paths: readonly (readonly string[])[]): (readonly string[])[] {
  const root = newFolder();
  // All folders come first: a file must not take the name of one that only a later file needs.
  const folders = paths.map((path) => openFolder(root, path));
  return paths.map((path, i) => addFile(folders[i]!, path));
}

function newFolder(): Folder {
  return { entries: new Map(), numbers: new Map() };
}

function openFolder(root: Folder, path: readonly string[]): Folder {
  let folder = root;
  for (let i = 0; i < path.length - 1; i++) {
    const key = foldName(path[i]!);
    let next = folder.entries.get(key);
    if (!next) {
      next = newFolder();
      folder.entries.set(key, next);
    }
    folder = next;
  }
  return folder;
}

function addFile(folder: Folder, path: readonly string[]): readonly string[] {
  const name = path[path.length - 1]!;
  const key = foldName(name);
  if (!folder.entries.has(key)) {
    folder.entries.set(key, null);
    return path;
  }
  const { stem, extension } = splitName(name);
  const series = foldName(`${stem}/${extension}`);
  for (let number = (folder.numbers.get(series) ?? 0) + 1;; number++) {
    const candidate = `${stem}.${number}${extension}`;
    const candidateKey = foldName(candidate);
    if (folder.entries.has(candidateKey)) continue;
    folder.entries.set(candidateKey, null);
    folder.numbers.set(series, number);
    return [...path.slice(0, -1), candidate];
  }
}
