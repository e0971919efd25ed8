/**
 * Spreads the regular lookups of a session's torrents over time.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";

/** Number of lookups that may start at once after a pause, so that a session with few torrents need not wait. */
const BURST = 20;
/** Maximum milliseconds between two lookups. */
const LONGEST_GAP_MS = 10_000;
/** Milliseconds within which each torrent gets a turn, before nodes drop the announce: see `SEED_ANNOUNCE_MS`. */
const ROUND_MS = 22 * 60_000;

/** Decides when the lookups of a session's torrents may start. */
export class LookupPace {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #queue = new Set<() => void>();
  #members = 0;
  #credit = BURST;
  #creditedAt: number;
  #timer: Timer | null = null;

  constructor(platform: Pick<Platform, "now" | "after">) {
    this.#platform = platform;
    this.#creditedAt = platform.now();
  }

  /**
   * Registers a torrent that will be looked up regularly.
   *
   * @returns Function that removes the torrent. Call it once.
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
   * Waits for a turn, in order of the calls.
   *
   * @param begin Starts a lookup. May be called before this method returns.
   * @returns Function that stops waiting. Calling it after the lookup has started does nothing.
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
