/**
 * One request to a web seed after the other: from the head of the answer to bytes in pieces.
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

/** Bytes that are read past rather than asked for anew when somebody else was quicker. */
const READ_PAST = 256 * 1024;
/** Milliseconds without a byte after which a connection counts as quiet. */
const QUIET_MS = 3_000;
const TOO_LONG = "its answer is longer than it says";
const ZEROS: Bytes = new Uint8Array(16 * 1024);

/** An answer that isn't what was asked for, or none. */
export class WebFailure extends Error {
  override name = "WebFailure";
  /** Milliseconds that the server wants us to wait, or `null`. */
  readonly after: number | null;
  /** Whether it makes no sense, rather than being bad luck. */
  readonly fault: boolean;

  /**
   * @param message Why.
   * @param options `after`: milliseconds to wait. `fault`: whether the answer makes no sense.
   */
  constructor(message: string, options: { readonly after?: number | null; readonly fault?: boolean } = {}) {
    super(message);
    this.after = options.after ?? null;
    this.fault = options.fault ?? false;
  }
}

/** Something that a web seed hasn't got. */
export class WebMissing extends Error {
  override name = "WebMissing";
  /** What it was asked for; `null` when it is only that it must be asked otherwise. */
  readonly part: WebPart | null;

  /**
   * @param message Why.
   * @param part What it was asked for.
   */
  constructor(message: string, part: WebPart | null) {
    super(message);
    this.part = part;
  }
}

/** What a connection needs from its web seed. */
export interface WebFetchHost {
  readonly platform: Pick<Platform, "now" | "wallClock" | "http">;
  readonly bind?: string;
  /** How fast it may send, with others. */
  readonly limit?: BandwidthParty;
  /** Counts what comes. */
  readonly down: RateMeter;
  /** Waits until there is memory for a run, or it is over. */
  memory(run: WebRun): Promise<void>;
  /** Something that was asked for begins to come. */
  answered(): void;
}

/** One connection to a web seed: one request at a time. */
export class WebFetch {
  /** What it is to fetch. */
  run: WebRun | null = null;
  /** The byte after its last run; -1 when there was none. */
  last = -1;
  /** Bytes a second of its last run. */
  rate = 0;
  readonly #host: WebFetchHost;
  readonly #stop = new AbortController();
  readonly #kept: KeptConnection | null;
  #aborted: string | null = null;
  /** Whether a body is being read, and the server is to blame if nothing comes. */
  #reading = false;
  #lastByte: number;
  #windowStart = 0;
  #windowBytes = 0;
  #runStart: number;
  #runBytes = 0;
  readonly #allowance: Allowance | null;
  /** Whether it isn't read from since the limit is used up. */
  #held = false;

  /**
   * @param host The web seed.
   */
  constructor(host: WebFetchHost) {
    this.#host = host;
    this.#kept = host.platform.http.keep?.() ?? null;
    this.#allowance = host.limit?.join() ?? null;
    this.#lastByte = this.#runStart = host.platform.now();
  }

  /** Why it was ended; `null` when it wasn't. */
  get aborted(): string | null {
    return this.#aborted;
  }

  /** Whether nothing has come for some time although it was asked. */
  isQuiet(now: number): boolean {
    return !this.#held && now - this.#lastByte > QUIET_MS;
  }

  /** It is done with: what it might have read is for others. */
  leave(): void {
    this.#allowance?.leave();
    this.#kept?.close();
  }

  /** Ends what is under way. */
  abort(why: string): void {
    this.#aborted ??= why;
    this.#stop.abort();
    this.leave();
  }

  /** Ends a request that brings too little. */
  tick(now: number): void {
    if (!this.#reading || now - this.#windowStart < WEB_WINDOW_MS) return;
    if (this.#windowBytes < WEB_WINDOW_BYTES) {
      this.abort(`it sent ${this.#windowBytes} bytes in ${WEB_WINDOW_MS / 1000} s`);
    }
    this.#windowStart = now;
    this.#windowBytes = 0;
  }

  /** A run has come to its end: takes note of how long it took. */
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
   * Asks for a part.
   *
   * @param part What.
   * @param options `url`: where. `wholeOnly`: whether it sends whole files only.
   * @returns The answer; to be cancelled.
   * @throws {HttpError} If there is none.
   */
  async open(
    part: WebPart,
    options: { readonly url: URL; readonly wholeOnly: boolean },
  ): Promise<HttpStream> {
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
   * Looks at the head of an answer.
   *
   * @param stream The answer.
   * @param part What was asked for.
   * @returns Where in the body the data is.
   * @throws {WebMissing} If the server hasn't got it.
   * @throws {WebFailure} If there is no data in it.
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
   * @param run What it is for; where it stands is what was asked for.
   * @param reply Where in the body the data is.
   * @returns `true` when all that was asked for has come; `false` when something else is to be asked for.
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
    // Only a body that is read to its end leaves the connection fit for the next request.
    if (!reply.more && await this.#read(stream) !== null) throw new WebFailure(TOO_LONG, { fault: true });
    return true;
  }

  /**
   * Fills a run with zeros that nobody has to send.
   *
   * @param run Where it stands is where they belong.
   * @param length How many.
   */
  async zeros(run: WebRun, length: number): Promise<void> {
    for (let at = run.at, end = at + length; at < end;) {
      const taken = await this.#take(run, { bytes: ZEROS, from: 0, at, to: Math.min(ZEROS.length, end - at) });
      if (taken === 0) return;
      at += taken;
    }
  }

  /** @returns How many bytes were taken or passed over; 0 when what comes next isn't wanted. */
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
      this.#allowance?.took(bytes.length);
      return bytes;
    } catch (error) {
      this.#reading = false;
      throw error;
    }
  }

  /** Waits until the limit lets us read on; the server isn't to blame meanwhile. */
  async #mayRead(allowance: Allowance): Promise<void> {
    for (let wait = allowance.wait(); wait !== null; wait = allowance.wait()) {
      this.#held = true;
      this.#reading = false;
      await wait;
    }
    this.#held = false;
  }
}
