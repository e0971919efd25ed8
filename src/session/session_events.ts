/**
 * Types of torrents, snapshots and events for the rooms above the session. Unlike the session, this module loads next
 * to nothing.
 *
 * @module
 */

import { redact } from "../base/secrets.ts";
import type { TorrentEvent } from "../swarm/mod.ts";

export type * from "../swarm/events.ts";
export { progressOf } from "../swarm/events.ts";
export { isSameReason } from "../swarm/waiting.ts";
export type {
  AnyEvent,
  DhtSource,
  EventOptions,
  EventStream,
  FilePriority,
  FileSnapshot,
  LsdSource,
  MissedEvent,
  MoveProgress,
  OpenFileOptions,
  PeerSnapshot,
  PeerSourcesSnapshot,
  PieceCell,
  PieceMap,
  PortSource,
  ReadableTorrent,
  ReadOptions,
  StreamedEvent,
  TorrentFailure,
  TorrentHandle,
  TorrentReader,
  TorrentSnapshot,
  TorrentSources,
  TorrentState,
  TrackerSource,
  WebSeedSource,
} from "../swarm/mod.ts";

/** An event of a session. Field names are those of the command line's JSON lines. */
export type SessionEvent = TorrentEvent | PortMapEvent | DhtEvent;

/** A problem with the DHT. The session goes on with trackers and peers alone. */
export interface DhtEvent {
  /** Type of the event. */
  readonly event: "dht";
  /** Always `null`: the event concerns all torrents. */
  readonly infohash: null;
  /** Always `error`: only problems are reported. */
  readonly status: "error";
  /** Description of the problem. */
  readonly message: string;
}

/** A gateway maps one of our ports, or can't. The session works without a mapping. */
export interface PortMapEvent {
  /** Type of the event. */
  readonly event: "port_map";
  /** Always `null`: the event concerns all torrents. */
  readonly infohash: null;
  /** `ok` if a port is mapped. */
  readonly status: "ok" | "error";
  /** Protocol of the mapped port; `null` with `error`. */
  readonly protocol: "tcp" | "udp" | null;
  /** External `host:port`, with an empty host if the address is unknown; `null` with `error`. */
  readonly external: string | null;
  /** Name and address of the gateway, or a description of the problem. */
  readonly message: string;
}

/**
 * Removes passkeys and passwords from an event's messages and URLs, so that it can be shown to anyone.
 *
 * @returns A copy without secrets.
 */
export function withoutSecrets<Event extends SessionEvent>(event: Event): Event {
  const copy: Record<string, unknown> = { ...event };
  for (const field of ["url", "message", "where", "address"]) {
    if (typeof copy[field] === "string") copy[field] = redact(copy[field]);
  }
  if ("peers" in event && typeof event.peers === "object") copy["peers"] = event.peers.map((peer) => redact(peer));
  return copy as unknown as Event;
}
