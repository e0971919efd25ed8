/**
 * When a torrent does what it does regularly, and when it tells news.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";

/** Milliseconds between two turns of the regular work. */
const TICK_MS = 500;
/**
 * Milliseconds that news of a piece waits for something to go along with. A write of its own to every peer for every piece
 * would cost more than the piece when there are hundreds of peers.
 */
const NEWS_MS = 50;

/** The timers of a torrent. */
export class Rhythm {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #work: { turn(now: number, seconds: number): void; tell(): void };
  #tick: Timer | null = null;
  #news: Timer | null = null;
  #last = 0;

  /**
   * @param platform Clock and timers.
   * @param work `turn`: the regular work, at a time and so many seconds after the last. `tell`: sends what waits.
   */
  constructor(
    platform: Pick<Platform, "now" | "after">,
    work: { turn(now: number, seconds: number): void; tell(): void },
  ) {
    this.#platform = platform;
    this.#work = work;
  }

  /** Begins the regular work. */
  start(): void {
    this.#last = this.#platform.now();
    this.#schedule();
  }

  /** Something is to be told soon. */
  hasNews(): void {
    this.#news ??= this.#platform.after(NEWS_MS, () => {
      this.#news = null;
      this.#work.tell();
    });
  }

  /** Ends it; nothing is done or told any more. */
  stop(): void {
    this.#tick?.cancel();
    this.#news?.cancel();
    this.#tick = this.#news = null;
  }

  #schedule(): void {
    const tick = this.#tick = this.#platform.after(TICK_MS, () => {
      const now = this.#platform.now();
      const seconds = (now - this.#last) / 1000;
      this.#last = now;
      this.#work.turn(now, seconds);
      if (this.#tick === tick) this.#schedule();
    });
  }
}
