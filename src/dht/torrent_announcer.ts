/**
 * Keeps one torrent announced in the DHT, and looks for its peers.
 *
 * @module
 */

import type { PeerAddress } from "../base/address.ts";
import type { InfoHash } from "../base/info_hash.ts";
import type { Timer } from "../platform/platform.ts";
import { type PackedNodes, packNodes, unpackNodes } from "./compact.ts";
import type { Dht, DhtPlatform } from "./dht.ts";
import type { LookupPace } from "./lookup_pace.ts";
import type { Announce, LookupReport } from "./lookup_run.ts";

/** Milliseconds from one announce to the next, which finds new peers, too. */
export const ANNOUNCE_MS = 15 * 60_000;
/** The same for a seed, which needs no more than to be known: peers are forgotten after 30 minutes. */
export const SEED_ANNOUNCE_MS = 25 * 60_000;
/**
 * Lookups that begin with the nodes that were the closest the last time, after one that begins with our tables alone. They take a
 * third of the queries; but nodes that know only each other would never be left if there were no others.
 */
const SHORT_LOOKUPS = 3;
/** Milliseconds between two lookups when peers are needed ... */
export const HURRY_MS = 60_000;
/** ... and until the next when nobody answered; both are doubled each time that it was in vain. */
const RETRY_MS = 10_000;

/** What an announcer needs. */
export interface TorrentAnnouncerOptions {
  readonly platform: Pick<DhtPlatform, "now" | "after" | "random">;
  readonly dht: Pick<Dht, "lookup" | "onJoined">;
  readonly infoHash: InfoHash;
  /** When lookups that nobody waits for may begin; all torrents of a session have the same. */
  readonly pace: Pick<LookupPace, "join" | "wait">;
  /** What to tell others: our port and whether we have everything; `null` to look only. */
  announce(): Announce | null;
  /** Takes peers as they are found. */
  onPeers(peers: readonly PeerAddress[]): void;
  /** Is told how each lookup went. */
  onReport?(report: LookupReport): void;
}

/** How it goes with a torrent in the DHT, at one moment. */
export interface DhtStatus {
  /** `joining`: we have no place in the DHT yet. */
  readonly state: "joining" | "asking" | "waiting" | "stopped";
  /** Nodes that answered the last time, peers that were found, and nodes that took our announce; `null` before. */
  readonly last: Pick<LookupReport, "answered" | "peers" | "announced"> | null;
  /** Milliseconds since then; `null` before. */
  readonly answeredAgo: number | null;
  /** Milliseconds until it is looked up next; `null` unless `state` is `waiting`. */
  readonly nextIn: number | null;
}

/**
 * Looks a torrent up and announces it again and again, from `start()` to `stop()`, and from `start()` on again. Never for a
 * private torrent (BEP 27): whoever makes one of these has seen to that.
 */
export class TorrentAnnouncer {
  readonly #options: TorrentAnnouncerOptions;
  #end = new AbortController();
  #state: "asking" | "waiting" | "stopped" = "stopped";
  #timer: Timer | null = null;
  #due = Infinity;
  #lastAt = -Infinity;
  /** Lookups in a row that brought nobody. */
  #vain = 0;
  #isNeeded = false;
  /** How the last lookup went. */
  #last: DhtStatus["last"] = null;
  #lastEndedAt = 0;
  /** The closest nodes of the last lookup; thousands of torrents may have some. */
  #near: PackedNodes | null = null;
  /** Lookups in a row that began with them. */
  #short = 0;
  #forgetJoined = () => {};
  #leavePace = () => {};
  #stopWaiting = () => {};

  /** @param options What it needs. */
  constructor(options: TorrentAnnouncerOptions) {
    this.#options = options;
  }

  /** Begins, as soon as the DHT has joined; after a stop not at once after the last lookup. Harmless when called again. */
  start(): void {
    if (this.#state !== "stopped") return;
    this.#state = "waiting";
    this.#end = new AbortController();
    this.#leavePace = this.#options.pace.join();
    let pause = this.#lastAt > -Infinity ? this.#sooner() : 0;
    this.#forgetJoined = this.#options.dht.onJoined(() => {
      // Who has just joined, or joined anew, was found by nobody before.
      this.#vain = 0;
      this.#schedule(pause);
      pause = 0;
    });
  }

  /** How it goes. */
  status(): DhtStatus {
    const now = this.#options.platform.now();
    const isJoining = this.#state === "waiting" && this.#due === Infinity;
    const last = this.#last;
    return {
      state: isJoining ? "joining" : this.#state,
      last,
      answeredAgo: last && now - this.#lastEndedAt,
      nextIn: this.#state === "waiting" && !isJoining ? Math.max(0, this.#due - now) : null,
    };
  }

  /** More peers are needed: the next lookup comes sooner, though not at once after the last. */
  needPeers(): void {
    this.#isNeeded = true;
    if (this.#state === "waiting" && this.#lastAt > -Infinity) this.#schedule(this.#sooner());
  }

  /** Ends it, until it is started again. The DHT has no way to take leave: nodes forget us after half an hour. */
  stop(): void {
    if (this.#state !== "stopped") this.#leavePace();
    this.#state = "stopped";
    this.#timer?.cancel();
    this.#due = Infinity;
    this.#stopWaiting();
    this.#forgetJoined();
    this.#end.abort();
  }

  /** Starts the timer, unless it is due sooner anyway. */
  #schedule(delay: number): void {
    const { platform } = this.#options;
    const due = platform.now() + delay;
    if (this.#state !== "waiting" || due >= this.#due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = platform.after(delay, () => this.#takeTurn());
  }

  /** A torrent that needs peers is looked up at once when it is new, and when others may be found. All else has time. */
  #takeTurn(): void {
    const look = () => void this.#look();
    this.#due = -Infinity;
    if (this.#vain === 0 && !this.#options.announce()?.seed) look();
    else this.#stopWaiting = this.#options.pace.wait(look);
  }

  async #look(): Promise<void> {
    const { dht, infoHash, platform, onPeers } = this.#options;
    this.#state = "asking";
    this.#due = Infinity;
    this.#isNeeded = false;
    this.#lastAt = platform.now();
    const { signal } = this.#end;
    const announce = this.#options.announce() ?? undefined;
    const near = this.#near !== null && this.#short < SHORT_LOOKUPS ? unpackNodes(this.#near) : undefined;
    const report = await dht.lookup(infoHash, {
      onPeers: (peers) => signal.aborted || onPeers(peers),
      announce,
      near,
      signal,
    });
    if (signal.aborted) return;
    const { answered, peers, announced, closest } = report;
    this.#last = { answered, peers, announced };
    this.#lastEndedAt = platform.now();
    this.#options.onReport?.(report);
    this.#state = "waiting";
    this.#vain = peers > 0 ? 0 : this.#vain + 1;
    this.#short = near === undefined ? 0 : this.#short + 1;
    this.#near = closest.length > 0 ? packNodes(closest) : null;
    const regular = announce?.seed ? SEED_ANNOUNCE_MS : ANNOUNCE_MS;
    if (answered === 0) this.#schedule(Math.min(RETRY_MS * 2 ** (this.#vain - 1), ANNOUNCE_MS));
    else this.#schedule(this.#isNeeded ? this.#sooner() : regular * (0.9 + 0.2 * platform.random()));
  }

  #sooner(): number {
    const pause = Math.min(HURRY_MS * 2 ** Math.max(0, this.#vain - 1), ANNOUNCE_MS);
    return Math.max(0, this.#lastAt + pause - this.#options.platform.now());
  }
}
