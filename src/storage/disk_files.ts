/**
 * The files of one torrent on disk: finding, making, reading, syncing and naming them.
 *
 * Everything that is made here is made below the download folder, and never through a symbolic link below it: a torrent
 * that was downloaded before may have left one.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileHandle, FileInfo, FileSystem } from "../platform/platform.ts";
import { PathLocks } from "./path_locks.ts";
import { changedByOthers, closedError, otherFile, pathConflict, type StorageError } from "./errors.ts";
import { type DiskFile, findPartFile, isSameFile, NOTHING, wholeTime } from "./find_file.ts";
import { FileLocator } from "./locate_files.ts";
import { Folders, wordsFor } from "./folders.ts";
import { compareFiles, isBlank, readRanges } from "./file_io.ts";
import type { FileMap } from "./layout.ts";
import { forEachLimited } from "./limited.ts";
import { closingAfter, closingOnFailure } from "./handles.ts";
import { makeEmptyFile, makeLinks } from "./links.ts";
import { nameFiles } from "./names.ts";
import { HandleBudget, OpenFiles } from "./open_files.ts";
import type { FilePlace, FileRecord } from "./resume_state.ts";

/** Settings of {@linkcode DiskFiles}. */
export interface DiskFilesOptions {
  /** The file system. */
  readonly files: FileSystem;
  /** The download folder. */
  readonly folder: string;
  /** How many files may be open at one time. */
  readonly maxOpenFiles: number;
  /** Whether nothing may be changed: only final names count, and symbolic links are followed. */
  readonly readOnly: boolean;
  /** Name of the partfile; none when absent. Not looked at when nothing may be changed. */
  readonly partName?: string;
  /**
   * All paths at which a file may lie already, the likeliest first; that of the layout is one of them. Just that one when absent.
   * Not asked on Windows, where a name that isn't safe may mean something else.
   */
  pathsOf?(index: number): readonly (readonly string[])[];
}

/** Options for {@linkcode DiskFiles.unfinish}. */
export interface UnfinishOptions {
  /** Whether the file counts as ours even if it was modified, because it holds a verified piece. */
  readonly isOurs: boolean;
}

/** Bytes of a file that is synced through the handle that everybody uses; of a larger one, others would wait for long. */
const QUICKLY_SYNCED = 16 * 1024 * 1024;
/** How many calls to look at files are under way at one time. */
const LOOKS = 16;

/** The files of one torrent. */
export class DiskFiles {
  /** The files that are open. */
  readonly open: OpenFiles;
  readonly #map: FileMap;
  readonly #fs: FileSystem;
  readonly #options: DiskFilesOptions;
  readonly #files: readonly DiskFile[];
  /** Whether files may be made and changed; not before it is clear that none of them is somebody else's. */
  #writable = false;
  #closed = false;
  /** Unfinished files that were changed since their times were looked at. */
  readonly #touched = new Set<number>();
  #folders: Folders;
  readonly #locks: PathLocks;

  /**
   * @param map The torrent.
   * @param options Where and how.
   * @throws {StorageError} If a path of the torrent could lead out of the folder.
   */
  constructor(map: FileMap, options: DiskFilesOptions) {
    this.#map = map;
    this.#fs = options.files;
    this.#options = options;
    this.#folders = new Folders(options.files);
    this.#locks = new PathLocks(options.files);
    const partFile = { folder: null, final: "", part: options.partName ?? "" };
    this.#files = [...nameFiles(map.layout), partFile].map((names) => ({ names, ...NOTHING }));
    const limit = Math.max(1, options.maxOpenFiles);
    this.open = new OpenFiles((index) => this.#openFile(index), limit, HandleBudget.of(options.files));
  }

  /** Absolute path of the download folder, once {@linkcode DiskFiles.scan} has run. */
  get root(): string {
    return this.#folders.root;
  }

  /** @returns What is known of the files, in the order of the torrent, and of the partfile at the end. */
  records(): FileRecord[] {
    return this.#files.map(({ place, size, modified, foreign }) => foreign ? NOTHING : { place, size, modified });
  }

  /**
   * @param index A file.
   * @returns Where it is.
   */
  placeOf(index: number): FilePlace {
    return this.#files[index]!.place;
  }

  /**
   * Finds the download folder, and makes it if need be.
   *
   * @returns Its absolute path, without links.
   * @throws {ShoalError} If that can't be done.
   */
  async findRoot(): Promise<string> {
    if (!this.#options.readOnly) await this.#fs.makeFolder(this.#options.folder);
    this.#folders.root = (await this.#fs.realPath(this.#options.folder)).replace(/[/\\]$/, "");
    return this.root;
  }

  /**
   * Looks at all places where files of the torrent are or will be. Makes the download folder itself, nothing else.
   *
   * @throws {ShoalError} If something else is in the place of a file or a folder.
   */
  async scan(): Promise<void> {
    if (this.root === "") await this.findRoot();
    const { partName, readOnly } = this.#options;
    if (partName !== undefined && !readOnly) {
      const { length } = this.#map.file(this.#map.partFile);
      Object.assign(this.#files.at(-1)!, await findPartFile(`${this.root}/${partName}`, { fs: this.#fs, length }));
    }
    const pathsOf = (index: number) => this.#options.pathsOf?.(index) ?? [];
    await new FileLocator(this.#map, { fs: this.#fs, files: this.#files, folders: this.#folders, readOnly, pathsOf })
      .run();
  }

  /**
   * From here on files may be made and changed. Closes those that were open for reading.
   *
   * @throws {StorageError} If another torrent of this process is writing one of them.
   */
  async allowWrites(): Promise<void> {
    await this.open.closeAll();
    if (this.#options.readOnly) return;
    for (const file of this.#files) if (file.place === "part") this.#claim(file);
    this.#writable = true;
  }

  /**
   * Closes every file, and leaves them to others.
   *
   * @throws {ShoalError} The first failure; the other files are closed all the same.
   */
  async close(): Promise<void> {
    // A read across several files may be at any of them: it gets no further.
    this.#closed = true;
    try {
      await this.open.closeAll();
    } finally {
      this.#locks.dropAll();
    }
  }

  /**
   * To be called before the last byte of a file is written. A file that was cut short by somebody would get its size
   * back by that, with a hole in it.
   *
   * @param index The file.
   * @param handle It, open.
   * @throws {StorageError} If it doesn't have its size any more.
   */
  async checkSize(index: number, handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    if (size !== this.#map.file(index).length) throw changedByOthers(this.pathOf(index));
  }

  /**
   * Reads bytes of the torrent; padding reads as zeros.
   *
   * @param offset First byte, counted over the whole torrent.
   * @param into Where to; filled whole.
   * @throws {ShoalError} If a file can't be read or ends too early.
   */
  read(offset: number, into: Bytes): Promise<void> {
    return readRanges(this, { ranges: this.#map.ranges(offset, into.length), into });
  }

  /**
   * Notes that bytes of a file were written.
   *
   * @param index The file.
   */
  wrote(index: number): void {
    this.#touched.add(index);
  }

  /** Notes the times of the unfinished files that were changed since the last call. */
  async noteTimes(): Promise<void> {
    const touched = [...this.#touched];
    this.#touched.clear(); // what is written meanwhile is for the next time
    await forEachLimited(touched, LOOKS, async (index) => {
      const file = this.#files[index]!;
      if (file.place !== "part") return;
      try {
        const info = await this.#fs.stat(this.pathOf(index));
        // A file that isn't the one that was written must not be believed.
        const modified = info === null || !this.#isSame(index, info) ? 0 : wholeTime(info.modified);
        if (file.place === "part") file.modified = modified;
      } catch (error) {
        this.#touched.add(index);
        throw error;
      }
    });
  }

  /** Makes the empty files that are wanted, which are whole from the start. */
  async makeEmptyFiles(): Promise<void> {
    await forEachLimited(this.#map.layout.files, LOOKS, async (layout, index) => {
      const file = this.#files[index]!;
      if (layout.length > 0 || layout.pad || layout.symlink !== null || file.place === "final") return;
      if (!this.#map.isWanted(index)) return;
      this.#note(file, await makeEmptyFile(file.names, { fs: this.#fs, folders: this.#folders }));
      file.place = "final";
    });
  }

  /**
   * Notes that a file is somebody else's. No resume state tells of it, and it is read at most.
   *
   * @param index The file.
   */
  leave(index: number): void {
    const file = this.#files[index]!;
    if (file.place === "part") Object.assign(file, NOTHING);
    else file.foreign = true;
  }

  /**
   * Removes the partfile, if it is there.
   *
   * @throws {ShoalError} If it can't be removed.
   */
  async removePartFile(): Promise<void> {
    const file = this.#files.at(-1)!;
    if (file.place === "absent") return;
    await this.open.exclusive(this.#map.partFile, async () => {
      const path = this.pathOf(this.#map.partFile);
      await this.#fs.remove(path);
      this.#locks.drop(path);
      Object.assign(file, NOTHING);
    });
  }

  /**
   * Gives a file that was there under its final name the name of an unfinished one.
   *
   * @param index The file.
   */
  async adopt(index: number): Promise<void> {
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
   * Gives a file under its final name that has lost a piece the name of an unfinished one, if it is there at all.
   *
   * @param index The file.
   * @param options See {@linkcode UnfinishOptions}.
   * @returns Its size now.
   * @throws {ShoalError} If it is another file now, or that can't be done.
   */
  async unfinish(index: number, { isOurs }: UnfinishOptions): Promise<number> {
    const file = this.#files[index]!;
    if (file.place !== "final" || file.foreign) return file.size;
    return await this.open.exclusive(index, async () => {
      const info = await this.#fs.stat(this.pathOf(index));
      if (info === null) {
        Object.assign(file, NOTHING);
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
   * Whether a file under its final name, of which no piece was found to be right, may be right nevertheless, or be a part of what
   * is right: it has nothing but zeros wherever it could have been proven right.
   *
   * @param index The file.
   * @throws {ShoalError} If it can't be read.
   */
  async mayBeRight(index: number): Promise<boolean> {
    return await isBlank(this.pathOf(index), { fs: this.#fs, ...this.#map.ownStretch(index) });
  }

  /**
   * Leaves a file under its final name as it is until it is known what belongs there: that is made beside it.
   *
   * @param index The file.
   * @throws {ShoalError} If that can't be done.
   */
  async setAside(index: number): Promise<void> {
    const file = this.#files[index]!;
    const path = `${this.#folders.root}/${file.names.part}`;
    await this.open.exclusive(index, async () => {
      const part = await this.#fs.stat(path);
      if (part !== null && part.kind !== "file") throw pathConflict(path, wordsFor(part.kind));
      Object.assign(file, NOTHING, { aside: true });
      if (part === null) return;
      this.#note(file, part);
      file.id = part.id;
      file.place = "part";
    });
  }

  /**
   * Removes an unfinished file beside a whole one, if it is ours.
   *
   * @param index The file.
   * @param isOurs Judges it.
   * @throws {ShoalError} If that can't be done.
   */
  async removeSpare(index: number, isOurs: (spare: FileRecord) => boolean): Promise<void> {
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
   * Waits until an unfinished file's data is on the device. Uses a handle of its own, so that writing can go on
   * meanwhile.
   *
   * @param index The file.
   * @throws {ShoalError} If somebody else has changed it, or a call fails.
   */
  async sync(index: number): Promise<void> {
    const file = this.#files[index]!;
    if (file.place !== "part") return;
    const handle = await this.#openAgain(index);
    await closingAfter(handle, async () => {
      const { length } = this.#map.file(index);
      if (file.size !== length) { // it was like that when it was found, and nothing had to be written
        this.#touched.add(index);
        await handle.truncate(length);
        file.size = length;
      }
      await handle.sync();
    });
  }

  /**
   * Gives a file whose pieces are all verified and written its final name. Its data is on the device before. A file that is there
   * already stays if it has the same bytes, and is replaced if it has a part of them and nothing else.
   *
   * @param index The file.
   * @returns Why the file has to stay as it is, if another one has been in its place from the beginning; else `null`.
   * @throws {ShoalError} If something has come into its place, somebody else has changed it, or a call fails.
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
      file.place = "final"; // together with the time, so that no resume state has one without the other
      return null;
    });
  }

  /**
   * Makes the symbolic links (BEP 47) that are wanted. A link that leads to nothing in the folder is left out, as is one that leads
   * outside.
   */
  async makeLinks(): Promise<void> {
    const wanted = this.#map.layout.files.filter((_, index) => this.#map.isWanted(index));
    await makeLinks(wanted, { fs: this.#fs, folders: this.#folders });
  }

  /** @returns The first file that is there twice, under both names, among `indexes`; `null` when there is none. */
  doubled(indexes: readonly number[]): string | null {
    const index = indexes.find((index) => this.#files[index]!.doubled);
    return index === undefined ? null : this.pathOf(index);
  }

  /** @returns The path of the file of that `index`, for an error line. */
  pathOf(index: number): string {
    const file = this.#files[index]!;
    if (file.source !== "") return file.source;
    return `${this.#rootOf(file)}/${this.#nameOf(file)}`;
  }

  /** @returns All files with their names below the download folder, there or not, and the partfile at the end. */
  get all(): readonly Readonly<DiskFile>[] {
    return this.#files;
  }

  /**
   * Moves a file to another folder while nobody has it open. From then on it is used there.
   *
   * @param index The file; it is there.
   * @param root Absolute path of the folder, without links.
   * @param move Does it, from one path to the other.
   * @throws {ShoalError} If that can't be done.
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
   * From here on another folder is the download folder. What was not moved there is read where it is.
   *
   * @param root Its absolute path, without links.
   */
  moveTo(root: string): void {
    const before = this.#folders.root;
    this.#folders = new Folders(this.#fs);
    this.#folders.root = root;
    for (const file of this.#files) {
      file.aside = false; // what is in the place of a file stays behind
      if (file.root === root) delete file.root;
      else if (file.place !== "absent") file.root ??= before;
    }
  }

  #rootOf(file: DiskFile): string {
    return file.root ?? this.#folders.root;
  }

  #nameOf({ names, place }: DiskFile): string {
    return place === "final" || this.#options.readOnly ? names.final : names.part;
  }

  #note(file: DiskFile, info: FileInfo | null): void {
    file.size = info?.size ?? 0;
    file.modified = wholeTime(info?.modified ?? 0);
  }

  /** As {@linkcode DiskFiles.sync}, for a file to which nothing will be written any more. Reads of a small one can wait. */
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
    if (!this.#writable || file.place === "final") return await this.#fs.open(this.pathOf(index), "read");
    const handle = file.place === "absent" ? await this.#make(index) : await this.#openAgain(index);
    const { length } = this.#map.file(index);
    // The full size at once: what isn't written yet takes no room, and pieces may come in any order.
    this.#touched.add(index);
    if (file.size !== length) await closingOnFailure(handle, () => handle.truncate(length));
    file.size = length;
    return handle;
  }

  /** Makes an unfinished file that isn't there. */
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
    // From here on it is there, whatever fails.
    file.place = "part";
    file.size = 0;
    file.id = (await closingOnFailure(handle, () => handle.stat())).id;
    return handle;
  }

  /** Opens an unfinished file that has been there before, to write. */
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

  /** Complains when an unfinished file isn't the one that was found or made. */
  #checkSame(index: number, info: FileInfo | null): void {
    if (info === null || !this.#isSame(index, info)) throw changedByOthers(this.pathOf(index));
  }

  #isSame(index: number, info: FileInfo): boolean {
    return isSameFile(info, this.#files[index]!, this.#map.file(index));
  }

  /** Claims an unfinished file. @returns its path. */
  #claim(file: DiskFile): string {
    const path = `${this.#rootOf(file)}/${file.names.part}`;
    if (this.#locks.take(path)) return path;
    throw pathConflict(path, "another torrent is being downloaded to it");
  }
}
