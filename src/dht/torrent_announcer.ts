/**
 * Announces one torrent in the DHT regularly, and finds its peers.
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

/** Milliseconds between two announces, which also find new peers. */
export const ANNOUNCE_MS = 15 * 60_000;
/** Milliseconds between two announces of a seed, which need not find peers: nodes drop a peer after 30 minutes. */
export const SEED_ANNOUNCE_MS = 25 * 60_000;
/**
 * Number of lookups that start from the closest nodes of the previous lookup, after one that starts from the routing
 * tables alone. Such a lookup takes a third of the queries. Without the full lookups in between, the announcer could
 * stay for good among nodes that know only each other.
 */
const SHORT_LOOKUPS = 3;
/** Minimum milliseconds between two lookups while peers are needed. Doubled after each lookup that finds none. */
export const MIN_LOOKUP_INTERVAL_MS = 60_000;
/** Milliseconds until the next lookup when no node answered. Doubled each time. */
const RETRY_MS = 10_000;

/** Options for {@linkcode TorrentAnnouncer}. */
export interface TorrentAnnouncerOptions {
  readonly platform: Pick<DhtPlatform, "now" | "after" | "random">;
  readonly dht: Pick<Dht, "lookup" | "onJoined">;
  readonly infoHash: InfoHash;
  /** Decides when lookups may start that are not urgent. Shared by all torrents of a session. */
  readonly pace: Pick<LookupPace, "join" | "wait">;
  /** Returns our port and whether we are a seed, or `null` to look up peers without an announce. */
  announce(): Announce | null;
  /** Called with peers as they are found. */
  onPeers(peers: readonly PeerAddress[]): void;
  /** Called with the result of each lookup. */
  onReport?(report: LookupReport): void;
}

/** Current state of a torrent in the DHT. */
export interface DhtStatus {
  /** `joining`: the next lookup waits until we have joined the DHT. */
  readonly state: "joining" | "asking" | "waiting" | "stopped";
  /** Result of the last lookup; `null` before the first is complete. */
  readonly last: Pick<LookupReport, "answered" | "peers" | "announced"> | null;
  /** Milliseconds since the last lookup; `null` before the first is complete. */
  readonly answeredAgo: number | null;
  /** Milliseconds until the next lookup; `null` unless `state` is `waiting`. */
  readonly nextIn: number | null;
}

/**
 * Looks up and announces a torrent regularly from `start()` to `stop()`, and may be started again. The caller creates
 * none for a private torrent (BEP 27).
 */
export class TorrentAnnouncer {
  readonly #options: TorrentAnnouncerOptions;
  #end = new AbortController();
  #state: "asking" | "waiting" | "stopped" = "stopped";
  #timer: Timer | null = null;
  #due = Infinity;
  #lastAt = -Infinity;
  /** Number of consecutive lookups that found no peers. */
  #fruitlessLookups = 0;
  #isNeeded = false;
  /** Result of the last lookup. */
  #last: DhtStatus["last"] = null;
  #lastEndedAt = 0;
  /** Closest nodes of the last lookup, encoded to save memory: a session may have thousands of torrents. */
  #near: PackedNodes | null = null;
  /** Number of consecutive lookups that started from `#near`. */
  #short = 0;
  #forgetJoined = () => {};
  #leavePace = () => {};
  #stopWaiting = () => {};

  constructor(options: TorrentAnnouncerOptions) {
    this.#options = options;
  }

  /** Starts once the DHT has joined. A restart keeps the minimum time since the last lookup. Harmless if started. */
  start(): void {
    if (this.#state !== "stopped") return;
    this.#state = "waiting";
    this.#end = new AbortController();
    this.#leavePace = this.#options.pace.join();
    let pause = this.#lastAt > -Infinity ? this.#earliestDelay() : 0;
    this.#forgetJoined = this.#options.dht.onJoined(() => {
      // Fruitless lookups before we joined, or joined again, say nothing about the torrent.
      this.#fruitlessLookups = 0;
      this.#schedule(pause);
      pause = 0;
    });
  }

  /** Returns the current state. */
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

  /** Requests more peers: the next lookup is sooner, but keeps the minimum time since the last one. */
  needPeers(): void {
    this.#isNeeded = true;
    if (this.#state === "waiting" && this.#lastAt > -Infinity) this.#schedule(this.#earliestDelay());
  }

  /** Stops until the next `start()`. The DHT has no message for leaving a torrent: nodes drop us after 30 minutes. */
  stop(): void {
    if (this.#state !== "stopped") this.#leavePace();
    this.#state = "stopped";
    this.#timer?.cancel();
    this.#due = Infinity;
    this.#stopWaiting();
    this.#forgetJoined();
    this.#end.abort();
  }

  /** Starts the timer, unless the next lookup is due sooner anyway. */
  #schedule(delay: number): void {
    const { platform } = this.#options;
    const due = platform.now() + delay;
    if (this.#state !== "waiting" || due >= this.#due) return;
    this.#timer?.cancel();
    this.#due = due;
    this.#timer = platform.after(delay, () => this.#takeTurn());
  }

  /** Looks up at once if we are not a seed and the last lookup, if any, found peers; else waits for a turn. */
  #takeTurn(): void {
    const look = () => void this.#look();
    this.#due = -Infinity;
    if (this.#fruitlessLookups === 0 && !this.#options.announce()?.seed) look();
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
    this.#fruitlessLookups = peers > 0 ? 0 : this.#fruitlessLookups + 1;
    this.#short = near === undefined ? 0 : this.#short + 1;
    this.#near = closest.length > 0 ? packNodes(closest) : null;
    const regular = announce?.seed ? SEED_ANNOUNCE_MS : ANNOUNCE_MS;
    if (answered === 0) this.#schedule(Math.min(RETRY_MS * 2 ** (this.#fruitlessLookups - 1), ANNOUNCE_MS));
    else this.#schedule(this.#isNeeded ? this.#earliestDelay() : regular * (0.9 + 0.2 * platform.random()));
  }

  #earliestDelay(): number {
    const pause = Math.min(MIN_LOOKUP_INTERVAL_MS * 2 ** Math.max(0, this.#fruitlessLookups - 1), ANNOUNCE_MS);
    return Math.max(0, this.#lastAt + pause - this.#options.platform.now());
  }
}
