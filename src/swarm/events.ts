/**
 * What torrents tell.
 *
 * @module
 */

import type { PeerEvent } from "../peer/mod.ts";
import type { TorrentSnapshot } from "./snapshot.ts";
import type { TorrentState } from "./torrent_state.ts";

export type { PeerEvent };

/** Something happened in a torrent. Field names are those of the JSON lines in the command-line contract. */
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

/** A torrent does something else from now on. */
export interface StateEvent {
  /** Which event. */
  readonly event: "state";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** What it does. */
  readonly state: TorrentState;
  /** What it did before. */
  readonly previous: TorrentState;
}

/** Something about a torrent was changed while it runs. */
export interface ChangedEvent {
  /** Which event. */
  readonly event: "changed";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** What is another one now; with `peers` some were named, with `folder` everything lies there. */
  readonly what: "files" | "priority" | "trackers" | "peers" | "limits" | "sequential" | "folder";
}

/** A torrent was added. */
export interface AddedEvent {
  /** Which event. */
  readonly event: "added";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Its name, safe to print. */
  readonly name: string;
  /** Bytes of the wanted files; `null` while nobody knows, for a magnet link. */
  readonly size: number | null;
  /** How many files are wanted, padding left out; `null` while nobody knows. */
  readonly files: number | null;
}

/** It is known now what a magnet link stands for. */
export interface MetadataEvent {
  /** Which event. */
  readonly event: "metadata";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Its name, safe to print. */
  readonly name: string;
  /** Bytes of the wanted files. */
  readonly size: number;
  /** How many files are wanted, padding left out. */
  readonly files: number;
}

/** The check of data on disk has come this far. */
export interface CheckingEvent {
  /** Which event. */
  readonly event: "checking";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** 0 to 1. */
  readonly progress: number;
}

/** A tracker answered, or did not. */
export interface TrackerEvent {
  /** Which event. */
  readonly event: "tracker";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Announce URL without its secrets: of passkeys only the first characters are there, and three asterisks. */
  readonly url: string;
  /** Whether it answered; with `warning` it did, and has something to say. */
  readonly status: "ok" | "warning" | "error";
  /** As the tracker says, or `null`. */
  readonly seeders: number | null;
  /** As the tracker says, or `null`. */
  readonly leechers: number | null;
  /** How many peers were in the answer. */
  readonly peers: number;
  /** Failure or warning; empty when there is none. */
  readonly message: string;
}

/** A piece failed its hash. */
export interface HashFailedEvent {
  /** Which event. */
  readonly event: "hash_failed";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Its number, from 0 on. */
  readonly piece: number;
  /** IP addresses, without ports, of the peers that sent blocks of it; URLs of web seeds. */
  readonly peers: readonly string[];
}

/** Something does not work that one can do without. */
export interface WarningEvent {
  /** Which event. */
  readonly event: "warning";
  /** `null` for what all torrents have to do without. */
  readonly infohash: string | null;
  /** What is wrong. */
  readonly message: string;
  /** What it is about: a file, a URL; may be empty. */
  readonly where: string;
}

/** Every wanted byte is verified and under its final name. */
export interface CompletedEvent {
  /** Which event. */
  readonly event: "completed";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Its name, safe to print. */
  readonly name: string;
  /** From start to completion. */
  readonly seconds: number;
  /** Payload bytes that were fetched this time. */
  readonly bytes: number;
  /** `bytes / seconds`. */
  readonly rate: number;
}

/** A torrent cannot go on. */
export interface FailedEvent {
  /** Which event. */
  readonly event: "error";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Kind of failure: `storage`, `network`, `torrent` ... */
  readonly code: string;
  /** What is wrong. */
  readonly message: string;
  /** What it is about: a file, a URL; may be empty. */
  readonly where: string;
}

/** A torrent was stopped in good order. */
export interface StoppedEvent {
  /** Which event. */
  readonly event: "stopped";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Payload bytes. */
  readonly downloaded: number;
  /** Payload bytes. */
  readonly uploaded: number;
}

/** A torrent was removed from its session, after it was stopped; no later session has it. */
export interface RemovedEvent {
  /** Which event. */
  readonly event: "removed";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Whether its files were removed from the disk. */
  readonly data: boolean;
}

/** How far a torrent is. */
export interface ProgressEvent {
  /** Which event. */
  readonly event: "progress";
  /** Which torrent, in hexadecimal. */
  readonly infohash: string;
  /** Bytes that are verified, so that `downloaded / size` is `progress`. */
  readonly downloaded: number;
  /** Bytes of the wanted files; `null` while nobody knows. */
  readonly size: number | null;
  /** Part that is verified, 0 to 1; of a magnet link first the part of its metadata. */
  readonly progress: number;
  /** Payload bytes a second from peers, lately. */
  readonly rate_down: number;
  /** Payload bytes a second to peers, lately. */
  readonly rate_up: number;
  /** Payload bytes sent since the start. */
  readonly uploaded: number;
  /** Connected peers, seeds and web seeds included. */
  readonly peers: number;
  /** Those of them that have everything. */
  readonly seeds: number;
  /** Seconds until it is complete; `null` when that can't be told. */
  readonly eta: number | null;
}

/**
 * Makes the event.
 *
 * @param torrent What the torrent looks like.
 * @returns The event; rates and seconds are whole numbers.
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
  };
}
