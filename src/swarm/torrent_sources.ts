/**
 * Where a torrent gets peers and data from, at one moment, for display.
 *
 * @module
 */

import type { WebSeedSource } from "./web_seeds/web_seed.ts";

/** All sources of a torrent at one moment. Plain values that never change. */
export interface TorrentSources extends PeerSourcesSnapshot {
  /** `true` if the torrent is known to be private, so that only trackers and the user name peers (BEP 27). */
  readonly isPrivate: boolean;
  /** `true` if connected peers are asked for other peers (BEP 11). */
  readonly pex: boolean;
  /** The ports on which peers reach us. */
  readonly port: PortSource;
  /** Web seeds in the order in which they were named; empty while the metadata is unknown or nothing is missing. */
  readonly webSeeds: readonly WebSeedSource[];
}

/** Sources of peers at one moment. */
export interface PeerSourcesSnapshot {
  /** `true` while the sources look for peers: neither paused nor stopped. */
  readonly active: boolean;
  /** Trackers in the order of their tiers. */
  readonly trackers: readonly TrackerSource[];
  /** The DHT; `null` if it is off or the torrent is private. */
  readonly dht: DhtSource | null;
  /** Local service discovery; `null` if it is off or the torrent is private. */
  readonly lsd: LsdSource | null;
}

/** A tracker of a torrent at one moment. */
export interface TrackerSource {
  /** Announce URL without secrets: of a passkey only the first characters are left, followed by three asterisks. */
  readonly url: string;
  /** Index of the tier, from 0. */
  readonly tier: number;
  /**
   * `announcing`: an announce is under way. `leaving`: `stopped` is being sent. `waiting`: the next announce is
   * scheduled. `idle`: the tracker is used only if others fail, or never.
   */
  readonly state: "announcing" | "leaving" | "waiting" | "idle";
  /** Outcome of the last announce; `null` before the first. `warning` is a success with a message. */
  readonly status: "ok" | "warning" | "error" | null;
  /** Failure reason or warning, safe to print; empty if there is none. */
  readonly message: string;
  /** Number of seeds in the swarm, by the last reply that had it; `null` if unknown. */
  readonly seeders: number | null;
  /** Number of other peers in the swarm, by the last reply that had it; `null` if unknown. */
  readonly leechers: number | null;
  /** Number of peers in the last reply; `null` before the first, and after a failure. */
  readonly peers: number | null;
  /** `true` if the last reply named a peer that isn't ourselves, as far as that can be told. */
  readonly others: boolean;
  /** Failures in a row. */
  readonly failures: number;
  /** Seconds since the last answer or failure; `null` before the first. */
  readonly secondsSinceAnswer: number | null;
  /** Seconds until the next announce; `null` unless `state` is `waiting`. */
  readonly secondsUntilNext: number | null;
}

/** The DHT as a source of peers of one torrent. */
export interface DhtSource {
  /** `joining`: the first lookup waits until we have joined the DHT. `asking`: a lookup is under way. */
  readonly state: "joining" | "asking" | "waiting" | "stopped";
  /** Number of nodes that answered or asked us something within 15 minutes. */
  readonly nodes: number;
  /** Seconds since our node was started. */
  readonly secondsSinceStart: number;
  /** Result of the last lookup; `null` before the first is complete. */
  readonly last: {
    /** Number of nodes that answered. */
    readonly answered: number;
    /** Number of peers that they named, which may include us. */
    readonly peers: number;
  } | null;
  /** Seconds since the last lookup; `null` before the first is complete. */
  readonly secondsSinceAnswer: number | null;
  /** Seconds until the next lookup; `null` unless `state` is `waiting`. */
  readonly secondsUntilNext: number | null;
}

/** Local service discovery as a source of peers of one torrent. */
export interface LsdSource {
  /** Number of announces heard from local peers of the torrent. */
  readonly heard: number;
  /** Seconds until our next announce; `null` if none is due. */
  readonly secondsUntilNext: number | null;
}

/** The ports on which peers reach us. */
export interface PortSource {
  /** TCP port on which the session listens. */
  readonly tcp: number;
  /** UDP port of the DHT and of UDP trackers. */
  readonly udp: number;
  /** `mapped`: a gateway forwards a port to us. `asking`: no gateway has answered yet. `off`: none is asked. */
  readonly mapping: "off" | "asking" | "mapped" | "failed";
  /** External `host:port` of the mapped TCP port, with an empty host if the address is unknown; `null` if not mapped. */
  readonly external: string | null;
  /** Name and address of the gateway, or why there is no mapping; empty if there is nothing to say. */
  readonly message: string;
}
