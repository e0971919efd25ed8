/**
 * Finds the files that a new torrent is made of.
 *
 * @module
 */

import { utf8 } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import { FileError, isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { StorageError } from "./errors.ts";
import { isOwnName } from "./folder_locks.ts";

/** A file that a torrent is made of. */
export interface SourceFile {
  /** Absolute path to read the file from, without symbolic links in it. */
  readonly source: string;
  /** Length in bytes. */
  readonly length: number;
  /** Last modification, in milliseconds since 1970. */
  readonly modified: number;
  /** Identity of the file on its file system; `null` if unknown. */
  readonly id: string | null;
  /** Whether its owner may execute it. */
  readonly executable: boolean;
}

/** A file that was found. */
export interface ScannedFile extends SourceFile {
  /** Path below the folder, from the outermost name to the file's own; empty for a single file. */
  readonly path: readonly string[];
}

/** Result of {@linkcode scanFiles}. */
export interface FileScan {
  /** Absolute path, links resolved. */
  readonly root: string;
  /** Whether the path is a folder. */
  readonly isFolder: boolean;
  /** Files, sorted by the bytes of their whole paths, as mktorrent sorts them. */
  readonly files: readonly ScannedFile[];
  /** Paths below the folder of pipes, sockets and devices, which are skipped. */
  readonly skipped: readonly string[];
  /** Symbolic links that lead out of the folder. */
  readonly linksOut: readonly LinkOut[];
}

/** A symbolic link that leads out of the folder that a torrent is made of. */
export interface LinkOut {
  /** Path of the link below the folder. */
  readonly path: string;
  /** Absolute path of the file or folder that it leads to. */
  readonly target: string;
}

/** Options for {@linkcode scanFiles}. */
export interface FileScanOptions {
  /** File system. */
  readonly files: FileSystem;
  /**
   * Returns `true` if a file, or a folder with everything in it, is left out. Called with the path below the folder.
   */
  isLeftOut?(path: readonly string[]): boolean;
  /** Aborts the search. */
  readonly signal?: AbortSignal | undefined;
}

/** A folder to search. */
interface Folder {
  readonly path: readonly string[];
  /** Real paths of this folder and of the folders that led to it. A link to one of them would be a circle. */
  readonly trail: readonly string[];
}

/**
 * Finds all files at a path. Symbolic links to files and folders are followed and count as their targets. Names that
 * begin with a dot are not special.
 *
 * @param path A file or a folder.
 * @param options See {@linkcode FileScanOptions}.
 * @throws {ShoalError} Of kind `storage` if something can't be looked at, or a link is dangling or leads in a circle;
 * the error names the path. Of kind `usage` if names are not valid UTF-8; the error names them.
 * @throws The signal's reason, when it is aborted.
 */
export async function scanFiles(path: string, options: FileScanOptions): Promise<FileScan> {
  const fs = options.files;
  const root = await fs.realPath(path).catch((error) => {
    throw path.includes(BROKEN) && isFileFault(error, "missing") ? notUtf8(path, [path]) : error;
  });
  const info = await fs.stat(root);
  if (info?.kind === "file") {
    return { root, isFolder: false, files: [toFile([], root, info)], skipped: [], linksOut: [] };
  }
  if (info?.kind !== "folder") {
    throw new StorageError({ what: "cannot make a torrent", where: path, why: "it is neither a file nor a folder" });
  }
  const files: ScannedFile[] = [];
  const skipped: string[] = [];
  const broken: string[] = [];
  const linksOut: LinkOut[] = [];
  const folders: Folder[] = [{ path: [], trail: [root] }];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const real = folder.trail.at(-1)!;
    let before = "";
    for (const name of await fs.list(real)) {
      options.signal?.throwIfAborted();
      if (isOwnName(name)) continue; // a download to this folder is going on, or was interrupted
      const below = [...folder.path, name];
      if (options.isLeftOut?.(below)) continue;
      // The runtime replaces bytes that are not UTF-8 with U+FFFD. Such a name can't be opened, unless another file
      // really has that name.
      const isTwice = name === before;
      before = name;
      const found = isTwice ? null : await look(joined(real, name), fs);
      // A link in a folder outside is not counted: the link to that folder is.
      const leavesRoot = found !== null && isIn(real, root) && !isIn(found.source, root);
      if (leavesRoot) linksOut.push({ path: below.join("/"), target: found.source });
      if (found === null) broken.push(below.join("/"));
      else if (found.info.kind === "file") files.push(toFile(below, found.source, found.info));
      else if (found.info.kind !== "folder") skipped.push(below.join("/"));
      else if (folder.trail.includes(found.source)) {
        throw new FileError("loop", { what: "cannot make a torrent", path: joined(real, name) });
      } else folders.push({ path: below, trail: [...folder.trail, found.source] });
    }
  }
  if (broken.length > 0) throw notUtf8(path, broken);
  return { root, isFolder: true, files: sorted(files), skipped: skipped.sort(), linksOut };
}

/** Returns the status of a path, links followed, or `null` if its name is not UTF-8. */
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

/** Character that the runtime puts in the place of bytes that are not UTF-8. */
const BROKEN = "\ufffd";
/** Largest number of names in an error message. */
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

function toFile(
  path: readonly string[],
  source: string,
  { size, modified, id, executable = false }: FileInfo,
): ScannedFile {
  return { path, source, length: size, modified, id, executable };
}

/** Returns `true` if a path is a folder, or in it. Paths are absolute and without links. */
function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(joined(folder, "")) || path.startsWith(`${folder}\\`);
}

function joined(folder: string, name: string): string {
  return folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
}

/** Sorts by bytes. Strings compare by UTF-16 code units, which is a different order, and locales have their own. */
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
