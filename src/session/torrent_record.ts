/**
 * Converts a session's torrents to stored records, and adds stored torrents to a session again.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { ShoalError } from "../base/errors.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import {
  formatMagnet,
  infoHashesOf,
  type Magnet,
  type Metainfo,
  numberedFiles,
  parseMagnet,
  parseMetainfo,
  topicsOf,
  torrentFile,
} from "../metainfo/mod.ts";
import type { FilePriority, TorrentHandle, TorrentState } from "../swarm/mod.ts";
import { duplicateError } from "../swarm/duplicate_add.ts";
import { isMagnet } from "../swarm/file_selection.ts";
import type { AddOptions, RateLimits, RemoveOptions } from "./session_options.ts";
import type { FileSystem } from "../platform/platform.ts";
import type { KeptTorrent, SessionStore } from "./session_store.ts";
import type { StoredTorrent } from "./store_schema.ts";

/** State of a torrent that goes into its record. */
export interface Recordable {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** All info-hashes that are known. */
  readonly infoHashes: InfoHashes;
  /** Name, safe to print. */
  readonly name: string;
  /** Metadata; `null` while unknown. */
  readonly meta: Metainfo | null;
  /** Current state. */
  readonly state: TorrentState;
  /** `true` if the user has paused the torrent. */
  readonly paused: boolean;
  /** Error that stops the torrent; `null` if there is none. */
  readonly error: { readonly message: string; readonly where: string } | null;
  /** Folder that contains the torrent's file or folder. */
  readonly folder: string;
  /** `true` if pieces are downloaded in order. */
  readonly sequential: boolean;
  /** Indexes of the wanted files. */
  readonly wantedFiles: readonly number[];
  /** Indexes of the files to download once the metadata is known; `null` for all, or if not chosen by index. */
  readonly askedFiles: readonly number[] | null;
  /** Priorities by file index; absent files have normal priority. */
  readonly priorities: ReadonlyMap<number, FilePriority>;
  /** Announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /** Rate limits of the torrent. */
  readonly limits: RateLimits;
  /** `true` once the files on disk have been checked. */
  readonly attached: boolean;
  /** `true` if all wanted pieces are verified and written. */
  readonly complete: boolean;
  /** Payload bytes received since the torrent was added. */
  readonly downloaded: number;
  /** Payload bytes sent since the torrent was added. */
  readonly uploaded: number;
}

/** How a torrent was added to the session. */
export interface Origin {
  /** Metadata or magnet link that the torrent was added with. */
  readonly source: Metainfo | Magnet;
  /** Options that the torrent was added with. */
  readonly add: AddOptions;
  /** `true` if the torrent was added for one run only. */
  readonly oneOff: boolean;
  /** Returns `true` if the torrent is being removed with its files. */
  isRemoving(): boolean;
}

/** Makes the view of a torrent that the store reads. */
export function keptTorrent(torrent: Recordable, { source, add, oneOff, isRemoving }: Origin): KeptTorrent {
  const magnet = isMagnet(source) ? formatMagnet(source) : null;
  return {
    infoHash: torrent.infoHash,
    get infoHashes() {
      return torrent.infoHashes;
    },
    get isDescribed() {
      return torrent.meta !== null;
    },
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
    torrentFile: () => {
      const meta = torrent.meta ?? (isMagnet(source) ? null : source);
      return meta && torrentFile(meta.info, meta);
    },
    traffic: torrent,
  };
}

/** Rounds a rate, which may be any number above 0, to an integer for the database. */
function wholeRate(rate: number | null): number | null {
  return rate === null ? null : Math.max(1, Math.round(rate));
}

function filesOf({ meta, wantedFiles, askedFiles }: Recordable): readonly number[] | null {
  if (meta === null) return askedFiles;
  return wantedFiles.length === numberedFiles(meta.files).length ? null : wantedFiles;
}

/** Options for {@linkcode restoreTorrents}. */
export interface RestoreOptions {
  /** Session to which torrents are added. */
  readonly session: {
    get(infoHash: InfoHash): TorrentHandle | null;
    add(source: Metainfo | Magnet, options: AddOptions): Promise<TorrentHandle>;
    remove(torrent: TorrentHandle, options: RemoveOptions): Promise<void>;
  };
  /** `true` if file names must also be valid on Windows. */
  readonly portable: boolean;
  /** File system, to check whether folders exist. */
  readonly files: Pick<FileSystem, "stat">;
  /** Returns `true` if the remaining torrents are not to be added, because the session has stopped. */
  isOver(): boolean;
  /** Yields to other work. */
  yieldToEventLoop(): Promise<void>;
  /** Called with problems of a torrent. */
  onWarning(error: ShoalError, infohash: string): void;
}

/**
 * Adds the stored torrents to a session again, one after the other, except one-off torrents and those already in it.
 * Also finishes interrupted removals of torrents with their files. Of a hybrid that is stored twice, by two links with
 * other settings, the torrent with the data is added, and the other is left out with a warning.
 *
 * @param options See {@linkcode RestoreOptions}.
 * @returns The torrents that were added.
 */
export async function restoreTorrents(
  store: Pick<SessionStore, "torrents" | "load" | "holds">,
  options: RestoreOptions,
): Promise<TorrentHandle[]> {
  const { session } = options;
  const torrents: TorrentHandle[] = [];
  const rows = store.torrents();
  const named = rows.flatMap((row) => row.infoHashes.onWire.map(({ hex }) => [hex, row] as const));
  const byInfoHash = Map.groupBy(named, ([hex]) => hex);
  for (const kept of rows) {
    if (kept.oneOff && kept.state !== "removing") continue;
    if (store.holds(kept.infoHash)) continue;
    const other = twinIn(session, kept) ??
      betterOf(kept.infoHashes.onWire.flatMap(({ hex }) => byInfoHash.get(hex) ?? []), kept);
    if (other !== undefined) {
      const why = `it goes to ${other.folder} already, and is left out in ${kept.folder}`;
      options.onWarning(duplicateError(kept.name, why), kept.infoHash.hex);
      continue;
    }
    const file = await store.load(kept.infoHash);
    await options.yieldToEventLoop();
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
        // The disk may not be mounted. Resuming would download everything again, into the mount point.
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

/** Returns the torrent of a session that has an info-hash of a stored one. */
function twinIn(session: RestoreOptions["session"], { infoHashes }: StoredTorrent): TorrentHandle | undefined {
  return infoHashes.onWire.map((infoHash) => session.get(infoHash)).find((torrent) => torrent !== null) ?? undefined;
}

/** Returns the row of the same torrent that is to be restored instead: it has the data, or knows more info-hashes. */
function betterOf(
  rows: readonly (readonly [string, StoredTorrent])[],
  kept: StoredTorrent,
): StoredTorrent | undefined {
  const rank = ({ doneAt, infoHashes }: StoredTorrent) => (doneAt === null ? 0 : 2) + infoHashes.onWire.length;
  if (kept.state === "removing") return undefined;
  return rows.map(([, row]) => row)
    .find((row) => !row.oneOff && row.state !== "removing" && rank(row) > rank(kept));
}

/** Returns `true` if a folder doesn't exist; `false` if unknown, since opening the files reports errors. */
async function isGone(folder: string, files: Pick<FileSystem, "stat">): Promise<boolean> {
  try {
    return await files.stat(folder) === null;
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    return false;
  }
}

/** Applies the settings that `add()` doesn't take. */
function adjust(torrent: TorrentHandle, { priorities, maxDown, maxUp, state }: StoredTorrent): void {
  if (state === "paused") torrent.pause();
  if (maxDown !== null || maxUp !== null) torrent.setLimits({ down: maxDown, up: maxUp });
  for (const level of ["high", "low"] as const) {
    const files = priorities.filter(([, priority]) => priority === level).map(([file]) => file);
    if (files.length > 0) torrent.setPriority(files, level);
  }
}

/** Parses a stored torrent file; returns `null` if it is missing or unusable. */
function parsed(
  { infoHash, infoHashes }: StoredTorrent,
  file: Bytes | null,
  { portable, onWarning }: RestoreOptions,
): Metainfo | null {
  if (file === null) return null;
  const source = `the torrent ${infoHash.hex} of the last run`;
  try {
    const meta = parseMetainfo(file, { portable, source });
    // A hybrid that was added by its v2 info-hash alone keeps that name.
    if (infoHashes.isPartOf(infoHashesOf(meta))) return { ...meta, infoHash };
    const why = `its info-hash is ${meta.infoHash.hex}`;
    throw new ShoalError("torrent", { what: "the wrong torrent", where: source, why });
  } catch (error) {
    if (!(error instanceof ShoalError)) throw error;
    onWarning(error, infoHash.hex);
    return null;
  }
}

/** Makes a magnet link for a torrent whose torrent file is lost: peers may still have the metadata. */
function linkTo({ infoHashes: { v1, v2 }, name, magnet }: StoredTorrent): Magnet {
  const own = parseMagnet(`magnet:?${topicsOf({ infoHashV1: v1, infoHashV2: v2 }).join("&")}`);
  const link = magnet === null ? null : parseMagnet(magnet);
  const isOurs = link !== null && infoHashesOf(own).has(link.infoHash);
  const { infoHash, infoHashV1, infoHashV2 } = own;
  return isOurs ? { ...link, infoHash, infoHashV1, infoHashV2 } : { ...own, displayName: name };
}
