/**
 * Warns at the start of downloads that a disk is too small for them.
 *
 * @module
 */

import { FileError } from "../platform/file_errors.ts";
import type { Disk, FileSystem, Platform, Timer } from "../platform/platform.ts";
import { formatSize } from "../ui/format.ts";
import type { View } from "../ui/view.ts";
import type { TorrentLike } from "./engine.ts";

/** Milliseconds from the first torrent that begins to download in a folder to the check, which counts the others, too. */
const CHECK_MS = 1000;

/** Options for {@linkcode DiskSpace}. */
export interface DiskSpaceOptions {
  /** File system and timers. */
  readonly platform: Pick<Platform, "after"> & { readonly files: Pick<FileSystem, "disk"> };
  /** Shows the warning. */
  readonly view: Pick<View, "event">;
}

/** A torrent, and the folder in which its data is to be when it is complete. */
interface Download {
  readonly torrent: TorrentLike;
  readonly target: string;
}

/** Compares what torrents still need with the free space of the disks. Warns once for each folder. */
export class DiskSpace {
  readonly #options: DiskSpaceOptions;
  readonly #downloads = new Map<string, Download>();
  /** Torrents that have begun to download, by the folder in which their data is at present. */
  readonly #begun = new Map<string, Set<Download>>();
  /** Info-hashes of torrents that began to download before they were added here. */
  readonly #early = new Set<string>();
  readonly #warned = new Set<string>();
  /** Checks that are due, by folder. */
  readonly #timers = new Map<string, Timer>();
  #isClosed = false;

  /** @param options See {@linkcode DiskSpaceOptions}. */
  constructor(options: DiskSpaceOptions) {
    this.#options = options;
  }

  /**
   * Adds a torrent.
   *
   * @param torrent The torrent. Its `folder` is where its data is at present.
   * @param target Folder in which its data is to be when it is complete.
   */
  add(torrent: TorrentLike, target: string): void {
    const { hex } = torrent.infoHash;
    this.#downloads.set(hex, { torrent, target });
    if (this.#early.delete(hex)) this.check(hex);
  }

  /**
   * Compares, a moment later, what all torrents in the folder of a torrent need. Does nothing if the free space is
   * unknown. One check serves all torrents that begin until then.
   *
   * @param infohash Info-hash of a torrent that begins to download, so that its missing data is known.
   */
  check(infohash: string): void {
    const download = this.#downloads.get(infohash);
    if (this.#isClosed) return;
    if (download === undefined) {
      this.#early.add(infohash);
      return;
    }
    const { torrent: { folder }, target } = download;
    const begun = this.#begun.get(folder) ?? new Set();
    this.#begun.set(folder, begun.add(download));
    if (this.#timers.has(folder) || (this.#warned.has(folder) && this.#warned.has(target))) return;
    const timer = this.#options.platform.after(CHECK_MS, () => {
      this.#timers.delete(folder);
      void this.#check(infohash, { folder, target, begun: [...begun] });
    });
    this.#timers.set(folder, timer);
  }

  /** Cancels the checks that are due. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  async #check(
    infohash: string,
    { folder, target, begun }: {
      readonly folder: string;
      readonly target: string;
      readonly begun: readonly Download[];
    },
  ): Promise<void> {
    const here = await this.#diskOf(folder);
    if (here === null) return;
    if (!this.#warned.has(folder)) {
      this.#compare(infohash, { folder, free: here.free, needed: sumOf(begun, missing), why: "are missing" });
    }
    if (target === folder || this.#warned.has(target)) return;
    const there = await this.#diskOf(target);
    if (there === null || there.device === here.device) return;
    const away = begun.filter((one) => one.target === target);
    this.#compare(infohash, {
      folder: target,
      free: there.free,
      needed: sumOf(away, size),
      why: "are to be moved there",
    });
  }

  #compare(
    infohash: string,
    { folder, free, needed, why }: {
      readonly folder: string;
      readonly free: number;
      readonly needed: number;
      readonly why: string;
    },
  ): void {
    if (free >= needed || this.#warned.has(folder) || this.#isClosed) return;
    this.#warned.add(folder);
    const message = `the disk is too small: ${formatSize(free)} are free, and ${formatSize(needed)} ${why}`;
    this.#options.view.event({ event: "warning", infohash, message, where: folder });
  }

  async #diskOf(folder: string): Promise<Disk | null> {
    try {
      return await this.#options.platform.files.disk?.(folder) ?? null;
    } catch (error) {
      // This is only advice. If the folder can't be used, the download itself reports it.
      if (error instanceof FileError) return null;
      throw error;
    }
  }
}

function sumOf(downloads: readonly Download[], bytes: (torrent: TorrentLike) => number): number {
  return downloads.reduce((sum, { torrent }) => sum + bytes(torrent), 0);
}

/** Returns the bytes of the wanted files that are not on disk. */
function missing(torrent: TorrentLike): number {
  const { state, size, verified } = torrent.snapshot();
  return state === "downloading" ? Math.max(0, size - verified) : 0;
}

/** Returns the bytes of the wanted files. */
function size(torrent: TorrentLike): number {
  const { state, size } = torrent.snapshot();
  return state === "downloading" ? size : 0;
}
