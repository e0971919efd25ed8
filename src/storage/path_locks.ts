/**
 * Records which unfinished files the torrents of this process are writing, so that no two write to the same file.
 *
 * @module
 */

import type { FileSystem } from "../platform/platform.ts";

/** Locked paths by file system, since paths belong to a file system. */
const CLAIMED = new WeakMap<FileSystem, Set<string>>();

/** The unfinished files of one torrent, which no other torrent of the process may write. */
export class PathLocks {
  readonly #all: Set<string>;
  readonly #own = new Set<string>();

  constructor(files: FileSystem) {
    const all = CLAIMED.get(files) ?? new Set();
    CLAIMED.set(files, all);
    this.#all = all;
  }

  /**
   * Locks a file.
   *
   * @param path Absolute path of the file, without links.
   * @returns Whether this torrent has the lock now; `false` if another torrent has it.
   */
  take(path: string): boolean {
    if (this.#own.has(path)) return true;
    if (this.#all.has(path)) return false;
    this.#own.add(path);
    this.#all.add(path);
    return true;
  }

  /** Releases the lock of a file. */
  drop(path: string): void {
    if (this.#own.delete(path)) this.#all.delete(path);
  }

  /** Releases all locks of this torrent. */
  dropAll(): void {
    for (const path of [...this.#own]) this.drop(path);
  }
}
