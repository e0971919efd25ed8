/**
 * Finding the files that a torrent is to be made of.
 *
 * @module
 */

import { utf8 } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { FileError, isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { StorageError } from "./errors.ts";
import { isOwnName } from "./folder_locks.ts";

/** A file that was found. */
export interface ScannedFile {
  /** Where it is below the folder, names from the top down; empty for a file that stands alone. */
  readonly path: readonly string[];
  /** Where it is read from: no part of that is a symbolic link. */
  readonly source: string;
  /** Bytes. */
  readonly length: number;
  /** Last modification, milliseconds since 1970. */
  readonly modified: number;
  /** Which file it is; `null` when not known. */
  readonly id: string | null;
}

/** What was found. */
export interface FileScan {
  /** Absolute path, links resolved. */
  readonly root: string;
  /** Whether it is a folder. */
  readonly isFolder: boolean;
  /** The files, sorted by the bytes of their whole paths, as mktorrent does it. */
  readonly files: readonly ScannedFile[];
  /** Paths below the folder of what is neither file nor folder: pipes, sockets, devices. */
  readonly skipped: readonly string[];
}

/** How files are looked for. */
export interface FileScanOptions {
  /** The file system. */
  readonly files: FileSystem;
  /** Whether a file, or a folder with all it holds, is left out; told its path below the folder. */
  isLeftOut?(path: readonly string[]): boolean;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** A folder that is being looked through. */
interface Folder {
  readonly path: readonly string[];
  /** Without links, and those of the folders that led here: a link to one of them would go round in a circle. */
  readonly trail: readonly string[];
}

/**
 * Finds all files at a path. Symbolic links are followed, to files and to folders, and count as what they lead to. Names
 * that begin with a dot are names like others.
 *
 * @param path A file or a folder.
 * @param options How to look.
 * @returns What is there.
 * @throws {ShoalError} Of kind `storage` if something can't be looked at, or a link leads to nothing or in a circle; it names the
 * path. Of kind `usage` if names are not valid UTF-8; it names them.
 * @throws The signal's reason, when it is aborted.
 */
export async function scanFiles(path: string, options: FileScanOptions): Promise<FileScan> {
  const fs = options.files;
  const root = await fs.realPath(path).catch((error) => {
    throw path.includes(BROKEN) && isFileFault(error, "missing") ? notUtf8(path, [path]) : error;
  });
  const info = await fs.stat(root);
  if (info?.kind === "file") {
    return { root, isFolder: false, files: [toFile([], root, info)], skipped: [] };
  }
  if (info?.kind !== "folder") {
    throw new StorageError({ what: "cannot make a torrent", where: path, why: "it is neither a file nor a folder" });
  }
  const files: ScannedFile[] = [];
  const skipped: string[] = [];
  const broken: string[] = [];
  const folders: Folder[] = [{ path: [], trail: [root] }];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const real = folder.trail.at(-1)!;
    let before = "";
    for (const name of await fs.list(real)) {
      options.signal?.throwIfAborted();
      if (isOwnName(name)) continue; // a download goes on here, or was interrupted
      const below = [...folder.path, name];
      if (options.isLeftOut?.(below)) continue;
      // The runtime puts U+FFFD in the place of bytes that are no UTF-8: such a name can't be opened, but may be that of another file.
      const isTwice = name === before;
      before = name;
      const found = isTwice ? null : await look(joined(real, name), fs);
      if (found === null) broken.push(below.join("/"));
      else if (found.info.kind === "file") files.push(toFile(below, found.source, found.info));
      else if (found.info.kind !== "folder") skipped.push(below.join("/"));
      else if (folder.trail.includes(found.source)) {
        throw new FileError("loop", { what: "cannot make a torrent", path: joined(real, name) });
      } else folders.push({ path: below, trail: [...folder.trail, found.source] });
    }
  }
  if (broken.length > 0) throw notUtf8(path, broken);
  return { root, isFolder: true, files: sorted(files), skipped: skipped.sort() };
}

/** What is at a path, or where the link there leads; `null` if its name is no UTF-8. */
async function look(
  path: string,
  fs: FileSystem,
): Promise<{ readonly source: string; readonly info: FileInfo } | null> {
  let source = path;
  let info = await fs.stat(path);
  if (info?.kind === "link") {
    source = await fs.realPath(path).catch((error) => {
      throw isFileFault(error, "missing") ? danglingLink(path, error) : error;
    });
    info = await fs.stat(source);
  }
  if (info !== null) return { source, info };
  if (path.includes(BROKEN)) return null;
  throw new FileError("missing", { what: "cannot look at", path });
}

/** What the runtime puts in the place of bytes that are no UTF-8. */
const BROKEN = "\ufffd";
/** Names that are told. */
const NAMES_TOLD = 5;

function notUtf8(path: string, names: readonly string[]): ShoalError {
  const told = names.slice(0, NAMES_TOLD).map((name) => JSON.stringify(name).replaceAll(BROKEN, "\\ufffd")).join(", ");
  const more = names.length > NAMES_TOLD ? ` and ${names.length - NAMES_TOLD} more` : "";
  return new ShoalError("usage", {
    what: "cannot make a torrent",
    where: path,
    why: names.length === 1 ? `the name ${told} is not valid UTF-8` : `names are not valid UTF-8: ${told}${more}`,
    hint: "rename what is called so, or leave it out with --exclude",
  });
}

function danglingLink(path: string, cause: unknown): StorageError {
  return new StorageError({
    what: "cannot make a torrent",
    where: path,
    why: "the symbolic link leads to nothing",
    hint: "remove it, or leave it out with --exclude",
    cause,
  });
}

function toFile(path: readonly string[], source: string, { size, modified, id }: FileInfo): ScannedFile {
  return { path, source, length: size, modified, id };
}

function joined(folder: string, name: string): string {
  return folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
}

/** By bytes: UTF-16, in which strings compare, has another order, and every language one of its own. */
function sorted(files: readonly ScannedFile[]): ScannedFile[] {
  return files
    .map((file) => ({ file, key: utf8(file.path.join("/")) }))
    .sort((a, b) => compareBytes(a.key, b.key))
    .map(({ file }) => file);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
