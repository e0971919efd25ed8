/**
 * Paths at which existing data of a file may be found. Clients differ in how they change names that not every system
 * accepts.
 *
 * @module
 */

import { MAX_NAME_BYTES } from "../base/bytes.ts";
import type { MetainfoFile } from "./metainfo.ts";
import { byteLength, safeName, shortName } from "./safe_path.ts";

/**
 * Returns the path as written in the torrent, if a file system may accept it and some client changes it.
 *
 * @param own Names as written in the torrent, the torrent's name first.
 * @returns The path, or `null`.
 */
export function ownPath(own: readonly string[], path: readonly string[]): readonly string[] | null {
  const isPlain = own.length === path.length && own.every((name, i) => name === path[i] && shortName(name) === name);
  return !isPlain && own.every(isName) ? own : null;
}

/**
 * Returns all paths at which existing data of a file may be found. Nearly every file has only one.
 *
 * @returns The path as written in the torrent first, where the creator had the file; then our safe path; then the paths
 * of other clients: libtorrent cuts names from 240 bytes on, some clients write `_` for every character that any system
 * forbids, and aria2 does not change names.
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

/** Returns `true` if Linux accepts the file name. Linux accepts more names than any other system. */
function isName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name) && byteLength(name) <= MAX_NAME_BYTES;
}
