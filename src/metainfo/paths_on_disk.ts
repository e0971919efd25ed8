/**
 * Where the data of a file may lie already: names that can't be had everywhere are written in many ways.
 *
 * @module
 */

import { MAX_NAME_BYTES } from "../base/bytes.ts";
import type { MetainfoFile } from "./metainfo.ts";
import { byteLength, safeName, shortName } from "./safe_path.ts";

/**
 * The path that a torrent names, if a file system may have it and some client makes another one of it.
 *
 * @param own Names as they stand in the torrent, that of the torrent first.
 * @param path The safe path that was made of them.
 * @returns The path, or `null`.
 */
export function ownPath(own: readonly string[], path: readonly string[]): readonly string[] | null {
  const isPlain = own.length === path.length && own.every((name, i) => name === path[i] && shortName(name) === name);
  return !isPlain && own.every(isName) ? own : null;
}

/**
 * All paths at which the data of a file may lie.
 *
 * @param file A file of a torrent.
 * @returns The path that the torrent names first, where whoever made it had the file; then the one that we make; then those that
 * other clients make of it: libtorrent cuts from 240 bytes on, some write `_` for all that any system forbids, and aria2 takes
 * names as they are. Just one for nearly every file.
 */
export function pathsOnDisk({ own, path }: Pick<MetainfoFile, "own" | "path">): readonly (readonly string[])[] {
  if (own === undefined) return [path];
  const found = new Map<string, readonly string[]>([[own.join("/"), own], [path.join("/"), path]]);
  for (const written of WAYS) {
    const other = own.map(written).filter((name) => name !== "");
    if (other.length > 0 && other.every(isName)) found.set(other.join("/"), other);
  }
  return [...found.values()];
}

const WAYS: readonly ((name: string) => string)[] = [
  (name) => safeName(name, { portable: false }),
  (name) => shortName(safeName(name, { portable: false })),
  (name) => safeName(name),
  (name) => name.replace(/[\p{Cc}\\<>:"|?*]/gu, "_"),
];

/** Whether Linux, which takes more than any other system, has files of that name. */
function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name) && byteLength(name) <= MAX_NAME_BYTES;
}
