/**
 * Folders of a torrent: found and made below the download folder, never through a symbolic link.
 *
 * @module
 */

import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { pathConflict } from "./errors.ts";

/** The download folder and those below it. */
export class Folders {
  /** Absolute path of the download folder; empty until it is set. */
  root = "";
  readonly #fs: FileSystem;
  /** Folders that are known to be real folders. */
  readonly #known = new Set<string>();

  /** @param fs The file system. */
  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /**
   * Whether folders are there. Looks at each only once.
   *
   * @param folders Paths below the root, outermost first.
   * @param seen What was found out so far.
   * @throws {StorageError} If something else is in the place of one.
   */
  async areThere(folders: readonly string[], seen: Map<string, Promise<boolean>>): Promise<boolean> {
    for (const folder of folders) {
      let look = seen.get(folder);
      if (look === undefined) seen.set(folder, look = this.#isThere(folder));
      if (!await look) return false;
    }
    return true;
  }

  /**
   * Whether real folders are there; does not mind what else may be in the place of one.
   *
   * @param folders Paths below the root, outermost first.
   * @throws {ShoalError} If that can't be found out.
   */
  async areReal(folders: readonly string[]): Promise<boolean> {
    for (const folder of folders) {
      if (this.#known.has(folder)) continue;
      if ((await this.#fs.stat(`${this.root}/${folder}`))?.kind !== "folder") return false;
      this.#known.add(folder);
    }
    return true;
  }

  /**
   * Makes folders that are missing.
   *
   * @param folders Paths below the root, outermost first.
   * @throws {ShoalError} If something else is in the place of one, or it can't be made.
   */
  async make(folders: readonly string[]): Promise<void> {
    for (const folder of folders) {
      if (await this.#isThere(folder)) continue;
      await this.#fs.makeFolder(`${this.root}/${folder}`);
      this.#known.add(folder);
    }
  }

  async #isThere(folder: string): Promise<boolean> {
    if (this.#known.has(folder)) return true;
    const path = `${this.root}/${folder}`;
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
