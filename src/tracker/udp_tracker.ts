/**
 * Announces one torrent to one UDP tracker (BEP 15). If the tracker has IPv4 and IPv6 addresses, we announce over both,
 * so that peers of both families find us (BEP 7).
 *
 * @module
 */

import { type AddressFamily, familyOf, type PeerAddress } from "../base/address.ts";
import { MAX_TRACKER_PEERS } from "../base/defences.ts";
import { reachOf } from "../base/networks.ts";
import type { Timer } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent } from "./announce_request.ts";
import { filterCrediblePeers, withCrediblePeers } from "./credible_peers.ts";
import { TrackerError } from "./errors.ts";
import type { Announcement, Announcing, Tracker } from "./tracker.ts";
import { encodeAnnounce, parseUdpAnnounceReply, type UdpTrackerUrl } from "./udp_messages.ts";
import { type UdpTrackers } from "./udp_trackers.ts";

/** Milliseconds for the reply of a UDP tracker. Many torrents name a dozen, most of them dead. */
const PATIENCE_MS = 15_000;
/** Milliseconds after which the next tracker is tried as well: the first datagram has been retransmitted by then. */
const HOLDS_UP_MS = 5_000;
/** Milliseconds for which a reply over one family waits for the reply over the other. */
const GRACE_MS = 1_000;

/** State of a tracker for one address family. */
interface Side {
  readonly family: AddressFamily;
  /** Index of the address to use, increased after each failure. */
  turn: number;
  /** Address that an announce was sent to, which must be sent `stopped`. */
  told: PeerAddress | null;
  /** `true` if the tracker has accepted an announce over this family. */
  knowsUs: boolean;
  /** `true` if the last announce failed, so that the other family doesn't wait for this one. */
  silent: boolean;
}

/** Options for {@linkcode UdpTracker}. */
export interface UdpTrackerOptions {
  /** Parts of the announce URL. */
  readonly place: UdpTrackerUrl;
  /** Client for UDP trackers. */
  readonly udp: UdpTrackers;
  /** What is the same in all announces. */
  readonly self: Announcing;
}

/** A tracker with a UDP URL. */
export class UdpTracker implements Tracker {
  readonly url: string;
  readonly patience: number = PATIENCE_MS;
  readonly failoverDelay: number = HOLDS_UP_MS;
  retryAt = -Infinity;
  readonly #udp: UdpTrackers;
  readonly #self: Announcing;
  readonly #place: UdpTrackerUrl;
  // IPv6 first, since IPv6 hosts are not behind a NAT.
  readonly #sides: readonly Side[] = ([6, 4] as const).map((family) => {
    return { family, turn: 0, told: null, knowsUs: false, silent: false };
  });

  constructor(url: string, options: UdpTrackerOptions) {
    this.url = url;
    this.#place = options.place;
    this.#udp = options.udp;
    this.#self = options.self;
  }

  /** Returns `true` if an announce was sent. A tracker that gave no connection id was sent none. */
  get mayHaveHeard(): boolean {
    return this.#sides.some(({ told }) => told !== null);
  }

  async announce(announcement: Announcement): Promise<AnnounceReply> {
    if (announcement.event === "stopped") return await this.#takeLeave(announcement);
    const hosts = await this.#resolve(announcement);
    const { port } = this.#place;
    const attempts = new Map<Side, Promise<AnnounceReply>>();
    for (const side of this.#sides) {
      const choices = hosts.filter((host) => familyOf(host) === side.family);
      if (choices.length === 0) continue;
      const host = choices[side.turn % choices.length]!;
      attempts.set(side, this.#announceTo(side, { address: { host, port }, announcement }));
    }
    return await this.#gather(attempts);
  }

  /** Resolves the host name, within the limits of the announce. */
  async #resolve({ timeout, signal }: Announcement): Promise<readonly string[]> {
    const end = Promise.withResolvers<never>();
    const giveUp = () => end.reject(new TrackerError("the request was given up"));
    const timer = this.#udp.platform.after(timeout, () => {
      end.reject(new TrackerError(`the name server did not answer within ${timeout / 1000} s`));
    });
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
    try {
      return await Promise.race([this.#udp.resolve(this.#place.host), end.promise]);
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #announceTo(
    side: Side,
    { address, announcement }: { readonly address: PeerAddress; readonly announcement: Announcement },
  ): Promise<AnnounceReply> {
    const event = side.knowsUs ? announcement.event : firstEvent(announcement.event);
    try {
      const reply = await this.#ask(side, { address, announcement: { ...announcement, event } });
      side.knowsUs = true;
      side.silent = false;
      const reach = reachOf(address.host);
      return withCrediblePeers(reply, filterCrediblePeers(reply.peers, { reach, isPrivate: this.#self.isPrivate() }));
    } catch (error) {
      side.silent = true;
      side.turn++;
      throw error;
    }
  }

  async #ask(
    side: Side,
    { address, announcement }: { readonly address: PeerAddress; readonly announcement: Announcement },
  ): Promise<AnnounceReply> {
    const { progress, event, numwant, timeout, signal } = announcement;
    const { infoHash, peerId, portFor, key } = this.#self;
    const found = portFor(address.host);
    const port = typeof found === "number" ? found : await found;
    const { urlData } = this.#place;
    return await this.#udp.endpoint(address).ask({
      encode: (ids) => encodeAnnounce({ infoHash, peerId, port, progress, event, numwant, key, urlData }, ids),
      decode: (bytes) => parseUdpAnnounceReply(bytes, side.family),
      asked: () => {
        if (event !== "stopped") side.told = address;
      },
    }, { timeout, signal });
  }

  /** Sends `stopped` to each address that was sent an announce, which those that didn't answer a connect were not. */
  async #takeLeave(announcement: Announcement): Promise<AnnounceReply> {
    const attempts = this.#sides.flatMap((side) => {
      const address = side.told;
      // If the torrent is started again, the tracker sees a new client.
      side.told = null;
      side.knowsUs = false;
      return address === null ? [] : [this.#ask(side, { address, announcement })];
    });
    const outcomes = await Promise.allSettled(attempts);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    return merge(outcomes.flatMap((outcome) => outcome.status === "fulfilled" ? [outcome.value] : []));
  }

  /** Merges the replies of both families. A family that is much slower is not waited for. */
  #gather(attempts: ReadonlyMap<Side, Promise<AnnounceReply>>): Promise<AnnounceReply> {
    const { promise, resolve, reject } = Promise.withResolvers<AnnounceReply>();
    const open = new Set(attempts.keys());
    // Families that failed last time are tried again, but not waited for.
    const silent = new Set([...open].filter((side) => side.silent));
    const replies: AnnounceReply[] = [];
    const errors: unknown[] = [];
    let grace: Timer | null = null;
    const finish = () => {
      grace?.cancel();
      if (replies.length > 0) resolve(merge(replies));
      else reject(errors[0]);
    };
    const look = () => {
      if (open.size === 0) return finish();
      if (replies.length === 0) return;
      if ([...open].every((side) => silent.has(side))) return finish();
      grace ??= this.#udp.platform.after(GRACE_MS, finish);
    };
    for (const [side, attempt] of attempts) {
      attempt.then((reply) => replies.push(reply), (error) => {
        if (!(error instanceof TrackerError)) reject(error); // a bug must not be hidden by the other family's reply
        errors.push(error);
      }).then(() => {
        open.delete(side);
        look();
      });
    }
    return promise;
  }
}

/** Returns the event for a family over which the tracker doesn't know us, which is at least `started`. */
function firstEvent(event: AnnounceEvent): AnnounceEvent {
  return event === null || event === "paused" ? "started" : event;
}

function merge(replies: readonly AnnounceReply[]): AnnounceReply {
  const largest = (value: (reply: AnnounceReply) => number | null) => {
    const known = replies.map(value).filter((number) => number !== null);
    return known.length === 0 ? null : Math.max(...known);
  };
  return {
    interval: largest((reply) => reply.interval),
    minInterval: null,
    trackerId: null,
    // Some trackers count the families separately and some together, so a sum could count peers twice.
    seeders: largest((reply) => reply.seeders),
    leechers: largest((reply) => reply.leechers),
    externalIp: null,
    peers: replies.flatMap((reply) => reply.peers).slice(0, MAX_TRACKER_PEERS),
    warning: replies.find(({ warning }) => warning !== "")?.warning ?? "",
  };
}
