/**
 * Files of a torrent without bytes of their own: empty ones and symbolic links (BEP 47).
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";
import { type Folders, wordsFor } from "./folders.ts";
import type { StorageFile } from "./layout.ts";
import { checkComponents, type FileNames } from "./names.ts";

/**
 * Makes an empty file, or finds it.
 *
 * @param names Its names.
 * @param options The file system, and the folders below which it is made.
 * @returns What is there now.
 * @throws {ShoalError} If something else is in its place, or it can't be made.
 */
export async function makeEmptyFile(
  names: FileNames,
  { fs, folders }: { readonly fs: FileSystem; readonly folders: Folders },
): Promise<FileInfo | null> {
  await folders.make(names.folders);
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
 * Makes the links. A link that leads to nothing in the folder is left out, as is one that leads outside.
 *
 * @param files The files of the torrent.
 * @param options The file system, and the folders below which links are made.
 * @throws {ShoalError} If something is in the place of one, or it can't be made.
 */
export async function makeLinks(
  files: readonly StorageFile[],
  options: { readonly fs: FileSystem; readonly folders: Folders },
): Promise<void> {
  let todo = files.filter((file) => file.symlink !== null);
  // A link may lead to another link, which must be there first.
  for (let before = -1; todo.length > 0 && todo.length !== before;) {
    before = todo.length;
    const left: StorageFile[] = [];
    for (const file of todo) if (!await makeLink(file, options)) left.push(file);
    todo = left;
  }
}

async function makeLink(
  { path, symlink }: StorageFile,
  { fs, folders }: { readonly fs: FileSystem; readonly folders: Folders },
): Promise<boolean> {
  checkComponents(path);
  checkComponents(symlink!);
  const target = `${folders.root}/${symlink!.join("/")}`;
  if (await fs.stat(target) === null) return false;
  if (!`${await fs.realPath(target)}/`.startsWith(`${folders.root}/`)) return false;
  const above = path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join("/"));
  await folders.make(above);
  await fs.link(`${"../".repeat(above.length)}${symlink!.join("/")}`, `${folders.root}/${path.join("/")}`);
  return true;
}
