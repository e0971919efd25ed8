/**
 * The web seeds of a torrent: which are known, which are at work, and which are done with.
 *
 * @module
 */

import { MAX_ACTIVE_WEB_SEEDS, MAX_WEB_SEEDS } from "../../base/defences.ts";
import type { Metainfo } from "../../metainfo/mod.ts";
import type { BandwidthParties, Peer, PeerEvent } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { PieceDownload } from "../pieces/piece_download.ts";
import { FileParts, WebFiles } from "./web_files.ts";
import type { WebRun } from "./web_run.ts";
import { WebPicker } from "./web_picker.ts";
import { WebSeed, type WebSeedHost } from "./web_seed.ts";

/** What it is called where peers have their client's name. */
const CLIENT = "web seed";
/** Milliseconds without memory after which a run is given up: what others have left lying may need none. */
const HUNGRY_MS = 10_000;

/** What {@linkcode WebSeeds} are made of. */
export interface WebSeedsOptions {
  /** The outside. */
  readonly platform: Platform;
  /** What the torrent holds; the web seeds that it names are known from the beginning. */
  readonly meta: Metainfo;
  /** Local address to connect from, when one was chosen. */
  readonly bind?: string | undefined;
  /** How fast all peers and web seeds may be; as fast as they can when absent. */
  readonly limits?: BandwidthParties;
  /** Takes what happens. */
  tell(event: Omit<PeerEvent, "infohash">): void;
}

/** What {@linkcode WebSeeds} work with. */
export interface WebSeedsHost {
  /** What is left to be fetched. */
  readonly download: PieceDownload;
  /** Every connected peer. */
  peers(): Iterable<Peer>;
  /** The torrent can't go on. */
  failed(error: unknown): void;
}

/** Every web seed of one torrent. */
export class WebSeeds {
  readonly #options: WebSeedsOptions;
  readonly #download: PieceDownload;
  readonly #runs: WebPicker;
  readonly #host: WebSeedHost;
  /** By URL. */
  readonly #seeds = new Map<string, WebSeed>();
  /** Runs that wait for memory. */
  readonly #hungry = new Map<WebRun, { readonly since: number; readonly resolve: () => void }>();
  #files: WebFiles | null = null;
  #stopped = false;
  #paused = false;

  /**
   * @param options Its parts.
   * @param host The torrent.
   */
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
        return new Promise((resolve) => this.#hungry.set(run, { since: platform.now(), resolve }));
      },
      connected: (seed) => this.#tell(seed, "connected", ""),
      disconnected: (seed, message) => this.#tell(seed, "disconnected", message),
      refused: (seed, message) => this.#tell(seed, "refused", message),
      broke: (error) => host.failed(error),
    };
    // Before peers are, who would take all of it.
    download.started.settled.unshift(() => this.#feed());
    download.started.fed.unshift(() => this.#feed());
    download.hurried = () => this.#hurry();
    download.changed = () => this.#change();
    this.add(meta.webSeeds);
    this.wake();
  }

  /** Payload bytes from all of them. */
  get downloaded(): number {
    let sum = 0;
    for (const seed of this.#seeds.values()) sum += seed.down.total;
    return sum;
  }

  /** Those that answer. */
  get connected(): WebSeed[] {
    return [...this.#seeds.values()].filter((seed) => seed.connected);
  }

  /**
   * Takes note of web seeds that somebody named (BEP 19; `ws` of a magnet link).
   *
   * @param urls Others than `http` and `https` are left out, and more than 64.
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
   * Whose connection it was.
   *
   * @param number Below 0 for a web seed.
   * @returns Its URL; `null` when it is a peer's.
   */
  hostOf(number: number): string | null {
    return number < 0 ? [...this.#seeds.keys()][-1 - number]! : null;
  }

  /** Whether there is a web seed of this URL; addresses of peers are none. */
  knows(url: string): boolean {
    return this.#seeds.has(url);
  }

  /**
   * Shuts a web seed out, for good.
   *
   * @param url Its URL, as {@linkcode WebSeeds.hostOf} gives it.
   * @param reason For the user.
   */
  ban(url: string, reason: string): void {
    const seed = this.#seeds.get(url);
    if (!seed || seed.over !== null) return;
    this.#tell(seed, "banned", reason);
    seed.close(`banned: ${reason}`);
  }

  /**
   * Regular work: wakes those that could do more, and ends what brings too little.
   *
   * @param now Milliseconds.
   * @param seconds Since the last call.
   */
  tick(now: number, seconds: number): void {
    for (const seed of this.#seeds.values()) seed.tick(now, seconds);
    for (const [run, { since }] of this.#hungry) if (now - since > HUNGRY_MS) this.#runs.release(run);
    this.#feed();
    this.wake();
  }

  /** Whether there are none. */
  get rests(): boolean {
    return this.#stopped || this.#seeds.size === 0;
  }

  /** Asks all that could do more; as soon as they are known. */
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
   * Ends all that is under way.
   *
   * @param why For the user.
   */
  stop(why: string): void {
    this.#stopped = true;
    for (const seed of this.#seeds.values()) seed.close(why);
    this.#feed();
  }

  /**
   * Ends all that is under way, since nothing is wanted; goes on when something is.
   *
   * @param why For the user.
   */
  rest(why: string): void {
    for (const seed of this.#seeds.values()) seed.leave(why);
    this.#feed();
  }

  /** Other pieces are wanted. */
  #change(): void {
    if (this.#stopped) return;
    this.#runs.trim();
    this.#feed();
    this.wake();
  }

  #hurry(): void {
    if (this.#stopped) return;
    this.#runs.hurry();
    this.#feed();
    this.wake();
  }

  /** Ends all that is under way, and asks for nothing, or goes on. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    for (const seed of this.#seeds.values()) seed.setPaused(paused);
    this.#feed();
    this.wake();
  }

  /** Those that wait for memory may go on, if there is some. */
  #feed(): void {
    for (const [run, { resolve }] of this.#hungry) {
      if (!this.#stopped && !run.ready()) continue;
      this.#hungry.delete(run);
      resolve();
    }
  }

  #tell(seed: WebSeed, action: "connected" | "disconnected" | "banned" | "refused", message: string): void {
    const totals = action === "disconnected" ? { downloaded: seed.down.total, uploaded: 0 } : {};
    this.#options.tell({ event: "peer", address: seed.name, client: CLIENT, action, message, ...totals });
  }
}
