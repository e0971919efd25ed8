/**
 * What users of a session do with a torrent.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import type { RateLimits } from "../peer/mod.ts";
import type { MoveProgress } from "../storage/mod.ts";
import type { EventOptions, EventStream } from "./event_stream.ts";
import type { FileSnapshot, PieceMap } from "./piece_map.ts";
import type { TorrentSnapshot } from "./snapshot.ts";
import type { TorrentFailure } from "./torrent_failure.ts";
import type { ReadableTorrent } from "./torrent_reader.ts";
import type { TorrentState } from "./torrent_state.ts";
import type { FilePriority } from "./wanted_pieces.ts";

/**
 * A torrent of a session, from the moment that it is added until it is stopped or removed. What it does is one value, `state`; an
 * error doesn't end it: it stays where it is, says what is wrong, and can be resumed.
 *
 * Everything about it can be changed at any time, and each change is an event: `changed`, or `state`.
 */
export interface TorrentHandle extends ReadableTorrent {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print; of a magnet link first what that says, or the info-hash. */
  readonly name: string;
  /** What it is doing. */
  readonly state: TorrentState;
  /** Why it can't go on while `state` is `error`, else `null`. */
  readonly error: TorrentFailure | null;
  /**
   * Resolves when it is known what it holds; rejects with the error that it runs into before. Of one that is stopped before, it
   * never settles. Another promise after each {@linkcode TorrentHandle.resume} from an error.
   */
  readonly metadata: Promise<Metainfo>;
  /**
   * Resolves when every wanted byte is verified and under its final name; rejects with the error that it runs into before. Of one
   * that is stopped before, it never settles. Another promise after each {@linkcode TorrentHandle.resume} from an error, and when
   * something is missing again.
   */
  readonly finished: Promise<void>;
  /** Folder that its files, or its own folder, go into. */
  readonly folder: string;
  /** What it looks like now. */
  snapshot(): TorrentSnapshot;
  /**
   * Its pieces in a row of cells, to be drawn; `null` while nobody knows what it holds.
   *
   * @param cells How many there is room for.
   */
  pieceMap(cells: number): PieceMap | null;
  /** Its files, padding left out, and how much is here of each; none while nobody knows what it holds. */
  files(): readonly FileSnapshot[];
  /** Whether the user has it wait; a check of what is on disk goes on all the same. */
  readonly paused: boolean;
  /** Leaves the swarm: trackers are told, every connection is closed, nobody is let in. What is here stays. */
  pause(): void;
  /** Goes on after {@linkcode TorrentHandle.pause}; after an error, tries again. */
  resume(): void;
  /**
   * Hashes everything that is on disk, whatever is believed to be there. Nothing is fetched or served meanwhile.
   *
   * @returns Settles when it is done, or can't be: then `state` is `error`.
   */
  recheck(): Promise<void>;
  /**
   * Wants other files from now on. What is here of those that aren't wanted any more stays, and is served; what has been fetched
   * of those that are wanted now isn't fetched again.
   *
   * @param files Indexes into `meta.files`; `null` for all.
   * @returns Settles when it is done.
   * @throws {ShoalError} Of kind `usage` if there is no such file or none is left, of kind `storage` if something else is in the
   * place of a file. The choice is the one of before then. While nobody knows what it holds nothing is wrong; what isn't there is the
   * torrent's error as soon as that is known.
   */
  setFiles(files: ReadonlySet<number> | null): Promise<void>;
  /**
   * Moves its files to another folder, on the same file system or another one. They are read and written meanwhile.
   *
   * @param folder The folder; made if need be.
   * @param options Whom to tell how far it has come, and when to give up.
   * @returns Settles when everything is there.
   * @throws {ShoalError} Of kind `storage` if something is in the way there, or a file can't be moved, of kind `usage` if it is stopped.
   * All is as before then.
   * @throws The signal's reason, when it is aborted.
   */
  move(folder: string, options?: MoveProgress): Promise<void>;
  /** Priorities of files, by index into `meta.files`; one that is missing is normal. */
  readonly priorities: ReadonlyMap<number, FilePriority>;
  /**
   * Fetches some files before others from now on. Where pieces cover several files, the highest priority counts.
   *
   * @param files Indexes into `meta.files`; others keep theirs.
   * @param priority The priority.
   * @throws {ShoalError} Of kind `usage` if there is no such file, as far as that is known; nothing has changed then.
   * @throws {RangeError} If there is no such priority.
   */
  setPriority(files: Iterable<number>, priority: FilePriority): void;
  /** Whether pieces are fetched in order instead of the rarest first. */
  readonly sequential: boolean;
  /**
   * Fetches pieces in order from now on, or the rarest first.
   *
   * @param sequential Whether in order.
   */
  setSequential(sequential: boolean): void;
  /** Announce URLs in tiers, as they are now. */
  readonly trackers: readonly (readonly string[])[];
  /**
   * Takes other trackers from now on. Those that are there already are left alone, those that are named no more are told that we
   * leave, and new ones are asked.
   *
   * @param tiers Announce URLs in tiers (BEP 12); none at all for no trackers.
   */
  setTrackers(tiers: readonly (readonly string[])[]): void;
  /**
   * Tries peers besides those that are found.
   *
   * @param addresses Where they listen.
   */
  addPeers(addresses: readonly PeerAddress[]): void;
  /** How fast it may be, within what all torrents together may. */
  readonly limits: RateLimits;
  /**
   * Changes how fast it may be, at once.
   *
   * @param limits Bytes a second, `null` for no limit of its own; what is absent stays as it is.
   * @throws {RangeError} If a rate isn't above 0; nothing has changed then.
   */
  setLimits(limits: Partial<RateLimits>): void;
  /** What happens to it from now on, with `progress` every second; ends when it has stopped, for whatever reason. */
  events(options?: EventOptions): EventStream;
  /**
   * Stops it in good order, and takes it from its session, though not from what is kept between runs; see `Session.remove()`. Never
   * rejects because of peers or trackers.
   */
  stop(): Promise<void>;
}
