/**
 * Keeps one torrent announced.
 *
 * Trackers are asked in the order of BEP 12, one after the other, until one names peers from whom anything comes; see
 * {@linkcode turnsOf} for how long one that is silent holds up the next. Those that have no order, as the trackers of a magnet link,
 * are all asked. Each has its own interval, and its own back-off when it fails. What a slow one answers after others were asked is
 * used all the same.
 *
 * Life of an announcer: `start()` gives the first their turn; every answer and every timer gives the next. `completed()` is
 * told to all that know us. `stop()` lets the announces under way finish, then takes leave of every tracker that knows us.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import { toHex } from "../base/bytes.ts";
import type { InfoHash } from "../base/info_hash.ts";
import { MAX_TRACKERS_AT_ONCE, PEERS_PROVE_MS } from "../base/limits.ts";
import type { Platform, Timer } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";
import type { AnnounceEvent, AnnounceProgress, TrackerEncryption } from "./announce_request.ts";
import { addressesOf, literalOf, reachOfHost } from "./credible.ts";
import { TrackerError } from "./errors.ts";
import { HttpTracker } from "./http_tracker.ts";
import { LONGEST_INTERVAL, retryDelay, spacingAfter } from "./schedule.ts";
import { TierList } from "./tier_list.ts";
import type { Announcing, SwarmCounts, Tracker } from "./tracker.ts";
import { type Outcome, turnsOf, type TurnState } from "./turns.ts";
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
  /** Takes the peers of an answer; not called without any, nor after `stop()`. */
  onPeers(peers: PeerAddress[], url: string): void;
  /** Is told of each announce; not called after `stop()`. */
  onReport(report: TrackerReport): void;
  /** How many more peers would be welcome; 0 for none. */
  wantedPeers(): number;
  /** Bytes that have come so far while more are wanted, else `null`. When absent, peers that trackers name are taken for good. */
  received?(): number | null;
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
  readonly #asked = new Map<string, Asked>();
  /** URLs that can't be used, with the reason, until it has been told. */
  readonly #unusable = new Map<string, string>();
  /** Gives up what is under way when `stop()` has waited long enough. */
  readonly #impatience = new AbortController();
  #state: "new" | "running" | "stopped" = "new";
  #timer: Timer | null = null;
  #stopping: Promise<void> | null = null;

  /** @param options What it needs. */
  constructor(options: AnnouncerOptions) {
    const { platform, infoHash, peerId, bind, encryption, udp } = options;
    this.#options = options;
    this.#tiers = new TierList(options.tiers, () => platform.random());
    const key = toHex(platform.randomBytes(4)); // 32 bits, as BEP 7 asks
    const resolve = platform.net && ((name: string) => platform.net!.resolve(name));
    const self = {
      infoHash,
      peerId,
      portFor: (host: string) => this.#portFor(host, resolve),
      key,
      ...(bind !== undefined && { bind }),
      ...(encryption && { encryption }),
      isPrivate: () => options.isPrivate?.() ?? false,
      addressesOf: (name: string) => addressesOf(name, { platform, resolve }),
      reachOf: (host: string) => reachOfHost(host, { platform, resolve }),
    };
    for (const url of this.#tiers.order()) {
      const tracker = trackerFor(url, { http: platform.http, self, ...(udp !== undefined && { udp }) });
      if (typeof tracker === "string") this.#unusable.set(url, tracker);
      else this.#asked.set(url, new Asked(tracker, options.timeout));
    }
  }

  /** Sends the first announce; it is on its way when this returns. Harmless when called again. */
  start(): void {
    if (this.#state !== "new") return;
    this.#state = "running";
    this.#turn();
  }

  /**
   * Tells the trackers that know us, once, that the download is complete: at once, or right after the announce that is under
   * way. While none knows us, the first that does is told.
   */
  completed(): void {
    const all = [...this.#asked.values()];
    if (all.some((asked) => asked.completion !== "none")) return;
    const told = all.filter((asked) => asked.tracker.knowsUs || asked.askedAt !== null);
    for (const asked of told.length > 0 ? told : all) asked.completion = "owed";
    this.#turn();
  }

  /**
   * Announces as soon as each tracker allows it instead of when it is due. Those that fail are left to their back-off, and those
   * that are being asked are not asked again.
   */
  needPeers(): void {
    for (const asked of this.#asked.values()) {
      if (asked.askedAt === null && asked.outcome !== "failed") asked.due = Math.min(asked.due, asked.earliest);
    }
    this.#turn();
  }

  /**
   * The port at which others reach us is another one: announces it, as soon as each tracker allows. One that is being asked may
   * have been told the old one.
   */
  moved(): void {
    for (const asked of this.#asked.values()) asked.moved = asked.askedAt !== null;
    this.needPeers();
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

  /**
   * Takes leave: lets the announces that are under way finish, then tells every tracker that knows us that we are gone.
   *
   * @param deadlineMs Milliseconds after which it settles whatever happens; 2,000 when absent.
   * @returns Settles when all is told or the time is over. Never rejects.
   */
  stop(deadlineMs: number = DEFAULT_STOP_DEADLINE): Promise<void> {
    this.#stopping ??= this.#takeLeave(deadlineMs);
    return this.#stopping;
  }

  /** Asks those whose turn it is, and sees to it that the next have theirs. */
  #turn(): void {
    if (this.#state !== "running") return;
    const { platform, askAll } = this.#options;
    const now = platform.now();
    const order = this.#tiers.order().flatMap((url) => this.#asked.get(url) ?? []);
    const provenAt = Math.min(...order.map((asked) => asked.prove(now, () => this.#received)));
    const turns = turnsOf(order, { now, all: askAll?.() ?? false, atOnce: MAX_TRACKERS_AT_ONCE });
    const { ask } = turns;
    const wakeAt = Math.min(turns.wakeAt, provenAt);
    this.#timer?.cancel();
    this.#timer = null;
    if (wakeAt < Infinity) {
      // a timer of more than 24 days would run at once
      this.#timer = platform.after(Math.min(Math.max(wakeAt - now, 0), LONGEST_INTERVAL), () => this.#turn());
    }
    for (const asked of ask) asked.run = this.#ask(asked);
    if (order.every(({ askedAt, outcome }) => askedAt === null && outcome === "failed")) this.#reportUnusable();
  }

  /** Tells one tracker all there is to tell, then gives the next its turn. */
  async #ask(asked: Asked): Promise<void> {
    const { platform } = this.#options;
    const { tracker } = asked;
    asked.begin(platform.now());
    for (;;) {
      const event = this.#eventFor(asked);
      const answer = await this.#announce(asked, event);
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
    asked.askedAt = null;
    this.#turn();
  }

  get #received(): number | null {
    return this.#options.received?.() ?? null;
  }

  #eventFor({ tracker, completion }: Asked): AnnounceEvent {
    // In every announce (BEP 21), the first included, as libtorrent has it.
    if (this.#options.progress().partialSeed) return "paused";
    if (!tracker.knowsUs) return "started";
    return completion === "owed" ? "completed" : null;
  }

  /** Who hears of us only now is no longer told: it would count a download that it wasn't there for. */
  #toldCompletion(asked: Asked): void {
    for (const other of this.#asked.values()) {
      if (!other.tracker.knowsUs && other.askedAt === null) other.completion = "told";
    }
    asked.completion = "told";
  }

  async #announce(asked: Asked, event: AnnounceEvent): Promise<Answer | null> {
    const { tracker } = asked;
    const { url } = tracker;
    const numwant = Math.min(Math.max(this.#options.wantedPeers(), 0), MAX_NUMWANT);
    try {
      const reply = await tracker.announce({
        event,
        progress: this.#options.progress(),
        numwant,
        timeout: this.#options.timeout ?? tracker.patience,
        signal: asked.giveUp.signal,
      });
      const answer = { reply, helps: numwant === 0 || this.#namesOthers(reply) };
      if (this.#isStopped()) return answer;
      const { seeders, leechers, peers, warning, externalIp } = reply;
      const status = warning === "" ? "ok" : "warning";
      const seen = externalIp === null ? {} : { externalIp };
      const report = { url, status, seeders, leechers, peers: peers.length, message: warning, ...seen } as const;
      if (seeders === null && leechers === null && tracker.scrape) void this.#scrape(tracker, report);
      else this.#options.onReport(report);
      if (peers.length > 0 && !this.#isStopped()) this.#options.onPeers(peers, url);
      return answer;
    } catch (error) {
      if (!(error instanceof TrackerError)) throw error;
      if (error.retryIn !== null) tracker.retryAt = this.#options.platform.now() + error.retryIn;
      this.#reportError(url, error.why);
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
    this.#state = "stopped";
    this.#timer?.cancel();
    const farewell = new AbortController();
    const timeIsUp = Promise.withResolvers<void>();
    const timer = platform.after(deadline, () => {
      farewell.abort();
      timeIsUp.resolve();
    });
    const all = [...this.#asked.values()];
    const limits = { deadline, signal: farewell.signal };
    const told = all.map((asked) => {
      if (asked.askedAt !== null) return this.#finish(asked, limits);
      return asked.tracker.knowsUs ? this.#tellStopped(asked.tracker, limits) : null;
    });
    await Promise.race([Promise.allSettled(told), timeIsUp.promise]);
    timer.cancel();
    this.#impatience.abort();
    for (const { giveUp } of all) giveUp.abort();
  }

  /**
   * A tracker that is being asked right now gets half of the time to answer, so that `stopped` doesn't overtake what is under
   * way; then it is told all the same, since it may well have heard us. One that can't have is left at once.
   */
  async #finish(asked: Asked, farewell: Farewell): Promise<void> {
    const { tracker, giveUp } = asked;
    if (!tracker.knowsUs && !tracker.mayHaveHeard) return giveUp.abort();
    const halfTime = Promise.withResolvers<void>();
    const timer = this.#options.platform.after(farewell.deadline / 2, () => {
      tracker.knowsUs = true;
      giveUp.abort();
      halfTime.resolve();
    });
    try {
      await Promise.race([asked.run, halfTime.promise]);
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

/** What a tracker answered, and whether it named anybody. */
interface Answer {
  readonly reply: AnnounceReply;
  readonly helps: boolean;
}

/** Until when somebody whom a tracker named has to have sent us something, and what we had before. */
interface Trial {
  readonly until: number;
  readonly received: number;
}

/** A tracker, and how it went with it. */
class Asked implements TurnState {
  readonly tracker: Tracker;
  readonly holdsUp: number;
  askedAt: number | null = null;
  outcome: Outcome = "none";
  /** What the peers of its last answer have yet to show; `null` when that is over. */
  trial: Trial | null = null;
  due = -Infinity;
  /** When `needPeers()` may bring the next announce forward to. */
  earliest = -Infinity;
  /** Whether it is to be told that we are complete. */
  completion: "none" | "owed" | "told" = "none";
  /** Whether our port changed while it was being asked. */
  moved = false;
  /** The conversation that is under way, and what ends it early. */
  run: Promise<void> = Promise.resolve();
  giveUp = new AbortController();
  #failures = 0;

  constructor(tracker: Tracker, timeout: number = Infinity) {
    this.tracker = tracker;
    this.holdsUp = Math.min(tracker.holdsUp, timeout);
  }

  get owesCompletion(): boolean {
    return this.completion === "owed" && this.tracker.knowsUs;
  }

  /**
   * Peers from whom nothing came are worth as much as none, so that it isn't the last tracker that is asked.
   *
   * @returns When to look at them; `Infinity` when that is over.
   */
  prove(now: number, received: () => number | null): number {
    if (this.trial === null) return Infinity;
    if (now < this.trial.until) return this.trial.until;
    if (this.outcome === "peers" && received() === this.trial.received) this.outcome = "empty";
    this.trial = null;
    return Infinity;
  }

  begin(now: number): void {
    this.trial = null;
    this.askedAt = this.due = now;
    this.giveUp = new AbortController();
  }

  answered(now: number, { reply, helps }: Answer): void {
    const { regular, earliest } = spacingAfter(reply);
    this.outcome = helps ? "peers" : "empty";
    this.#failures = 0;
    this.earliest = now + earliest;
    this.due = now + (this.moved ? earliest : regular);
    this.moved = false;
  }

  failed(now: number, random: number): void {
    this.outcome = "failed";
    this.due = Math.max(now + retryDelay(++this.#failures, random), this.tracker.retryAt);
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
