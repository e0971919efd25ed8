/**
 * Warns at the start of downloads that a disk is too small for them.
 *
 * @module
 */

import { FileError } from "../platform/file_errors.ts";
import type { Disk, FileSystem } from "../platform/platform.ts";
import { formatSize } from "../ui/format.ts";
import type { View } from "../ui/view.ts";
import type { TorrentLike } from "./engine.ts";

/** Options for {@linkcode DiskSpace}. */
export interface DiskSpaceOptions {
  /** File system. */
  readonly files: Pick<FileSystem, "disk">;
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
  readonly #warned = new Set<string>();

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
    this.#downloads.set(torrent.infoHash.hex, { torrent, target });
  }

  /**
   * Compares what all torrents in the folder of a torrent need. Does nothing if the free space is unknown.
   *
   * @param infohash Info-hash of a torrent that begins to download, so that its missing data is known.
   */
  async check(infohash: string): Promise<void> {
    const download = this.#downloads.get(infohash);
    if (download === undefined) return;
    const { torrent: { folder }, target } = download;
    const here = await this.#diskOf(folder);
    if (here === null) return;
    const near = [...this.#downloads.values()].filter(({ torrent }) => torrent.folder === folder);
    this.#compare(infohash, { folder, free: here.free, needed: sumOf(near, missing), why: "are missing" });
    const there = target === folder ? null : await this.#diskOf(target);
    if (there === null || there.device === here.device) return;
    const away = near.filter((one) => one.target === target);
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
    if (free >= needed || this.#warned.has(folder)) return;
    this.#warned.add(folder);
    const message = `the disk is too small: ${formatSize(free)} are free, and ${formatSize(needed)} ${why}`;
    this.#options.view.event({ event: "warning", infohash, message, where: folder });
  }

  async #diskOf(folder: string): Promise<Disk | null> {
    try {
      return await this.#options.files.disk?.(folder) ?? null;
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
