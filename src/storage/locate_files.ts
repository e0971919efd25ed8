/**
 * Finding the files of a torrent on disk, each at one of the paths at which it may lie.
 *
 * @module
 */

import type { FileSystem } from "../platform/platform.ts";
import { type DiskFile, findToRead, findToWrite, findWhole, type FoundFile } from "./find_file.ts";
import type { Folders } from "./folders.ts";
import type { FileMap, StorageFile } from "./layout.ts";
import { forEachLimited } from "./limited.ts";
import { type FileNames, type FolderName, nameElsewhere } from "./names.ts";

/** What {@linkcode FileLocator} works with. */
export interface FileLocatorOptions {
  /** The file system. */
  readonly fs: FileSystem;
  /** The files in the order of the torrent; what is found is noted there. */
  readonly files: readonly DiskFile[];
  /** The download folder. */
  readonly folders: Folders;
  /** Whether nothing is to be written. */
  readonly readOnly: boolean;
  /** All paths at which a file may lie, the likeliest first; none or one when it has no other than its own. */
  pathsOf(index: number): readonly (readonly string[])[];
}

/** How many calls to look at files are under way at one time. */
const LOOKS = 16;

/** Looks once at all places where files of a torrent are or will be. */
export class FileLocator {
  readonly #map: FileMap;
  readonly #options: FileLocatorOptions;
  /** What is known of folders. */
  readonly #seen = new Map<FolderName, Promise<boolean>>();

  /**
   * @param map The torrent.
   * @param options What to work with.
   */
  constructor(map: FileMap, options: FileLocatorOptions) {
    this.#map = map;
    this.#options = options;
  }

  /**
   * Looks.
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

  /** Finds a file at one path; whatever else is there is in its way if it is to be written. */
  async #findAt(index: number, names: FileNames): Promise<void> {
    const file = this.#options.files[index]!;
    const where = { fs: this.#options.fs, root: this.#options.folders.root, names };
    // To read, links are followed, and a folder that is missing shows with the file.
    if (this.#options.readOnly) Object.assign(file, await findToRead(where), { names });
    else if (await this.#options.folders.isThere(names.folder, this.#seen)) {
      Object.assign(file, await findToWrite(this.#map.layout.files[index]!, where), { names });
    }
  }

  /**
   * Finds files that may lie at several paths. No two of them are the same file on disk. The right size counts, at the likeliest
   * path first for all of them: by that a file whose name had to be changed is not taken for the one whose name it got.
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
    // A file may lie under the name that another one would have until it is whole.
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
      // What has another size tells more when it is read than that nothing is there.
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
