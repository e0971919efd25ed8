/**
 * The files of one torrent on disk: finds, creates, reads, syncs, renames and closes them.
 *
 * Files are created below the download folder only, and never through a symbolic link below it: a torrent that was
 * downloaded earlier may have created that link.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileHandle, FileInfo, FileSystem } from "../platform/platform.ts";
import { PathLocks } from "./path_locks.ts";
import { changedByOthers, closedError, otherFile, pathConflict, type StorageError } from "./errors.ts";
import { ABSENT_FILE, type DiskFile, findPartFile, isSameFile, wholeTime } from "./find_file.ts";
import { FileLocator } from "./locate_files.ts";
import { Folders, wordsFor } from "./folders.ts";
import { compareFiles, isBlank, readRanges } from "./file_io.ts";
import type { FileMap } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";
import { closingAfter, closingOnFailure } from "./handles.ts";
import { makeEmptyFile, makeLinks } from "./links_and_empty_files.ts";
import { nameFiles } from "./file_names.ts";
import { type DataPlace, pathAt, placeFiles } from "./find_place.ts";
import { HandleBudget, OpenFiles } from "./open_files.ts";
import type { FilePlace, FileRecord } from "./resume_state.ts";

/** Options for {@linkcode DiskFiles}. */
export interface DiskFilesOptions {
  /** File system. */
  readonly files: FileSystem;
  /** Download folder; when nothing may be changed, anything that {@linkcode findPlace} takes. */
  readonly folder: string;
  /** Largest number of files that are open at one time. */
  readonly maxOpenFiles: number;
  /** Whether nothing may be changed. Then symbolic links are followed. */
  readonly readOnly: boolean;
  /** Name of the partfile; no partfile when absent. */
  readonly partName?: string;
  /**
   * Returns all paths at which a file may already be, the likeliest first; the path in the layout is one of them. Only
   * that path is used when absent. Not called on Windows, where an unsafe name may mean another path.
   */
  pathsOf?(index: number): readonly (readonly string[])[];
}

/** Options for {@linkcode DiskFiles.unfinish}. */
export interface UnfinishOptions {
  /** Whether the file counts as ours even if it was modified, because it holds a verified piece. */
  readonly isOurs: boolean;
}

/**
 * Files up to this size are synced through the shared handle. Reads of a larger file would wait too long for the sync.
 */
const QUICKLY_SYNCED = 16 * 1024 * 1024;
/** Largest number of file status calls under way at one time. */
const LOOKS = 16;

/** Files of one torrent. */
export class DiskFiles {
  /** Open files. */
  readonly open: OpenFiles;
  readonly #map: FileMap;
  readonly #fs: FileSystem;
  readonly #options: DiskFilesOptions;
  readonly #files: readonly DiskFile[];
  /** Whether files may be created and changed: only once it is certain that all of them are ours. */
  #writable = false;
  #closed = false;
  /** Unfinished files that were written since their modification times were recorded. */
  readonly #touched = new Set<number>();
  #folders: Folders;
  /** Where the data was found; `null` unless nothing may be changed. */
  #place: DataPlace | null = null;
  readonly #locks: PathLocks;

  /** @throws {StorageError} If a path of the torrent could lead out of the folder. */
  constructor(map: FileMap, options: DiskFilesOptions) {
    this.#map = map;
    this.#fs = options.files;
    this.#options = options;
    this.#folders = new Folders(options.files);
    this.#locks = new PathLocks(options.files);
    const partFile = { folder: null, final: "", part: options.partName ?? "" };
    this.#files = [...nameFiles(map.layout), partFile].map((names) => ({ names, ...ABSENT_FILE }));
    const limit = Math.max(1, options.maxOpenFiles);
    this.open = new OpenFiles((index) => this.#openFile(index), limit, HandleBudget.of(options.files));
  }

  /**
   * Absolute path of the download folder; empty until {@linkcode DiskFiles.findRoot} or {@linkcode DiskFiles.scan} has
   * run.
   */
  get root(): string {
    return this.#folders.root;
  }

  /**
   * Returns the status of the files, in the torrent's order, followed by the partfile. Files that are not ours count as
   * absent.
   */
  records(): FileRecord[] {
    return this.#files.map(({ place, size, modified, foreign }) => foreign ? ABSENT_FILE : { place, size, modified });
  }

  /** Returns where the data of a file is. */
  placeOf(index: number): FilePlace {
    return this.#files[index]!.place;
  }

  /**
   * Finds the download folder, and creates the folder if it is missing and may be created.
   *
   * @returns Absolute path of the folder, without links.
   * @throws {ShoalError} If the folder can't be created or found.
   */
  async findRoot(): Promise<string> {
    const { folder, readOnly } = this.#options;
    if (readOnly) {
      const pathsOf = (index: number) => this.#options.pathsOf?.(index) ?? [];
      this.#place = await placeFiles(this.#files, this.#map.layout, { fs: this.#fs, path: folder, pathsOf });
      this.#folders.root = this.#place.root;
    } else {
      await this.#fs.makeFolder(folder);
      this.#folders.root = (await this.#fs.realPath(folder)).replace(/[/\\]$/, "");
    }
    return this.root;
  }

  /** Absolute path of what the user has named, if nothing may be changed; else of the download folder. */
  get place(): string {
    return this.#place?.path ?? this.root;
  }

  /**
   * Looks at all places where files of the torrent are or will be. Creates the download folder, and nothing else.
   *
   * @throws {ShoalError} If something else is in the place of a file or a folder.
   */
  async scan(): Promise<void> {
    if (this.root === "") await this.findRoot();
    const { partName, readOnly } = this.#options;
    const place = this.#place;
    if (partName !== undefined) {
      const partFile = this.#files.at(-1)!;
      const { length } = this.#map.file(this.#map.partFile);
      const path = `${this.#rootOf(partFile)}/${partName}`;
      Object.assign(partFile, await findPartFile(path, { fs: this.#fs, length, readOnly }));
    }
    const pathsOf = (index: number) => {
      const paths = this.#options.pathsOf?.(index) ?? [];
      return place === null ? paths : paths.map((path) => pathAt(place, path)).filter((path) => path.length > 0);
    };
    await new FileLocator(this.#map, { fs: this.#fs, files: this.#files, folders: this.#folders, readOnly, pathsOf })
      .run();
  }

  /**
   * Allows files to be created and changed from now on. Closes the files that were open for reading.
   *
   * @throws {StorageError} If another torrent of this process is writing one of the files.
   */
  async allowWrites(): Promise<void> {
    await this.open.closeAll();
    if (this.#options.readOnly) return;
    for (const file of this.#files) if (file.place === "part") this.#claim(file);
    this.#writable = true;
  }

  /**
   * Closes all files and releases their locks.
   *
   * @throws {ShoalError} The first failure, after the other files were closed.
   */
  async close(): Promise<void> {
    // A read that runs across several files may be at any of them; the flag keeps the read from opening the next file.
    this.#closed = true;
    try {
      await this.open.closeAll();
    } finally {
      this.#locks.dropAll();
    }
  }

  /**
   * Called before the last byte of a file is written. If another program has truncated the file, that write would
   * restore its size and leave a hole.
   *
   * @param index Index of the file.
   * @param handle Open handle of the file.
   * @throws {StorageError} If the file no longer has its full size.
   */
  async checkSize(index: number, handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    if (size !== this.#map.file(index).length) throw changedByOthers(this.pathOf(index));
  }

  /**
   * Reads bytes of the torrent. Padding reads as zeros.
   *
   * @param offset Offset of the first byte in the torrent.
   * @param into Buffer to fill completely.
   * @throws {ShoalError} If a file can't be read or ends too early.
   */
  read(offset: number, into: Bytes): Promise<void> {
    return readRanges(this, { ranges: this.#map.ranges(offset, into.length), into });
  }

  /** Records that bytes of a file were written. */
  wrote(index: number): void {
    this.#touched.add(index);
  }

  /** Records the modification times of the unfinished files that were written since the last call. */
  async noteTimes(): Promise<void> {
    const touched = [...this.#touched];
    this.#touched.clear(); // later writes are left to the next call
    await forEachLimited(touched, LOOKS, async (index) => {
      const file = this.#files[index]!;
      if (file.place !== "part") return;
      try {
        const info = await this.#fs.stat(this.pathOf(index));
        // A file that was replaced by another one must not be trusted at the next start.
        const modified = info === null || !this.#isSame(index, info) ? 0 : wholeTime(info.modified);
        if (file.place === "part") file.modified = modified;
      } catch (error) {
        this.#touched.add(index);
        throw error;
      }
    });
  }

  /** Creates the wanted files of length 0, which are complete at once. */
  async makeEmptyFiles(): Promise<void> {
    await forEachLimited(this.#map.layout.files, LOOKS, async (layout, index) => {
      const file = this.#files[index]!;
      if (layout.length > 0 || layout.pad || layout.symlink !== null || file.place === "final") return;
      if (!this.#map.isWanted(index)) return;
      this.#note(file, await makeEmptyFile(file.names, { fs: this.#fs, folders: this.#folders }));
      file.place = "final";
    });
  }

  /** Marks a file as not ours. It is left out of the resume state, and is at most read. */
  markForeign(index: number): void {
    const file = this.#files[index]!;
    if (file.place === "part") Object.assign(file, ABSENT_FILE);
    else file.foreign = true;
  }

  /**
   * Removes the partfile, if it exists.
   *
   * @throws {ShoalError} If the partfile can't be removed.
   */
  async removePartFile(): Promise<void> {
    const file = this.#files.at(-1)!;
    if (file.place === "absent") return;
    await this.open.exclusive(this.#map.partFile, async () => {
      const path = this.pathOf(this.#map.partFile);
      await this.#fs.remove(path);
      this.#locks.drop(path);
      Object.assign(file, ABSENT_FILE);
    });
  }

  /**
   * Renames a file that was found under its final name to its `.part` name.
   *
   * @throws {ShoalError} If the `.part` name is taken, or the file can't be renamed.
   */
  async renameToPart(index: number): Promise<void> {
    const file = this.#files[index]!;
    await this.open.exclusive(index, () => this.#adopt(file));
  }

  async #adopt(file: DiskFile): Promise<void> {
    const part = this.#claim(file);
    const there = await this.#fs.stat(part);
    if (there !== null) throw pathConflict(part, wordsFor(there.kind));
    await this.#fs.rename(`${this.#rootOf(file)}/${file.names.final}`, part);
    file.place = "part";
  }

  /**
   * Renames a file that has lost a piece from its final name to its `.part` name, if the file exists and is ours.
   *
   * @returns Current size of the file in bytes.
   * @throws {ShoalError} If the file was replaced by another one, or can't be renamed.
   */
  async unfinish(index: number, { isOurs }: UnfinishOptions): Promise<number> {
    const file = this.#files[index]!;
    if (file.place !== "final" || file.foreign) return file.size;
    return await this.open.exclusive(index, async () => {
      const info = await this.#fs.stat(this.pathOf(index));
      if (info === null) {
        Object.assign(file, ABSENT_FILE);
        return 0;
      }
      const isAsLeft = info.size === file.size && wholeTime(info.modified) === file.modified;
      const fits = info.kind === "file" && info.size <= this.#map.file(index).length;
      if (!fits || !(isOurs || isAsLeft)) throw changedByOthers(this.pathOf(index));
      await this.#adopt(file);
      this.#note(file, info);
      file.id = info.id;
      return info.size;
    });
  }

  /**
   * Returns `true` if a file under its final name may be correct or partly correct although none of its pieces was
   * verified: the part that could have been verified, because it lies in pieces of this file alone, is all zeros.
   *
   * @throws {ShoalError} If the file can't be read.
   */
  async mayBeRight(index: number): Promise<boolean> {
    return await isBlank(this.pathOf(index), { fs: this.#fs, ...this.#map.ownRange(index) });
  }

  /**
   * Leaves a file under its final name untouched until the torrent's data for it is known. That data is downloaded to
   * the `.part` file beside it.
   *
   * @throws {ShoalError} If something else is in the place of the `.part` file.
   */
  async setAside(index: number): Promise<void> {
    const file = this.#files[index]!;
    const path = `${this.#folders.root}/${file.names.part}`;
    await this.open.exclusive(index, async () => {
      const part = await this.#fs.stat(path);
      if (part !== null && part.kind !== "file") throw pathConflict(path, wordsFor(part.kind));
      Object.assign(file, ABSENT_FILE, { aside: true });
      if (part === null) return;
      this.#note(file, part);
      file.id = part.id;
      file.place = "part";
    });
  }

  /**
   * Removes the `.part` file beside a file under its final name, if the `.part` file is empty or ours.
   *
   * @param index Index of the file.
   * @param isOurs Returns `true` if the `.part` file is ours.
   * @throws {ShoalError} If the `.part` file can't be removed.
   */
  async removeOwnPart(index: number, isOurs: (spare: FileRecord) => boolean): Promise<void> {
    const file = this.#files[index]!;
    const path = `${this.#folders.root}/${file.names.part}`;
    const info = file.doubled && file.place === "final" ? await this.#fs.stat(path) : null;
    if (info?.kind !== "file") return;
    const isSpare = info.size === 0 || isOurs({ place: "part", size: info.size, modified: wholeTime(info.modified) });
    if (!isSpare) return;
    await this.#fs.remove(path);
    file.doubled = false;
  }

  /**
   * Waits until the data of an unfinished file is on the device. Uses a handle of its own, so that writing can go on
   * meanwhile.
   *
   * @throws {ShoalError} If another program has changed the file, or a call fails.
   */
  async sync(index: number): Promise<void> {
    const file = this.#files[index]!;
    if (file.place !== "part") return;
    const handle = await this.#openAgain(index);
    await closingAfter(handle, async () => {
      const { length } = this.#map.file(index);
      if (file.size !== length) { // the file was found with another size, and nothing had to be written to it
        this.#touched.add(index);
        await handle.truncate(length);
        file.size = length;
      }
      await handle.sync();
    });
  }

  /**
   * Gives an unfinished file its final name. All its pieces are verified and written; this call syncs the file first.
   * An existing file under the final name is kept if it has the same bytes, and replaced if it holds a part of them and
   * nothing else.
   *
   * @returns An error if a different file has been under the final name from the beginning, so that both files stay;
   * else `null`.
   * @throws {ShoalError} If a different file has appeared under the final name, another program has changed the file,
   * or a call fails.
   */
  async finish(index: number): Promise<StorageError | null> {
    const file = this.#files[index]!;
    if (file.place !== "part") return null;
    await this.#syncLast(index);
    return await this.open.exclusive(index, async () => {
      const final = `${this.#rootOf(file)}/${file.names.final}`;
      const part = this.pathOf(index);
      let info = await this.#fs.stat(part);
      this.#checkSame(index, info);
      const there = await this.#fs.stat(final);
      const likeness = there === null
        ? "part"
        : there.kind === "file" && there.size <= file.size
        ? await compareFiles({ right: part, other: final }, this.#fs)
        : "different";
      if (likeness === "different") {
        if (file.aside) return otherFile(final, part);
        throw pathConflict(final, "something came into the place of the file");
      }
      if (likeness === "part") await this.#fs.rename(part, final);
      else {
        await this.#fs.remove(part);
        info = there;
      }
      this.#locks.drop(part);
      this.#note(file, info);
      file.place = "final"; // set together with the time, so that no resume state holds only one of the two
      return null;
    });
  }

  /**
   * Creates the wanted symbolic links (BEP 47). Skips a link whose target does not exist or lies outside the folder.
   *
   * @throws {ShoalError} If something else is in the place of a link, or a link can't be created.
   */
  async makeLinks(): Promise<void> {
    const wanted = this.#map.layout.files.filter((_, index) => this.#map.isWanted(index));
    await makeLinks(wanted, { fs: this.#fs, folders: this.#folders });
  }

  /**
   * Returns the path of the first file that exists under both its names, or `null` if there is none.
   *
   * @param indexes Indexes of the files to look at.
   */
  firstDuplicate(indexes: readonly number[]): string | null {
    const index = indexes.find((index) => this.#files[index]!.doubled);
    return index === undefined ? null : this.pathOf(index);
  }

  /** Returns the path of a file, for example for an error message. */
  pathOf(index: number): string {
    const file = this.#files[index]!;
    if (file.source !== "") return file.source;
    return `${this.#rootOf(file)}/${this.#nameOf(file)}`;
  }

  /** Returns the path of a file under its final name, whether or not it is there. */
  finalPathOf(index: number): string {
    const file = this.#files[index]!;
    return `${this.#rootOf(file)}/${file.names.final}`;
  }

  /** All files of the torrent, whether or not they exist, followed by the partfile. */
  get all(): readonly Readonly<DiskFile>[] {
    return this.#files;
  }

  /**
   * Moves a file to another folder while no handle of it is open, and uses it there from then on.
   *
   * @param index Index of a file that exists.
   * @param root Absolute path of the folder, without links.
   * @param move Moves the file from the first path to the second.
   * @throws {ShoalError} If the file can't be moved.
   */
  async relocate(index: number, root: string, move: (from: string, to: string) => Promise<void>): Promise<void> {
    const file = this.#files[index]!;
    await this.open.exclusive(index, async () => {
      const from = this.pathOf(index);
      const to = `${root}/${this.#nameOf(file)}`;
      if (file.place === "part" && !this.#locks.take(to)) {
        throw pathConflict(to, "another torrent is being downloaded to it");
      }
      try {
        await move(from, to);
      } catch (error) {
        this.#locks.drop(to);
        throw error;
      }
      this.#locks.drop(from);
      file.root = root;
      const info = await this.#fs.stat(to);
      this.#note(file, info);
      file.id = info?.id ?? null;
    });
  }

  /**
   * Makes another folder the download folder. Files that were not moved there are still read from the old folder.
   *
   * @param root Absolute path of the folder, without links.
   */
  moveTo(root: string): void {
    const before = this.#folders.root;
    this.#folders = new Folders(this.#fs);
    this.#folders.root = root;
    for (const file of this.#files) {
      file.aside = false; // a file that was in the way stays in the old folder
      if (file.root === root) delete file.root;
      else if (file.place !== "absent") file.root ??= before;
    }
  }

  #rootOf(file: DiskFile): string {
    return file.root ?? this.#folders.root;
  }

  #nameOf({ names, place }: DiskFile): string {
    return place === "final" || (this.#options.readOnly && place === "absent") ? names.final : names.part;
  }

  #note(file: DiskFile, info: FileInfo | null): void {
    file.size = info?.size ?? 0;
    file.modified = wholeTime(info?.modified ?? 0);
  }

  /**
   * Syncs a file that will not be written any more, as {@linkcode DiskFiles.sync} does. A small file is synced through
   * its shared handle, because reads of it can wait that long.
   */
  async #syncLast(index: number): Promise<void> {
    const handle = this.#map.file(index).length <= QUICKLY_SYNCED ? this.open.tryAcquire(index) : null;
    if (handle === null) return await this.sync(index);
    try {
      await handle.sync();
    } finally {
      this.open.release(index);
    }
  }

  async #openFile(index: number): Promise<FileHandle> {
    if (this.#closed) throw closedError(this.#folders.root);
    const file = this.#files[index]!;
    if (!this.#writable || file.place === "final") return await this.#openToRead(index);
    const handle = file.place === "absent" ? await this.#make(index) : await this.#openAgain(index);
    const { length } = this.#map.file(index);
    // The file gets its full size at once: unwritten parts take no space, and pieces arrive in any order.
    this.#touched.add(index);
    if (file.size !== length) await closingOnFailure(handle, () => handle.truncate(length));
    file.size = length;
    return handle;
  }

  async #openToRead(index: number): Promise<FileHandle> {
    const file = this.#files[index]!;
    try {
      return await this.#fs.open(this.pathOf(index), "read");
    } catch (error) {
      const mayBeDone = this.#options.readOnly && file.place === "part" && file.names.final !== "";
      if (!mayBeDone || !isFileFault(error, "missing")) throw error;
      // Another process has finished the file.
      const handle = await this.#fs.open(`${this.#rootOf(file)}/${file.names.final}`, "read");
      file.place = "final";
      return handle;
    }
  }

  /** Creates an unfinished file. */
  async #make(index: number): Promise<FileHandle> {
    const file = this.#files[index]!;
    await this.#folders.make(file.names.folder);
    const path = this.#claim(file);
    let handle;
    try {
      handle = await this.#fs.open(path, "create");
    } catch (error) {
      this.#locks.drop(path);
      const there = isFileFault(error, "exists") ? await this.#fs.stat(path) : null;
      throw there === null ? error : pathConflict(path, wordsFor(there.kind));
    }
    // The file exists from here on, even if a later call fails.
    file.place = "part";
    file.size = 0;
    file.id = (await closingOnFailure(handle, () => handle.stat())).id;
    return handle;
  }

  /** Opens an existing unfinished file for writing. */
  async #openAgain(index: number): Promise<FileHandle> {
    let handle;
    try {
      handle = await this.#fs.open(this.pathOf(index), "update");
    } catch (error) {
      throw isFileFault(error, "missing") ? changedByOthers(this.pathOf(index)) : error;
    }
    await closingOnFailure(handle, async () => this.#checkSame(index, await handle.stat()));
    return handle;
  }

  /** Throws if an unfinished file is not the one that was found or created. */
  #checkSame(index: number, info: FileInfo | null): void {
    if (info === null || !this.#isSame(index, info)) throw changedByOthers(this.pathOf(index));
  }

  #isSame(index: number, info: FileInfo): boolean {
    return isSameFile(info, this.#files[index]!, this.#map.file(index));
  }

  /** Locks the path of an unfinished file against other torrents of this process, and returns the path. */
  #claim(file: DiskFile): string {
    const path = `${this.#rootOf(file)}/${file.names.part}`;
    if (this.#locks.take(path)) return path;
    throw pathConflict(path, "another torrent is being downloaded to it");
  }
}
