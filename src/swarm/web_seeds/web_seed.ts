/**
 * One web seed at work: its connections, what it hasn't got, and when it is tried again.
 *
 * @module
 */

import { Bitfield } from "../../base/bitfield.ts";
import { MAX_WEB_CONNECTIONS, MAX_WEB_FAULTS, MAX_WEB_MISSING, MAX_WEB_REDIRECTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import type { BandwidthParty } from "../../peer/mod.ts";
import { RateMeter } from "../../peer/rate_meter.ts";
import { HttpError, type HttpStream, type Platform } from "../../platform/platform.ts";
import { WebFailure, WebFetch, WebMissing } from "./web_fetch.ts";
import type { FileParts, WebPart } from "./web_files.ts";
import type { WebPicker, WebSource } from "./web_picker.ts";
import type { WebRun } from "./web_run.ts";

/** Why what was under way was ended. */
const PAUSED = "the torrent is paused";
/** Bytes that show that it works, though the connection was cut off after them. */
const WORTH_A_CONNECTION = 256 * 1024;

/** What a web seed needs from the torrent. */
export interface WebSeedHost {
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "wallClock" | "http">;
  /** What is to be fetched. */
  readonly runs: WebPicker;
  /** Local address to connect from. */
  readonly bind?: string;
  /** How fast it may send, with others. */
  readonly limit?: BandwidthParty;
  /** Waits until there is memory for a run, or it is over. */
  memory(run: WebRun): Promise<void>;
  /** It answers. */
  connected(seed: WebSeed): void;
  /** It doesn't, any more; `message`: why, and when it is tried again. */
  disconnected(seed: WebSeed, message: string): void;
  /** It doesn't, and hasn't before. */
  refused(seed: WebSeed, message: string): void;
  /** Something went wrong that no server can be blamed for. */
  broke(error: unknown): void;
}

/** A server that has the torrent's data. */
export class WebSeed {
  /** As it stands in the torrent; names it, and nobody else. */
  readonly url: string;
  /** `host:port`, as peers have it. */
  readonly name: string;
  /** Takes the place of a connection's number; below 0. */
  readonly number: number;
  /** Pieces that it has, as far as is known. */
  readonly pieces: Bitfield;
  /** What came from it. */
  readonly down = new RateMeter();
  readonly #host: WebSeedHost;
  readonly #makeParts: () => FileParts;
  readonly #backoff = new WebBackoff();
  readonly #lanes = new Set<WebFetch>();
  /** Those that were ended though nothing was wrong with them. */
  readonly #left = new WeakSet<WebFetch>();
  /** By file: where it was found after redirects. */
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

  /**
   * @param host The torrent.
   * @param options `url`: as it stands in the torrent. `number`: below 0. `pieceCount`: of the torrent. `parts`: how it is asked; made when
   * it is needed.
   */
  constructor(
    host: WebSeedHost,
    options: {
      readonly url: string;
      readonly number: number;
      readonly pieceCount: number;
      readonly parts: () => FileParts;
    },
  ) {
    this.#host = host;
    this.url = options.url;
    this.number = options.number;
    this.name = nameOf(new URL(options.url));
    this.pieces = new Bitfield(options.pieceCount);
    this.pieces.setAll();
    this.#makeParts = options.parts;
  }

  /** Whether it has answered, and nothing has gone wrong since. */
  get connected(): boolean {
    return this.#connected;
  }

  /** Requests that are under way. */
  get connections(): number {
    return this.#lanes.size;
  }

  /** Why it isn't used any more; `null` while it is. */
  get over(): string | null {
    return this.#over;
  }

  /** Whether it could be asked for something. */
  isReady(now: number): boolean {
    return this.#over === null && !this.#paused && this.#lanes.size < this.#width && now >= this.#backoff.until;
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /**
   * Asks it for something, if there is something for it.
   *
   * @returns Whether there was.
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
    this.#lanes.add(lane);
    this.#work(lane, run).catch((error) => this.#failed(lane, error)).finally(() => {
      lane.leave();
      if (lane.run) this.#host.runs.release(lane.run);
      this.#lanes.delete(lane);
    });
    return true;
  }

  /** Regular work: ends requests that bring too little. */
  tick(now: number, seconds: number): void {
    this.down.tick(seconds);
    for (const lane of this.#lanes) lane.tick(now);
  }

  /**
   * Ends it for good.
   *
   * @param why For the user.
   */
  close(why: string): void {
    if (this.#over !== null) return;
    this.#over = why;
    this.leave(why);
  }

  /** Ends what is under way, and lets nothing be asked for, or lets it again. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.leave(PAUSED);
  }

  /**
   * Ends what is under way; it may be asked for something again.
   *
   * @param why For the user.
   */
  leave(why: string): void {
    for (const lane of this.#lanes) {
      this.#left.add(lane);
      lane.abort(why);
      if (lane.run) this.#host.runs.release(lane.run);
    }
    if (this.#connected) this.#away(why);
  }

  /** It is of no use, and will be of none. */
  #giveUp(why: string): void {
    if (!this.#connected) this.#host.refused(this, why);
    this.close(why);
  }

  get #parts(): FileParts {
    return this.#madeParts ??= this.#makeParts();
  }

  #claim(lane: WebFetch): WebRun | null {
    const seed = { pieces: this.pieces, number: this.number, last: lane.last };
    const shareOf = () => Math.max(this.down.rate / Math.max(1, this.#lanes.size), lane.rate);
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
    // Whoever woke us is to see that we are at work before we do anything.
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

  /** Fetches a run to its end, with as many requests as it takes. */
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

  /** @returns Whether the part came to its end. */
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
      // What it leads to may have been meant for once only.
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

  /** It sends a file from its beginning when it is asked for its middle: bearable when little comes before. */
  #takesWholeFiles(skip: number, part: WebPart): void {
    const known = this.#wholeOnly;
    this.#wholeOnly = true;
    if (skip <= Math.max(part.length, 1 << 20)) return;
    if (known) throw new WebFailure("it can't send parts of files", { fault: true });
    // What is asked for next is chosen with that in mind.
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
    if (this.#mayGrow) this.#width = MAX_WEB_CONNECTIONS;
  }

  /** It hasn't got a file, so that the file's pieces are to come from others. */
  #hasNot({ message, part }: WebMissing): void {
    if (part === null || this.#over !== null) return;
    const { first, end } = this.#parts.piecesOf(part.file);
    for (let index = first; index < end; index++) this.pieces.clear(index);
    if (this.pieces.isEmpty) this.#giveUp(`given up: ${message}`);
    else if (++this.#missing >= MAX_WEB_MISSING) this.#giveUp(`given up: ${this.#missing} files in a row: ${message}`);
  }

  #failed(lane: WebFetch, error: unknown): void {
    if (this.#over !== null || this.#left.has(lane)) return;
    if (!(error instanceof HttpError || error instanceof WebFailure)) return this.#host.broke(error);
    const message = lane.aborted ?? error.message;
    if (error instanceof WebFailure && error.fault && ++this.#faults >= MAX_WEB_FAULTS) {
      return this.#giveUp(`given up: ${message}`);
    }
    if (this.#lanes.size > 1) {
      // It serves the other one: perhaps it wants to see one of us only.
      this.#mayGrow = false;
      this.#width = 1;
      return;
    }
    const after = error instanceof WebFailure ? error.after : null;
    const wait = this.#backoff.failed(this.#host.platform.now(), after);
    this.#width = 1;
    this.#away(`${message}; it is tried again in ${Math.ceil(wait / 1000)} s`);
  }

  #away(message: string): void {
    if (this.#connected) this.#host.disconnected(this, message);
    else this.#host.refused(this, message);
    this.#connected = false;
  }
}

/** Like a peer's `host:port`. */
function nameOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
}

/** Milliseconds after the first failure; doubled with each that follows ... */
const FIRST_MS = 5_000;
/** ... up to this. */
const LAST_MS = 5 * 60_000;

/** Failures in a row, and the wait that they make. */
class WebBackoff {
  #failures = 0;
  #until = -Infinity;

  /** When it may be tried again, in milliseconds. */
  get until(): number {
    return this.#until;
  }

  /** Failures since something last came. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * It failed.
   *
   * @param now Milliseconds.
   * @param after Milliseconds that the server wants us to wait, or `null`.
   * @returns Milliseconds until it may be tried again.
   */
  failed(now: number, after: number | null): number {
    const wait = after ?? Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.#until = now + wait;
    return wait;
  }

  /** It sent what it was asked for. */
  succeeded(): void {
    this.#failures = 0;
  }
}
