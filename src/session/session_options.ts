/**
 * Options of a session.
 *
 * @module
 */

import type { HostPort } from "../base/address.ts";
import type { Platform } from "../platform/platform.ts";
import type { EncryptionMode } from "../transport/stream_encryption.ts";

export type { AddOptions, RateLimits } from "../swarm/mod.ts";

/** Options for {@linkcode Session}. */
export interface SessionOptions {
  /** System services: clock, files, network. */
  readonly platform: Platform;
  /** TCP port; 0 for any; the first free port from 6881 to 6889 when absent. */
  readonly port?: number;
  /** Address to listen on and to connect from; all addresses when absent. */
  readonly bind?: string;
  /** Maximum connections per torrent (default 100). */
  readonly maxPeers?: number;
  /**
   * Maximum connections of all torrents together, half-open ones included (default 500, or `maxPeers` if that is more);
   * see {@linkcode Session.setMaxConnections}.
   */
  readonly maxConnections?: number;
  /**
   * Path of a list of addresses to and from which no peer connections are made, plain or compressed with gzip; see
   * `parseBlocklist()` for the formats. It doesn't apply to trackers, web seeds and DHT nodes.
   */
  readonly blocklist?: string;
  /** Download limit of all torrents together, in bytes per second; see {@linkcode RateLimits}. */
  readonly maxDown?: number | null;
  /** Upload limit of all torrents together, in bytes per second. */
  readonly maxUp?: number | null;
  /**
   * Encryption of peer connections (default `prefer`). It defeats traffic shapers that recognise BitTorrent, but gives
   * no secrecy: everyone who knows the info-hash can take part in the handshake.
   */
  readonly encryption?: EncryptionMode;
  /** Memory for pieces in flight and for the read cache, in bytes (default 64 MiB). */
  readonly cacheBytes?: number;
  /**
   * Folder for state that is kept between runs: resume data, torrents with their settings, and metadata of magnet
   * links; `null` or absent to keep nothing. Several sessions can share a folder, also in different processes.
   */
  readonly stateFolder?: string | null;
  /**
   * `true` to add torrents for this run only (default `false`): `Session.restore()` doesn't add them again, and a
   * torrent's state is deleted 30 days after the last run that had it.
   */
  readonly oneOff?: boolean;
  /** `true` if the files of a magnet link get names that are also valid on Windows; see `parseMetainfo()`. */
  readonly portable?: boolean;
  /** Ways to find peers besides trackers. */
  readonly discovery?: DiscoveryOptions;
}

/** Ways to find peers, and to be found, besides trackers. Absent ones are off. */
export interface DiscoveryOptions {
  /** Take part in the DHT (BEP 5). */
  readonly dht?: {
    /** Bootstrap nodes; the public routers when absent. */
    readonly bootstrap?: readonly HostPort[];
  };
  /** Map our TCP and UDP port on the gateway (UPnP, NAT-PMP, PCP). */
  readonly portMap?: boolean;
  /** Local service discovery (BEP 14); never for a private torrent (BEP 27). */
  readonly lsd?: boolean;
  /** Peer exchange (BEP 11). */
  readonly pex?: boolean;
}

/** Options for removing a torrent. */
export interface RemoveOptions {
  /** `true` to delete the torrent's files from the disk (default `false`). */
  readonly data?: boolean;
}
