/**
 * Spreads the regular lookups of many torrents over the time that they have.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";

/** Lookups that may begin at once after a rest: who has few torrents needn't wait. */
const BURST = 20;
/** Milliseconds from one lookup to the next, at the most. */
const LONGEST_GAP_MS = 10_000;
/** Milliseconds in which every torrent has its turn, so that nobody forgets it: see `SEED_ANNOUNCE_MS`. */
const ROUND_MS = 22 * 60_000;

/** Says when the next lookup may begin, to all torrents of a session. */
export class LookupPace {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #queue = new Set<() => void>();
  #members = 0;
  #credit = BURST;
  #creditedAt: number;
  #timer: Timer | null = null;

  /** @param platform Clock and timers. */
  constructor(platform: Pick<Platform, "now" | "after">) {
    this.#platform = platform;
    this.#creditedAt = platform.now();
  }

  /**
   * Counts a torrent that will be looked up again and again.
   *
   * @returns Counts it no more; to be called once.
   */
  join(): () => void {
    this.#earn();
    this.#members++;
    return () => {
      this.#earn();
      this.#members--;
    };
  }

  /**
   * Waits for a turn; those who came first have theirs first.
   *
   * @param begin Begins a lookup. May be called before this returns.
   * @returns Waits no more. Harmless when it has begun.
   */
  wait(begin: () => void): () => void {
    this.#queue.add(begin);
    if (this.#timer === null) this.#giveTurns();
    return () => void this.#queue.delete(begin);
  }

  get #gap(): number {
    return Math.min(LONGEST_GAP_MS, ROUND_MS / Math.max(1, this.#members));
  }

  #earn(): void {
    const now = this.#platform.now();
    this.#credit = Math.min(BURST, this.#credit + (now - this.#creditedAt) / this.#gap);
    this.#creditedAt = now;
  }

  #giveTurns(): void {
    this.#earn();
    this.#timer = null;
    for (const begin of this.#queue) {
      if (this.#credit < 1) {
        const wait = Math.ceil((1 - this.#credit) * this.#gap);
        this.#timer = this.#platform.after(wait, () => this.#giveTurns());
        return;
      }
      this.#credit--;
      this.#queue.delete(begin);
      begin();
    }
  }
}
