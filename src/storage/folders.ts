/**
 * Folders of a torrent: found and made below the download folder, never through a symbolic link.
 *
 * @module
 */

import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";
import type { FolderName } from "./names.ts";

/** The download folder and those below it. */
export class Folders {
  /** Absolute path of the download folder; empty until it is set. */
  root = "";
  readonly #fs: FileSystem;
  /** Folders that are known to be real folders. */
  readonly #known = new WeakSet<FolderName>();

  /** @param fs The file system. */
  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /**
   * Whether a folder is there, and those above it. Looks at each only once.
   *
   * @param folder The folder; `null` for the download folder.
   * @param seen What was found out so far.
   * @throws {StorageError} If something else is in the place of one.
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
   * Whether a real folder is there, and those above it; does not mind what else may be in the place of one.
   *
   * @param folder The folder; `null` for the download folder.
   * @throws {ShoalError} If that can't be found out.
   */
  async isReal(folder: FolderName | null): Promise<boolean> {
    for (const one of this.#unknown(folder)) {
      if ((await this.#fs.stat(`${this.root}/${one.path}`))?.kind !== "folder") return false;
      this.#known.add(one);
    }
    return true;
  }

  /**
   * Makes a folder, and those above it, where they are missing.
   *
   * @param folder The folder; `null` for the download folder.
   * @throws {ShoalError} If something else is in the place of one, or it can't be made.
   */
  async make(folder: FolderName | null): Promise<void> {
    for (const one of this.#unknown(folder)) {
      if (await this.#find(one)) continue;
      await this.#fs.makeFolder(`${this.root}/${one.path}`);
      this.#known.add(one);
    }
  }

  /** Of a folder and those above it the ones that aren't known yet, outermost first. */
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
 * Says what is in the place of a file or a folder.
 *
 * @param kind What is there.
 * @param place What should be there.
 * @returns Words for an error line.
 */
export function wordsFor(kind: FileInfo["kind"], place: "file" | "folder" | "link" = "file"): string {
  const what = { file: "a file", folder: "a folder", link: "a symbolic link", other: "a device or the like" }[kind];
  return `${what} is in the place of a ${place} of the torrent`;
}
