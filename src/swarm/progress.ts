/**
 * How far a torrent is, as an event.
 *
 * @module
 */

import type { TorrentSnapshot } from "./snapshot.ts";

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
