/**
 * Posts the `completed` event of each torrent to a URL, for `--on-complete`.
 *
 * @module
 */

import { HttpError, type Platform, type Timer } from "../platform/platform.ts";
import type { CompletedEvent } from "../session/session_events.ts";
import { eventLine } from "../ui/json_lines.ts";
import { jsonText } from "../ui/json_text.ts";

/** Timeout of one attempt, in milliseconds. */
const ATTEMPT_MS = 10_000;
/** Milliseconds before each further attempt. The call fails after the last one. */
const PAUSES_MS: readonly number[] = [1_000, 4_000, 15_000, 60_000];
/** Longest time, in milliseconds, that the end of the program waits for calls in progress. */
const PATIENCE_MS = 10_000;
/** Most bytes of a response to read. The response is not used. */
const MAX_ANSWER = 64 * 1024;
/** Statuses besides 5xx that may pass: request timeout, too early, too many requests. */
const PASSING: readonly number[] = [408, 425, 429];

/** Options for {@linkcode CompletionCalls}. */
export interface CompletionCallOptions {
  /** Clocks and network. */
  readonly platform: Pick<Platform, "wallClock" | "after" | "http">;
  /** Aborts all calls. */
  readonly signal: AbortSignal;
  /** Called when a call has failed for good, but not when `signal` aborted the call. */
  onFailure(event: CompletedEvent, why: string): void;
}

/** Result of an attempt. After a failure, `again` tells whether another attempt makes sense. */
type Outcome = { readonly arrived: true } | { readonly arrived: false; readonly why: string; readonly again: boolean };

/** Posts `completed` events, as `--json` prints them, to one URL. */
export class CompletionCalls {
  readonly #url: string;
  readonly #options: CompletionCallOptions;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  /**
   * @param url Absolute `http:` or `https:` URL.
   * @param options See {@linkcode CompletionCallOptions}.
   */
  constructor(url: string, options: CompletionCallOptions) {
    this.#url = url;
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#stop.abort(), { once: true });
    if (options.signal.aborted) this.#stop.abort();
  }

  /**
   * Starts a call. The call makes up to five attempts, unless the server's answer shows that another one is pointless.
   *
   * @param event The event to post.
   */
  tell(event: CompletedEvent): void {
    const body = jsonText(eventLine(event, this.#options.platform.wallClock()));
    const call: Promise<void> = this.#call(event, body).finally(() => this.#underWay.delete(call));
    this.#underWay.add(call);
  }

  /** Waits until no call is in progress, for ten seconds at most. A call that isn't done by then has failed. */
  async settled(): Promise<void> {
    if (this.#underWay.size === 0) return;
    const timer = this.#options.platform.after(PATIENCE_MS, () => this.#stop.abort());
    await Promise.all(this.#underWay);
    timer.cancel();
  }

  async #call(event: CompletedEvent, body: string): Promise<void> {
    let why = "";
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      const outcome = await this.#attempt(body);
      if (outcome.arrived) return;
      // The error of an aborted attempt doesn't replace the reason of an earlier failure.
      if (!this.#stop.signal.aborted || why === "") why = outcome.why;
      const pause = PAUSES_MS[attempt];
      if (!outcome.again || pause === undefined) break;
      await this.#pause(pause);
    }
    if (!this.#options.signal.aborted) this.#options.onFailure(event, `the completed event did not arrive: ${why}`);
  }

  async #attempt(body: string): Promise<Outcome> {
    try {
      const { status } = await this.#options.platform.http.request({
        url: this.#url,
        trust: { by: "user" },
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        keepMethod: true,
        timeout: ATTEMPT_MS,
        maxBytes: MAX_ANSWER,
        signal: this.#stop.signal,
      });
      if (status >= 200 && status <= 299) return { arrived: true };
      const again = status >= 500 || PASSING.includes(status);
      const elsewhere = status >= 300 && status <= 399 ? ", a redirect that would lose what is posted" : "";
      return { arrived: false, why: `the server answers with status ${status}${elsewhere}`, again };
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      return { arrived: false, why: error.message, again: true };
    }
  }

  #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      const timer: Timer = this.#options.platform.after(milliseconds, end);
      function end(): void {
        timer.cancel();
        signal.removeEventListener("abort", end);
        resolve();
      }
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted) end();
    });
  }
}
