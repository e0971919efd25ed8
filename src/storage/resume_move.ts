/**
 * What becomes of a move that was interrupted: see `move_files.ts`.
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
import { checkLink } from "./links.ts";
import { foldersAt, removeEmptyFolders, syncName } from "./move_files.ts";
import { type FileNames, nameElsewhere, nameFiles, partFileName, stagingName } from "./names.ts";
import type { FileRecord, ResumeState } from "./resume_state.ts";

/** What {@linkcode joinFolders} works with. */
export interface JoinOptions {
  /** The file system. */
  readonly fs: FileSystem;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Absolute path of the folder in which everything shall be, without links. */
  readonly root: string;
  /** That of the other folder. */
  readonly other: string;
  /** The resume states of both, which say what is ours. */
  readonly states: readonly ResumeState[];
  /** All paths at which a file may lie, if there are several. */
  pathsOf(index: number): readonly (readonly string[])[];
}

/**
 * Brings the files of a torrent together in one folder. One that is in both, since it was copied, is removed from the other
 * one if it is the same, byte by byte.
 *
 * @param map The torrent.
 * @param options Where.
 * @throws {ShoalError} If that can't be done; it can be tried again.
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

/** What {@linkcode Joining} works with. */
interface Parts {
  readonly fs: FileSystem;
  readonly here: Folders;
  readonly there: Folders;
  /** Name of the folder in which copies are made. */
  readonly staging: string;
}

/** Two folders that become one. */
class Joining {
  readonly #options: Parts;
  #copies = 0;

  constructor(options: Parts) {
    this.#options = options;
  }

  /** Brings a file, under whichever name, if it is ours. */
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

  /** Removes a link of the torrent; it is made again when all files that are wanted are whole. */
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
    await fs.remove(copy); // of a start that was interrupted
    await copyFile(from, copy, { fs });
    await fs.rename(copy, to);
    await syncName(to, fs);
    await fs.remove(from);
  }
}

function hasSize(records: readonly FileRecord[], size: number): boolean {
  return records.some((record) => record.place === "part" && record.size === size);
}
