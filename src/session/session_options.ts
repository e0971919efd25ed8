/**
 * What a user of the library may choose.
 *
 * @module
 */

import type { HostPort } from "../base/address.ts";
import type { Platform } from "../platform/platform.ts";
import type { EncryptionMode } from "../transport/stream_encryption.ts";

export type { AddOptions, RateLimits } from "../swarm/mod.ts";

/** Settings of a session. */
export interface SessionOptions {
  /** The outside. */
  readonly platform: Platform;
  /** TCP port; 0 for any; absent for the first free of 6881 to 6889. */
  readonly port?: number;
  /** Address to listen on and to connect from; absent for all. */
  readonly bind?: string;
  /** Connections per torrent (default 100). */
  readonly maxPeers?: number;
  /**
   * Connections of all torrents together, those that are being made included (default 500, or `maxPeers` if that is more); see
   * {@linkcode Session.setMaxConnections}.
   */
  readonly maxConnections?: number;
  /**
   * Path of a list of addresses that are neither dialled nor heard, packed with gzip or not; see `parseBlocklist()` for the
   * forms. Trackers, web seeds and nodes of the DHT aren't concerned.
   */
  readonly blocklist?: string;
  /** Bytes a second that all torrents together download at most; see {@linkcode RateLimits}. */
  readonly maxDown?: number | null;
  /** Bytes a second that all torrents together upload at most. */
  readonly maxUp?: number | null;
  /**
   * How connections to peers are encrypted (default `prefer`). It keeps those out who slow BitTorrent down wherever they
   * recognise it, and is no secrecy: whoever knows the info-hash can take part in the handshake.
   */
  readonly encryption?: EncryptionMode;
  /** Memory for pieces in flight and for reading, in bytes (default 64 MiB). */
  readonly cacheBytes?: number;
  /**
   * Folder for what is kept between runs: resume state, the torrents with their settings, and what magnet links stand for;
   * `null` or absent keeps nothing. Several sessions may have the same one, also in different processes.
   */
  readonly stateFolder?: string | null;
  /**
   * Whether torrents are added for this run alone (default `false`): `Session.restore()` doesn't add them again, and 30 days
   * after the last run that had it a torrent is forgotten.
   */
  readonly oneOff?: boolean;
  /** Whether files that a magnet link stands for get names that Windows allows, too; see `parseMetainfo()`. */
  readonly portable?: boolean;
  /** How to find others and be found. */
  readonly discovery?: DiscoveryOptions;
}

/** How to find others and be found, besides trackers. What is absent is off. */
export interface DiscoveryOptions {
  /** Take part in the DHT. */
  readonly dht?: {
    /** Nodes to start from; the public routers when absent. */
    readonly bootstrap?: readonly HostPort[];
  };
  /** Have the gateway between us and the outside let others through to our port, TCP and UDP (UPnP, NAT-PMP, PCP). */
  readonly portMap?: boolean;
  /** Local service discovery (BEP 14); never for a private torrent (BEP 27). */
  readonly lsd?: boolean;
  /** Peer exchange (BEP 11). */
  readonly pex?: boolean;
}

/** How a torrent is removed. */
export interface RemoveOptions {
  /** Whether its files are removed from the disk (default `false`). */
  readonly data?: boolean;
}
