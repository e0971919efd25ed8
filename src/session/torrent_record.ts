/**
 * A torrent of a session as what is kept of it, and back.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import {
  formatMagnet,
  type Magnet,
  type Metainfo,
  numberedFiles,
  parseMagnet,
  parseMetainfo,
  torrentFile,
} from "../metainfo/mod.ts";
import type { FilePriority, TorrentHandle, TorrentState } from "../swarm/mod.ts";
import { isMagnet } from "../swarm/file_selection.ts";
import type { AddOptions, RateLimits, RemoveOptions } from "./session_options.ts";
import type { FileSystem } from "../platform/platform.ts";
import type { KeptTorrent, SessionStore } from "./session_store.ts";
import type { StoredTorrent } from "./store_schema.ts";

/** What has to be known of a torrent to keep it. */
export interface Recordable {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print. */
  readonly name: string;
  /** What it holds; `null` while nobody knows. */
  readonly meta: Metainfo | null;
  /** What it is doing. */
  readonly state: TorrentState;
  /** Whether the user has it wait. */
  readonly paused: boolean;
  /** Why it can't go on; `null` if it can. */
  readonly error: { readonly message: string; readonly where: string } | null;
  /** Folder that its files, or its own folder, are in. */
  readonly folder: string;
  /** Whether pieces are fetched in order. */
  readonly sequential: boolean;
  /** Indexes of the files that are wanted. */
  readonly wantedFiles: readonly number[];
  /** Those that are to be when it is known what it holds; `null` if all are, or it isn't said by indexes. */
  readonly askedFiles: readonly number[] | null;
  /** Priorities of files, by index; one that is missing is normal. */
  readonly priorities: ReadonlyMap<number, FilePriority>;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Limits of its own. */
  readonly limits: RateLimits;
  /** Whether it is known what is on disk. */
  readonly attached: boolean;
  /** Whether every wanted piece is verified and written. */
  readonly complete: boolean;
  /** Payload bytes that came since its start. */
  readonly downloaded: number;
  /** Payload bytes that were sent since its start. */
  readonly uploaded: number;
}

/** How a torrent came into the session. */
export interface Origin {
  /** What it holds, or a link to that. */
  readonly source: Metainfo | Magnet;
  /** How it was added. */
  readonly add: AddOptions;
  /** Whether it is there for one run. */
  readonly oneOff: boolean;
  /** Whether its files are being removed. */
  isRemoving(): boolean;
}

/**
 * A torrent as the store asks it.
 *
 * @param torrent The torrent.
 * @param origin How it came into the session.
 * @returns What the store keeps.
 */
export function keptTorrent(torrent: Recordable, { source, add, oneOff, isRemoving }: Origin): KeptTorrent {
  const magnet = isMagnet(source) ? formatMagnet(source) : null;
  return {
    infoHash: torrent.infoHash,
    record() {
      if (add.metadataOnly) return null;
      const { name, folder, sequential, priorities, trackers, paused, state, error, limits } = torrent;
      return {
        name,
        magnet,
        folder,
        seedOnly: add.seedOnly ?? false,
        sequential,
        files: filesOf(torrent),
        priorities: [...priorities].filter(([, priority]) => priority !== "normal"),
        maxDown: wholeRate(limits.down),
        maxUp: wholeRate(limits.up),
        trackers,
        state: isRemoving() ? "removing" : paused ? "paused" : state === "queued" ? "queued" : "running",
        error: error && (error.where === "" ? error.message : `${error.message} (${error.where})`),
        done: torrent.attached ? torrent.complete : null,
        oneOff,
      };
    },
    torrentFile: () => torrent.meta && torrentFile(torrent.meta.info, torrent.meta),
    traffic: torrent,
  };
}

/** A rate may be any number above 0; what is kept of it is a whole one. */
function wholeRate(rate: number | null): number | null {
  return rate === null ? null : Math.max(1, Math.round(rate));
}

function filesOf({ meta, wantedFiles, askedFiles }: Recordable): readonly number[] | null {
  if (meta === null) return askedFiles;
  return wantedFiles.length === numberedFiles(meta.files).length ? null : wantedFiles;
}

/** What {@linkcode restoreTorrents} works with. */
export interface RestoreOptions {
  /** Where torrents are added. */
  readonly session: {
    get(infoHash: InfoHash): TorrentHandle | null;
    add(source: Metainfo | Magnet, options: AddOptions): Promise<TorrentHandle>;
    remove(torrent: TorrentHandle, options: RemoveOptions): Promise<void>;
  };
  /** Whether file names must be ones that Windows allows, too. */
  readonly portable: boolean;
  /** Knows whether a folder is there. */
  readonly files: Pick<FileSystem, "stat">;
  /** Whether to leave out the rest. */
  isOver(): boolean;
  /** Gives others a turn. */
  giveWay(): Promise<void>;
  /** Told what is wrong with a torrent. */
  onWarning(error: ShoalError, infohash: string): void;
}

/**
 * Adds the torrents again that are kept, one after the other, but for those that were there for one run or are there already; goes
 * on with removing those whose files were being removed.
 *
 * @param store What is kept.
 * @param options Where to add them.
 * @returns What was added.
 */
export async function restoreTorrents(
  store: Pick<SessionStore, "torrents" | "load">,
  options: RestoreOptions,
): Promise<TorrentHandle[]> {
  const { session } = options;
  const torrents: TorrentHandle[] = [];
  for (const kept of store.torrents()) {
    if ((kept.oneOff && kept.state !== "removing") || session.get(kept.infoHash) !== null) continue;
    const file = await store.load(kept.infoHash);
    await options.giveWay();
    if (options.isOver()) break;
    try {
      const { folder, seedOnly, sequential, files, trackers } = kept;
      const source = { ...(parsed(kept, file, options) ?? linkTo(kept)), trackers };
      const gone = kept.doneAt !== null && kept.state === "running" && await isGone(folder, options.files);
      const torrent = await session.add(source, {
        folder,
        seedOnly,
        sequential,
        ...(files && { files: new Set(files) }),
      });
      if (kept.state === "removing") {
        await session.remove(torrent, { data: true });
        continue;
      }
      torrents.push(torrent);
      adjust(torrent, kept);
      if (gone) {
        // A disk that isn't mounted, perhaps: all of it would be downloaded again, to where it was mounted.
        torrent.pause();
        const why = "its folder isn't there; it is paused, and fetched again when it is resumed";
        options.onWarning(
          new ShoalError("storage", { what: "a complete torrent is gone", where: folder, why }),
          kept.infoHash.hex,
        );
      }
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      options.onWarning(error, kept.infoHash.hex);
    }
  }
  return torrents;
}

/** Whether a folder isn't there. Where that can't be found out, whoever opens it tells what is wrong. */
async function isGone(folder: string, files: Pick<FileSystem, "stat">): Promise<boolean> {
  try {
    return await files.stat(folder) === null;
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    return false;
  }
}

/** Sets what a torrent isn't added with. */
function adjust(torrent: TorrentHandle, { priorities, maxDown, maxUp, state }: StoredTorrent): void {
  if (state === "paused") torrent.pause();
  if (maxDown !== null || maxUp !== null) torrent.setLimits({ down: maxDown, up: maxUp });
  for (const level of ["high", "low"] as const) {
    const files = priorities.filter(([, priority]) => priority === level).map(([file]) => file);
    if (files.length > 0) torrent.setPriority(files, level);
  }
}

/** What a torrent holds; `null` if its file is lost, or of no use. */
function parsed(
  { infoHash }: StoredTorrent,
  file: Bytes | null,
  { portable, onWarning }: RestoreOptions,
): Metainfo | null {
  if (file === null) return null;
  const source = `the torrent ${infoHash.hex} of the last run`;
  try {
    const meta = parseMetainfo(file, { portable, source });
    if (meta.infoHash.equals(infoHash)) return meta;
    const why = `its info-hash is ${meta.infoHash.hex}`;
    throw new ShoalError("torrent", { what: "the wrong torrent", where: source, why });
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    onWarning(error, infoHash.hex);
    return null;
  }
}

/** Peers may still know what it holds. */
function linkTo({ infoHash, name, magnet }: StoredTorrent): Magnet {
  const link = parseMagnet(magnet ?? infoHash.hex);
  return link.infoHash.equals(infoHash) ? link : { ...parseMagnet(infoHash.hex), displayName: name };
}
