/**
 * A connection to a web seed: sends one request after the other and stores the answers in pieces.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { WEB_ANSWER_MS, WEB_WINDOW_BYTES, WEB_WINDOW_MS } from "../../base/defences.ts";
import type { Allowance, BandwidthParty } from "../../peer/mod.ts";
import type { RateMeter } from "../../peer/rate_meter.ts";
import type { HttpStream, KeptConnection, Platform } from "../../platform/platform.ts";
import type { WebPart } from "./web_files.ts";
import { judgeReply, type WebReply } from "./web_reply.ts";
import type { WebRun } from "./web_run.ts";

/** Bytes up to which data that another source has sent is read and dropped instead of making a new request. */
const READ_PAST = 256 * 1024;
/** A connection counts as quiet after this many milliseconds without a byte. */
const QUIET_MS = 3_000;
const TOO_LONG = "its answer is longer than it says";
const ZEROS: Bytes = new Uint8Array(16 * 1024);

/** Options for {@linkcode WebFailure}. */
export interface WebFailureOptions {
  /** Milliseconds that the server asks us to wait; `null` when absent. */
  readonly after?: number | null;
  /** Whether the answer makes no sense; `false` when absent. */
  readonly fault?: boolean;
}

/** Thrown when a web seed doesn't answer, or not with what was requested. */
export class WebFailure extends Error {
  override name = "WebFailure";
  /** Milliseconds that the server asks us to wait, or `null`. */
  readonly after: number | null;
  /** Whether the answer makes no sense, which counts as the server's fault. */
  readonly fault: boolean;

  /** @param message Reason for the user. */
  constructor(message: string, options: WebFailureOptions = {}) {
    super(message);
    this.after = options.after ?? null;
    this.fault = options.fault ?? false;
  }
}

/** Thrown when a web seed doesn't have what was requested. */
export class WebMissing extends Error {
  override name = "WebMissing";
  /** The part that was requested; `null` if the request only has to be made differently. */
  readonly part: WebPart | null;

  /**
   * @param message Reason for the user.
   * @param part The part that was requested.
   */
  constructor(message: string, part: WebPart | null) {
    super(message);
    this.part = part;
  }
}

/** What {@linkcode WebFetch} needs from its web seed. */
export interface WebFetchHost {
  readonly platform: Pick<Platform, "now" | "wallClock" | "http">;
  readonly bind?: string;
  /** Rate limit that the web seed shares with peers. */
  readonly limit?: BandwidthParty;
  /** Counts received bytes. */
  readonly down: RateMeter;
  /** Resolves when there is memory for a run, or the run has ended. */
  memory(run: WebRun): Promise<void>;
  /** Called when an answer with data begins. */
  answered(): void;
}

/** Options for {@linkcode WebFetch.open}. */
export interface WebRequestOptions {
  /** URL of the request. */
  readonly url: URL;
  /** Whether the server sends whole files only. */
  readonly wholeOnly: boolean;
}

/** A connection to a web seed, with one request at a time. */
export class WebFetch {
  /** The run that is being fetched. */
  run: WebRun | null = null;
  /** Offset after the end of the last run; -1 if there was none. */
  last = -1;
  /** Bytes per second of the last run. */
  rate = 0;
  readonly #host: WebFetchHost;
  readonly #stop = new AbortController();
  readonly #kept: KeptConnection | null;
  #aborted: string | null = null;
  /** Whether a body is being read, so that the server is to blame if no bytes arrive. */
  #reading = false;
  #lastByte: number;
  #windowStart = 0;
  #windowBytes = 0;
  #runStart: number;
  #runBytes = 0;
  readonly #allowance: Allowance | null;
  /** Whether reading is paused because the rate limit is used up. */
  #held = false;

  constructor(host: WebFetchHost) {
    this.#host = host;
    this.#kept = host.platform.http.keep?.() ?? null;
    this.#allowance = host.limit?.join() ?? null;
    this.#lastByte = this.#runStart = host.platform.now();
  }

  /** Why the connection was aborted; `null` if it wasn't. */
  get aborted(): string | null {
    return this.#aborted;
  }

  /** Returns `true` if nothing has arrived for some time although we read. */
  isQuiet(now: number): boolean {
    return !this.#held && now - this.#lastByte > QUIET_MS;
  }

  /** Releases the connection and its share of the rate limit. */
  leave(): void {
    this.#allowance?.leave();
    this.#kept?.close();
  }

  /** Aborts the current request. */
  abort(why: string): void {
    this.#aborted ??= why;
    this.#stop.abort();
    this.leave();
  }

  /** Aborts a request that brings too few bytes. */
  tick(now: number): void {
    if (!this.#reading || now - this.#windowStart < WEB_WINDOW_MS) return;
    if (this.#windowBytes < WEB_WINDOW_BYTES) {
      this.abort(`it sent ${this.#windowBytes} bytes in ${WEB_WINDOW_MS / 1000} s`);
    }
    this.#windowStart = now;
    this.#windowBytes = 0;
  }

  /** Measures a run that has ended. */
  finishedRun(): void {
    const now = this.#host.platform.now();
    if (this.run && this.#runBytes > 0) {
      this.rate = 1000 * this.#runBytes / Math.max(1, now - this.#runStart);
      this.last = this.run.at;
    }
    this.#runStart = now;
    this.#runBytes = 0;
  }

  /**
   * Requests a part.
   *
   * @returns The answer, which the caller cancels.
   * @throws {HttpError} If there is no answer.
   */
  async open(part: WebPart, options: WebRequestOptions): Promise<HttpStream> {
    const { platform, bind } = this.#host;
    this.#reading = false;
    const last = part.first + part.length - 1;
    const asksRange = !options.wholeOnly && part.length < part.size;
    return await platform.http.stream({
      url: options.url.href,
      headers: asksRange ? { range: `bytes=${part.first}-${last}` } : {},
      timeout: WEB_ANSWER_MS,
      signal: this.#stop.signal,
      trust: { by: "file" },
      ...(this.#kept && { kept: this.#kept }),
      ...(bind !== undefined && { bind }),
    });
  }

  /**
   * Checks the head of an answer.
   *
   * @param stream The answer.
   * @param part The part that was requested.
   * @returns Where the data is in the body.
   * @throws {WebMissing} If the server doesn't have the part.
   * @throws {WebFailure} If the answer has no data.
   */
  judge(stream: HttpStream, part: WebPart): Extract<WebReply, { kind: "data" }> {
    const wallClock = this.#host.platform.wallClock();
    const reply = judgeReply(part, { status: stream.status, headers: stream.headers, wallClock });
    if (reply.kind === "data") {
      this.#host.answered();
      return reply;
    }
    if (reply.kind === "missing") throw new WebMissing(reply.why, part);
    if (reply.kind === "fault") throw new WebFailure(reply.why, { fault: true });
    throw new WebFailure(reply.why, { after: reply.after });
  }

  /**
   * Reads a body into a run.
   *
   * @param stream The answer.
   * @param run The run, whose position is the beginning of the requested data.
   * @param reply Where the data is in the body.
   * @returns `true` if all requested data has arrived; `false` if another request should be made.
   * @throws {WebFailure} If the body is too short or too long.
   * @throws {HttpError} If the connection is cut off.
   */
  async consume(
    stream: HttpStream,
    run: WebRun,
    reply: Extract<WebReply, { kind: "data" }>,
  ): Promise<boolean> {
    let { skip } = reply;
    let at = run.at;
    const end = at + reply.length;
    while (at < end) {
      const bytes = await this.#read(stream);
      if (bytes === null) throw new WebFailure(`its answer lacks ${end - at + skip} bytes at the end`);
      let from = Math.min(skip, bytes.length);
      skip -= from;
      while (from < bytes.length && at < end) {
        const taken = await this.#take(run, { bytes, from, at, to: Math.min(bytes.length, from + end - at) });
        if (taken === 0) return false;
        from += taken;
        at += taken;
      }
      if (from < bytes.length && !reply.more) throw new WebFailure(TOO_LONG, { fault: true });
    }
    // A connection can be used for the next request only if the body has been read to its end.
    if (!reply.more && await this.#read(stream) !== null) throw new WebFailure(TOO_LONG, { fault: true });
    return true;
  }

  /**
   * Fills a part of a run with zeros, without a request.
   *
   * @param run The run, whose position is where the zeros begin.
   * @param length Number of zeros.
   */
  async zeros(run: WebRun, length: number): Promise<void> {
    for (let at = run.at, end = at + length; at < end;) {
      const taken = await this.#take(run, { bytes: ZEROS, from: 0, at, to: Math.min(ZEROS.length, end - at) });
      if (taken === 0) return;
      at += taken;
    }
  }

  /** Returns how many bytes were stored or skipped; 0 if the bytes that follow aren't wanted. */
  async #take(
    run: WebRun,
    piece: { readonly bytes: Bytes; readonly from: number; readonly to: number; readonly at: number },
  ): Promise<number> {
    while (!run.over && !run.ready()) {
      this.#reading = false;
      await this.#host.memory(run);
      this.#lastByte = this.#host.platform.now();
    }
    if (run.over || this.#aborted !== null) return 0;
    const past = run.at - piece.at;
    if (past === 0) return run.put(piece.bytes, piece.from, piece.to);
    if (past > READ_PAST) return 0;
    return Math.min(past, piece.to - piece.from);
  }

  async #read(stream: HttpStream): Promise<Bytes | null> {
    const { platform, down } = this.#host;
    if (this.#allowance?.limited) await this.#mayRead(this.#allowance);
    if (!this.#reading) {
      this.#reading = true;
      this.#windowStart = this.#lastByte = platform.now();
      this.#windowBytes = 0;
    }
    try {
      const bytes = await stream.read();
      this.#lastByte = platform.now();
      if (bytes === null) return null;
      this.#windowBytes += bytes.length;
      this.#runBytes += bytes.length;
      down.add(bytes.length);
      this.#allowance?.consume(bytes.length);
      return bytes;
    } catch (error) {
      this.#reading = false;
      throw error;
    }
  }

  /** Waits until the rate limit allows reading on. The server isn't to blame meanwhile. */
  async #mayRead(allowance: Allowance): Promise<void> {
    for (let wait = allowance.wait(); wait !== null; wait = allowance.wait()) {
      this.#held = true;
      this.#reading = false;
      await wait;
    }
    this.#held = false;
  }
}
