/**
 * The web seeds of a torrent: known, in use, and given up.
 *
 * @module
 */

import { MAX_ACTIVE_WEB_SEEDS, MAX_WEB_SEEDS } from "../../base/defences.ts";
import { redact } from "../../base/secrets.ts";
import type { Metainfo } from "../../metainfo/mod.ts";
import type { BandwidthParties, Peer, PeerEvent } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { PieceDownload } from "../pieces/piece_download.ts";
import { FileParts, WebFiles } from "./web_files.ts";
import type { WebRun } from "./web_run.ts";
import { WebPicker } from "./web_picker.ts";
import { WebSeed, type WebSeedHost, type WebSeedSource } from "./web_seed.ts";

/** Stands for the client's name in events. */
const CLIENT = "web seed";
/** Milliseconds without memory after which a run is given up, since another run may need no memory. */
const HUNGRY_MS = 10_000;

/** Options for {@linkcode WebSeeds}. */
export interface WebSeedsOptions {
  /** Clocks, random numbers and HTTP client. */
  readonly platform: Platform;
  /** The torrent, whose web seeds are added at once. */
  readonly meta: Metainfo;
  /** Local address to connect from, if one was chosen. */
  readonly bind?: string | undefined;
  /** Rate limits of all peers and web seeds; none when absent. */
  readonly limits?: BandwidthParties;
  /** Called with each event. */
  tell(event: Omit<PeerEvent, "infohash">): void;
  /** Called with the first failure of each kind of a web seed, and the URL without secrets. */
  warn(message: string, url: string): void;
}

/** What {@linkcode WebSeeds} needs from the torrent. */
export interface WebSeedsHost {
  /** The download. */
  readonly download: PieceDownload;
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
  /** Called when an error stops the torrent. */
  failed(error: unknown): void;
}

/** All web seeds of one torrent. */
export class WebSeeds {
  readonly #options: WebSeedsOptions;
  readonly #download: PieceDownload;
  readonly #runs: WebPicker;
  readonly #host: WebSeedHost;
  /** Web seeds by URL. */
  readonly #seeds = new Map<string, WebSeed>();
  /** Runs that wait for memory. */
  readonly #waitingForMemory = new Map<WebRun, { readonly since: number; readonly resolve: () => void }>();
  #files: WebFiles | null = null;
  #stopped = false;
  #paused = false;

  constructor(options: WebSeedsOptions, host: WebSeedsHost) {
    const { meta, platform } = options;
    const { download } = host;
    this.#options = options;
    this.#download = download;
    this.#runs = new WebPicker(download, {
      pieceLength: meta.pieceLength,
      totalLength: meta.totalLength,
      peers: () => host.peers(),
      now: () => platform.now(),
      random: () => platform.random(),
    });
    this.#host = {
      platform,
      runs: this.#runs,
      ...(options.bind !== undefined && { bind: options.bind }),
      ...(options.limits && { limit: options.limits.down }),
      memory: (run) => {
        download.started.pool.wants();
        return new Promise((resolve) => this.#waitingForMemory.set(run, { since: platform.now(), resolve }));
      },
      connected: (seed) => this.#tell(seed, "connected", ""),
      disconnected: (seed, message) => this.#tell(seed, "disconnected", message),
      refused: (seed, message) => this.#tell(seed, "refused", message),
      failed: (seed, message) => options.warn(`a web seed failed: ${message}`, redact(seed.url)),
      broke: (error) => host.failed(error),
    };
    // Ahead of the peers, which would take all the memory.
    download.started.pieceVerified.unshift(() => this.#feed());
    download.started.memoryAvailable.unshift(() => this.#feed());
    download.urgencyChanged = () => this.#hurry();
    download.wantedChanged = () => this.#change();
    this.add(meta.webSeeds);
    this.wake();
  }

  /** Payload bytes from all web seeds. */
  get downloaded(): number {
    let sum = 0;
    for (const seed of this.#seeds.values()) sum += seed.down.total;
    return sum;
  }

  /** Web seeds that answer. */
  get connected(): WebSeed[] {
    return [...this.#seeds.values()].filter((seed) => seed.connected);
  }

  /** Returns what each web seed is doing, in the order in which they were named. */
  sources(): WebSeedSource[] {
    const now = this.#options.platform.now();
    return Array.from(this.#seeds.values(), (seed) => seed.source(now));
  }

  /**
   * Returns a function that tells whether a web seed that is still used has a piece; `null` if there is none. Returns
   * `all` if one has every piece, as far as is known.
   */
  get has(): ((index: number) => boolean) | "all" | null {
    const used = [...this.#seeds.values()].filter(({ over }) => over === null);
    if (used.length === 0) return null;
    if (used.some(({ pieces }) => pieces.isFull)) return "all";
    return (index) => used.some(({ pieces }) => pieces.has(index));
  }

  /**
   * Adds web seeds (BEP 19; `ws` of a magnet link).
   *
   * @param urls URLs. Those that aren't `http` or `https` are ignored, and those beyond 64 in all.
   */
  add(urls: Iterable<string>): void {
    const { meta } = this.#options;
    for (const url of urls) {
      if (this.#seeds.has(url) || this.#seeds.size >= MAX_WEB_SEEDS) continue;
      if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) continue;
      const number = -1 - this.#seeds.size;
      const parts = () => new FileParts(url, this.#files ??= new WebFiles(meta));
      const seed = new WebSeed(this.#host, { url, number, pieceCount: meta.pieceCount, parts });
      seed.setPaused(this.#paused);
      this.#seeds.set(url, seed);
    }
  }

  /**
   * Returns the URL of the web seed with a number; `null` for a peer's number.
   *
   * @param number Connection number; negative for a web seed.
   */
  hostOf(number: number): string | null {
    return number < 0 ? [...this.#seeds.keys()][-1 - number]! : null;
  }

  /** Returns `true` if there is a web seed with this URL. The address of a peer isn't one. */
  knows(url: string): boolean {
    return this.#seeds.has(url);
  }

  /**
   * Bans a web seed for good.
   *
   * @param url URL of the web seed, as {@linkcode WebSeeds.hostOf} returns it.
   * @param reason Reason for the user.
   */
  ban(url: string, reason: string): void {
    const seed = this.#seeds.get(url);
    if (!seed || seed.over !== null) return;
    this.#tell(seed, "banned", reason);
    seed.close(`banned: ${reason}`);
  }

  /**
   * Regular work: starts requests, and ends those that bring too few bytes.
   *
   * @param now Current time in milliseconds.
   * @param seconds Seconds since the last call.
   */
  tick(now: number, seconds: number): void {
    for (const seed of this.#seeds.values()) seed.tick(now, seconds);
    for (const [run, { since }] of this.#waitingForMemory) if (now - since > HUNGRY_MS) this.#runs.release(run);
    this.#feed();
    this.wake();
  }

  /** Whether there is nothing to do: no web seeds, or stopped. */
  get idle(): boolean {
    return this.#stopped || this.#seeds.size === 0;
  }

  /** Starts requests to all web seeds that may have more. */
  wake(): void {
    if (this.#stopped || this.#download.complete) return;
    const now = this.#options.platform.now();
    const all = [...this.#seeds.values()];
    let room = MAX_ACTIVE_WEB_SEEDS - all.filter((seed) => seed.connections > 0).length;
    const ready = all.filter((seed) => seed.isReady(now));
    ready.sort((a, b) => a.failures - b.failures || b.down.rate - a.down.rate);
    let idle = 0;
    for (const seed of ready) {
      const fresh = seed.connections === 0;
      if (fresh && room <= 0) continue;
      if (!seed.wake()) idle++;
      else if (fresh) room--;
    }
    this.#runs.share(idle);
  }

  /**
   * Ends all requests for good.
   *
   * @param why Reason for the user.
   */
  stop(why: string): void {
    this.#stopped = true;
    for (const seed of this.#seeds.values()) seed.close(why);
    this.#feed();
  }

  /**
   * Ends all requests until pieces are wanted again.
   *
   * @param why Reason for the user.
   */
  rest(why: string): void {
    for (const seed of this.#seeds.values()) seed.leave(why);
    this.#feed();
  }

  /** Called when other pieces are wanted. */
  #change(): void {
    if (this.#stopped) return;
    this.#runs.trim();
    this.#feed();
    this.wake();
  }

  #hurry(): void {
    if (this.#stopped) return;
    this.#runs.yieldToUrgent();
    this.#feed();
    this.wake();
  }

  /** Ends all requests while paused, and makes new ones afterwards. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    for (const seed of this.#seeds.values()) seed.setPaused(paused);
    this.#feed();
    this.wake();
  }

  /** Resumes runs that wait for memory, if there is some. */
  #feed(): void {
    for (const [run, { resolve }] of this.#waitingForMemory) {
      if (!this.#stopped && !run.ready()) continue;
      this.#waitingForMemory.delete(run);
      resolve();
    }
  }

  #tell(seed: WebSeed, action: "connected" | "disconnected" | "banned" | "refused", message: string): void {
    const totals = action === "disconnected" ? { downloaded: seed.down.total, uploaded: 0 } : {};
    this.#options.tell({ event: "peer", address: seed.name, client: CLIENT, action, message, ...totals });
  }
}
