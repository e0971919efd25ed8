/**
 * A web seed: its connections, the files that it lacks, and when it is tried again.
 *
 * @module
 */

import { Bitfield } from "../../base/bitfield.ts";
import { MAX_WEB_CONNECTIONS, MAX_WEB_FAULTS, MAX_WEB_MISSING, MAX_WEB_REDIRECTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { redact } from "../../base/secrets.ts";
import type { BandwidthParty } from "../../peer/mod.ts";
import { RateMeter } from "../../peer/rate_meter.ts";
import { HttpError, type HttpStream, type Platform } from "../../platform/platform.ts";
import { WebFailure, WebFetch, WebMissing } from "./web_fetch.ts";
import type { FileParts, WebPart } from "./web_files.ts";
import type { WebPicker, WebSource } from "./web_picker.ts";
import type { WebRun } from "./web_run.ts";

/** Reason given when requests end because the torrent is paused. */
const PAUSED = "the torrent is paused";
/** Bytes after which a request counts as successful although the connection was cut off. */
const WORTH_A_CONNECTION = 256 * 1024;

/** Different failures of a web seed that are told. Numbers in a server's answers could make any number of them. */
const MAX_TOLD = 8;

/** A web seed at one moment. Plain values. */
export interface WebSeedSource {
  /** URL without secrets. */
  readonly url: string;
  /**
   * `unused`: nothing was requested yet, or nothing is to be had. `sending`: a request is under way. `ready`: it has
   * answered, and nothing is requested right now. `failed`: it is tried again later. `given up`: it isn't used any more.
   */
  readonly status: "unused" | "sending" | "ready" | "failed" | "given up";
  /** The last failure, or why it isn't used any more; empty if there was none since data last arrived. */
  readonly message: string;
  /** Payload bytes received. */
  readonly downloaded: number;
  /** Seconds until it is tried again; `null` unless `status` is `failed`. */
  readonly secondsUntilNext: number | null;
}

/** What {@linkcode WebSeed} needs from the torrent. */
export interface WebSeedHost {
  /** Clocks and HTTP client. */
  readonly platform: Pick<Platform, "now" | "wallClock" | "http">;
  /** Chooses what is requested. */
  readonly runs: WebPicker;
  /** Local address to connect from. */
  readonly bind?: string;
  /** Rate limit that the web seed shares with peers. */
  readonly limit?: BandwidthParty;
  /** Resolves when there is memory for a run, or the run has ended. */
  memory(run: WebRun): Promise<void>;
  /** Called when the web seed begins to answer. */
  connected(seed: WebSeed): void;
  /** Called when the web seed no longer answers; `message` says why, and when it is tried again. */
  disconnected(seed: WebSeed, message: string): void;
  /** Called when the web seed doesn't answer and hasn't answered before. */
  refused(seed: WebSeed, message: string): void;
  /** Called with a failure of the web seed that hasn't been told before; `message` says what comes of it. */
  failed(seed: WebSeed, message: string): void;
  /** Called when an error occurs that isn't the server's fault. */
  broke(error: unknown): void;
}

/** Options for {@linkcode WebSeed}. */
export interface WebSeedOptions {
  /** URL as given in the torrent. */
  readonly url: string;
  /** Number of the web seed as a source of blocks; below 0, unlike those of connections. */
  readonly number: number;
  /** Number of pieces in the torrent. */
  readonly pieceCount: number;
  /** Makes the requests. Called when they are first needed. */
  readonly parts: () => FileParts;
}

/** A server that has the torrent's data (BEP 19). */
export class WebSeed {
  /** The URL as given in the torrent, which identifies the web seed. */
  readonly url: string;
  /** `host:port`, as for peers. */
  readonly name: string;
  /** Stands for a connection number; negative. */
  readonly number: number;
  /** Pieces that the web seed has, as far as is known. */
  readonly pieces: Bitfield;
  /** Payload from the web seed. */
  readonly down = new RateMeter();
  readonly #host: WebSeedHost;
  readonly #makeParts: () => FileParts;
  readonly #backoff = new WebBackoff();
  readonly #connections = new Set<WebFetch>();
  /** Connections that were ended without a fault. */
  readonly #left = new WeakSet<WebFetch>();
  /** URL of each file after redirects, by file index. */
  readonly #redirects = new LruMap<number, string>(MAX_WEB_REDIRECTS);
  #madeParts: FileParts | null = null;
  #width = 1;
  #mayGrow = true;
  #connected = false;
  #wholeOnly = false;
  #faults = 0;
  #missing = 0;
  #over: string | null = null;
  #paused = false;
  /** The last failure; empty if there was none since data last arrived. */
  #failure = "";
  /** Failures that were told. */
  readonly #told = new Set<string>();
  #shownUrl: string | null = null;

  constructor(host: WebSeedHost, options: WebSeedOptions) {
    this.#host = host;
    this.url = options.url;
    this.number = options.number;
    this.name = nameOf(new URL(options.url));
    this.pieces = new Bitfield(options.pieceCount);
    this.pieces.setAll();
    this.#makeParts = options.parts;
  }

  /** Whether the web seed has answered and hasn't failed since. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Number of requests in progress. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Why the web seed isn't used any more; `null` while it is. */
  get over(): string | null {
    return this.#over;
  }

  /**
   * Returns what the web seed is doing.
   *
   * @param now Current time in milliseconds.
   */
  source(now: number): WebSeedSource {
    const isWaiting = this.#failure !== "" && this.#backoff.until > now;
    const status = this.#over !== null
      ? "given up"
      : isWaiting
      ? "failed"
      : this.#connections.size > 0
      ? "sending"
      : this.#connected
      ? "ready"
      : "unused";
    return {
      url: this.#shownUrl ??= redact(this.url),
      status,
      message: this.#failure || (this.#over ?? ""),
      downloaded: this.down.total,
      secondsUntilNext: status === "failed" ? (this.#backoff.until - now) / 1000 : null,
    };
  }

  /** Returns `true` if a request may be made. */
  isReady(now: number): boolean {
    return this.#over === null && !this.#paused && this.#connections.size < this.#width && now >= this.#backoff.until;
  }

  /** Number of failures in a row. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /**
   * Requests the next run, if there is one.
   *
   * @returns `true` if a run was found.
   */
  wake(): boolean {
    if (!this.isReady(this.#host.platform.now())) return false;
    const lane = new WebFetch({
      ...this.#host,
      answered: () => this.#answered(),
      down: this.down,
    });
    const run = this.#claim(lane);
    if (!run) return false;
    this.#connections.add(lane);
    this.#work(lane, run).catch((error) => this.#failed(lane, error)).finally(() => {
      lane.leave();
      if (lane.run) this.#host.runs.release(lane.run);
      this.#connections.delete(lane);
    });
    return true;
  }

  /** Regular work: ends requests that bring too few bytes. */
  tick(now: number, seconds: number): void {
    this.down.tick(seconds);
    for (const lane of this.#connections) lane.tick(now);
  }

  /**
   * Stops using the web seed for good.
   *
   * @param why Reason for the user.
   */
  close(why: string): void {
    if (this.#over !== null) return;
    this.#over = why;
    this.leave(why);
  }

  /** Ends all requests and makes no new ones while paused. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.leave(PAUSED);
  }

  /**
   * Ends all requests. New ones may be made.
   *
   * @param why Reason for the user.
   */
  leave(why: string): void {
    for (const lane of this.#connections) {
      this.#left.add(lane);
      lane.abort(why);
      if (lane.run) this.#host.runs.release(lane.run);
    }
    if (this.#connected) this.#away(why);
  }

  /** Stops using a web seed that is of no use. */
  #giveUp(failure: string): void {
    this.#note(failure, `${failure}; it is not used any more`);
    const why = `given up: ${failure}`;
    if (!this.#connected) this.#host.refused(this, why);
    this.close(why);
  }

  get #parts(): FileParts {
    return this.#madeParts ??= this.#makeParts();
  }

  #claim(lane: WebFetch): WebRun | null {
    const seed = { pieces: this.pieces, number: this.number, last: lane.last };
    const shareOf = () => Math.max(this.down.rate / Math.max(1, this.#connections.size), lane.rate);
    const isWholeOnly = () => this.#wholeOnly;
    const now = () => this.#host.platform.now();
    const source: WebSource = {
      ...seed,
      get rate() {
        return shareOf();
      },
      get wholeOnly() {
        return isWholeOnly();
      },
      get quiet() {
        return lane.isQuiet(now());
      },
    };
    lane.run = this.#over === null && lane.aborted === null ? this.#host.runs.claim(source) : null;
    return lane.run;
  }

  async #work(lane: WebFetch, first: WebRun): Promise<void> {
    // The caller should see that the web seed is busy before anything happens.
    await undefined;
    for (let run: WebRun | null = first; run !== null; run = this.#claim(lane)) {
      try {
        await this.#fetch(lane, run);
      } catch (error) {
        if (!(error instanceof WebMissing)) throw error;
        this.#hasNot(error);
      } finally {
        this.#host.runs.release(run);
      }
      lane.finishedRun();
    }
  }

  /** Fetches a run to its end, with as many requests as necessary. */
  async #fetch(lane: WebFetch, run: WebRun): Promise<void> {
    while (!run.over) {
      for (const part of this.#parts.parts(run.at, run.end)) {
        if (run.over || this.#over !== null || run.at !== part.at) break;
        if (part.url === null) await lane.zeros(run, part.length);
        else if (!await this.#fetchPart(lane, run, { ...part, url: part.url })) break;
      }
      if (this.#over !== null) return;
    }
  }

  /** Returns `true` if the part has arrived completely. */
  async #fetchPart(lane: WebFetch, run: WebRun, part: WebPart & { readonly url: string }): Promise<boolean> {
    const remembered = this.#redirects.peek(part.file);
    const url = new URL(remembered ?? part.url);
    const before = run.at;
    let stream: HttpStream | null = null;
    let complete = false;
    try {
      stream = await lane.open(part, { url, wholeOnly: this.#wholeOnly });
      const reply = lane.judge(stream, part);
      if (reply.skip > 0) this.#takesWholeFiles(reply.skip, part);
      this.#remember(part, stream.url);
      return complete = await lane.consume(stream, run, reply);
    } catch (error) {
      // The target of a remembered redirect may have been valid only once.
      const final = remembered === undefined || this.#over !== null || lane.aborted !== null;
      if (final || (error instanceof WebMissing && error.part === null)) throw error;
      this.#redirects.delete(part.file);
      return false;
    } finally {
      stream?.cancel();
      if (complete || run.at - before >= WORTH_A_CONNECTION) this.#succeeded();
    }
  }

  #remember(part: WebPart, url: string): void {
    if (this.#redirects.has(part.file) || new URL(part.url!).href === url) return;
    this.#redirects.set(part.file, url);
  }

  /** Handles a server that sends a file from its beginning instead of a range, tolerable if few bytes come before. */
  #takesWholeFiles(skip: number, part: WebPart): void {
    const known = this.#wholeOnly;
    this.#wholeOnly = true;
    if (skip <= Math.max(part.length, 1 << 20)) return;
    if (known) throw new WebFailure("it can't send parts of files", { fault: true });
    // The next run is chosen with that in mind.
    throw new WebMissing("it can't send parts of files", null);
  }

  #answered(): void {
    if (this.#connected || this.#over !== null) return;
    this.#connected = true;
    this.#host.connected(this);
  }

  #succeeded(): void {
    this.#backoff.succeeded();
    this.#faults = this.#missing = 0;
    this.#failure = "";
    if (this.#mayGrow) this.#width = MAX_WEB_CONNECTIONS;
  }

  /** Notes that the web seed doesn't have a file, so that the file's pieces must come from other sources. */
  #hasNot({ message, part }: WebMissing): void {
    if (part === null || this.#over !== null) return;
    const { first, end } = this.#parts.piecesOf(part.file);
    for (let index = first; index < end; index++) this.pieces.clear(index);
    if (this.pieces.isEmpty) this.#giveUp(message);
    else if (++this.#missing >= MAX_WEB_MISSING) this.#giveUp(`${this.#missing} files in a row: ${message}`);
    else this.#tell(message, `${message}, so that some of its files are not used`);
  }

  #failed(lane: WebFetch, error: unknown): void {
    if (this.#over !== null || this.#left.has(lane)) return;
    if (!(error instanceof HttpError || error instanceof WebFailure)) return this.#host.broke(error);
    const message = lane.aborted ?? error.message;
    if (error instanceof WebFailure && error.fault && ++this.#faults >= MAX_WEB_FAULTS) {
      return this.#giveUp(message);
    }
    if (this.#connections.size > 1) {
      // The web seed serves the other connection: it may allow only one.
      this.#mayGrow = false;
      this.#width = 1;
      return;
    }
    const after = error instanceof WebFailure ? error.after : null;
    const wait = this.#backoff.failed(this.#host.platform.now(), after);
    this.#width = 1;
    const told = `${message}; it is tried again in ${Math.ceil(wait / 1000)} s`;
    this.#note(message, told);
    this.#away(told);
  }

  /** Keeps a failure for {@linkcode WebSeed.source}, and tells it. */
  #note(failure: string, told = failure): void {
    this.#failure = redact(failure);
    this.#tell(failure, told);
  }

  /** Tells a failure unless it was told before: servers repeat theirs. */
  #tell(kind: string, told: string): void {
    if (this.#told.has(kind) || this.#told.size >= MAX_TOLD) return;
    this.#told.add(kind);
    this.#host.failed(this, told);
  }

  #away(message: string): void {
    if (this.#connected) this.#host.disconnected(this, message);
    else this.#host.refused(this, message);
    this.#connected = false;
  }
}

/** Returns `host:port` of a URL. */
function nameOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
}

/** Milliseconds to wait after the first failure, doubled with each further one. */
const FIRST_MS = 5_000;
/** Longest wait after a failure in milliseconds. */
const LAST_MS = 5 * 60_000;

/** Counts failures in a row and computes the back-off. */
class WebBackoff {
  #failures = 0;
  #until = -Infinity;

  /** When the web seed may be tried again, in milliseconds. */
  get until(): number {
    return this.#until;
  }

  /** Number of failures since data last arrived. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Notes a failure.
   *
   * @param now Current time in milliseconds.
   * @param after Milliseconds that the server asks us to wait, or `null`.
   * @returns Milliseconds until the web seed may be tried again.
   */
  failed(now: number, after: number | null): number {
    const wait = after ?? Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.#until = now + wait;
    return wait;
  }

  /** Notes a success. */
  succeeded(): void {
    this.#failures = 0;
  }
}
