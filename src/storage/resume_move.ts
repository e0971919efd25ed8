/**
 * Brings the files of an interrupted move together in one folder; see `move_files.ts`.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileSystem } from "../platform/platform.ts";
import { copyFile } from "./copy_file.ts";
import { compareFiles } from "./file_io.ts";
import { type Folders } from "./folders.ts";
import type { FileMap } from "./layout.ts";
import { checkLink } from "./links_and_empty_files.ts";
import { foldersAt, removeEmptyFolders, syncName } from "./move_files.ts";
import { type FileNames, nameElsewhere, nameFiles, partFileName, stagingName } from "./file_names.ts";
import type { FileRecord, ResumeState } from "./resume_state.ts";

/** Options for {@linkcode joinFolders}. */
export interface JoinOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Absolute path of the folder that gets all files, without links. */
  readonly root: string;
  /** Absolute path of the other folder, without links. */
  readonly other: string;
  /** Resume states of both folders, which tell which files are ours. */
  readonly states: readonly ResumeState[];
  /** Returns all paths at which a file may be, if there are several. */
  pathsOf(index: number): readonly (readonly string[])[];
}

/**
 * Brings the files of a torrent together in one folder. A file that is in both folders, because it was copied, is
 * removed from the other folder if both copies are equal, byte by byte.
 *
 * @param map Layout of the torrent.
 * @param options See {@linkcode JoinOptions}.
 * @throws {ShoalError} If the files can't be brought together. The call can be repeated.
 */
export async function joinFolders(map: FileMap, options: JoinOptions): Promise<void> {
  const { fs, infoHash, root, other, states, pathsOf } = options;
  const staging = stagingName(infoHash);
  const own = nameFiles(map.layout);
  const joining = new Joining({ fs, here: foldersAt(root, fs), there: foldersAt(other, fs), staging });
  const folders = [];
  for (const [index, file] of map.layout.files.entries()) {
    if (file.pad) continue;
    const more = pathsOf(index).map((path) => nameElsewhere(path, { layout: file, isTaken: () => false }));
    for (const names of [own[index]!, ...more]) {
      if (names === null) continue;
      folders.push(names.folder);
      if (file.symlink !== null) await joining.removeLink(file);
      else await joining.bring(names, { length: file.length, records: states.map(({ files }) => files[index]!) });
    }
  }
  const partFile: FileNames = { folder: null, final: "", part: partFileName(infoHash) };
  const records = states.flatMap(({ partFile }) => partFile ?? []);
  await joining.bring(partFile, { length: map.file(map.partFile).length, records });
  await removeEmptyFolders(folders, { fs, root: other });
}

/** Options for {@linkcode Joining}. */
interface Parts {
  readonly fs: FileSystem;
  readonly here: Folders;
  readonly there: Folders;
  /** Name of the folder for copies. */
  readonly staging: string;
}

/** One run of {@linkcode joinFolders}. */
class Joining {
  readonly #options: Parts;
  #copies = 0;

  constructor(options: Parts) {
    this.#options = options;
  }

  /** Moves a file that is ours to the folder, under the name that it has. */
  async bring(
    names: FileNames,
    { length, records }: { readonly length: number; readonly records: readonly FileRecord[] },
  ): Promise<void> {
    const { there } = this.#options;
    if (!await there.isReal(names.folder)) return;
    const isKnown = records.some(({ place }) => place !== "absent");
    if (names.part !== "") await this.#bring(names, names.part, (size) => size === length || hasSize(records, size));
    if (names.final !== "" && isKnown) await this.#bring(names, names.final, (size) => size <= length);
  }

  /** Removes a link of the torrent. It is created again when all wanted files are complete. */
  async removeLink(file: Parameters<typeof checkLink>[0]): Promise<void> {
    const { fs, there } = this.#options;
    const path = `${there.root}/${file.path.join("/")}`;
    if ((await fs.stat(path))?.kind !== "link") return;
    const isOurs = await checkLink(file, { fs, root: there.root }).then(() => true, () => false);
    if (isOurs) await fs.remove(path);
  }

  async #bring(names: FileNames, name: string, isOurs: (size: number) => boolean): Promise<void> {
    const { fs, here, there } = this.#options;
    const [from, to] = [`${there.root}/${name}`, `${here.root}/${name}`];
    const info = await fs.stat(from);
    if (info?.kind !== "file" || !isOurs(info.size)) return;
    const already = await fs.stat(to);
    if (already !== null) {
      const isSame = already.kind === "file" && already.size === info.size &&
        await compareFiles({ right: to, other: from }, fs) === "same";
      if (isSame) await fs.remove(from);
      return;
    }
    await here.make(names.folder);
    try {
      await fs.rename(from, to);
      await syncName(to, fs);
    } catch (error) {
      if (!isFileFault(error, "other-device")) throw error;
      await this.#copy(from, to);
    }
  }

  async #copy(from: string, to: string): Promise<void> {
    const { fs, here, staging } = this.#options;
    await fs.makeFolder(`${here.root}/${staging}`);
    const copy = `${here.root}/${staging}/${this.#copies++}`;
    await fs.remove(copy); // left by an interrupted start
    await copyFile(from, copy, { fs });
    await fs.rename(copy, to);
    await syncName(to, fs);
    await fs.remove(from);
  }
}

function hasSize(records: readonly FileRecord[], size: number): boolean {
  return records.some((record) => record.place === "part" && record.size === size);
}
