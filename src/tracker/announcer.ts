/**
 * Keeps one torrent announced.
 *
 * Trackers are asked in the order of BEP 12, one after the other, until one names peers from whom anything comes; see
 * {@linkcode announceOrder} for how long one that is silent holds up the next. Those that have no order, as the trackers of a magnet link,
 * are all asked. Each has its own interval, and its own back-off when it fails. What a slow one answers after others were asked is
 * used all the same.
 *
 * Life of an announcer: `start()` gives the first their turn; every answer and every timer gives the next. `completed()` is
 * told to all that know us. `pause()` and `stop()` let the announces under way finish, then take leave of every tracker that knows
 * us, and so does `setTiers()` of those that are no longer named. No tracker hears that we start before it has been told that we
 * left, or given time for that.
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
  readonly platform: Pick<Platform, "now" | "after" | "random" | "randomBytes" | "http"> & {
    /** Knows where trackers with a name are, which decides whom they may name; by its look when absent. */
    readonly net?: Pick<Platform["net"], "resolve">;
  };
  /** Announce URLs in tiers, as the torrent has them. */
  readonly tiers: readonly (readonly string[])[];
  /** Whether all are asked rather than one after the other, since they have no order; asked each time. `false` when absent. */
  readonly askAll?: () => boolean;
  /** Whether the torrent is known to be private; asked each time. `false` when absent. */
  readonly isPrivate?: () => boolean;
  /** Which torrent. */
  readonly infoHash: InfoHash;
  /** Our 20 bytes. */
  readonly peerId: Uint8Array;
  /** The port that we listen on. */
  readonly port: number;
  /** The port at which a literal address reaches us, when a gateway maps another; asked each time. `port` when absent. */
  readonly portFor?: (host: string) => number;
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
  /** Takes the peers of an answer; not called without any, nor after `pause()` or `stop()`. */
  onPeers(peers: PeerAddress[], url: string): void;
  /** Is told of each announce; not called after `pause()` or `stop()`. */
  onReport(report: TrackerReport): void;
  /** How many more peers would be welcome; 0 for none. */
  wantedPeers(): number;
  /** Bytes that have come so far while more are wanted, else `null`. When absent, peers that trackers name are taken for good. */
  received?(): number | null;
}

/** Milliseconds for telling trackers that we leave. */
export const FAREWELL_MS = 2_000;
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
  readonly #self: Announcing;
  readonly #tiers: TierList;
  /** Those of the tiers that can be used. */
  readonly #asked = new Map<string, AnnouncedTracker>();
  /** Those that are being told that we leave and aren't in the tiers any more. */
  readonly #removed = new Map<string, AnnouncedTracker>();
  /** URLs that can't be used, with the reason. */
  readonly #unusable = new Map<string, string>();
  /** Those of them that were reported. */
  readonly #reported = new Set<string>();
  /** What ends each farewell that is under way. */
  readonly #farewells = new Set<() => void>();
  /** Gives up scrapes at the end. */
  readonly #impatience = new AbortController();
  #state: "new" | "running" | "paused" | "stopped" = "new";
  /** Whether the torrent is complete or was when it began, so that there is no other completion to tell. */
  #isComplete = false;
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  /** @param options What it needs. */
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

  /** The tiers of trackers as they were given last, without what can't be there twice. */
  get tiers(): readonly (readonly string[])[] {
    return this.#tiers.tiers;
  }

  /**
   * Sends the first announce, or goes on after {@linkcode Announcer.pause}; it is on its way when this returns, but for trackers
   * that are still being told of the pause. Harmless when called again.
   */
  start(): void {
    if (this.#state !== "new" && this.#state !== "paused") return;
    if (this.#state === "new" && this.#options.progress().left === 0) this.#isComplete = true;
    this.#state = "running";
    this.#turn();
  }

  /**
   * Takes leave of every tracker that knows us, as {@linkcode Announcer.stop} does, until {@linkcode Announcer.start}.
   *
   * @param deadlineMs Milliseconds that they have to answer; 2,000 when absent.
   */
  pause(deadlineMs: number = FAREWELL_MS): void {
    if (this.#state !== "running") return;
    this.#state = "paused";
    this.#rest();
    void this.#takeLeave(this.#asked.values(), deadlineMs);
  }

  /**
   * Takes other trackers from now on. Those that are there already are left alone. Those that are named no more are told that
   * we leave; those that are new are asked at once, one after the other if the torrent is private (BEP 27).
   *
   * @param tiers Announce URLs in tiers. One that comes twice counts where it comes first.
   */
  setTiers(tiers: readonly (readonly string[])[]): void {
    this.#replace(tiers, { atOnce: this.#state !== "new" });
  }

  /**
   * Takes more trackers, each tier after those that are there already. They are asked at once, be it before the first.
   *
   * @param tiers As for {@linkcode Announcer.setTiers}.
   */
  addTiers(tiers: readonly (readonly string[])[]): void {
    this.#replace([...this.tiers, ...tiers], { atOnce: true });
  }

  /**
   * Tells the trackers that know us, once, that the download is complete: at once, or right after the announce that is under
   * way. While none knows us, the first that does is told. Nobody is told of a torrent that was complete when it began, or of
   * a second time: it is the download that is counted (BEP 3).
   */
  completed(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    const all = [...this.#asked.values()];
    const told = all.filter((asked) => asked.farewell === null && (asked.knowsUs || asked.isTalking));
    for (const asked of told.length > 0 ? told : all) asked.completion = "owed";
    this.#turn();
  }

  /**
   * Announces as soon as each tracker allows it instead of when it is due. Those that fail are left to their back-off, and those
   * that are being asked are not asked again.
   */
  needPeers(): void {
    let isSooner = false;
    for (const asked of this.#asked.values()) {
      if (asked.askedAt !== null || asked.outcome === "failed" || asked.due <= asked.earliest) continue;
      asked.due = asked.earliest;
      isSooner = true;
    }
    if (isSooner) this.#turn();
  }

  /**
   * The port at which others reach us is another one: announces it within seconds, since until then nobody finds us. One that is
   * being asked may have been told the old one.
   */
  moved(): void {
    const now = this.#options.platform.now();
    for (const asked of this.#asked.values()) asked.move(now);
    this.#turn();
  }

  /**
   * What every tracker said last, and when it is asked next.
   *
   * @returns In the order of the tiers as they were given.
   */
  status(): TrackerStatus[] {
    const now = this.#options.platform.now();
    const order = this.#order;
    const times = this.#state === "running" ? nextTurns(order, this.#askAll) : [];
    const next = new Map(order.map((asked, i) => [asked, times[i] ?? Infinity]));
    return this.tiers.flatMap((urls, tier) =>
      urls.map((url) => {
        const asked = this.#asked.get(url);
        return asked?.status(now, { tier, next: next.get(asked)! }) ??
          unusableStatus(url, { tier, message: this.#unusable.get(url)! });
      })
    );
  }

  /**
   * Takes leave: lets the announces that are under way finish, then tells every tracker that knows us that we are gone.
   *
   * @param deadlineMs Milliseconds after which it settles whatever happens; 2,000 when absent.
   * @returns Settles when all is told or the time is over. Never rejects.
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
    await Promise.all([this.#takeLeave(this.#asked.values(), deadlineMs), Promise.race([earlier, over.promise])]);
    timer?.cancel();
    for (const end of this.#farewells) end();
    this.#impatience.abort();
  }

  #farewellsUnderWay(): Promise<void>[] {
    return [...this.#asked.values(), ...this.#removed.values()].flatMap(({ farewell }) => farewell ?? []);
  }

  /** A name is looked up only if that matters; one that isn't found is most likely that of somebody outside. */
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
    return this.#tiers.order().flatMap((url) => this.#asked.get(url) ?? []);
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
    const gone = [...this.#asked].filter(([url]) => !named.has(url));
    for (const [url, asked] of gone) {
      this.#asked.delete(url);
      this.#removed.set(url, asked);
    }
    for (const url of this.#unusable.keys()) if (!named.has(url)) this.#unusable.delete(url);
    for (const url of named) {
      if (this.#asked.has(url) || this.#unusable.has(url)) continue;
      const asked = this.#add(url);
      if (asked) asked.isNew = atOnce;
    }
    void this.#takeLeave(gone.map(([, asked]) => asked), FAREWELL_MS);
    this.#turn();
  }

  /** One that was removed a moment ago and is still being told so is the same. */
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
    this.#asked.set(url, asked);
    return asked;
  }

  /** Asks those whose turn it is, and sees to it that the next have theirs. */
  #turn(): void {
    if (this.#state !== "running") return;
    const { platform } = this.#options;
    const now = platform.now();
    const order = this.#order;
    if (this.#self.isPrivate()) { for (const asked of order) asked.isNew = false; }
    const provenAt = Math.min(...order.map((asked) => asked.prove(now, () => this.#received)));
    const turns = announceOrder(order, { now, all: this.#askAll, atOnce: MAX_TRACKERS_AT_ONCE });
    const { ask } = turns;
    const wakeAt = Math.min(turns.wakeAt, provenAt);
    this.#rest();
    if (wakeAt < Infinity) {
      // a timer of more than 24 days would run at once
      this.#timer = platform.after(Math.min(Math.max(wakeAt - now, 0), LONGEST_INTERVAL), () => this.#turn());
    }
    for (const asked of ask) asked.run = this.#ask(asked);
    if (order.every(({ askedAt, outcome }) => askedAt === null && outcome === "failed")) this.#reportUnusable();
  }

  /** Tells one tracker all there is to tell, then gives the next its turn. */
  async #ask(asked: AnnouncedTracker): Promise<void> {
    const { platform } = this.#options;
    const { tracker } = asked;
    asked.begin(platform.now());
    const { signal } = asked.giveUp;
    for (;;) {
      const event = this.#eventFor(asked);
      const answer = await this.#announce(asked, event);
      if (signal.aborted) return; // we have left it meanwhile, and may even be back
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
      if (asked.completion !== "owed") break; // else it came in the last moment
    }
    asked.end();
    this.#turn();
  }

  get #received(): number | null {
    return this.#options.received?.() ?? null;
  }

  #eventFor({ knowsUs, completion }: AnnouncedTracker): AnnounceEvent {
    if (knowsUs && completion === "owed") return "completed";
    // In every announce (BEP 21), the first included, as libtorrent has it.
    if (this.#options.progress().partialSeed) return "paused";
    return knowsUs ? null : "started";
  }

  /** Who hears of us only now is no longer told: it would count a download that it wasn't there for. */
  #toldCompletion(asked: AnnouncedTracker): void {
    for (const other of this.#asked.values()) {
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
        progress: asked.sums(this.#options.progress()),
        numwant,
        timeout: this.#options.timeout ?? tracker.patience,
        signal,
      });
      const answer = { reply, helps: numwant === 0 || this.#namesOthers(reply) };
      if (signal.aborted) return answer;
      const { seeders, leechers, peers, warning, externalIp } = reply;
      const status = warning === "" ? "ok" : "warning";
      asked.note(platform.now(), { status, message: warning, peers: peers.length }, { seeders, leechers });
      if (this.#isDeaf(asked)) return answer;
      const seen = externalIp === null ? {} : { externalIp };
      const report = { url, status, seeders, leechers, peers: peers.length, message: warning, ...seen } as const;
      if (seeders === null && leechers === null && tracker.scrape) void this.#scrape(asked, report);
      else this.#options.onReport(report);
      if (peers.length > 0 && !this.#isDeaf(asked)) this.#options.onPeers(peers, url);
      return answer;
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      if (signal.aborted) return null;
      if (error.retryIn !== null) tracker.retryAt = platform.now() + error.retryIn;
      asked.note(platform.now(), { status: "error", message: error.why, peers: null });
      if (!this.#isDeaf(asked)) this.#reportError(url, error.why);
      return null;
    }
  }

  /**
   * Whether anybody but us is in an answer. Who is alone there and has our port is most likely ourselves; that it is somebody
   * else after all costs no more than that another tracker is asked, too.
   */
  #namesOthers({ peers, seeders, leechers }: AnnounceReply): boolean {
    if (peers.length > 2 || (seeders ?? 0) + (leechers ?? 0) > 1) return peers.length > 0;
    const { port: own, portFor } = this.#options;
    return peers.some(({ port }) => port !== own && port !== portFor?.(""));
  }

  /** Completes a report with the counts that the answer lacked. Nobody waits for it but who is told. */
  async #scrape(asked: AnnouncedTracker, report: TrackerReport): Promise<void> {
    const { tracker } = asked;
    let counts: SwarmCounts = { seeders: null, leechers: null };
    try {
      const timeout = this.#options.timeout ?? tracker.patience;
      counts = await tracker.scrape!({ timeout, signal: this.#impatience.signal });
      asked.counted(counts);
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      // The announce went well, and that is what the report is about.
    }
    if (!this.#isDeaf(asked)) this.#options.onReport({ ...report, ...counts });
  }

  /** Unusable trackers are worth a word only where no other works, and only once. */
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

  /** Whether what a tracker says is no longer of interest. */
  #isDeaf(asked: AnnouncedTracker): boolean {
    return this.#state !== "running" || asked.farewell !== null;
  }

  /** Tells some trackers that we leave, those that know us. Settles when all is told or the time is over; never rejects. */
  async #takeLeave(all: Iterable<AnnouncedTracker>, deadline: number): Promise<void> {
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
        this.#turn();
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
    asked.left();
    if (this.#removed.get(url) === asked) this.#removed.delete(url);
  }

  /**
   * A tracker that is being asked right now gets half of the time to answer, so that `stopped` doesn't overtake what is under
   * way; then it is told all the same, since it may well have heard us. One that can't have is left at once.
   */
  async #farewell(asked: AnnouncedTracker, farewell: Farewell): Promise<void> {
    const { tracker, giveUp } = asked;
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
    const progress = asked.sums(this.#options.progress());
    try {
      await asked.tracker.announce({ event: "stopped", progress, numwant: 0, timeout: deadline, signal });
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error; // nobody is left whom it would help to know
    }
  }
}

/** The limits of a farewell. */
interface Farewell {
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Resolves when the time is over. */
  readonly over: PromiseWithResolvers<void>;
}

/** What there is to see of a tracker that can't be used. */
function unusableStatus(
  url: string,
  { tier, message }: { readonly tier: number; readonly message: string },
): TrackerStatus {
  const nothing = { seeders: null, leechers: null, peers: null, answeredAgo: null, nextIn: null, failures: 0 };
  return { url: redact(url), tier, state: "idle", status: "error", message, ...nothing };
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
