/**
 * Moves the files of a torrent to another download folder while the torrent is in use.
 *
 * If both folders are on one file system, every file is renamed, which takes moments. If not, files are first copied to
 * a staging folder at the target, `.shoal-INFOHASH.moving`, and synced; those under their final names while pieces are
 * still being written. When all copies exist, they are renamed to their places, and only when that is durable the
 * sources are removed. A file is served from its old place until it is in its new one.
 *
 * If the process ends in between, the torrent may be opened in either folder next. While files may be in both folders,
 * the resume state of each names the other folder, and opening the torrent brings all files to the folder in which it
 * is opened (see `resume_move.ts`). A state counts only if the other folder's state names its folder, too. The order
 * is:
 *
 * 1. The old state names the new folder. Copies are made.
 * 2. The new state names the old folder. Files get their new places, and are synced there.
 * 3. Sources and empty folders are removed.
 * 4. About a second after the move, when the caller has recorded the new folder, the new state drops the name of the
 *    old folder, and the old state is removed.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileInfo, FileSystem } from "../platform/platform.ts";
import { copyFile } from "./copy_file.ts";
import type { DiskFiles } from "./disk_files.ts";
import { pathConflict } from "./errors.ts";
import { wholeTime } from "./find_file.ts";
import { Folders, wordsFor } from "./folders.ts";
import { closingAfter } from "./handles.ts";
import type { FileMap } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";
import { checkLink, makeLinks } from "./links_and_empty_files.ts";
import { type FolderName, stagingName } from "./file_names.ts";

/** Options for {@linkcode Move}. */
export interface MoveOptions {
  /** Files of the torrent. */
  readonly disk: DiskFiles;
  /** File system. */
  readonly fs: FileSystem;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Absolute path of the target folder, without links. It is not the download folder. */
  readonly target: string;
  /** Called with the number of bytes copied since the last call. */
  onCopied(bytes: number): void;
  /** Aborts the copying. */
  readonly signal: AbortSignal;
}

/** A copy in the staging folder. */
interface Copy {
  readonly path: string;
  readonly source: string;
  readonly info: FileInfo;
}

/** Largest number of file status calls under way at one time. */
const LOOKS = 16;
/** Files that are synced at one time. A device handles several together faster than one by one. */
const PARALLEL = 8;

/**
 * One move. Its methods are called in the order in which they are declared; {@linkcode Move.copy} only if files have to
 * be copied.
 */
export class Move {
  readonly #map: FileMap;
  readonly #options: MoveOptions;
  readonly #from: Folders;
  readonly #to: Folders;
  readonly #staging: string;
  readonly #copies = new Map<number, Copy>();
  /** Indexes of the links that were created again at the target. */
  #links: readonly number[] = [];

  constructor(map: FileMap, options: MoveOptions) {
    this.#map = map;
    this.#options = options;
    this.#from = foldersAt(options.disk.root, options.fs);
    this.#to = foldersAt(options.target, options.fs);
    this.#staging = `${options.target}/${stagingName(options.infoHash)}`;
  }

  /** Total size of the files to move in bytes. */
  get bytes(): number {
    return this.#indexes().reduce((sum, index) => sum + this.#options.disk.all[index]!.size, 0);
  }

  /** Modification times of the copies by file index, in milliseconds since 1970. */
  get times(): ReadonlyMap<number, number> {
    return new Map([...this.#copies].map(([index, { info }]) => [index, wholeTime(info.modified)]));
  }

  /**
   * Checks that nothing is in the way at the target.
   *
   * @throws {StorageError} If something is in the way.
   */
  async check(): Promise<void> {
    const { disk, fs, target } = this.#options;
    const seen = new Map<FolderName, Promise<boolean>>();
    await forEachLimited(disk.all, LOOKS, async ({ names }) => {
      if (!await this.#to.isThere(names.folder, seen)) return;
      for (const name of [names.final, names.part]) {
        const there = name === "" ? null : await fs.stat(`${target}/${name}`);
        if (there !== null) throw pathConflict(`${target}/${name}`, wordsFor(there.kind));
      }
    });
    await fs.remove(this.#staging); // left by an interrupted move
  }

  /**
   * Copies files to the staging folder at the target.
   *
   * @param files `final`: the files under their final names, which don't change. `all`: every file that was not copied
   * yet.
   * @throws {ShoalError} If a file can't be copied.
   * @throws The signal's reason, when it is aborted.
   */
  async copy(files: "final" | "all"): Promise<void> {
    const { disk, fs, onCopied, signal } = this.#options;
    await fs.makeFolder(this.#staging);
    for (const index of this.#indexes()) {
      if (this.#copies.has(index) || (files === "final" && disk.placeOf(index) !== "final")) continue;
      const [source, path] = [disk.pathOf(index), `${this.#staging}/${index}`];
      const info = await copyFile(source, path, { fs, onCopied, signal });
      this.#copies.set(index, { source, path, info });
    }
  }

  /**
   * Moves every file to its place at the target, which becomes the download folder. No piece may be written meanwhile.
   *
   * @throws {FileError} With the fault `other-device` if the files have to be copied first.
   * @throws {ShoalError} If a file can't be moved. All files are in their old places then, unless {@linkcode
   * Move.isTorn} is set.
   */
  async switchOver(): Promise<void> {
    const { disk, fs, target } = this.#options;
    const indexes = this.#indexes();
    this.#links = await this.#findLinks();
    try {
      for (const index of indexes) {
        await this.#to.make(disk.all[index]!.names.folder);
        await disk.relocate(index, target, (from, to) => fs.rename(this.#copies.get(index)?.path ?? from, to));
      }
      await makeLinks(this.#links.map((index) => this.#map.layout.files[index]!), { fs, folders: this.#to });
      await forEachLimited(indexes, PARALLEL, (index) => syncName(disk.pathOf(index), fs));
    } catch (error) {
      await this.#switchBack();
      throw error;
    }
    disk.moveTo(target);
  }

  /** Whether files are in both folders, because a file could be moved neither on nor back. */
  get isSplit(): boolean {
    return this.#options.disk.all.some(({ root }) => root === this.#options.target);
  }

  /**
   * Removes the originals of the unfinished files that were copied, before the copies are written to. If both existed
   * and differed, nothing would tell which is newer. Never fails: {@linkcode Move.removeSources} tries again.
   */
  async removeUnfinished(): Promise<void> {
    const { disk } = this.#options;
    for (const index of this.#copies.keys()) {
      if (disk.placeOf(index) === "part") await this.#removeSource(index).catch(() => {});
    }
  }

  /**
   * Removes what was left in the old folder: originals of copies, links, and empty folders.
   *
   * @throws {ShoalError} If something can't be removed.
   */
  async removeSources(): Promise<void> {
    const { disk, fs } = this.#options;
    for (const index of this.#copies.keys()) await this.#removeSource(index);
    await this.#removeLinks(this.#from.root);
    await fs.remove(this.#staging);
    await removeEmptyFolders(disk.all.map(({ names }) => names.folder), { fs, root: this.#from.root });
  }

  /** Removes what was created at the target. Never fails: leftovers are removed by the next move. */
  async discard(): Promise<void> {
    const { disk, fs, target } = this.#options;
    await fs.remove(this.#staging).catch(() => {});
    await removeEmptyFolders(disk.all.map(({ names }) => names.folder), { fs, root: target }).catch(() => {});
  }

  async #removeSource(index: number): Promise<void> {
    const { fs } = this.#options;
    const { source, info: copy } = this.#copies.get(index)!;
    const info = await fs.stat(source);
    if (info?.kind === "file" && info.size === copy.size) await fs.remove(source);
  }

  /** Returns the indexes of the files that exist and are ours. */
  #indexes(): number[] {
    const { all } = this.#options.disk;
    return [...all.keys()].filter((index) => all[index]!.place !== "absent" && !all[index]!.foreign);
  }

  /** Returns the indexes of the links that exist and are ours. */
  async #findLinks(): Promise<number[]> {
    const { fs } = this.#options;
    const { root } = this.#from;
    const links: number[] = [];
    for (const [index, file] of this.#map.layout.files.entries()) {
      if (file.symlink === null || (await fs.stat(`${root}/${file.path.join("/")}`))?.kind !== "link") continue;
      const isOurs = await checkLink(file, { fs, root }).then(() => true, () => false);
      if (isOurs) links.push(index);
    }
    return links;
  }

  async #removeLinks(root: string): Promise<void> {
    const { fs } = this.#options;
    for (const index of this.#links) {
      const path = `${root}/${this.#map.layout.files[index]!.path.join("/")}`;
      if ((await fs.stat(path))?.kind === "link") await fs.remove(path);
    }
  }

  /** Moves files back to the old folder. Never fails: a file that can't be moved back stays where it is. */
  async #switchBack(): Promise<void> {
    const { disk, fs, target } = this.#options;
    await this.#removeLinks(target).catch(() => {});
    for (const index of this.#indexes()) {
      if (disk.all[index]!.root !== target) continue;
      const copy = this.#copies.get(index);
      const back = (there: string, home: string) =>
        copy === undefined ? fs.rename(there, home) : fs.rename(there, copy.path);
      await disk.relocate(index, this.#from.root, back).catch(() => {});
    }
  }
}

/**
 * Makes the new name of a file durable, so that it survives a loss of power.
 *
 * @param path Path of the file.
 * @param fs File system.
 * @throws {ShoalError} If the file can't be synced.
 */
export async function syncName(path: string, fs: FileSystem): Promise<void> {
  try {
    const handle = await fs.open(path, "update");
    await closingAfter(handle, () => handle.sync());
  } catch (error) {
    if (!isFileFault(error, "denied")) throw error; // a read-only file, already durable
  }
}

/** Options for {@linkcode removeEmptyFolders}. */
export interface RemoveFoldersOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Absolute path of the download folder. */
  readonly root: string;
}

/**
 * Removes empty folders of a torrent, and the folders above them that become empty; not the download folder itself.
 *
 * @param folders Folders to remove.
 * @param options See {@linkcode RemoveFoldersOptions}.
 * @throws {ShoalError} If a folder can't be removed.
 */
export async function removeEmptyFolders(
  folders: Iterable<FolderName | null>,
  { fs, root }: RemoveFoldersOptions,
): Promise<void> {
  const paths = new Map<string, FolderName>();
  for (const folder of folders) {
    for (let one = folder; one !== null && !paths.has(one.path); one = one.parent) paths.set(one.path, one);
  }
  const real = foldersAt(root, fs);
  // Deepest folders first: a folder's path is longer than those of the folders above it.
  for (const folder of [...paths.values()].sort((a, b) => b.path.length - a.path.length)) {
    if (await real.isReal(folder)) await fs.removeFolder(`${root}/${folder.path}`);
  }
}

/**
 * Returns a download folder as {@linkcode Folders}.
 *
 * @param root Absolute path of the download folder, without links.
 * @param fs File system.
 */
export function foldersAt(root: string, fs: FileSystem): Folders {
  const folders = new Folders(fs);
  folders.root = root;
  return folders;
}
