/**
 * Moving the files of a torrent to another download folder while they are used.
 *
 * Where both folders are on one file system, every file is renamed, which takes moments. Where they aren't, files are
 * copied into a folder of their own at the target first, `.shoal-INFOHASH.moving`, and synced; those under their final
 * names while pieces go on being written. When all copies are there, they are renamed into their places, and only when
 * that is safe the sources are removed. Until a file is in its new place it is served from the old one.
 *
 * If the process ends in between, it doesn't matter with which of the two folders the torrent is opened next: the resume
 * states of both name the other one while files may be in both, and opening brings them together in the one it is asked
 * for ({@linkcode joinFolders}). A state that isn't named by the other one in turn counts for nothing. In this order:
 *
 * 1. the old state names the new folder; copies are made;
 * 2. the new state names the old folder; files come to their new places, and are synced there;
 * 3. sources and empty folders are removed;
 * 4. about a second after the move is over, when whoever asked for it has noted the new folder, the new state stands
 *    alone, and the old one is removed.
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
import { forEachLimited } from "./limited.ts";
import { checkLink, makeLinks } from "./links.ts";
import { type FolderName, stagingName } from "./names.ts";

/** What {@linkcode Move} works with. */
export interface MoveOptions {
  /** The files. */
  readonly disk: DiskFiles;
  /** The file system. */
  readonly fs: FileSystem;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Absolute path of the folder to move to, without links; another one than the download folder. */
  readonly target: string;
  /** Told how many bytes more have been copied. */
  onCopied(bytes: number): void;
  /** Ends the copying. */
  readonly signal: AbortSignal;
}

/** A copy that waits to get its place. */
interface Copy {
  readonly path: string;
  readonly source: string;
  readonly info: FileInfo;
}

/** How many calls to look at files are under way at one time. */
const LOOKS = 16;
/** Files that are synced at one time; a device takes several together better than one by one. */
const PARALLEL = 8;

/** One move; its parts are done in the order in which they are here, {@linkcode Move.copy} when it has to be. */
export class Move {
  readonly #map: FileMap;
  readonly #options: MoveOptions;
  readonly #from: Folders;
  readonly #to: Folders;
  readonly #staging: string;
  readonly #copies = new Map<number, Copy>();
  /** Indexes of the links that were made anew. */
  #links: readonly number[] = [];

  /**
   * @param map The torrent.
   * @param options What to work with.
   */
  constructor(map: FileMap, options: MoveOptions) {
    this.#map = map;
    this.#options = options;
    this.#from = foldersAt(options.disk.root, options.fs);
    this.#to = foldersAt(options.target, options.fs);
    this.#staging = `${options.target}/${stagingName(options.infoHash)}`;
  }

  /** Bytes of all files that are moved. */
  get bytes(): number {
    return this.#indexes().reduce((sum, index) => sum + this.#options.disk.all[index]!.size, 0);
  }

  /** The times of modification that copies have got. */
  get times(): ReadonlyMap<number, number> {
    return new Map([...this.#copies].map(([index, { info }]) => [index, wholeTime(info.modified)]));
  }

  /**
   * Makes sure that nothing is in the way at the target.
   *
   * @throws {StorageError} If something is.
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
    await fs.remove(this.#staging); // of a move that was interrupted
  }

  /**
   * Copies files to the target, but not to their places yet.
   *
   * @param files Which: those under their `final` names, which don't change, or all that weren't copied yet.
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
   * Gives every file its place at the target, which is the download folder from then on. Nothing is being written.
   *
   * @throws {ShoalError} If that can't be done. All files are where they were then; with the fault `other-device` when they
   * have to be copied first.
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

  /** Whether files are in both folders, because one of them could be moved neither on nor back. */
  get isTorn(): boolean {
    return this.#options.disk.all.some(({ root }) => root === this.#options.target);
  }

  /**
   * Removes the unfinished files that were copied from the old folder, before anything is written to the copies: of two
   * that differ nothing would tell which one is newer. Never fails: {@linkcode Move.removeSources} tries again.
   */
  async removeUnfinished(): Promise<void> {
    const { disk } = this.#options;
    for (const index of this.#copies.keys()) {
      if (disk.placeOf(index) === "part") await this.#removeSource(index).catch(() => {});
    }
  }

  /**
   * Removes what was left in the old folder: what was copied, links, and folders that are empty.
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

  /** Removes what was made at the target. Never fails: it is removed with the next move at the latest. */
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

  /** Indexes of the files that are ours and there. */
  #indexes(): number[] {
    const { all } = this.#options.disk;
    return [...all.keys()].filter((index) => all[index]!.place !== "absent" && !all[index]!.foreign);
  }

  /** The links that are there, and ours. */
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

  /** Never fails: a file that can't be moved back stays where it is. */
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
 * Makes sure that the new name of a file outlives a loss of power.
 *
 * @param path The file.
 * @param fs The file system.
 * @throws {ShoalError} If that can't be done.
 */
export async function syncName(path: string, fs: FileSystem): Promise<void> {
  try {
    const handle = await fs.open(path, "update");
    await closingAfter(handle, () => handle.sync());
  } catch (error) {
    if (!isFileFault(error, "denied")) throw error; // nothing can be written to it, nor was since it was safe
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
 * Removes folders of a torrent that are empty, and those above them that are by that; not the download folder.
 *
 * @param folders The folders.
 * @param options The file system, and the absolute path of the download folder.
 * @throws {ShoalError} If one can't be removed.
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
  // The deepest first: their paths are longer than those of the ones that they are in.
  for (const folder of [...paths.values()].sort((a, b) => b.path.length - a.path.length)) {
    if (await real.isReal(folder)) await fs.removeFolder(`${root}/${folder.path}`);
  }
}

/**
 * @param root Absolute path of a download folder, without links.
 * @param fs The file system.
 * @returns The folders below it.
 */
export function foldersAt(root: string, fs: FileSystem): Folders {
  const folders = new Folders(fs);
  folders.root = root;
  return folders;
}
