/**
 * Public interface of a session's torrent.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { InfoHashes } from "../base/info_hashes.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import type { RateLimits } from "../peer/mod.ts";
import type { MoveProgress } from "../storage/mod.ts";
import type { EventOptions, EventStream } from "./event_stream.ts";
import type { FileSnapshot, PieceMap } from "./piece_map.ts";
import type { TorrentSnapshot } from "./snapshot.ts";
import type { TorrentFailure } from "./torrent_failure.ts";
import type { ReadableTorrent } from "./torrent_reader.ts";
import type { TorrentSources } from "./torrent_sources.ts";
import type { TorrentState } from "./torrent_state.ts";
import type { FilePriority } from "./wanted_pieces.ts";

/**
 * A torrent of a session, from when it is added until it is stopped or removed. `state` says what it is doing. An error
 * doesn't end the torrent: it stays in the session in the state `error`, and can be resumed.
 *
 * Its settings can be changed at any time. Each change emits a `changed` or `state` event.
 */
export interface TorrentHandle extends ReadableTorrent {
  /**
   * Info-hash that names the torrent in this session and in its events, and never changes: that of v1, or the first 20
   * bytes of that of v2 (BEP 52) if the torrent, or the magnet link by which it was added, has no other.
   */
  readonly infoHash: InfoHash;
  /**
   * All info-hashes that are known. The metadata of a magnet link to a hybrid torrent may tell the second one; `metadata`
   * has resolved then. `Session.get()` finds the torrent by each of them.
   */
  readonly infoHashes: InfoHashes;
  /** Name, safe to print. Until a magnet link's metadata is known, the name in the link, or the info-hash. */
  readonly name: string;
  /** Current state. */
  readonly state: TorrentState;
  /** Why the torrent can't go on while `state` is `error`, else `null`. */
  readonly error: TorrentFailure | null;
  /**
   * Resolves when the metadata is known; rejects with the error that stops the torrent before that. Never settles if
   * the torrent is stopped first. Replaced by a new promise at each {@linkcode TorrentHandle.resume} from an error.
   */
  readonly metadata: Promise<Metainfo>;
  /**
   * Resolves when all wanted bytes are verified and under their final names; rejects with the error that stops the
   * torrent before that. Never settles if the torrent is stopped first. Replaced by a new promise at each
   * {@linkcode TorrentHandle.resume} from an error, and when wanted bytes are missing again.
   */
  readonly finished: Promise<void>;
  /** Folder that contains the torrent's file or folder. */
  readonly folder: string;
  /** Returns a snapshot of the current state. */
  snapshot(): TorrentSnapshot;
  /**
   * Returns what trackers, DHT, local discovery and web seeds said last and when they are asked again, and the ports on
   * which peers reach us.
   */
  sources(): TorrentSources;
  /**
   * Returns the state of the pieces, summarised in a row of cells for display; `null` while the metadata is unknown.
   *
   * @param cells Maximum number of cells.
   */
  pieceMap(cells: number): PieceMap | null;
  /** Returns the files except padding, with the progress of each; empty while the metadata is unknown. */
  files(): readonly FileSnapshot[];
  /** `true` if the user has paused the torrent. A check of the files goes on all the same. */
  readonly paused: boolean;
  /** Leaves the swarm: trackers are sent `stopped`, and no connections are kept or accepted. Data is kept. */
  pause(): void;
  /** Resumes after {@linkcode TorrentHandle.pause}; tries again after an error. */
  resume(): void;
  /**
   * Hashes all files on disk, ignoring the resume data. Nothing is downloaded or uploaded meanwhile.
   *
   * @returns Resolves when the check is done or has failed, in which case `state` is `error`.
   */
  recheck(): Promise<void>;
  /**
   * Changes the wanted files. Downloaded data of files that are no longer wanted is kept and still seeded. Data of
   * newly wanted files that was already downloaded isn't downloaded again.
   *
   * @param files Indexes into `meta.files`; `null` for all.
   * @returns Resolves when the change has taken effect.
   * @throws {ShoalError} Of kind `usage` if a file doesn't exist or none is wanted, of kind `storage` if something else
   * is in the place of a file; the selection is unchanged then. While the metadata is unknown this never throws: a file
   * that turns out not to exist puts the torrent in the state `error` once the metadata is known.
   */
  setFiles(files: ReadonlySet<number> | null): Promise<void>;
  /**
   * Moves the torrent's files to another folder, on the same or another file system. Reads and writes go on meanwhile.
   *
   * @param folder Destination; created if it doesn't exist.
   * @param options Progress callback and abort signal.
   * @returns Resolves when all files are in the new folder.
   * @throws {ShoalError} Of kind `storage` if the destination is obstructed or a file can't be moved, of kind `usage`
   * if the torrent is stopped. The files stay where they were then.
   * @throws The signal's reason, when it is aborted.
   */
  move(folder: string, options?: MoveProgress): Promise<void>;
  /** Priorities by index into `meta.files`; absent files have normal priority. */
  readonly priorities: ReadonlyMap<number, FilePriority>;
  /**
   * Sets the priority of files. A piece that covers several files has the highest of their priorities.
   *
   * @param files Indexes into `meta.files`; other files keep their priority.
   * @throws {ShoalError} Of kind `usage` if a file is known not to exist; no priority has changed then.
   * @throws {RangeError} If the priority doesn't exist.
   */
  setPriority(files: Iterable<number>, priority: FilePriority): void;
  /** `true` if pieces are downloaded in order instead of rarest first. */
  readonly sequential: boolean;
  /**
   * Switches between downloading in order and rarest first.
   *
   * @param sequential `true` for in order.
   */
  setSequential(sequential: boolean): void;
  /** Current announce URLs in tiers. */
  readonly trackers: readonly (readonly string[])[];
  /**
   * Replaces the trackers. Trackers that stay are not announced to again, removed ones are sent `stopped`, and new ones
   * are announced to.
   *
   * @param tiers Announce URLs in tiers (BEP 12); empty for no trackers.
   */
  setTrackers(tiers: readonly (readonly string[])[]): void;
  /**
   * Adds peers to connect to.
   *
   * @param addresses Addresses on which the peers listen.
   */
  addPeers(addresses: readonly PeerAddress[]): void;
  /** Rate limits of this torrent. The limits of the session apply as well. */
  readonly limits: RateLimits;
  /**
   * Changes the rate limits at once.
   *
   * @param limits Bytes per second, `null` for no limit; absent ones stay as they are.
   * @throws {RangeError} If a rate isn't above 0; nothing has changed then.
   */
  setLimits(limits: Partial<RateLimits>): void;
  /** Returns a stream of the torrent's events, by default with `progress` every second, until it has stopped. */
  events(options?: EventOptions): EventStream;
  /**
   * Stops the torrent gracefully and takes it out of the session. It stays stored for the next run; see
   * `Session.remove()`. Never rejects because of peers or trackers.
   */
  stop(): Promise<void>;
}
