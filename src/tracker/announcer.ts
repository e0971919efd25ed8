/**
 * Keeps one torrent announced.
 *
 * As BEP 12 has it, one tracker at a time: each announce goes through the tiers in order until a tracker works. Other
 * clients differ here; some announce to the first that works in every tier, some to all trackers there are.
 *
 * Life of an announcer: `start()` begins a round. A round that finds a tracker is followed by the next when the tracker's
 * interval is over; one that finds none, after a back-off. `completed()` begins a round at once, or adds its event to the
 * one that is under way. `stop()` lets the announce under way finish, then takes leave of every tracker that knows us.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent, AnnounceProgress, TrackerEncryption } from "./announce_request.ts";
import { TrackerError } from "./errors.ts";
import { HttpTracker } from "./http_tracker.ts";
import { LONGEST_INTERVAL, retryDelay, type Spacing, spacingAfter } from "./schedule.ts";
import { TierList } from "./tier_list.ts";
import type { Announcing, SwarmCounts, Tracker } from "./tracker.ts";
import { parseUdpUrl } from "./udp_messages.ts";
import { UdpTracker } from "./udp_tracker.ts";
import type { UdpTrackers } from "./udp_trackers.ts";

/** How an announce went. */
export interface TrackerReport {
  /** The tracker. */
  readonly url: string;
  /** `warning`: it answered, but has something to say to the user. */
  readonly status: "ok" | "warning" | "error";
  /** As the tracker says, or `null`. */
  readonly seeders: number | null;
  /** As the tracker says, or `null`. */
  readonly leechers: number | null;
  /** How many peers were in the answer. */
  readonly peers: number;
  /** Failure or warning, safe to print; empty when there is none. */
  readonly message: string;
  /** Our own address as the tracker sees it (BEP 24); absent when it doesn't say. */
  readonly externalIp?: string;
}

/** What an {@linkcode Announcer} needs. */
export interface AnnouncerOptions {
  /** Time, chance and the way out. */
  readonly platform: Pick<Platform, "now" | "after" | "random" | "randomBytes" | "http">;
  /** Announce URLs in tiers, as the torrent has them. */
  readonly tiers: readonly (readonly string[])[];
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Our 20 bytes. */
  readonly peerId: Uint8Array;
  /** The port that we listen on. */
  readonly port: number;
  /** Local address to connect from. */
  readonly bind?: string;
  /** What trackers are told of our encryption. */
  readonly encryption?: TrackerEncryption;
  /** Milliseconds that a tracker has to answer; 30,000 over HTTP and 15,000 over UDP when absent. */
  readonly timeout?: number;
  /** The way to UDP trackers, which all torrents share; without it they can't be used. */
  readonly udp?: UdpTrackers;
  /** How far we are, asked before each announce. */
  progress(): AnnounceProgress;
  /** Takes the peers of an answer; not called without any, nor after `stop()`. */
  onPeers(peers: PeerAddress[], url: string): void;
  /** Is told of each announce; not called after `stop()`. */
  onReport(report: TrackerReport): void;
  /** How many more peers would be welcome; 0 for none. */
  wantedPeers(): number;
}

const DEFAULT_STOP_DEADLINE = 2000;
/** More peers at once are of no use to anyone, and some trackers refuse to give more. */
const MAX_NUMWANT = 200;

/**
 * Announces one torrent until it is stopped.
 *
 * @example
 * ```ts
 * const announcer = new Announcer({ platform, tiers, infoHash, peerId, port, progress, onPeers, onReport, wantedPeers });
 * announcer.start();
 * // ... when the last piece is verified
 * announcer.completed();
 * // ... at the end
 * await announcer.stop();
 * ```
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #tiers: TierList;
  readonly #trackers = new Map<string, Tracker>();
  /** URLs that can't be used, with the reason, until it has been told. */
  readonly #unusable = new Map<string, string>();
  /** Gives up what is under way when `stop()` has waited long enough. */
  readonly #impatience = new AbortController();
  /** `exhausted`: no tracker is left that may ever be asked again. */
  #state: "new" | "waiting" | "announcing" | "exhausted" | "stopped" = "new";
  #completion: "none" | "pending" | "sent" = "none";
  #failures = 0;
  /** When `needPeers()` may bring the next announce forward to. */
  #earliest = Infinity;
  #next: { readonly timer: Timer; readonly due: number } | null = null;
  /** The round that is under way, and whom it asks. */
  #round: Promise<void> = Promise.resolve();
  #asking: Tracker | null = null;
  #stopping: Promise<void> | null = null;

  /** @param options What it needs. */
  constructor(options: AnnouncerOptions) {
    const { platform, infoHash, peerId, port, bind, encryption, udp } = options;
    this.#options = options;
    this.#tiers = new TierList(options.tiers, () => platform.random());
    const key = toHex(platform.randomBytes(4)); // 32 bits, as BEP 7 asks
    const self = {
      infoHash,
      peerId,
      port,
      key,
      ...(bind !== undefined && { bind }),
      ...(encryption && { encryption }),
    };
    for (const url of this.#tiers.order()) {
      const tracker = trackerFor(url, { http: platform.http, self, ...(udp !== undefined && { udp }) });
      if (typeof tracker === "string") this.#unusable.set(url, tracker);
      else this.#trackers.set(url, tracker);
    }
  }

  /** Sends the first announce; it is on its way when this returns. Harmless when called again. */
  start(): void {
    if (this.#state === "new") this.#begin();
  }

  /** Tells the tracker, once, that the download is complete: at once, or right after the announce that is under way. */
  completed(): void {
    if (this.#completion !== "none") return;
    this.#completion = "pending";
    if (this.#state === "waiting") this.#begin();
  }

  /**
   * Announces as soon as the tracker allows it instead of when it is due. Does nothing while an announce is under way,
   * or while no tracker answers: then the back-off decides.
   */
  needPeers(): void {
    if (this.#state !== "waiting" || this.#next === null || this.#next.due <= this.#earliest) return;
    const delay = this.#earliest - this.#options.platform.now();
    if (delay > 0) this.#schedule(delay);
    else this.#begin();
  }

  /**
   * Takes leave: lets the announce that is under way finish, then tells every tracker that knows us that we are gone.
   *
   * @param deadlineMs Milliseconds after which it settles whatever happens; 2,000 when absent.
   * @returns Settles when all is told or the time is over. Never rejects.
   */
  stop(deadlineMs: number = DEFAULT_STOP_DEADLINE): Promise<void> {
    this.#stopping ??= this.#takeLeave(deadlineMs);
    return this.#stopping;
  }

  #begin(): void {
    this.#next?.timer.cancel();
    this.#next = null;
    this.#state = "announcing";
    this.#round = this.#walk();
  }

  #schedule(delay: number): void {
    const { platform } = this.#options;
    // a timer of more than 24 days would run at once
    const wait = Math.min(Math.max(delay, 0), LONGEST_INTERVAL);
    this.#next?.timer.cancel();
    this.#next = { timer: platform.after(wait, () => this.#begin()), due: platform.now() + wait };
    this.#state = "waiting";
  }

  /** One round: asks tracker after tracker until one works, then sees to the next round. */
  async #walk(): Promise<void> {
    const { platform } = this.#options;
    for (const url of this.#tiers.order()) {
      const tracker = this.#trackers.get(url);
      if (tracker === undefined || tracker.retryAt > platform.now()) continue;
      this.#asking = tracker;
      const spacing = await this.#converse(tracker);
      if (this.#isStopped()) return;
      if (spacing === null) continue;
      this.#tiers.promote(url);
      this.#failures = 0;
      this.#earliest = platform.now() + spacing.earliest;
      if (this.#completion === "pending") return this.#begin(); // it came in the last moment
      return this.#schedule(spacing.regular);
    }
    this.#reportUnusable();
    this.#backOff();
  }

  /** Tells one tracker all there is to tell. @returns when to come back, or `null` if it failed. */
  async #converse(tracker: Tracker): Promise<Spacing | null> {
    for (;;) {
      const event = this.#eventFor(tracker);
      const reply = await this.#announce(tracker, event);
      if (reply === null) return null;
      if (event === "completed") this.#completion = "sent";
      if (this.#completion !== "pending") return spacingAfter(reply);
    }
  }

  #eventFor(tracker: Tracker): AnnounceEvent {
    if (!tracker.knowsUs) return "started";
    if (this.#completion === "pending") return "completed";
    return this.#options.progress().partialSeed ? "paused" : null;
  }

  async #announce(tracker: Tracker, event: AnnounceEvent): Promise<AnnounceReply | null> {
    const { url } = tracker;
    try {
      const reply = await tracker.announce({
        event,
        progress: this.#options.progress(),
        numwant: Math.min(Math.max(this.#options.wantedPeers(), 0), MAX_NUMWANT),
        timeout: this.#options.timeout ?? tracker.patience,
        signal: this.#impatience.signal,
      });
      if (this.#isStopped()) return reply;
      const { seeders, leechers, peers, warning, externalIp } = reply;
      const status = warning === "" ? "ok" : "warning";
      const seen = externalIp === null ? {} : { externalIp };
      const report = { url, status, seeders, leechers, peers: peers.length, message: warning, ...seen } as const;
      if (seeders === null && leechers === null && tracker.scrape) void this.#scrape(tracker, report);
      else this.#options.onReport(report);
      if (peers.length > 0 && !this.#isStopped()) this.#options.onPeers(peers, url);
      return reply;
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      if (error.retryIn !== null) tracker.retryAt = this.#options.platform.now() + error.retryIn;
      this.#reportError(url, error.why);
      return null;
    }
  }

  /** Completes a report with the counts that the answer lacked. Nobody waits for it but who is told. */
  async #scrape(tracker: Tracker, report: TrackerReport): Promise<void> {
    let counts: SwarmCounts = { seeders: null, leechers: null };
    try {
      const timeout = this.#options.timeout ?? tracker.patience;
      counts = await tracker.scrape!({ timeout, signal: this.#impatience.signal });
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      // The announce went well, and that is what the report is about.
    }
    if (!this.#isStopped()) this.#options.onReport({ ...report, ...counts });
  }

  #backOff(): void {
    const { platform } = this.#options;
    const now = platform.now();
    const soonest = Math.min(...[...this.#trackers.values()].map((tracker) => tracker.retryAt));
    this.#earliest = Infinity;
    this.#failures++;
    if (soonest < Infinity) this.#schedule(Math.max(retryDelay(this.#failures, platform.random()), soonest - now));
    else this.#state = "exhausted";
  }

  /** Unusable trackers are worth a word only where no other works. */
  #reportUnusable(): void {
    for (const [url, fault] of this.#unusable) this.#reportError(url, fault);
    this.#unusable.clear();
  }

  #reportError(url: string, message: string): void {
    if (this.#isStopped()) return;
    this.#options.onReport({ url, status: "error", seeders: null, leechers: null, peers: 0, message });
  }

  /** A function, since the compiler takes a field that was compared for constant until it is assigned. */
  #isStopped(): boolean {
    return this.#state === "stopped";
  }

  async #takeLeave(deadline: number): Promise<void> {
    const { platform } = this.#options;
    const asking = this.#state === "announcing" ? this.#asking : null;
    this.#state = "stopped";
    this.#next?.timer.cancel();
    const farewell = new AbortController();
    const timeIsUp = Promise.withResolvers<void>();
    const timer = platform.after(deadline, () => {
      farewell.abort();
      timeIsUp.resolve();
    });
    const others = [...this.#trackers.values()].filter((tracker) => tracker !== asking && tracker.knowsUs);
    const told = others.map((tracker) => this.#tellStopped(tracker, { deadline, signal: farewell.signal }));
    if (asking) told.push(this.#finish(asking, { deadline, signal: farewell.signal }));
    await Promise.race([Promise.allSettled(told), timeIsUp.promise]);
    timer.cancel();
    this.#impatience.abort();
  }

  /**
   * The tracker that is being asked right now gets half of the time to answer, so that `stopped` doesn't overtake what is
   * under way; then it is told all the same, since it may well have heard us.
   */
  async #finish(tracker: Tracker, farewell: Farewell): Promise<void> {
    const halfTime = Promise.withResolvers<void>();
    const timer = this.#options.platform.after(farewell.deadline / 2, () => {
      tracker.knowsUs = true;
      this.#impatience.abort();
      halfTime.resolve();
    });
    try {
      await Promise.race([this.#round, halfTime.promise]);
    } finally {
      timer.cancel();
    }
    if (tracker.knowsUs) await this.#tellStopped(tracker, farewell);
  }

  async #tellStopped(tracker: Tracker, { deadline, signal }: Farewell): Promise<void> {
    if (tracker.retryAt === Infinity) return;
    const progress = this.#options.progress();
    await tracker.announce({ event: "stopped", progress, numwant: 0, timeout: deadline, signal });
  }
}

/** The limits of a farewell. */
interface Farewell {
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/** The tracker behind a URL, or why it can't be announced to. */
function trackerFor(
  url: string,
  ways: { readonly http: Platform["http"]; readonly self: Announcing; readonly udp?: UdpTrackers },
): Tracker | string {
  const { http, self, udp } = ways;
  const protocol = URL.parse(url)?.protocol;
  if (protocol === undefined) return "not a valid URL";
  if (protocol === "http:" || protocol === "https:") return new HttpTracker(url, { http, self });
  if (protocol !== "udp:") return `trackers of the kind "${protocol.slice(0, -1)}" are not supported`;
  if (udp === undefined) return "UDP is switched off";
  const place = parseUdpUrl(url);
  return "fault" in place ? place.fault : new UdpTracker(url, { place, udp, self });
}
