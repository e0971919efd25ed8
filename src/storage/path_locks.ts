/**
 * Which unfinished files are being written by somebody in this process.
 *
 * @module
 */

import type { FileSystem } from "../platform/platform.ts";

/** By file system, since that is what paths belong to. */
const CLAIMED = new WeakMap<FileSystem, Set<string>>();

/** The unfinished files of one torrent: no other torrent of the process may write them meanwhile. */
export class PathLocks {
  readonly #all: Set<string>;
  readonly #own = new Set<string>();

  /** @param files The file system. */
  constructor(files: FileSystem) {
    const all = CLAIMED.get(files) ?? new Set();
    CLAIMED.set(files, all);
    this.#all = all;
  }

  /**
   * Claims a file.
   *
   * @param path Its absolute path, without links.
   * @returns Whether it is claimed for this torrent now; if not, it belongs to another.
   */
  take(path: string): boolean {
    if (this.#own.has(path)) return true;
    if (this.#all.has(path)) return false;
    this.#own.add(path);
    this.#all.add(path);
    return true;
  }

  /**
   * Gives up the claim to a file.
   *
   * @param path Its absolute path.
   */
  drop(path: string): void {
    if (this.#own.delete(path)) this.#all.delete(path);
  }

  /** Gives up every claim. */
  dropAll(): void {
    for (const path of [...this.#own]) this.drop(path);
  }
}
