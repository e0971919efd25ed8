/**
 * The names of a torrent's files on disk.
 *
 * @module
 */

import { cutUtf8, MAX_NAME_BYTES } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { StorageError } from "./errors.ts";
import { holdsData, type StorageFile, type StorageLayout } from "./layout.ts";

/** Names of one file, each a path below the download folder with forward slashes. */
export interface FileNames {
  /** Folders above it, outermost first: `["a", "a/b"]` for `a/b/c`. */
  readonly folders: readonly string[];
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
  const taken = new Set<string>();
  for (const file of layout.files) {
    if (file.pad) continue;
    checkComponents(file.path);
    for (let count = 1; count <= file.path.length; count++) taken.add(keyOf(file.path.slice(0, count).join("/")));
  }
  return layout.files.map((file) => {
    if (file.pad) return { folders: [], final: "", part: "" };
    const folders = file.path.slice(0, -1).map((_, i) => file.path.slice(0, i + 1).join("/"));
    const final = file.path.join("/");
    return { folders, final, part: holdsData(file) ? partName(file.path, taken) : "" };
  });
}

/**
 * The names of a file that lies, or may lie, at another path than the one that we would give it. What only Windows takes for a
 * separator may be in them.
 *
 * @param path Components.
 * @param layout The file.
 * @returns The names, or `null` when the path could lead out of the folder.
 */
export function nameElsewhere(path: readonly string[], layout: StorageFile): FileNames | null {
  if (path.length === 0 || path.some((name) => /^\.{0,2}$|[/\0]/.test(name))) return null;
  const folders = path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join("/"));
  return { folders, final: path.join("/"), part: holdsData(layout) ? partName(path, new Set()) : "" };
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

function partName(path: readonly string[], taken: Set<string>): string {
  const folder = path.slice(0, -1).map((name) => `${name}/`).join("");
  const name = path.at(-1)!;
  for (let count = 0;; count++) {
    const ending = count === 0 ? ".part" : `.${count}.part`;
    const part = `${folder}${cutUtf8(name, MAX_NAME_BYTES - ending.length)}${ending}`;
    const key = keyOf(part);
    if (taken.has(key)) continue;
    taken.add(key);
    return part;
  }
}

/** Equal for names that some file systems hold for the same. */
function keyOf(path: string): string {
  return path.normalize("NFC").toLowerCase();
}
