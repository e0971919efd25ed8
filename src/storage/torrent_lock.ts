/**
 * Locks one torrent in a download folder, by means of `folder_locks.ts`.
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import { inUse, noClaim } from "./errors.ts";
import { type Claim, FolderLocks } from "./folder_locks.ts";
import type { StorageOptions } from "./storage_options.ts";

/** Keeps other torrents and processes from downloading a torrent to the same folder. */
export class TorrentLock {
  readonly #options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning">;
  #claim: Claim | null = null;

  /** @param options Torrent to lock, and the callback for the warning that it can't be locked. */
  constructor(options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning">) {
    this.#options = options;
  }

  /** Whether the lock is held. */
  get isHeld(): boolean {
    return this.#claim !== null;
  }

  /**
   * Locks the torrent in a folder to which files will certainly be written.
   *
   * @param root Absolute path of the folder, without links.
   * @throws {ShoalError} If another process downloads the torrent there, or the lock can't be written.
   */
  async takeOrThrow(root: string): Promise<void> {
    const { platform, infoHash } = this.#options;
    this.#claim ??= await FolderLocks.of(platform.files).take(root, { infoHash, now: platform.wallClock() });
    if (this.#claim === null) throw inUse(root);
  }

  /**
   * Locks the torrent in a folder. Goes on without a lock if none can be written.
   *
   * @param root Absolute path of the folder, without links.
   * @throws {StorageError} If another process downloads the torrent there.
   */
  async take(root: string): Promise<void> {
    const { platform, infoHash, onWarning } = this.#options;
    try {
      this.#claim = await FolderLocks.of(platform.files).take(root, { infoHash, now: platform.wallClock() });
    } catch (error) {
      // Without write permission there is no download to protect; the existing data is only served.
      if (!isFileFault(error, "denied") && !isFileFault(error, "read-only")) onWarning?.(noClaim(root, error));
      return;
    }
    if (this.#claim === null) throw inUse(root);
  }

  /** Releases the lock. Never rejects. */
  async release(): Promise<void> {
    const claim = this.#claim;
    this.#claim = null;
    await claim?.release();
  }
}
