/**
 * Removes the files of a torrent from disk, and nothing else.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { FileSystem } from "../platform/platform.ts";
import type { FileMap } from "./layout.ts";
import { forEachLimited } from "./concurrency.ts";
import { checkLink } from "./links_and_empty_files.ts";
import { foldersAt, removeEmptyFolders } from "./move_files.ts";
import { type FileNames, nameElsewhere, nameFiles, partFileName, stagingName } from "./file_names.ts";
import type { FileRecord } from "./resume_state.ts";

/** Options for {@linkcode removeFiles}. */
export interface RemoveFilesOptions {
  /** File system. */
  readonly fs: FileSystem;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Absolute path of the download folder, without links. */
  readonly root: string;
  /** What is known about the files in the torrent's order; `null` if nothing is. */
  readonly records: readonly FileRecord[] | null;
  /** Returns `true` if a file on disk is not ours. */
  isForeign(index: number): boolean;
  /** Returns all paths at which a file may be, if there are several. */
  pathsOf(index: number): readonly (readonly string[])[];
}

/** Files that are removed at one time. */
const PARALLEL = 16;

/**
 * Removes the files of a torrent under all their names, its links, its partfile, and the folders that become empty. A
 * file counts as the torrent's if it has the right size, or if the records know it. Links are not followed.
 *
 * @param map Layout of the torrent.
 * @param options See {@linkcode RemoveFilesOptions}.
 * @throws {ShoalError} If something can't be removed. Everything else is removed nevertheless.
 */
export async function removeFiles(map: FileMap, options: RemoveFilesOptions): Promise<void> {
  const { fs, infoHash, root, records, isForeign, pathsOf } = options;
  const folders = foldersAt(root, fs);
  let failure: { readonly thrown: unknown } | null = null;
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      failure ??= { thrown };
    }
  };
  const own = nameFiles(map.layout);
  const all: FileNames[] = [];
  await forEachLimited(map.layout.files, PARALLEL, async (file, index) => {
    if (file.pad || isForeign(index)) return;
    const more = pathsOf(index).map((path) => nameElsewhere(path, { layout: file, isTaken: () => false }));
    const names = [own[index]!, ...more].filter((names) => names !== null);
    all.push(...names);
    const record = records?.[index];
    for (const { folder, final, part } of names) {
      await attempt(async () => {
        if (!await folders.isReal(folder)) return;
        for (const name of [final, part]) {
          if (name === "") continue;
          const info = await fs.stat(`${root}/${name}`);
          const isKnown = record !== undefined && record.place !== "absent" && record.size === info?.size;
          const isOurs = file.symlink === null
            ? info?.kind === "file" && (info.size === file.length || isKnown)
            : info?.kind === "link" && await checkLink(file, { fs, root }).then(() => true, () => false);
          if (isOurs) await fs.remove(`${root}/${name}`);
        }
      });
    }
  });
  for (const name of [partFileName(infoHash), stagingName(infoHash)]) {
    await attempt(() => fs.remove(`${root}/${name}`));
  }
  await attempt(() => removeEmptyFolders(all.map(({ folder }) => folder), { fs, root }));
  if (failure !== null) throw (failure as { readonly thrown: unknown }).thrown;
}
