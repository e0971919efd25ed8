/**
 * Creates the files of a torrent that have no bytes of their own: empty files and symbolic links (BEP 47).
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";
import { type Folders, wordsFor } from "./folders.ts";
import type { StorageFile } from "./layout.ts";
import { checkComponents, type FileNames, folderOf } from "./file_names.ts";

/** Options for {@linkcode makeEmptyFile} and {@linkcode makeLinks}. */
export interface MakeOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Download folder below which files and links are made. */
  readonly folders: Folders;
}

/** Options for {@linkcode checkLink}. */
export interface CheckLinkOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Absolute path of the download folder. */
  readonly root: string;
}

/**
 * Creates an empty file, or accepts one that exists.
 *
 * @param names Names of the file.
 * @param options See {@linkcode MakeOptions}.
 * @returns Status of the file.
 * @throws {ShoalError} If something else is in the place of the file, or the file can't be created.
 */
export async function makeEmptyFile(
  names: FileNames,
  { fs, folders }: MakeOptions,
): Promise<FileInfo | null> {
  await folders.make(names.folder);
  const path = `${folders.root}/${names.final}`;
  try {
    const handle = await fs.open(path, "create");
    await handle.close();
  } catch (error) {
    const there = isFileFault(error, "exists") ? await fs.stat(path) : null;
    if (there === null) throw error;
    if (there.kind !== "file" || there.size > 0) throw pathConflict(path, wordsFor(there.kind));
  }
  return await fs.stat(path);
}

/**
 * Creates the symbolic links. Skips a link whose target does not exist or lies outside the folder.
 *
 * @param files Files of the torrent.
 * @param options See {@linkcode MakeOptions}.
 * @throws {ShoalError} If something else is in the place of a link, or a link can't be created.
 */
export async function makeLinks(files: readonly StorageFile[], options: MakeOptions): Promise<void> {
  let todo = files.filter((file) => file.symlink !== null);
  // A link may lead to another link, which must exist first.
  for (let before = -1; todo.length > 0 && todo.length !== before;) {
    before = todo.length;
    const left: StorageFile[] = [];
    for (const file of todo) if (!await makeLink(file, options)) left.push(file);
    todo = left;
  }
}

async function makeLink(
  { path, symlink }: StorageFile,
  { fs, folders }: MakeOptions,
): Promise<boolean> {
  checkComponents(path);
  checkComponents(symlink!);
  const target = `${folders.root}/${symlink!.join("/")}`;
  if (await fs.stat(target) === null) return false;
  if (!`${await fs.realPath(target)}/`.startsWith(`${folders.root}/`)) return false;
  await folders.make(folderOf(path));
  const place = `${folders.root}/${path.join("/")}`;
  try {
    await fs.link(linkText({ path, symlink }), place);
  } catch (error) {
    if (!isFileFault(error, "exists")) throw error;
    await checkLink({ path, symlink }, { fs, root: folders.root });
  }
  return true;
}

/**
 * Checks that whatever is in the place of a link is that link, created by an earlier run, by another program or by
 * hand. A link that leads elsewhere belongs to the user.
 *
 * @param file The link in the torrent.
 * @param options See {@linkcode CheckLinkOptions}.
 * @throws {ShoalError} If something else is there.
 */
export async function checkLink(
  file: Pick<StorageFile, "path" | "symlink">,
  { fs, root }: CheckLinkOptions,
): Promise<void> {
  const place = `${root}/${file.path.join("/")}`;
  const there = await fs.stat(place);
  if (there === null) return;
  if (there.kind !== "link") throw pathConflict(place, wordsFor(there.kind, "link"));
  const target = `${root}/${file.symlink!.join("/")}`;
  // The link may spell the same target in another way, even if the target does not exist yet.
  if (await isSamePlace([endOf(place, await fs.readLink(place)), target], fs)) return;
  throw pathConflict(place, "a symbolic link that leads elsewhere is in the place of a link of the torrent");
}

/** Returns where a link leads according to its text, as if no folder on the way were a link. */
function endOf(place: string, text: string): string {
  const path: string[] = text.startsWith("/") ? [] : place.split("/").slice(0, -1);
  for (const part of text.split("/")) {
    if (part === "..") path.pop();
    else if (part !== "." && (part !== "" || path.length === 0)) path.push(part);
  }
  return path.join("/");
}

/** Returns `true` if two paths lead to the same file or folder, which need not exist. The folder that holds it must. */
async function isSamePlace([a, b]: readonly [string, string], fs: FileSystem): Promise<boolean> {
  if (a === b) return true;
  const [cutA, cutB] = [a.lastIndexOf("/"), b.lastIndexOf("/")];
  if (a.slice(cutA) !== b.slice(cutB)) return false;
  try {
    const folders = [a.slice(0, cutA) || "/", b.slice(0, cutB) || "/"];
    const [folderA, folderB] = await Promise.all(folders.map((path) => fs.realPath(path)));
    return folderA === folderB;
  } catch (error) {
    if (isFileFault(error, "missing") || isFileFault(error, "loop") || isFileFault(error, "not-a-folder")) return false;
    throw error;
  }
}

/** Returns the text of a link: the relative path from its folder to its target. */
function linkText({ path, symlink }: Pick<StorageFile, "path" | "symlink">): string {
  return `${"../".repeat(path.length - 1)}${symlink!.join("/")}`;
}
