/**
 * Tells a server of torrents that are complete: `--on-complete`.
 *
 * @module
 */

import { HttpError, type Platform, type Timer } from "../platform/platform.ts";
import type { CompletedEvent } from "../session/session_events.ts";
import { eventLine } from "../ui/json_lines.ts";
import { jsonText } from "../ui/json_text.ts";

/** Milliseconds that one attempt may take. */
const ATTEMPT_MS = 10_000;
/** Milliseconds before the second, third ... attempt. After the last one it is given up. */
const PAUSES_MS: readonly number[] = [1_000, 4_000, 15_000, 60_000];
/** Milliseconds that the end of the program waits for what is under way. */
const PATIENCE_MS = 10_000;
/** Most bytes of an answer that are read; nobody looks at them. */
const MAX_ANSWER = 64 * 1024;
/** Statuses, besides those from 500 on, that a server may take back: too slow, too early, too many. */
const PASSING: readonly number[] = [408, 425, 429];

/** What {@linkcode CompletionCalls} needs. */
export interface CompletionCallOptions {
  /** Clocks and network. */
  readonly platform: Pick<Platform, "wallClock" | "after" | "http">;
  /** Gives everything up. */
  readonly signal: AbortSignal;
  /** Told when a call has come to nothing; not when it was given up by `signal`. */
  onFailure(event: CompletedEvent, why: string): void;
}

/** What became of an attempt: it arrived, or why not, and whether another one makes sense. */
type Outcome = { readonly arrived: true } | { readonly arrived: false; readonly why: string; readonly again: boolean };

/** Calls to one URL, each a POST of the `completed` event as `--json` prints it. */
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
   * Begins a call. It is tried five times in all, unless the server says that it makes no sense.
   *
   * @param event What to tell.
   */
  tell(event: CompletedEvent): void {
    const body = jsonText(eventLine(event, this.#options.platform.wallClock()));
    const call: Promise<void> = this.#call(event, body).finally(() => this.#underWay.delete(call));
    this.#underWay.add(call);
  }

  /** Settles when nothing is under way any more, ten seconds from now at the latest: what isn't done by then has failed. */
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
      // An attempt that was cut short says only that it was.
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
