/**
 * The files of one torrent on disk: finding, making, reading, syncing and naming them.
 *
 * Everything that is made here is made below the download folder, and never through a symbolic link below it: a torrent
 * that was downloaded before may have left one.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { FileHandle, FileSystem } from "../platform/platform.ts";
import { pathConflict, StorageError } from "./errors.ts";
import type { PieceMap, StorageFile } from "./layout.ts";
import { checkComponents, type FileNames, nameFiles } from "./names.ts";
import { OpenFiles } from "./open_files.ts";
import { forEachLimited } from "./limited.ts";
import type { FileRecord, Place } from "./resume_state.ts";

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
}

/** One file and what is known of it on disk. */
interface DiskFile {
  readonly names: FileNames;
  place: Place;
  size: number;
  modified: number;
  /** Where it is read from; differs from the final name only where a link is followed. */
  source: string;
  /** Whether there is a `.part` file beside the final one. */
  doubled: boolean;
}

/** How many calls to look at files are under way at one time. */
const LOOKS = 16;

/** The files of one torrent. */
export class DiskFiles {
  /** The files that are open. */
  readonly open: OpenFiles;
  readonly #map: PieceMap;
  readonly #fs: FileSystem;
  readonly #options: DiskFilesOptions;
  readonly #files: readonly DiskFile[];
  /** Absolute path of the download folder. */
  #root = "";
  /** Whether files may be made and changed; not before it is clear that none of them is somebody else's. */
  #writable = false;
  /** Folders below it that are known to be real folders. */
  readonly #folders = new Set<string>();

  /**
   * @param map The torrent.
   * @param options Where and how.
   * @throws {StorageError} If a path of the torrent could lead out of the folder.
   */
  constructor(map: PieceMap, options: DiskFilesOptions) {
    this.#map = map;
    this.#fs = options.files;
    this.#options = options;
    this.#files = nameFiles(map.layout).map((names) => (
      { names, place: "absent", size: 0, modified: 0, source: "", doubled: false }
    ));
    this.open = new OpenFiles((index) => this.#openFile(index), Math.max(1, options.maxOpenFiles));
  }

  /** Absolute path of the download folder, once {@linkcode DiskFiles.scan} has run. */
  get root(): string {
    return this.#root;
  }

  /** @returns What is known of the files, in the order of the torrent. */
  records(): FileRecord[] {
    return this.#files.map(({ place, size, modified }) => ({ place, size, modified }));
  }

  /**
   * @param index A file.
   * @returns Where it is.
   */
  placeOf(index: number): Place {
    return this.#files[index]!.place;
  }

  /**
   * Looks at all places where files of the torrent are or will be. Makes the download folder itself, nothing else.
   *
   * @throws {ShoalError} If something else is in the place of a file or a folder.
   */
  async scan(): Promise<void> {
    if (!this.#options.readOnly) await this.#fs.makeFolder(this.#options.folder);
    this.#root = (await this.#fs.realPath(this.#options.folder)).replace(/[/\\]$/, "");
    const folders = new Map<string, Promise<boolean>>();
    await forEachLimited(this.#map.layout.files, LOOKS, async (layout, index) => {
      const file = this.#files[index]!;
      if (layout.pad || !await this.#foldersAreThere(file.names.folders, folders)) return;
      if (this.#options.readOnly) await this.#findToRead(file);
      else await this.#find(file, layout);
    });
  }

  /** From here on files may be made and changed. Closes those that were open for reading. */
  async allowWrites(): Promise<void> {
    await this.open.closeAll();
    this.#writable = !this.#options.readOnly;
  }

  /**
   * Reads bytes of the torrent; padding reads as zeros.
   *
   * @param offset First byte, counted over the whole torrent.
   * @param into Where to; filled whole.
   * @throws {ShoalError} If a file can't be read or ends too early.
   */
  async read(offset: number, into: Bytes): Promise<void> {
    let filled = 0;
    for (const range of this.#map.ranges(offset, into.length)) {
      into.fill(0, filled, range.at);
      filled = range.at + range.length;
      const handle = this.open.tryAcquire(range.file) ?? await this.open.acquire(range.file);
      try {
        const part = into.subarray(range.at, filled);
        const length = await handle.read(part, range.position);
        if (length < part.length) {
          const why = `it ends at byte ${range.position + length}, but has had more`;
          throw new StorageError({ what: "cannot read", where: this.#path(range.file), why });
        }
      } finally {
        this.open.release(range.file);
      }
    }
    into.fill(0, filled);
  }

  /**
   * Notes sizes and times of the unfinished files: they change with every write, so this is for when writing is over.
   */
  async lookAtUnfinished(): Promise<void> {
    await forEachLimited(this.#files, LOOKS, async (file, index) => {
      if (file.place === "part") await this.#note(file, this.#path(index));
    });
  }

  /** Makes the empty files, which are whole from the start. */
  async makeEmptyFiles(): Promise<void> {
    await forEachLimited(this.#map.layout.files, LOOKS, async (layout, index) => {
      const file = this.#files[index]!;
      if (layout.length > 0 || layout.pad || layout.symlink !== null || file.place === "final") return;
      await this.#makeFolders(file.names.folders);
      const path = `${this.#root}/${file.names.final}`;
      const handle = await this.#fs.open(path, "write");
      await handle.close();
      file.place = "final";
      await this.#note(file, path);
    });
  }

  /**
   * Gives a file that was there under its final name the name of an unfinished one.
   *
   * @param index The file.
   */
  async adopt(index: number): Promise<void> {
    const { names } = this.#files[index]!;
    await this.open.exclusive(index, async () => {
      await this.#fs.rename(`${this.#root}/${names.final}`, `${this.#root}/${names.part}`);
      this.#files[index]!.place = "part";
    });
  }

  /**
   * Waits until an unfinished file's data is on the device. Uses a handle of its own, so that writing can go on
   * meanwhile.
   *
   * @param index The file.
   */
  async sync(index: number): Promise<void> {
    const file = this.#files[index]!;
    if (file.place !== "part") return;
    const handle = await this.#fs.open(this.#path(index), "write");
    try {
      const { length } = this.#map.layout.files[index]!;
      if (file.size !== length) { // it was like that when it was found, and nothing had to be written
        await handle.truncate(length);
        file.size = length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /**
   * Gives a file whose pieces are all verified and written its final name. Its data is on the device before.
   *
   * @param index The file.
   * @throws {ShoalError} If something has come into its place, or a call fails.
   */
  async finish(index: number): Promise<void> {
    const file = this.#files[index]!;
    if (file.place !== "part") return;
    await this.sync(index);
    await this.open.exclusive(index, async () => {
      const final = `${this.#root}/${file.names.final}`;
      if (await this.#fs.stat(final) !== null) throw pathConflict(final, "something came into the place of the file");
      await this.#fs.rename(this.#path(index), final);
      try {
        await this.#note(file, final);
      } finally {
        file.place = "final"; // together with the time, so that no resume state has one without the other
      }
    });
  }

  /**
   * Makes the symbolic links (BEP 47). A link that leads to nothing in the folder is left out, as is one that leads
   * outside.
   */
  async makeLinks(): Promise<void> {
    let todo = this.#map.layout.files.filter((file) => file.symlink !== null);
    // A link may lead to another link, which must be there first.
    for (let before = -1; todo.length > 0 && todo.length !== before;) {
      before = todo.length;
      const left: StorageFile[] = [];
      for (const file of todo) if (!await this.#makeLink(file)) left.push(file);
      todo = left;
    }
  }

  /** @returns The first file that is there twice, under both names, among `indexes`; `null` when there is none. */
  doubled(indexes: readonly number[]): string | null {
    const index = indexes.find((index) => this.#files[index]!.doubled);
    return index === undefined ? null : this.#path(index);
  }

  /**
   * @param index A file.
   * @returns Its path, for an error line.
   */
  pathOf(index: number): string {
    return this.#path(index);
  }

  async #note(file: DiskFile, path: string): Promise<void> {
    const info = await this.#fs.stat(path);
    file.size = info?.size ?? 0;
    file.modified = wholeTime(info?.modified ?? 0);
  }

  async #makeLink({ path, symlink }: StorageFile): Promise<boolean> {
    checkComponents(path);
    checkComponents(symlink!);
    const target = `${this.#root}/${symlink!.join("/")}`;
    if (await this.#fs.stat(target) === null) return false;
    if (!`${await this.#fs.realPath(target)}/`.startsWith(`${this.#root}/`)) return false;
    const folders = path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join("/"));
    await this.#makeFolders(folders);
    const up = "../".repeat(folders.length);
    await this.#fs.link(`${up}${symlink!.join("/")}`, `${this.#root}/${path.join("/")}`);
    return true;
  }

  async #find(file: DiskFile, layout: StorageFile): Promise<void> {
    const final = `${this.#root}/${file.names.final}`;
    const there = await this.#fs.stat(final);
    if (layout.symlink !== null) {
      if (there !== null && there.kind !== "link") {
        throw pathConflict(final, `a ${there.kind} is in the place of a link`);
      }
      return;
    }
    if (there !== null && there.kind !== "file") throw pathConflict(final, wordsFor(there.kind));
    if (there !== null && there.size > layout.length) {
      throw pathConflict(final, `the file there has ${there.size} bytes, the one in the torrent ${layout.length}`);
    }
    const path = `${this.#root}/${file.names.part}`;
    const part = file.names.part === "" ? null : await this.#fs.stat(path);
    if (part !== null && part.kind !== "file") throw pathConflict(path, wordsFor(part.kind));
    const info = there ?? part;
    if (info === null) return;
    file.place = there ? "final" : "part";
    file.size = info.size;
    file.modified = wholeTime(info.modified);
    file.doubled = there !== null && part !== null;
  }

  async #findToRead(file: DiskFile): Promise<void> {
    const final = `${this.#root}/${file.names.final}`;
    let info = await this.#fs.stat(final);
    if (info?.kind === "link") {
      file.source = await this.#fs.realPath(final);
      info = await this.#fs.stat(file.source);
    }
    if (info?.kind !== "file") return;
    file.place = "final";
    file.size = info.size;
    file.modified = wholeTime(info.modified);
  }

  /** Whether all of `folders`, outermost first, are there. Looks at each only once. */
  async #foldersAreThere(folders: readonly string[], seen: Map<string, Promise<boolean>>): Promise<boolean> {
    if (this.#options.readOnly) return true; // links are followed, and what is missing shows with the file
    for (const folder of folders) {
      let look = seen.get(folder);
      if (look === undefined) seen.set(folder, look = this.#folderIsThere(folder));
      if (!await look) return false;
    }
    return true;
  }

  async #folderIsThere(folder: string): Promise<boolean> {
    if (this.#folders.has(folder)) return true;
    const path = `${this.#root}/${folder}`;
    const info = await this.#fs.stat(path);
    if (info === null) return false;
    if (info.kind !== "folder") throw pathConflict(path, wordsFor(info.kind, "folder"));
    this.#folders.add(folder);
    return true;
  }

  async #makeFolders(folders: readonly string[]): Promise<void> {
    for (const folder of folders) {
      if (await this.#folderIsThere(folder)) continue;
      await this.#fs.makeFolder(`${this.#root}/${folder}`);
      this.#folders.add(folder);
    }
  }

  async #openFile(index: number): Promise<FileHandle> {
    const file = this.#files[index]!;
    if (!this.#writable || file.place === "final") return await this.#fs.open(this.#path(index), "read");
    const { length } = this.#map.layout.files[index]!;
    if (file.place === "absent") {
      await this.#makeFolders(file.names.folders);
      const path = this.#path(index);
      const there = await this.#fs.stat(path);
      if (there !== null && there.kind !== "file") throw pathConflict(path, wordsFor(there.kind));
    }
    const handle = await this.#fs.open(this.#path(index), "write");
    try {
      // The full size at once: what isn't written yet takes no room, and pieces may come in any order.
      if (file.size !== length) await handle.truncate(length);
    } catch (error) {
      await handle.close();
      throw error;
    }
    file.place = "part";
    file.size = length;
    return handle;
  }

  #path(index: number): string {
    const { names, place, source } = this.#files[index]!;
    if (source !== "") return source;
    return `${this.#root}/${place === "final" || this.#options.readOnly ? names.final : names.part}`;
  }
}

function wordsFor(kind: "file" | "folder" | "link" | "other", place: "file" | "folder" = "file"): string {
  const what = { file: "a file", folder: "a folder", link: "a symbolic link", other: "a device or the like" }[kind];
  return `${what} is in the place of a ${place} of the torrent`;
}

/** Times before 1970, and parts of a millisecond, would not survive in resume state. */
function wholeTime(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds));
}
