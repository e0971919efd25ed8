/**
 * The types of torrents, snapshots and events that a session hands to the rooms above. It loads next to nothing, unlike the session.
 *
 * @module
 */

import { redact } from "../base/secrets.ts";
import type { TorrentEvent } from "../swarm/mod.ts";

export type * from "../swarm/events.ts";
export { progressOf } from "../swarm/events.ts";
export type {
  AnyEvent,
  EventOptions,
  EventStream,
  FilePriority,
  FileSnapshot,
  MissedEvent,
  MoveProgress,
  OpenFileOptions,
  PeerSnapshot,
  PieceCell,
  PieceMap,
  ReadableTorrent,
  ReadOptions,
  StreamedEvent,
  TorrentFailure,
  TorrentHandle,
  TorrentReader,
  TorrentSnapshot,
  TorrentState,
} from "../swarm/mod.ts";

/** What happened. Field names are those of the JSON lines in the command-line contract. */
export type SessionEvent = TorrentEvent | PortMapEvent | DhtEvent;

/** Something is wrong with the DHT. Trackers and peers may do without it. */
export interface DhtEvent {
  /** Which event. */
  readonly event: "dht";
  /** It is for all torrents. */
  readonly infohash: null;
  /** It has no other. */
  readonly status: "error";
  /** What is wrong. */
  readonly message: string;
}

/** The gateway lets others reach us by a port of its own, or it does not. No torrent needs it. */
export interface PortMapEvent {
  /** Which event. */
  readonly event: "port_map";
  /** It is for all torrents. */
  readonly infohash: null;
  /** Whether it does. */
  readonly status: "ok" | "error";
  /** Which kind of port; `null` with `error`. */
  readonly protocol: "tcp" | "udp" | null;
  /** `host:port` outside, the host empty when it is not known; `null` with `error`. */
  readonly external: string | null;
  /** Which gateway, or what is wrong. */
  readonly message: string;
}

/**
 * An event whose words and URLs can be shown to anybody.
 *
 * @param event What happened.
 * @returns A copy.
 */
export function withoutSecrets<Event extends SessionEvent>(event: Event): Event {
  const copy: Record<string, unknown> = { ...event };
  for (const field of ["url", "message", "where", "address"]) {
    if (typeof copy[field] === "string") copy[field] = redact(copy[field]);
  }
  if ("peers" in event && typeof event.peers === "object") copy["peers"] = event.peers.map((peer) => redact(peer));
  return copy as unknown as Event;
}
