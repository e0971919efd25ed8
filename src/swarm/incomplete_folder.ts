/**
 * Chooses between the folder for unfinished data and the folder for complete data.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { type Metainfo, pathsOnDisk } from "../metainfo/mod.ts";
import type { FileSystem } from "../platform/platform.ts";
import { hasData } from "../storage/mod.ts";

/** Options for {@linkcode folderToOpen}. */
export interface FolderToOpenOptions {
  /** File system. */
  readonly files: FileSystem;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Folder for complete data. Created if it is missing, so that a download doesn't fail at its end. */
  readonly folder: string;
  /** Folder for unfinished data. */
  readonly incomplete: string;
}

/**
 * Returns the folder in which a torrent is opened: the one for complete data if only that holds files of the torrent,
 * else the one for unfinished data.
 *
 * @param meta The torrent.
 * @param options See {@linkcode FolderToOpenOptions}.
 * @throws {ShoalError} Of kind `storage` if the folder for complete data can't be created, or a folder can't be read.
 */
export async function folderToOpen(meta: Metainfo, options: FolderToOpenOptions): Promise<string> {
  const { files, infoHash, folder, incomplete } = options;
  await files.makeFolder(folder);
  const pathsOf = (index: number) => pathsOnDisk(meta.files[index]!);
  const holds = (folder: string) => hasData(meta, { fs: files, folder, infoHash, pathsOf });
  return !await holds(incomplete) && await holds(folder) ? folder : incomplete;
}
