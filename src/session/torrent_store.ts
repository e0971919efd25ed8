/**
 * Torrents that came by magnet link, kept in the state folder, so that a restart needs no peers to know what they hold.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_TORRENT_SIZE } from "../metainfo/mod.ts";
import type { FileSystem } from "../platform/platform.ts";

/** The folder of kept torrents. */
export class TorrentStore {
  readonly #files: FileSystem;
  readonly #folder: string | null;

  /**
   * @param files The file system.
   * @param stateFolder Where the session keeps what it remembers; `null` to keep nothing.
   */
  constructor(files: FileSystem, stateFolder: string | null) {
    this.#files = files;
    this.#folder = stateFolder === null ? null : `${stateFolder}/torrents`;
  }

  /**
   * @param infoHash Which torrent.
   * @returns The torrent file as it was kept, or `null` when there is none. It may have been tampered with since.
   * @throws {ShoalError} Of kind `storage` if it can't be read.
   */
  async load(infoHash: InfoHash): Promise<Bytes | null> {
    if (this.#folder === null) return null;
    const path = this.#pathOf(infoHash);
    if (await this.#files.stat(path) === null) return null;
    return await this.#files.readFile(path, MAX_TORRENT_SIZE, { secret: true });
  }

  /**
   * @param infoHash Which torrent.
   * @param bytes The torrent file.
   * @throws {ShoalError} Of kind `storage` if it can't be written.
   */
  async save(infoHash: InfoHash, bytes: Bytes): Promise<void> {
    if (this.#folder === null) return;
    await this.#files.makeFolder(this.#folder, { secret: true });
    await this.#files.writeFile(this.#pathOf(infoHash), bytes, { secret: true });
  }

  #pathOf(infoHash: InfoHash): string {
    return `${this.#folder}/${infoHash.hex}.torrent`;
  }
}
