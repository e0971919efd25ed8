/**
 * Finds and creates the folders of a torrent below the download folder, never through a symbolic link.
 *
 * @module
 */

import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";
import type { FolderName } from "./file_names.ts";

/** The download folder and the folders below it. */
export class Folders {
  /** Absolute path of the download folder; empty until it is set. */
  root = "";
  readonly #fs: FileSystem;
  /** Folders that are known to exist and not to be links. */
  readonly #known = new WeakSet<FolderName>();

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /**
   * Returns `true` if a folder and all folders above it exist. Looks at each folder only once.
   *
   * @param folder The folder; `null` for the download folder.
   * @param seen Results of earlier calls, to which this call adds its own.
   * @throws {StorageError} If something else is in the place of a folder.
   */
  async isThere(folder: FolderName | null, seen: Map<FolderName, Promise<boolean>>): Promise<boolean> {
    for (const one of this.#unknown(folder)) {
      let look = seen.get(one);
      if (look === undefined) seen.set(one, look = this.#find(one));
      if (!await look) return false;
    }
    return true;
  }

  /**
   * Returns `true` if a folder and all folders above it exist and are not links. Anything else in the place of a folder
   * is not an error.
   *
   * @param folder The folder; `null` for the download folder.
   * @throws {ShoalError} If a path can't be looked at.
   */
  async isReal(folder: FolderName | null): Promise<boolean> {
    for (const one of this.#unknown(folder)) {
      if ((await this.#fs.stat(`${this.root}/${one.path}`))?.kind !== "folder") return false;
      this.#known.add(one);
    }
    return true;
  }

  /**
   * Creates a folder and the folders above it where they are missing.
   *
   * @param folder The folder; `null` for the download folder.
   * @throws {ShoalError} If something else is in the place of a folder, or a folder can't be created.
   */
  async make(folder: FolderName | null): Promise<void> {
    for (const one of this.#unknown(folder)) {
      if (await this.#find(one)) continue;
      await this.#fs.makeFolder(`${this.root}/${one.path}`);
      this.#known.add(one);
    }
  }

  /** Returns a folder and those above it that are not known yet, outermost first. */
  #unknown(folder: FolderName | null): FolderName[] {
    const unknown: FolderName[] = [];
    for (let one = folder; one !== null && !this.#known.has(one); one = one.parent) unknown.push(one);
    return unknown.reverse();
  }

  async #find(folder: FolderName): Promise<boolean> {
    if (this.#known.has(folder)) return true;
    const path = `${this.root}/${folder.path}`;
    const info = await this.#fs.stat(path);
    if (info === null) return false;
    if (info.kind !== "folder") throw pathConflict(path, wordsFor(info.kind, "folder"));
    this.#known.add(folder);
    return true;
  }
}

/**
 * Returns the words of an error message for something in the place of a file, folder or link of the torrent.
 *
 * @param kind Kind of what is there.
 * @param place Kind of what the torrent has there.
 */
export function wordsFor(kind: FileInfo["kind"], place: "file" | "folder" | "link" = "file"): string {
  const what = { file: "a file", folder: "a folder", link: "a symbolic link", other: "a device or the like" }[kind];
  return `${what} is in the place of a ${place} of the torrent`;
}
