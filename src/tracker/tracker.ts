/**
 * A tracker as the announcer sees it, for HTTP and UDP alike.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { Reach } from "../base/networks.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent, AnnounceProgress, TrackerEncryption } from "./announce_request.ts";

/** What is the same in all announces of a torrent. */
export interface Announcing {
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Our peer id, 20 bytes. */
  readonly peerId: Uint8Array;
  /** Returns the port under which a tracker's host, and the peers that it tells of us, reach us. */
  readonly portFor: (host: string) => number | Promise<number>;
  /** See `key` of `AnnounceRequest`. */
  readonly key: string;
  /** See `AnnounceRequest`; the UDP protocol has no field for it. */
  readonly encryption?: TrackerEncryption;
  /** Local address to connect from; any when absent. */
  readonly bind?: string;
  /** Returns `true` if the torrent is private (BEP 27). Called for each reply. */
  readonly isPrivate: () => boolean;
  /** Resolves a name; none if the name is unknown, or not resolved in time. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>;
  /** Returns how far the host of a URL reaches. */
  readonly reachOf: (host: string) => Promise<Reach>;
}

/** Content and limits of one announce. */
export interface Announcement {
  /** Event of the announce. */
  readonly event: AnnounceEvent;
  /** Progress of the torrent. */
  readonly progress: AnnounceProgress;
  /** Number of peers wanted. */
  readonly numwant: number;
  /** Milliseconds for the complete reply. */
  readonly timeout: number;
  /** Aborts the announce. */
  readonly signal: AbortSignal;
}

/** Number of peers in a swarm. */
export interface SwarmCounts {
  /** Number of seeds, or `null` if the tracker doesn't say. */
  readonly seeders: number | null;
  /** Number of other peers, or `null` if the tracker doesn't say. */
  readonly leechers: number | null;
}

/** One tracker of one torrent. Sends announces, and keeps the state between them. */
export interface Tracker {
  /** Announce URL. */
  readonly url: string;
  /** Default timeout of an announce in milliseconds. */
  readonly patience: number;
  /** Milliseconds after which the next tracker is tried as well, while the announce is unanswered. */
  readonly failoverDelay: number;
  /** `true` if the tracker may have received the running announce, so that `stopped` may have to be sent. */
  readonly mayHaveHeard: boolean;
  /** No announce is sent before this time of the platform's clock; `Infinity` for never again (BEP 31). */
  retryAt: number;

  /**
   * Sends an announce.
   *
   * @throws {TrackerError} If there is no reply in time, it is no tracker reply, or it has a failure reason.
   */
  announce(announcement: Announcement): Promise<AnnounceReply>;

  /**
   * Gets the counts that announce replies lack. Absent if the tracker can't be scraped.
   *
   * @param limits As in {@linkcode Announcement}.
   * @throws {TrackerError} As `announce` does.
   */
  scrape?(limits: Pick<Announcement, "timeout" | "signal">): Promise<SwarmCounts>;
}
