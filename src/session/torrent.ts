/**
 * What users of a session do with a torrent.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { Metainfo } from "../metainfo/mod.ts";
import type { EventOptions, EventStream, FileSnapshot, PieceMap, RateLimits, ReadableTorrent } from "../swarm/mod.ts";
import type { TorrentSnapshot } from "./types.ts";

export type {
  AnyEvent,
  EventOptions,
  EventStream,
  FileSnapshot,
  MissedEvent,
  OpenFileOptions,
  PieceCell,
  PieceMap,
  ProgressEvent,
  ReadableTorrent,
  ReadOptions,
  StreamedEvent,
  TorrentReader,
} from "../swarm/mod.ts";
export { progressOf } from "../swarm/mod.ts";

/** A torrent of a session. */
export interface Torrent extends ReadableTorrent {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Its name, safe to print; of a magnet link first what that says, or the info-hash. */
  readonly name: string;
  /**
   * Resolves when it is known what it holds; rejects with the error that ended the torrent before. Of one that is stopped
   * before, it never settles.
   */
  readonly metadata: Promise<Metainfo>;
  /**
   * Resolves when every wanted byte is verified and under its final name; rejects with the error that ended the torrent. Of one
   * that is stopped before, it never settles.
   */
  readonly finished: Promise<void>;
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
  /** Whether it is paused; a check of what is on disk goes on all the same. */
  readonly paused: boolean;
  /** Leaves the swarm: trackers are told, every connection is closed, nobody is let in. What is here stays. */
  pause(): void;
  /** Goes on after {@linkcode Torrent.pause}. */
  resume(): void;
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
  /** Stops it in good order. Never rejects because of peers or trackers. */
  stop(): Promise<void>;
}
