/**
 * The files of the state folder, besides the database: what older versions kept, and what nobody needs any more. Only names that
 * Shoal gives are ever touched.
 *
 * @module
 */

import { type Bytes, fromHex } from "../base/bytes.ts";
import { InfoHash } from "../base/info_hash.ts";
import { MAX_TORRENT_SIZE } from "../metainfo/mod.ts";
import { isFileFault } from "../platform/file_errors.ts";
import type { FileSystem } from "../platform/platform.ts";

/** Resume state of a torrent, by info-hash and a hash of the folder, and drafts of it. */
const RESUME = /^([0-9a-f]{40})-[0-9a-f]{8}\.resume(?:(?:\.[0-9a-f]{8})?\.new)?$/;
/** Drafts of the DHT's table, locks of processes that were killed, and databases that were put aside, with what belongs to them. */
const LEFTOVER = /^(?:dht(?:\.[0-9a-f]{8})?\.new|session\.db\.lock|session\.db\.broken-\d+(?:-wal|-shm)?)$/;
/** A torrent that older versions kept, and drafts of it. */
const TORRENT = /^([0-9a-f]{40})\.torrent$/;
const TORRENT_DRAFT = /^[0-9a-f]{40}\.torrent(?:\.[0-9a-f]{8})?\.new$/;

/** A torrent that an older version kept. */
export interface OldTorrent {
  /** Which torrent its name says that it is. */
  readonly infoHash: InfoHash;
  /** When it was written, milliseconds since 1970. */
  readonly modified: number;
  /** The torrent file, unchecked. */
  readonly bytes: Bytes;
}

/**
 * Takes over the torrents of magnet links, which older versions kept as files in the folder `torrents`, and removes the files.
 *
 * @param files The file system.
 * @param folder The state folder.
 * @param options `take`: keeps one; it is removed when that is done. `isOver`: whether to leave the rest for the next run.
 * @throws {ShoalError} Of kind `storage` if a file can't be read or removed.
 */
export async function importTorrents(
  files: FileSystem,
  folder: string,
  options: { take(torrent: OldTorrent): Promise<void>; isOver(): boolean },
): Promise<void> {
  const old = `${folder}/torrents`;
  if ((await files.stat(old))?.kind !== "folder") return;
  for (const name of await files.list(old)) {
    if (options.isOver()) return;
    const path = `${old}/${name}`;
    const infoHash = infoHashIn(name, TORRENT);
    if (infoHash === null && !TORRENT_DRAFT.test(name)) continue;
    const info = await files.stat(path);
    if (info?.kind !== "file") continue; // another process was quicker, or it is none of ours
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

/** Another process may take over the same files. */
async function readIfThere(files: FileSystem, path: string): Promise<Bytes | null> {
  try {
    return await files.readFile(path, MAX_TORRENT_SIZE, { secret: true });
  } catch (error) {
    if (isFileFault(error, "missing")) return null;
    throw error;
  }
}

/**
 * Removes files that belong to no torrent and that nobody has written for a while.
 *
 * @param files The file system.
 * @param folder The state folder.
 * @param options `before`: what was written before that time goes, in milliseconds since 1970. `isKept`: whether a torrent is
 * still known. `isOver`: whether to leave the rest for the next time.
 * @throws {ShoalError} Of kind `storage` if something can't be removed.
 */
export async function sweepFiles(
  files: FileSystem,
  folder: string,
  options: { readonly before: number; isKept(infoHash: InfoHash): boolean; isOver(): boolean },
): Promise<void> {
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
