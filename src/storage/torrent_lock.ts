/**
 * What one torrent has to do with the locks of folders.
 *
 * @module
 */

import { isFileFault } from "../platform/file_errors.ts";
import { inUse, noClaim } from "./errors.ts";
import { type Claim, FolderLocks } from "./folder_locks.ts";
import type { StorageOptions } from "./storage_options.ts";

/** Keeps others from downloading a torrent to the same folder. */
export class TorrentLock {
  readonly #options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning">;
  #claim: Claim | null = null;

  /** @param options Which torrent, and whom to tell when nothing can be locked. */
  constructor(options: Pick<StorageOptions, "platform" | "infoHash" | "onWarning">) {
    this.#options = options;
  }

  /** Whether others are kept out. */
  get isHeld(): boolean {
    return this.#claim !== null;
  }

  /**
   * Claims the torrent in a folder in which files will be written for certain.
   *
   * @param root Absolute path of the folder, without links.
   * @throws {ShoalError} If somebody else downloads the torrent there, or nothing can be locked.
   */
  async need(root: string): Promise<void> {
    const { platform, infoHash } = this.#options;
    this.#claim ??= await FolderLocks.of(platform.files).take(root, { infoHash, now: platform.wallClock() });
    if (this.#claim === null) throw inUse(root);
  }

  /**
   * Claims the torrent in a folder; goes on without where nothing can be locked.
   *
   * @param root Absolute path of the folder, without links.
   * @throws {StorageError} If somebody else downloads the torrent there.
   */
  async take(root: string): Promise<void> {
    const { platform, infoHash, onWarning } = this.#options;
    try {
      this.#claim = await FolderLocks.of(platform.files).take(root, { infoHash, now: platform.wallClock() });
    } catch (error) {
      // Where nothing can be written nobody downloads: what is there is served at most.
      if (!isFileFault(error, "denied") && !isFileFault(error, "read-only")) onWarning?.(noClaim(root, error));
      return;
    }
    if (this.#claim === null) throw inUse(root);
  }

  /** Lets others in. Never fails. */
  async release(): Promise<void> {
    const claim = this.#claim;
    this.#claim = null;
    await claim?.release();
  }
}
