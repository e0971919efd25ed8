/**
 * What an announce asks, as a URL (BEP 3, 7, 21, 23).
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";

const UNRESERVED = /[A-Za-z0-9._~-]/;

/** Why an announce is sent; `null` for one that is merely due. `paused` marks a partial seed (BEP 21). */
export type AnnounceEvent = "started" | "completed" | "stopped" | "paused" | null;

/** Byte counts of a torrent. */
export interface AnnounceProgress {
  /** Payload bytes sent to peers since the start. */
  readonly uploaded: number;
  /** Payload bytes received from peers since the start. */
  readonly downloaded: number;
  /** Bytes of the whole torrent that are missing, wanted or not; 0 for a seed alone (BEP 21). */
  readonly left: number;
  /** Whether nothing more is wanted although bytes are missing (BEP 21). */
  readonly partialSeed?: boolean;
}

/** What a tracker is told of our encryption, so that it can name peers that fit. */
export type TrackerEncryption = "prefer" | "require";

/** One announce. */
export interface AnnounceRequest {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Our 20 bytes. */
  readonly peerId: Uint8Array;
  /** The port that we listen on. */
  readonly port: number;
  /** How far we are. */
  readonly progress: AnnounceProgress;
  /** Why we announce. */
  readonly event: AnnounceEvent;
  /** How many peers we would like. */
  readonly numwant: number;
  /** Tells the tracker that we are who we were, should our address change (BEP 7); shown to nobody else. */
  readonly key: string;
  /** Whether our connections are encrypted if that can be, or always; absent for never. */
  readonly encryption?: TrackerEncryption;
  /** What this tracker asked us to send back. */
  readonly trackerId: Uint8Array | null;
}

/**
 * The URL of an announce. What the announce URL of the torrent has in its query, such as a passkey, stays in front.
 *
 * @param announceUrl The tracker's URL from the torrent.
 * @param request What to say.
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
 * Bytes as they stand in a URL: all but the unreserved characters of RFC 3986 as `%XX`.
 *
 * @param bytes Any bytes.
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
