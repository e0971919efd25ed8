/**
 * Builds announce URLs for HTTP trackers (BEP 3, 7, 21, 23).
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";

const UNRESERVED = /[A-Za-z0-9._~-]/;

/** Event of an announce; `null` for a regular one. `paused` is sent by partial seeds (BEP 21). */
export type AnnounceEvent = "started" | "completed" | "stopped" | "paused" | null;

/** Byte counts of a torrent. */
export interface AnnounceProgress {
  /** Payload bytes sent to peers since `started`. */
  readonly uploaded: number;
  /** Payload bytes received from peers since `started`. */
  readonly downloaded: number;
  /** Missing bytes of the whole torrent, wanted or not; 0 only for a seed (BEP 21). */
  readonly left: number;
  /** `true` if all wanted bytes are here but the torrent is incomplete (BEP 21). */
  readonly partialSeed?: boolean;
}

/** Encryption that we tell trackers to support or require, so that they can choose peers. */
export type TrackerEncryption = "prefer" | "require";

/** Content of an announce. */
export interface AnnounceRequest {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Our peer id, 20 bytes. */
  readonly peerId: Uint8Array;
  /** Port under which peers reach us. */
  readonly port: number;
  /** Progress of the torrent. */
  readonly progress: AnnounceProgress;
  /** Event of the announce. */
  readonly event: AnnounceEvent;
  /** Number of peers wanted. */
  readonly numwant: number;
  /** Random key by which the tracker recognises us if our address changes (BEP 7). Peers never see it. */
  readonly key: string;
  /** Encryption of our peer connections; absent if it is off. */
  readonly encryption?: TrackerEncryption;
  /** Tracker id of an earlier reply, or `null`. */
  readonly trackerId: Uint8Array | null;
}

/**
 * Builds the URL of an announce. The query of the tracker's URL, such as a passkey, is kept in front.
 *
 * @param announceUrl Announce URL of the tracker.
 * @param request Content of the announce.
 * @returns An absolute URL.
 *
 * @example
 * ```ts
 * buildAnnounceUrl("http://tracker.example/announce?pass=1", request);
 * // http://tracker.example/announce?pass=1&info_hash=%C5...&peer_id=-SH0100-...&port=6881&...
 * ```
 */
export function buildAnnounceUrl(announceUrl: string, request: AnnounceRequest): string {
  const { progress, event, trackerId } = request;
  const parameters = [
    `info_hash=${percentEncode(request.infoHash.bytes)}`,
    `peer_id=${percentEncode(request.peerId)}`,
    `port=${request.port}`,
    `uploaded=${progress.uploaded}`,
    `downloaded=${progress.downloaded}`,
    `left=${progress.left}`,
    "compact=1",
    `numwant=${request.numwant}`,
    `key=${request.key}`,
  ];
  if (request.encryption) parameters.push(request.encryption === "require" ? "requirecrypto=1" : "supportcrypto=1");
  if (event !== null) parameters.push(`event=${event}`);
  if (trackerId !== null) parameters.push(`trackerid=${percentEncode(trackerId)}`);
  const base = announceUrl.replace(/#.*$/s, ""); // a fragment is never sent
  const joint = !base.includes("?") ? "?" : /[?&]$/.test(base) ? "" : "&";
  return base + joint + parameters.join("&");
}

/**
 * Percent-encodes all bytes except the unreserved characters of RFC 3986.
 *
 * @returns ASCII text.
 */
export function percentEncode(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    out += UNRESERVED.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}
