/**
 * Tells whether a folder holds data of a torrent.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { FileSystem } from "../platform/platform.ts";
import { nameElsewhere, partFileName } from "./file_names.ts";
import type { StorageLayout } from "./layout.ts";

/** Options for {@linkcode hasData}. */
export interface HasDataOptions {
  /** File system. */
  readonly fs: Pick<FileSystem, "stat">;
  /** The folder. */
  readonly folder: string;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Returns all paths at which a file may be. */
  pathsOf(index: number): readonly (readonly string[])[];
}

/**
 * Returns `true` if a file of a torrent exists in a folder, finished or not. The contents are not looked at.
 *
 * @param layout Layout of the torrent.
 * @param options See {@linkcode HasDataOptions}.
 * @throws {ShoalError} If a path can't be looked at.
 */
export async function hasData(layout: StorageLayout, options: HasDataOptions): Promise<boolean> {
  const { fs, folder, infoHash, pathsOf } = options;
  const exists = async (path: string) => await fs.stat(`${folder}/${path}`) !== null;
  if (await exists(partFileName(infoHash))) return true;
  /** Whether the torrent's folder exists, by its name. */
  const tops = new Map<string, boolean>();
  for (const [index, file] of layout.files.entries()) {
    if (file.pad) continue;
    for (const path of pathsOf(index)) {
      if (path.length > 1) {
        const top = path[0]!;
        if (!tops.has(top)) tops.set(top, await exists(top));
        if (!tops.get(top)) continue;
      }
      const names = nameElsewhere(path, { layout: file, isTaken: () => false });
      if (names === null) continue;
      if (await exists(names.final) || (names.part !== "" && await exists(names.part))) return true;
    }
  }
  return false;
}
