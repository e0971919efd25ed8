/**
 * Finds the files of a torrent on disk, each at one of the paths at which it may be.
 *
 * @module
 */

import type { FileSystem } from "../platform/platform.ts";
import { type DiskFile, findToRead, findToWrite, findWhole, type FoundFile } from "./find_file.ts";
import type { Folders } from "./folders.ts";
import type { FileMap, StorageFile } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";
import { type FileNames, type FolderName, nameElsewhere } from "./file_names.ts";

/** Options for {@linkcode FileLocator}. */
export interface FileLocatorOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Files in the torrent's order. The results are stored in these objects. */
  readonly files: readonly DiskFile[];
  /** Download folder. */
  readonly folders: Folders;
  /** Whether nothing is written. */
  readonly readOnly: boolean;
  /**
   * Returns all paths at which a file may be, the likeliest first; at most one if the file can only be at its own path.
   */
  pathsOf(index: number): readonly (readonly string[])[];
}

/** Largest number of file status calls under way at one time. */
const LOOKS = 16;

/** Looks once at all places where files of a torrent are or will be. */
export class FileLocator {
  readonly #map: FileMap;
  readonly #options: FileLocatorOptions;
  /** What is known about folders. */
  readonly #seen = new Map<FolderName, Promise<boolean>>();

  constructor(map: FileMap, options: FileLocatorOptions) {
    this.#map = map;
    this.#options = options;
  }

  /**
   * Finds all files.
   *
   * @throws {ShoalError} If something else is in the place of a file or a folder.
   */
  async run(): Promise<void> {
    const { files, folders, pathsOf } = this.#options;
    const elsewhere: number[] = [];
    const isWindows = /^[a-z]:|^[/\\]{2}/i.test(folders.root);
    await forEachLimited(this.#map.layout.files, LOOKS, async (layout, index) => {
      if (layout.pad || (layout.symlink !== null && !this.#map.isWanted(index))) return;
      if (!isWindows && layout.symlink === null && pathsOf(index).length > 1) elsewhere.push(index);
      else await this.#findAt(index, files[index]!.names);
    });
    if (elsewhere.length > 0) await this.#findElsewhere(elsewhere);
  }

  /** Finds a file at one path. If the file is to be written, anything else at that path is an error. */
  async #findAt(index: number, names: FileNames): Promise<void> {
    const file = this.#options.files[index]!;
    const where = { fs: this.#options.fs, root: this.#options.folders.root, names };
    // When files are only read, links are followed, and a missing folder shows as a missing file.
    if (this.#options.readOnly) Object.assign(file, await findToRead(where), { names });
    else if (await this.#options.folders.isThere(names.folder, this.#seen)) {
      Object.assign(file, await findToWrite(this.#map.layout.files[index]!, where), { names });
    }
  }

  /**
   * Finds files that may be at several paths, each a different file on disk. A file must have the right size, and the
   * likeliest path of every file is tried first: this way a file whose name had to be changed is not taken for the file
   * whose name it got.
   */
  async #findElsewhere(indexes: readonly number[]): Promise<void> {
    const left = new Set(indexes);
    const taken = new Set<string>();
    const ids = new Set<string | null>();
    for (const [index, { names, id }] of this.#options.files.entries()) {
      if (left.has(index)) continue;
      taken.add(names.final).add(names.part);
      ids.add(id);
    }
    ids.delete(null);
    taken.delete("");
    // An unfinished file must not get a name that is the final name of another file.
    const finals = new Set(indexes.map((index) => this.#options.pathsOf(index)[0]!.join("/")));
    const isTaken = (path: string) => taken.has(path) || finals.has(path);
    const take = async (index: number, paths: readonly (readonly string[])[]): Promise<void> => {
      const layout = this.#map.layout.files[index]!;
      const own = this.#options.files[index]!.names;
      for (const path of paths) {
        const final = path.join("/");
        const names = final === own.final ? own : nameElsewhere(path, { layout, isTaken });
        if (names === null || taken.has(names.final) || taken.has(names.part)) continue;
        const found = await this.#lookAt(names, layout);
        if (found === null || ids.has(found.id) || taken.has(names.final)) continue;
        taken.add(names.final).add(names.part).delete("");
        if (found.id !== null) ids.add(found.id);
        left.delete(index);
        return void Object.assign(this.#options.files[index]!, found, { names });
      }
    };
    await forEachLimited(indexes, LOOKS, (index) => take(index, this.#options.pathsOf(index).slice(0, 1)));
    await forEachLimited([...left], LOOKS, (index) => take(index, this.#options.pathsOf(index).slice(1)));
    await forEachLimited([...left], LOOKS, async (index) => {
      const own = this.#options.files[index]!.names;
      // A file of the wrong size is more informative for a reader than a missing file.
      for (const path of this.#options.readOnly ? this.#options.pathsOf(index) : []) {
        const names = nameElsewhere(path, { layout: this.#map.layout.files[index]!, isTaken });
        if (names === null || taken.has(names.final)) continue;
        await this.#findAt(index, names);
        if (this.#options.files[index]!.place !== "absent") return;
      }
      await this.#findAt(index, own);
    });
  }

  async #lookAt(names: FileNames, layout: StorageFile): Promise<FoundFile | null> {
    const where = { fs: this.#options.fs, root: this.#options.folders.root, names };
    if (this.#options.readOnly) {
      const found = await findToRead(where);
      return found.place === "final" && found.size === layout.length ? found : null;
    }
    return await this.#options.folders.isReal(names.folder) ? await findWhole(layout, where) : null;
  }
}
