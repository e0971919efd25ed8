/**
 * One UDP tracker of one torrent (BEP 15). A tracker that has addresses of both families is told of us over both, so that
 * peers of both find us (BEP 7).
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { MAX_TRACKER_PEERS } from "../base/defences.ts";
import { reachOf } from "../base/networks.ts";
import type { Timer } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent } from "./announce_request.ts";
import { believe, credible } from "./credible_peers.ts";
import { TrackerError } from "./errors.ts";
import type { Announcement, Announcing, Tracker } from "./tracker.ts";
import { encodeAnnounce, parseUdpAnnounceReply, type UdpPlace } from "./udp_messages.ts";
import { type Family, familyOf, type UdpTrackers } from "./udp_trackers.ts";

/** Milliseconds that a UDP tracker has to answer. Many torrents name a dozen, most of them dead. */
const PATIENCE_MS = 15_000;
/** Milliseconds after which the next tracker is asked, too: the first datagram has been repeated by then. */
const HOLDS_UP_MS = 5_000;
/** Milliseconds for which the answer over one family is held back for that over the other. */
const GRACE_MS = 1_000;

/** What is known of a tracker's addresses of one family. */
interface Side {
  readonly family: Family;
  /** Which of the addresses is asked; another one after each failure. */
  turn: number;
  /** Where an announce has been sent to, so that `stopped` may be owed. */
  told: PeerAddress | null;
  /** Whether it has accepted an announce. */
  knowsUs: boolean;
  /** Whether there was no answer the last time, so that others needn't wait for it. */
  silent: boolean;
}

/** A tracker that is spoken to over UDP. */
export class UdpTracker implements Tracker {
  readonly url: string;
  readonly patience: number = PATIENCE_MS;
  readonly holdsUp: number = HOLDS_UP_MS;
  retryAt = -Infinity;
  readonly #udp: UdpTrackers;
  readonly #self: Announcing;
  readonly #place: UdpPlace;
  // IPv6 first, since that is where nobody has to be behind a NAT.
  readonly #sides: readonly Side[] = ([6, 4] as const).map((family) => {
    return { family, turn: 0, told: null, knowsUs: false, silent: false };
  });

  /**
   * @param url The announce URL.
   * @param options `place`: what the URL says. `udp`: the way out. `self`: who announces.
   */
  constructor(
    url: string,
    options: { readonly place: UdpPlace; readonly udp: UdpTrackers; readonly self: Announcing },
  ) {
    this.url = url;
    this.#place = options.place;
    this.#udp = options.udp;
    this.#self = options.self;
  }

  /** One that has given no connection id was told nothing. */
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

  /** Looks the host up, within the limits of an announce. */
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
      return believe(reply, credible(reply.peers, { reach, isPrivate: this.#self.isPrivate() }));
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

  /** Tells every address that has been told of us; that of a family which never answered to a connect has not. */
  async #takeLeave(announcement: Announcement): Promise<AnnounceReply> {
    const attempts = this.#sides.flatMap((side) => {
      const address = side.told;
      // Should we come back we are somebody new.
      side.told = null;
      side.knowsUs = false;
      return address === null ? [] : [this.#ask(side, { address, announcement })];
    });
    const outcomes = await Promise.allSettled(attempts);
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
    return merge(outcomes.flatMap((outcome) => outcome.status === "fulfilled" ? [outcome.value] : []));
  }

  /** The answers over both families as one, or of one family where the other takes much longer. */
  #gather(attempts: ReadonlyMap<Side, Promise<AnnounceReply>>): Promise<AnnounceReply> {
    const { promise, resolve, reject } = Promise.withResolvers<AnnounceReply>();
    const open = new Set(attempts.keys());
    // Those that were silent the last time are given a chance, but nobody waits for them.
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
        if (!(error instanceof TrackerError)) reject(error); // a fault of ours must not go under beside a good answer
        errors.push(error);
      }).then(() => {
        open.delete(side);
        look();
      });
    }
    return promise;
  }
}

/** A tracker that doesn't know us over a family has to be told that we have started, whatever it knows over the other. */
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
    // Some trackers count the two families apart and some together, so that a sum may count peers twice.
    seeders: largest((reply) => reply.seeders),
    leechers: largest((reply) => reply.leechers),
    externalIp: null,
    peers: replies.flatMap((reply) => reply.peers).slice(0, MAX_TRACKER_PEERS),
    warning: replies.find(({ warning }) => warning !== "")?.warning ?? "",
  };
}
