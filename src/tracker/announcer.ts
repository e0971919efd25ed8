/**
 * Announces one torrent to its trackers.
 *
 * Trackers are tried in the order of BEP 12, one after the other, until one names peers that send payload;
 * {@linkcode announceOrder} says how long a silent tracker holds up the next. If the trackers have no order, as those
 * of a magnet link, all are announced to. Each tracker has its own interval and its own back-off. A late reply counts
 * even if the next tracker has been tried meanwhile.
 *
 * `start()` announces to the first tracker; each reply and each timer leads to the next. `completed()` goes to all
 * trackers that know us. `pause()` and `stop()` let running announces finish, then send `stopped` to every tracker that
 * knows us; `setTiers()` does the same for removed trackers. A tracker is not sent `started` again before `stopped` has
 * been answered or has timed out.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_TRACKERS_AT_ONCE, PEERS_PROVE_MS } from "../base/defences.ts";
import { redact } from "../base/secrets.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent, AnnounceProgress, TrackerEncryption } from "./announce_request.ts";
import { addressesOf, literalOf, reachOfHost } from "./credible_peers.ts";
import { TrackerError } from "./errors.ts";
import { HttpTracker } from "./http_tracker.ts";
import { AnnouncedTracker, type TrackerAnswer, type TrackerStatus } from "./announced_tracker.ts";
import { LONGEST_INTERVAL } from "./announce_schedule.ts";
import { TierList } from "./tier_list.ts";
import type { Announcing, SwarmCounts, Tracker } from "./tracker.ts";
import { announceOrder, nextTurns } from "./announce_order.ts";
import { parseUdpUrl } from "./udp_messages.ts";
import { UdpTracker } from "./udp_tracker.ts";
import type { UdpTrackers } from "./udp_trackers.ts";

export type { TrackerStatus } from "./announced_tracker.ts";

/** Outcome of an announce. */
export interface TrackerReport {
  /** Announce URL of the tracker. */
  readonly url: string;
  /** `warning` is a success with a message for the user. */
  readonly status: "ok" | "warning" | "error";
  /** Number of seeds in the swarm, or `null` if the tracker doesn't say. */
  readonly seeders: number | null;
  /** Number of other peers in the swarm, or `null` if the tracker doesn't say. */
  readonly leechers: number | null;
  /** Number of peers in the reply. */
  readonly peers: number;
  /** Failure reason or warning, safe to print; empty if there is none. */
  readonly message: string;
  /** Our external address as the tracker sees it (BEP 24); absent if the tracker doesn't say. */
  readonly externalIp?: string;
}

/** Options for {@linkcode Announcer}. */
export interface AnnouncerOptions {
  /** System services: clock, timers, random numbers and HTTP. */
  readonly platform: Pick<Platform, "now" | "after" | "random" | "randomBytes" | "http"> & {
    /** Resolves trackers' host names, which decides what peers they may name; by the name's form when absent. */
    readonly net?: Pick<Platform["net"], "resolve">;
  };
  /** Announce URLs in tiers. */
  readonly tiers: readonly (readonly string[])[];
  /** Returns `true` if all trackers are announced to, because they have no order. Called often; `false` when absent. */
  readonly askAll?: () => boolean;
  /** Returns `true` if the torrent is known to be private. Called often; `false` when absent. */
  readonly isPrivate?: () => boolean;
  /** Info-hash of the torrent. */
  readonly infoHash: InfoHash;
  /** Our peer id, 20 bytes. */
  readonly peerId: Uint8Array;
  /** TCP port on which we listen. */
  readonly port: number;
  /**
   * Returns the port under which a literal address, or any outside host for an empty string, reaches us: not `port` if
   * a gateway maps it. `port` when absent.
   */
  readonly portFor?: (host: string) => number;
  /** Local address to connect from; any when absent. */
  readonly bind?: string;
  /** Encryption that we tell trackers to support or require. */
  readonly encryption?: TrackerEncryption;
  /** Milliseconds for a reply; 30,000 over HTTP and 15,000 over UDP when absent. */
  readonly timeout?: number;
  /** Client for UDP trackers, shared by all torrents; when absent, UDP trackers are not used. */
  readonly udp?: UdpTrackers;
  /** Returns the progress of the torrent. Called before each announce. */
  progress(): AnnounceProgress;
  /** Called with the peers of a reply, unless there are none; not called after `pause()` or `stop()`. */
  onPeers(peers: PeerAddress[], url: string): void;
  /** Called with the outcome of each announce; not called after `pause()` or `stop()`. */
  onReport(report: TrackerReport): void;
  /** Returns how many more peers are wanted; 0 for none. */
  wantedPeers(): number;
  /**
   * Returns the payload bytes received so far, or `null` if nothing more is wanted. When absent, it isn't tested
   * whether the peers of a reply send payload.
   */
  received?(): number | null;
}

/** Options for {@linkcode Announcer.addTiers}. */
export interface AddTrackersOptions {
  /** Whether the trackers are announced to whatever other trackers answer, and not only if those fail. */
  readonly always?: boolean;
}

/** Milliseconds for sending `stopped` to the trackers. */
export const FAREWELL_MS = 2_000;
/** We can't use more peers at once, and some trackers refuse to give more. */
const MAX_NUMWANT = 200;

/**
 * Announces one torrent until it is stopped.
 *
 * @example
 * ```ts
 * const announcer = new Announcer({ platform, tiers, infoHash, peerId, port, progress, onPeers, onReport, wantedPeers });
 * announcer.start();
 * // when the last piece is verified
 * announcer.completed();
 * // at the end
 * await announcer.stop();
 * ```
 */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #self: Announcing;
  readonly #tiers: TierList;
  /** Usable trackers of the tiers, by URL. */
  readonly #trackers = new Map<string, AnnouncedTracker>();
  /** Trackers that are no longer in the tiers, but are still being sent `stopped`. */
  readonly #removed = new Map<string, AnnouncedTracker>();
  /** Unusable URLs of the tiers, with the reason. */
  readonly #unusable = new Map<string, string>();
  /** Unusable URLs that were reported. */
  readonly #reported = new Set<string>();
  /** Functions that cut short the `stopped` announces under way. */
  readonly #farewells = new Set<() => void>();
  /** Aborts scrapes at the end. */
  readonly #impatience = new AbortController();
  #state: "new" | "running" | "paused" | "stopped" = "new";
  /** `true` if no `stopped` is to be sent until the next start. */
  #isHandedOver = false;
  /** `true` if the torrent is complete, or was at the start, so that no `completed` is to be sent. */
  #isComplete = false;
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: AnnouncerOptions) {
    const { platform, infoHash, peerId, bind, encryption } = options;
    this.#options = options;
    const resolve = platform.net && ((name: string) => platform.net!.resolve(name));
    this.#self = {
      infoHash,
      peerId,
      portFor: (host: string) => this.#portFor(host, resolve),
      key: toHex(platform.randomBytes(4)), // 32 bits, as BEP 7 asks
      ...(bind !== undefined && { bind }),
      ...(encryption && { encryption }),
      isPrivate: () => options.isPrivate?.() ?? false,
      addressesOf: (name: string) => addressesOf(name, { platform, resolve }),
      reachOf: (host: string) => reachOfHost(host, { platform, resolve }),
    };
    this.#tiers = new TierList(options.tiers, () => platform.random());
    for (const url of this.#tiers.order()) this.#add(url);
  }

  /** Current tiers of announce URLs, without duplicates. */
  get tiers(): readonly (readonly string[])[] {
    return this.#tiers.tiers;
  }

  /**
   * Sends the first announce, or resumes after {@linkcode Announcer.pause}. The announce is sent before this returns,
   * except to trackers that are still being sent `stopped`. Calling it again has no effect.
   */
  start(): void {
    if (this.#state !== "new" && this.#state !== "paused") return;
    if (this.#state === "new" && this.#options.progress().left === 0) this.#isComplete = true;
    this.#state = "running";
    this.#isHandedOver = false;
    this.#announceNext();
  }

  /**
   * Called before {@linkcode Announcer.pause} or {@linkcode Announcer.stop} if another announcer goes on with the same
   * info-hash and peer id: no `stopped` is sent, by which trackers would forget that one as well.
   */
  handOver(): void {
    this.#isHandedOver = true;
  }

  /**
   * Sends `stopped` to every tracker that knows us, as {@linkcode Announcer.stop} does, until
   * {@linkcode Announcer.start}.
   *
   * @param deadlineMs Milliseconds for all replies (default 2,000).
   */
  pause(deadlineMs: number = FAREWELL_MS): void {
    if (this.#state !== "running") return;
    this.#state = "paused";
    this.#rest();
    void this.#sendStopped(this.#trackers.values(), deadlineMs);
  }

  /**
   * Replaces the trackers. Trackers that stay are not announced to again, and removed ones are sent `stopped`. New ones
   * are announced to at once, or one after the other if the torrent is private (BEP 27).
   *
   * @param tiers Announce URLs in tiers. Of a URL that occurs twice, the first occurrence counts.
   */
  setTiers(tiers: readonly (readonly string[])[]): void {
    this.#replace(tiers, { atOnce: this.#state !== "new" });
  }

  /**
   * Adds trackers, each tier after the existing ones. They are announced to at once, even before the existing ones.
   *
   * @param tiers As for {@linkcode Announcer.setTiers}.
   * @param options Whether they are announced to whatever other trackers answer (default `false`).
   */
  addTiers(tiers: readonly (readonly string[])[], { always = false }: AddTrackersOptions = {}): void {
    this.#replace([...this.tiers, ...tiers], { atOnce: true });
    if (!always) return;
    for (const url of tiers.flat()) {
      const asked = this.#trackers.get(url.trim());
      if (asked) asked.always = true;
    }
    this.#announceNext();
  }

  /**
   * Sends `completed`, once, to the trackers that know us: at once, or after the announce that is under way. If no
   * tracker knows us yet, it goes to the first that does. It is never sent for a torrent that was complete at the
   * start, or for a second completion, because trackers count downloads by it (BEP 3).
   */
  completed(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    const all = [...this.#trackers.values()];
    const told = all.filter((asked) => asked.farewell === null && (asked.knowsUs || asked.isTalking));
    for (const asked of told.length > 0 ? told : all) asked.completion = "owed";
    this.#announceNext();
  }

  /**
   * Announces as soon as each tracker's minimum interval allows, instead of at the regular interval. Trackers that
   * failed keep their back-off, and trackers with a running announce are not announced to again.
   */
  needPeers(): void {
    let isSooner = false;
    for (const asked of this.#trackers.values()) {
      if (asked.askedAt !== null || asked.outcome === "failed" || asked.due <= asked.earliest) continue;
      asked.due = asked.earliest;
      isSooner = true;
    }
    if (isSooner) this.#announceNext();
  }

  /**
   * Called when our external port changes. Announces the new port within seconds, since peers can't reach us until
   * then. A tracker with a running announce may have been told the old port, and is announced to again.
   */
  moved(): void {
    const now = this.#options.platform.now();
    for (const asked of this.#trackers.values()) asked.move(now);
    this.#announceNext();
  }

  /**
   * Returns the state of each tracker.
   *
   * @returns Snapshots, in the order of the given tiers.
   */
  status(): TrackerStatus[] {
    const now = this.#options.platform.now();
    const order = this.#order;
    const times = this.#state === "running" ? nextTurns(order, this.#askAll) : [];
    const next = new Map(order.map((asked, i) => [asked, times[i] ?? Infinity]));
    return this.tiers.flatMap((urls, tier) =>
      urls.map((url) => {
        const asked = this.#trackers.get(url);
        return asked?.status(now, { tier, next: next.get(asked)! }) ??
          unusableStatus(url, { tier, message: this.#unusable.get(url)! });
      })
    );
  }

  /**
   * Lets running announces finish, then sends `stopped` to every tracker that knows us.
   *
   * @param deadlineMs Milliseconds after which the promise resolves in any case (default 2,000).
   * @returns Resolves when all trackers have answered or the time is up. Never rejects.
   */
  stop(deadlineMs: number = FAREWELL_MS): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs);
    return this.#stopping;
  }

  async #stop(deadlineMs: number): Promise<void> {
    this.#state = "stopped";
    this.#rest();
    const earlier = Promise.all(this.#farewellsUnderWay());
    const over = Promise.withResolvers<void>();
    const timer = this.#farewells.size > 0 ? this.#options.platform.after(deadlineMs, over.resolve) : null;
    await Promise.all([this.#sendStopped(this.#trackers.values(), deadlineMs), Promise.race([earlier, over.promise])]);
    timer?.cancel();
    for (const end of this.#farewells) end();
    this.#impatience.abort();
  }

  #farewellsUnderWay(): Promise<void>[] {
    return [...this.#trackers.values(), ...this.#removed.values()].flatMap(({ farewell }) => farewell ?? []);
  }

  /**
   * Returns the port under which a tracker's host reaches us. A name is resolved only if a gateway maps the port; a
   * name that can't be resolved is most likely that of a host outside our networks.
   */
  #portFor(host: string, resolve?: (name: string) => Promise<readonly string[]>): number | Promise<number> {
    const { platform, port, portFor = () => port } = this.#options;
    const outside = portFor("");
    const literal = literalOf(host);
    if (outside === port || literal !== null) return literal === null ? port : portFor(literal);
    return addressesOf(host, { platform, resolve }).then((hosts) => {
      return hosts.length > 0 && hosts.every((one) => portFor(one) === port) ? port : outside;
    });
  }

  get #order(): AnnouncedTracker[] {
    return this.#tiers.order().flatMap((url) => this.#trackers.get(url) ?? []);
  }

  get #askAll(): boolean {
    return this.#options.askAll?.() ?? false;
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #replace(tiers: readonly (readonly string[])[], { atOnce }: { readonly atOnce: boolean }): void {
    if (this.#state === "stopped") return;
    this.#tiers.replace(tiers);
    const named = new Set(this.#tiers.order());
    const gone = [...this.#trackers].filter(([url]) => !named.has(url));
    for (const [url, asked] of gone) {
      this.#trackers.delete(url);
      this.#removed.set(url, asked);
    }
    for (const url of this.#unusable.keys()) if (!named.has(url)) this.#unusable.delete(url);
    for (const url of named) {
      if (this.#trackers.has(url) || this.#unusable.has(url)) continue;
      const asked = this.#add(url);
      if (asked) asked.isNew = atOnce;
    }
    void this.#sendStopped(gone.map(([, asked]) => asked), FAREWELL_MS);
    this.#announceNext();
  }

  /** Adds a tracker, or returns `null` if its URL is unusable. Reuses one that is still being sent `stopped`. */
  #add(url: string): AnnouncedTracker | null {
    const { platform: { http }, udp, timeout } = this.#options;
    let asked = this.#removed.get(url);
    this.#removed.delete(url);
    if (!asked) {
      const tracker = trackerFor(url, { http, self: this.#self, ...(udp !== undefined && { udp }) });
      if (typeof tracker === "string") {
        this.#unusable.set(url, tracker);
        return null;
      }
      asked = new AnnouncedTracker(tracker, timeout);
    }
    this.#trackers.set(url, asked);
    return asked;
  }

  /** Announces to the trackers whose turn it is, and sets the timer for the next turn. */
  #announceNext(): void {
    if (this.#state !== "running") return;
    const { platform } = this.#options;
    const now = platform.now();
    const order = this.#order;
    if (this.#self.isPrivate()) { for (const asked of order) asked.isNew = false; }
    const provenAt = Math.min(...order.map((asked) => asked.checkTrial(now, () => this.#received)));
    const turns = announceOrder(order, { now, all: this.#askAll, atOnce: MAX_TRACKERS_AT_ONCE });
    const { ask } = turns;
    const wakeAt = Math.min(turns.wakeAt, provenAt);
    this.#rest();
    if (wakeAt < Infinity) {
      // JavaScript timers of more than 24 days fire at once.
      this.#timer = platform.after(Math.min(Math.max(wakeAt - now, 0), LONGEST_INTERVAL), () => this.#announceNext());
    }
    for (const asked of ask) asked.run = this.#ask(asked);
    if (order.every(({ askedAt, outcome }) => askedAt === null && outcome === "failed")) this.#reportUnusable();
  }

  /** Announces to a tracker until nothing is pending for it, then gives the next tracker its turn. */
  async #ask(asked: AnnouncedTracker): Promise<void> {
    const { platform } = this.#options;
    const { tracker } = asked;
    asked.begin(platform.now());
    const { signal } = asked.giveUp;
    for (;;) {
      const event = this.#eventFor(asked);
      const answer = await this.#announce(asked, event);
      if (signal.aborted) return; // We have left the tracker meanwhile, and may have been started again.
      const now = platform.now();
      if (answer === null) {
        asked.failed(now, platform.random());
        break;
      }
      this.#tiers.promote(tracker.url);
      if (event === "completed") this.#toldCompletion(asked);
      asked.answered(now, answer);
      const received = this.#received;
      if (asked.outcome === "peers" && received !== null) asked.trial = { until: now + PEERS_PROVE_MS, received };
      if (asked.completion !== "owed") break; // else the download completed during this announce
    }
    asked.end();
    this.#announceNext();
  }

  get #received(): number | null {
    return this.#options.received?.() ?? null;
  }

  #eventFor({ knowsUs, completion }: AnnouncedTracker): AnnounceEvent {
    if (knowsUs && completion === "owed") return "completed";
    // A partial seed sends `paused` in every announce (BEP 21), including the first, as libtorrent does.
    if (this.#options.progress().partialSeed) return "paused";
    return knowsUs ? null : "started";
  }

  /**
   * Called when a tracker was sent `completed`. Trackers that don't know us yet are not sent it later: they would count
   * a download that they never saw start.
   */
  #toldCompletion(asked: AnnouncedTracker): void {
    for (const other of this.#trackers.values()) {
      if (!other.knowsUs && !other.isTalking) other.completion = "told";
    }
    asked.completion = "told";
  }

  async #announce(asked: AnnouncedTracker, event: AnnounceEvent): Promise<TrackerAnswer | null> {
    const { tracker } = asked;
    const { url } = tracker;
    const { platform } = this.#options;
    const { signal } = asked.giveUp;
    const numwant = Math.min(Math.max(this.#options.wantedPeers(), 0), MAX_NUMWANT);
    try {
      const reply = await tracker.announce({
        event,
        progress: asked.progressSinceStart(this.#options.progress()),
        numwant,
        timeout: this.#options.timeout ?? tracker.patience,
        signal,
      });
      const others = this.#namesOthers(reply);
      const answer = { reply, helps: numwant === 0 || others };
      if (signal.aborted) return answer;
      const { seeders, leechers, peers, warning, externalIp } = reply;
      const status = warning === "" ? "ok" : "warning";
      asked.note(platform.now(), { status, message: warning, peers: peers.length, others }, { seeders, leechers });
      if (this.#ignoresReplies(asked)) return answer;
      const seen = externalIp === null ? {} : { externalIp };
      const report = { url, status, seeders, leechers, peers: peers.length, message: warning, ...seen } as const;
      if (seeders === null && leechers === null && tracker.scrape) void this.#scrape(asked, report);
      else this.#options.onReport(report);
      if (peers.length > 0 && !this.#ignoresReplies(asked)) this.#options.onPeers(peers, url);
      return answer;
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      if (signal.aborted) return null;
      if (error.retryIn !== null) tracker.retryAt = platform.now() + error.retryIn;
      asked.note(platform.now(), { status: "error", message: error.why, peers: null, others: false });
      if (!this.#ignoresReplies(asked)) this.#reportError(url, error.why);
      return null;
    }
  }

  /**
   * Returns `true` if a reply names a peer other than us. A single peer with our port is most likely ourselves; if not,
   * all that happens is that another tracker is asked as well.
   */
  #namesOthers({ peers, seeders, leechers }: AnnounceReply): boolean {
    if (peers.length > 2 || (seeders ?? 0) + (leechers ?? 0) > 1) return peers.length > 0;
    const { port: own, portFor } = this.#options;
    return peers.some(({ port }) => port !== own && port !== portFor?.(""));
  }

  /** Completes a report with the counts that the reply lacked. Only the report waits for the scrape. */
  async #scrape(asked: AnnouncedTracker, report: TrackerReport): Promise<void> {
    const { tracker } = asked;
    let counts: SwarmCounts = { seeders: null, leechers: null };
    try {
      const timeout = this.#options.timeout ?? tracker.patience;
      counts = await tracker.scrape!({ timeout, signal: this.#impatience.signal });
      asked.counted(counts);
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      // A failed scrape isn't reported, since the announce succeeded.
    }
    if (!this.#ignoresReplies(asked)) this.#options.onReport({ ...report, ...counts });
  }

  /** Reports unusable URLs, each once. Called only if no other tracker works. */
  #reportUnusable(): void {
    for (const [url, fault] of this.#unusable) {
      if (this.#reported.has(url)) continue;
      this.#reported.add(url);
      this.#reportError(url, fault);
    }
  }

  #reportError(url: string, message: string): void {
    this.#options.onReport({ url, status: "error", seeders: null, leechers: null, peers: 0, message });
  }

  /** Returns `true` if replies of a tracker are not reported any more. */
  #ignoresReplies(asked: AnnouncedTracker): boolean {
    return this.#state !== "running" || asked.farewell !== null;
  }

  /** Sends `stopped` to the trackers that know us. Resolves when all have answered or time is up; never rejects. */
  async #sendStopped(all: Iterable<AnnouncedTracker>, deadline: number): Promise<void> {
    const { platform } = this.#options;
    const now = platform.now();
    const over = new AbortController();
    const farewell: Farewell = { deadline, signal: over.signal, over: Promise.withResolvers() };
    const told: Promise<void>[] = [];
    for (const asked of all) {
      if (asked.farewell !== null) continue;
      if (!asked.isTalking && !asked.knowsUs) {
        this.#left(asked);
        continue;
      }
      const ended = this.#farewell(asked, farewell).then(() => {
        this.#left(asked);
        this.#announceNext();
      });
      asked.leave(now, ended);
      told.push(ended);
    }
    if (told.length === 0) return;
    const timer = platform.after(deadline, () => end());
    const end = () => {
      timer.cancel();
      over.abort();
      farewell.over.resolve();
      this.#farewells.delete(end);
    };
    this.#farewells.add(end);
    await Promise.all(told);
    end();
  }

  #left(asked: AnnouncedTracker): void {
    const { url } = asked.tracker;
    asked.reset();
    if (this.#removed.get(url) === asked) this.#removed.delete(url);
  }

  /**
   * Leaves one tracker. A running announce gets half of the time to finish, so that `stopped` doesn't overtake it.
   * After that `stopped` is sent in any case, since the tracker may have received the announce. If it can't have,
   * nothing is sent.
   */
  async #farewell(asked: AnnouncedTracker, farewell: Farewell): Promise<void> {
    const { tracker, giveUp } = asked;
    if (this.#isHandedOver) return giveUp.abort();
    if (asked.isTalking) {
      if (!asked.knowsUs && !tracker.mayHaveHeard) return giveUp.abort();
      const halfTime = Promise.withResolvers<void>();
      const timer = this.#options.platform.after(farewell.deadline / 2, () => {
        asked.knowsUs = true;
        giveUp.abort();
        halfTime.resolve();
      });
      await Promise.race([asked.run, halfTime.promise, farewell.over.promise]);
      timer.cancel();
    }
    if (!asked.knowsUs || tracker.retryAt === Infinity) return;
    await Promise.race([this.#tellStopped(asked, farewell), farewell.over.promise]);
  }

  async #tellStopped(asked: AnnouncedTracker, { deadline, signal }: Farewell): Promise<void> {
    const progress = asked.progressSinceStart(this.#options.progress());
    try {
      await asked.tracker.announce({ event: "stopped", progress, numwant: 0, timeout: deadline, signal });
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error; // nobody needs to know that `stopped` failed
    }
  }
}

/** Limits of the `stopped` announces of one call. */
interface Farewell {
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Resolves when the time is up. */
  readonly over: PromiseWithResolvers<void>;
}

/** Returns the status of a tracker with an unusable URL. */
function unusableStatus(
  url: string,
  { tier, message }: { readonly tier: number; readonly message: string },
): TrackerStatus {
  const nothing = { seeders: null, leechers: null, peers: null, answeredAgo: null, nextIn: null, failures: 0 };
  return { url: redact(url), tier, state: "idle", status: "error", message, others: false, ...nothing };
}

/** Makes the tracker of a URL, or returns why the URL is unusable. */
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
