/**
 * Converts events to JSON objects with the field names of the command-line contract.
 *
 * @module
 */

import { messageOf, ShoalError } from "../base/errors.ts";
import { redact } from "../base/secrets.ts";
import { progressOf } from "../session/session_events.ts";
import type { TorrentSnapshot } from "../session/session_events.ts";
import type { ViewEvent } from "./view.ts";

/** A JSON object. `event` and `time` come first. */
export interface JsonLine {
  readonly event: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly [field: string]: string | number | null | readonly string[];
}

/**
 * Converts an event.
 *
 * @param event The event.
 * @param time Time of the event, in milliseconds since 1970.
 * @returns The object to print.
 */
export function eventLine(event: ViewEvent, time: number): JsonLine {
  const { infohash } = event;
  const head = { event: event.event, time: isoTime(time), infohash };
  switch (event.event) {
    case "added":
    case "metadata":
      return { ...head, infohash_v2: event.infohash_v2, name: event.name, size: event.size, files: event.files };
    case "checking":
      return { ...head, progress: event.progress };
    case "tracker": {
      const { url, status, seeders, leechers, peers, message } = event;
      return { ...head, url, status, seeders, leechers, peers, message };
    }
    case "peer":
      return { ...head, address: event.address, client: event.client, action: event.action, message: event.message };
    case "hash_failed":
      return { ...head, piece: event.piece, peers: event.peers };
    case "port_map":
      return {
        ...head,
        status: event.status,
        protocol: event.protocol,
        external: event.external,
        message: event.message,
      };
    case "dht":
      return { ...head, status: event.status, message: event.message };
    case "warning":
      return { ...head, message: event.message, where: event.where };
    case "completed":
      return {
        ...head,
        name: event.name,
        seconds: toThousandths(event.seconds),
        bytes: event.bytes,
        rate: Math.round(event.rate),
        paths: event.paths,
      };
    case "error":
      return { ...head, code: event.code, message: event.message, where: event.where };
    case "stream":
      return { ...head, name: event.name, url: event.url, largest: event.largest, files: event.files };
    case "stopped":
      return { ...head, downloaded: event.downloaded, uploaded: event.uploaded };
  }
}

/** Rounds seconds to milliseconds. */
function toThousandths(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

/**
 * Makes a `progress` object.
 *
 * @param torrent The torrent.
 * @param time Time of the snapshot, in milliseconds since 1970.
 * @returns The object to print. `downloaded` counts verified bytes, so that `downloaded / size` is `progress`.
 */
export function progressLine(torrent: TorrentSnapshot, time: number): JsonLine {
  const { event, ...rest } = progressOf(torrent);
  return { event, time: isoTime(time), ...rest };
}

/**
 * Makes an `error` object for a failure that doesn't concern a torrent.
 *
 * @param thrown What was thrown; anything but a {@linkcode ShoalError} is a bug.
 * @param time Time of the failure, in milliseconds since 1970.
 * @returns The object to print.
 */
export function failureLine(thrown: unknown, time: number): JsonLine {
  const head = { event: "error", time: isoTime(time) };
  if (!(thrown instanceof ShoalError)) {
    return { ...head, code: "unexpected", message: redact(messageOf(thrown)), where: "" };
  }
  return { ...head, code: thrown.kind, message: `${thrown.what}: ${thrown.why}`, where: thrown.where };
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}
