/**
 * Shares this thread between the hashes that peers ask for and everything else.
 *
 * @module
 */

import { HASH_TURN_MS, HASHES_A_TURN } from "../../base/defences.ts";
import type { Platform, Timer } from "../../platform/platform.ts";

/** Turns in which hashes are computed, one after the other for all peers, with rests for other work between them. */
export class HashTurns {
  readonly #platform: Pick<Platform, "now" | "after">;
  #left = HASHES_A_TURN;
  /** When the turn began, in milliseconds. */
  #since = -Infinity;
  #last: Promise<void> = Promise.resolve();
  #rest: { readonly timer: Timer; readonly end: () => void } | null = null;
  #stopped = false;

  /** @param platform Clock and timers. */
  constructor(platform: Pick<Platform, "now" | "after">) {
    this.#platform = platform;
  }

  /**
   * Waits for a turn.
   *
   * @param hashes Number of hashes that the caller computes as soon as the promise is fulfilled.
   */
  take(hashes: number): Promise<void> {
    if (hashes === 0) return Promise.resolve();
    return this.#last = this.#last.then(() => this.#take(hashes));
  }

  /** Ends the waiting. */
  stop(): void {
    this.#stopped = true;
    this.#rest?.timer.cancel();
    this.#rest?.end();
  }

  async #take(hashes: number): Promise<void> {
    if (hashes > this.#left && !this.#stopped) {
      const wait = this.#since + HASH_TURN_MS - this.#platform.now();
      if (wait > 0) await this.#sleep(wait);
      this.#left = HASHES_A_TURN;
    }
    if (this.#left === HASHES_A_TURN) this.#since = this.#platform.now();
    this.#left -= hashes;
  }

  async #sleep(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#rest = { timer: this.#platform.after(milliseconds, resolve), end: resolve };
    await promise;
    this.#rest = null;
  }
}
