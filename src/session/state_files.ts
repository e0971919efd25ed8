/**
 * Imports and cleans up files of the state folder other than the database. Only files with names that Shoal gives are
 * touched.
 *
 * @module
 */

import { type Bytes, fromHex } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import { MAX_TORRENT_SIZE } from "../metainfo/mod.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileSystem } from "../platform/platform.ts";

/** Resume files, named after the info-hash and a hash of the folder, and their temporary files. */
const RESUME = /^([0-9a-f]{40})-[0-9a-f]{8}\.resume(?:(?:\.[0-9a-f]{8})?\.new)?$/;
/** Temporary files of the routing table, stale locks, and renamed damaged databases with their journals. */
const LEFTOVER = /^(?:dht(?:\.[0-9a-f]{8})?\.new|session\.db\.lock|session\.db\.broken-\d+(?:-wal|-shm)?)$/;
/** Torrent files of older versions. */
const TORRENT = /^([0-9a-f]{40})\.torrent$/;
/** Temporary files of torrent files of older versions. */
const TORRENT_DRAFT = /^[0-9a-f]{40}\.torrent(?:\.[0-9a-f]{8})?\.new$/;

/** A torrent file stored by an older version. */
export interface OldTorrent {
  /** Info-hash according to the file's name. */
  readonly infoHash: InfoHash;
  /** Last modification, milliseconds since 1970. */
  readonly modified: number;
  /** Content of the torrent file, unchecked. */
  readonly bytes: Bytes;
}

/** Options for {@linkcode importTorrents}. */
export interface ImportOptions {
  /** Stores a torrent file. The file in the folder is deleted when the promise resolves. */
  take(torrent: OldTorrent): Promise<void>;
  /** Returns `true` if the remaining files are to be left for the next run. */
  isOver(): boolean;
}

/**
 * Imports the torrent files of magnet links that older versions stored in the folder `torrents`, and deletes the files.
 *
 * @param options See {@linkcode ImportOptions}.
 * @throws {ShoalError} Of kind `storage` if a file can't be read or deleted.
 */
export async function importTorrents(files: FileSystem, folder: string, options: ImportOptions): Promise<void> {
  const old = `${folder}/torrents`;
  if ((await files.stat(old))?.kind !== "folder") return;
  for (const name of await files.list(old)) {
    if (options.isOver()) return;
    const path = `${old}/${name}`;
    const infoHash = infoHashIn(name, TORRENT);
    if (infoHash === null && !TORRENT_DRAFT.test(name)) continue;
    const info = await files.stat(path);
    if (info?.kind !== "file") continue; // already imported by another process, or not ours
    if (infoHash !== null && info.size <= MAX_TORRENT_SIZE) {
      const bytes = await readIfThere(files, path);
      if (bytes === null) continue;
      await options.take({ infoHash, modified: info.modified, bytes });
    }
    await files.remove(path);
  }
  const isEmpty = (await files.stat(old))?.kind === "folder" && (await files.list(old)).length === 0;
  if (isEmpty) await files.remove(old);
}

/** Returns `null` if the file is gone: another process may be importing the same files. */
async function readIfThere(files: FileSystem, path: string): Promise<Bytes | null> {
  try {
    return await files.readFile(path, MAX_TORRENT_SIZE, { secret: true });
  } catch (error) {
    if (isFileFault(error, "missing")) return null;
    throw error;
  }
}

/** Options for {@linkcode sweepFiles}. */
export interface SweepOptions {
  /** Only files last written before this time are deleted, in milliseconds since 1970. */
  readonly before: number;
  /** Returns `true` if the database has the torrent. */
  isKept(infoHash: InfoHash): boolean;
  /** Returns `true` if the remaining files are to be left for the next sweep. */
  isOver(): boolean;
}

/**
 * Deletes stale files that belong to no torrent.
 *
 * @param options See {@linkcode SweepOptions}.
 * @throws {ShoalError} Of kind `storage` if a file can't be deleted.
 */
export async function sweepFiles(files: FileSystem, folder: string, options: SweepOptions): Promise<void> {
  for (const name of await files.list(folder)) {
    if (options.isOver()) return;
    const infoHash = infoHashIn(name, RESUME);
    if (infoHash === null ? !LEFTOVER.test(name) : options.isKept(infoHash) && name.endsWith(".resume")) continue;
    const path = `${folder}/${name}`;
    const info = await files.stat(path);
    if (info?.kind === "file" && info.modified < options.before) await files.remove(path);
  }
}

function infoHashIn(name: string, pattern: RegExp): InfoHash | null {
  const hex = pattern.exec(name)?.[1];
  const bytes = hex === undefined ? null : fromHex(hex);
  return bytes && new InfoHash(bytes);
}
