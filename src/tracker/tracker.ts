/**
 * A tracker as the announcer sees it, whatever it is spoken to over.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import type { Reach } from "../base/networks.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent, AnnounceProgress, TrackerEncryption } from "./announce_request.ts";

/** Who announces. */
export interface Announcing {
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Our 20 bytes. */
  readonly peerId: Uint8Array;
  /** The port at which a tracker's host, by name or address, and those whom it tells of us reach us. */
  readonly portFor: (host: string) => number | Promise<number>;
  /** See `key` of `AnnounceRequest`. */
  readonly key: string;
  /** See `AnnounceRequest`; UDP trackers can't be told. */
  readonly encryption?: TrackerEncryption;
  /** Local address to connect from. */
  readonly bind?: string;
  /** Whether the torrent is private (BEP 27), asked for each answer. */
  readonly isPrivate: () => boolean;
  /** The addresses of a name; none when it isn't known, or not soon. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>;
  /** How far the host of a URL reaches. */
  readonly reachOf: (host: string) => Promise<Reach>;
}

/** What one announce says. */
export interface Announcement {
  /** Why it is sent. */
  readonly event: AnnounceEvent;
  /** How far we are. */
  readonly progress: AnnounceProgress;
  /** How many peers we would like. */
  readonly numwant: number;
  /** Milliseconds until the whole answer must be there. */
  readonly timeout: number;
  /** Gives up early. */
  readonly signal: AbortSignal;
}

/** How many peers a swarm has. */
export interface SwarmCounts {
  /** Seeds, or `null` when the tracker does not say. */
  readonly seeders: number | null;
  /** Other peers, or `null` when the tracker does not say. */
  readonly leechers: number | null;
}

/** One tracker of one torrent: sends announces, remembers what has to be remembered between them. */
export interface Tracker {
  /** The announce URL. */
  readonly url: string;
  /** Milliseconds that it has to answer, unless somebody says otherwise. */
  readonly patience: number;
  /** Milliseconds for which others wait for its answer before they are asked, too. */
  readonly holdsUp: number;
  /** Whether it may have heard of us from the announce that is under way, so that it may have to be told that we leave. */
  readonly mayHaveHeard: boolean;
  /** Not to be asked before this moment of the platform's clock; `Infinity` for never again (BEP 31). */
  retryAt: number;

  /**
   * Sends one announce.
   *
   * @param announcement What it says.
   * @returns The answer.
   * @throws {TrackerError} If there is no answer in time, it is no tracker's answer, or the tracker says no.
   */
  announce(announcement: Announcement): Promise<AnnounceReply>;

  /**
   * Asks for the counts that its answers to announces lack. Absent where that can't be done.
   *
   * @param limits As in {@linkcode Announcement}.
   * @returns The counts.
   * @throws {TrackerError} As `announce` does.
   */
  scrape?(limits: Pick<Announcement, "timeout" | "signal">): Promise<SwarmCounts>;
}
