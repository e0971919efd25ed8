/**
 * Events of a torrent.
 *
 * @module
 */

import type { PeerEvent } from "../peer/mod.ts";
import type { TorrentSnapshot } from "./snapshot.ts";
import type { TorrentState } from "./torrent_state.ts";

export type { PeerEvent };

/** An event of a torrent. The field names are those of the JSON lines in the command-line contract. */
export type TorrentEvent =
  | AddedEvent
  | MetadataEvent
  | StateEvent
  | ChangedEvent
  | CheckingEvent
  | TrackerEvent
  | PeerEvent
  | HashFailedEvent
  | WarningEvent
  | CompletedEvent
  | FailedEvent
  | StoppedEvent
  | RemovedEvent;

/** The state of a torrent changed. */
export interface StateEvent {
  /** Name of the event. */
  readonly event: "state";
  /** Info-hash of the torrent in hexadecimal, 40 digits: that of `TorrentHandle.infoHash`. */
  readonly infohash: string;
  /** New state. */
  readonly state: TorrentState;
  /** Previous state. */
  readonly previous: TorrentState;
}

/** A setting of a running torrent was changed. */
export interface ChangedEvent {
  /** Name of the event. */
  readonly event: "changed";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** The setting. `peers` means that peers were added, `folder` that all files have been moved to the new folder. */
  readonly what: "files" | "priority" | "trackers" | "peers" | "limits" | "sequential" | "folder";
}

/** A torrent was added. */
export interface AddedEvent {
  /** Name of the event. */
  readonly event: "added";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** v2 info-hash in hexadecimal, 64 digits; `null` if the torrent has none, or it isn't known yet. */
  readonly infohash_v2: string | null;
  /** Name of the torrent, safe to print. */
  readonly name: string;
  /** Bytes of the wanted files; `null` while unknown for a magnet link. */
  readonly size: number | null;
  /** Number of wanted files, without padding; `null` while unknown. */
  readonly files: number | null;
}

/** The metadata of a magnet link was found, or the hashes of pieces that a v2 torrent file lacks (BEP 52). */
export interface MetadataEvent {
  /** Name of the event. */
  readonly event: "metadata";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** v2 info-hash in hexadecimal, 64 digits; `null` if the torrent has none, or it isn't known yet. */
  readonly infohash_v2: string | null;
  /** Name of the torrent, safe to print. */
  readonly name: string;
  /** Bytes of the wanted files. */
  readonly size: number;
  /** Number of wanted files, without padding. */
  readonly files: number;
}

/** The check of data on disk made progress. */
export interface CheckingEvent {
  /** Name of the event. */
  readonly event: "checking";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Progress of the check, 0 to 1. */
  readonly progress: number;
}

/** A tracker answered, or failed to. */
export interface TrackerEvent {
  /** Name of the event. */
  readonly event: "tracker";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Announce URL without its secrets: a passkey is cut to its first characters and three asterisks. */
  readonly url: string;
  /** Whether the tracker answered; `warning` means that it answered with a warning. */
  readonly status: "ok" | "warning" | "error";
  /** Number of seeders according to the tracker, or `null`. */
  readonly seeders: number | null;
  /** Number of leechers according to the tracker, or `null`. */
  readonly leechers: number | null;
  /** Number of peers in the answer. */
  readonly peers: number;
  /** Failure or warning; empty if there is none. */
  readonly message: string;
}

/** A piece failed its hash check. */
export interface HashFailedEvent {
  /** Name of the event. */
  readonly event: "hash_failed";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Index of the piece. */
  readonly piece: number;
  /** IP addresses, without ports, of the peers that sent blocks of the piece, and URLs of web seeds. */
  readonly peers: readonly string[];
}

/** Something failed that the torrent or the session can do without. */
export interface WarningEvent {
  /** Name of the event. */
  readonly event: "warning";
  /** Info-hash of the torrent in hexadecimal; `null` if the warning is about all torrents. */
  readonly infohash: string | null;
  /** What is wrong. */
  readonly message: string;
  /** The file or URL that the warning is about; may be empty. */
  readonly where: string;
  /**
   * `true` if something is lost or left undone, such as data, state that is kept between runs, or a notification.
   * Absent otherwise.
   */
  readonly loses?: boolean;
  /**
   * Info-hash in hexadecimal of the torrent of the session that goes on for this one, which has turned out to be the
   * same hybrid. Absent otherwise.
   */
  readonly joined?: string;
}

/** Every wanted byte has been verified and is under its final name. */
export interface CompletedEvent {
  /** Name of the event. */
  readonly event: "completed";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Name of the torrent, safe to print. */
  readonly name: string;
  /** Seconds from start to completion. */
  readonly seconds: number;
  /** Payload bytes downloaded in that time. */
  readonly bytes: number;
  /** `bytes / seconds`. */
  readonly rate: number;
  /** Seconds of these in which the torrent was downloading: not looking for metadata, checked, paused or queued. */
  readonly downloading: number;
  /** Absolute paths of the wanted files, in the order of the torrent. */
  readonly paths: readonly string[];
}

/** A torrent can't continue. */
export interface FailedEvent {
  /** Name of the event. */
  readonly event: "error";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Kind of failure: `storage`, `network`, `torrent` and others. */
  readonly code: string;
  /** What is wrong. */
  readonly message: string;
  /** The file or URL that the failure is about; may be empty. */
  readonly where: string;
}

/** A torrent was stopped in good order. */
export interface StoppedEvent {
  /** Name of the event. */
  readonly event: "stopped";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Payload bytes downloaded. */
  readonly downloaded: number;
  /** Payload bytes uploaded. */
  readonly uploaded: number;
}

/** A torrent was stopped and removed from its session. Later sessions don't have it either. */
export interface RemovedEvent {
  /** Name of the event. */
  readonly event: "removed";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Whether the files were removed from the disk. */
  readonly data: boolean;
}

/** The progress of a torrent. */
export interface ProgressEvent {
  /** Name of the event. */
  readonly event: "progress";
  /** Info-hash of the torrent in hexadecimal. */
  readonly infohash: string;
  /** Verified bytes, so that `downloaded / size` is `progress`. */
  readonly downloaded: number;
  /** Bytes of the wanted files; `null` while unknown. */
  readonly size: number | null;
  /** Verified part of the wanted files, 0 to 1; for a magnet link first the received part of the metadata. */
  readonly progress: number;
  /** Present download rate in payload bytes per second. */
  readonly rate_down: number;
  /** Present upload rate in payload bytes per second. */
  readonly rate_up: number;
  /** Payload bytes uploaded since the start. */
  readonly uploaded: number;
  /** Number of connected peers, including seeds and web seeds. */
  readonly peers: number;
  /** Number of those that have everything. */
  readonly seeds: number;
  /** Seconds until completion; `null` if unknown. */
  readonly eta: number | null;
  /** Why nothing arrives, for people; `null` while data arrives, and for a torrent that waits for nothing. */
  readonly waiting: string | null;
}

/**
 * Creates a `progress` event. Rates and seconds are rounded to whole numbers.
 *
 * @param torrent Snapshot of the torrent.
 */
export function progressOf(torrent: TorrentSnapshot): ProgressEvent {
  return {
    event: "progress",
    infohash: torrent.infoHash.hex,
    downloaded: torrent.verified,
    size: torrent.state === "metadata" ? null : torrent.size,
    progress: torrent.progress,
    rate_down: Math.round(torrent.rateDown),
    rate_up: Math.round(torrent.rateUp),
    uploaded: torrent.uploaded,
    peers: torrent.peerCount,
    seeds: torrent.seedCount,
    eta: torrent.eta === null ? null : Math.round(torrent.eta),
    waiting: torrent.waiting,
  };
}
