/**
 * Opens a few torrents at a time. A session may have thousands of torrents when it starts: if all of them checked their
 * files at the same time, none would be ready soon, and the memory that this takes would never be returned to the
 * system.
 *
 * @module
 */

import type { Platform } from "../platform/platform.ts";

/**
 * Torrents that are opened at the same time: one reads from disk while the other hashes. With four, 300 torrents take
 * 20 MiB more if garbage isn't collected.
 */
const AT_A_TIME = 2;
/** Milliseconds after which the next torrent gets a turn anyway: the disk of this one may be asleep or hang. */
const PATIENCE_MS = 1_000;
/**
 * Turns after which garbage is collected. Most of the garbage is outside the heap, so that the engine doesn't notice
 * it: 300 torrents took 10 to 13 MiB less at rest, and 27 to 30 MiB less at the peak.
 */
const COLLECT_EVERY = 64;

/** Opens a few torrents at a time, in the order of their requests. */
export class OpeningQueue {
  readonly #platform: Pick<Platform, "after" | "collectGarbage">;
  #underWay = 0;
  #over = 0;
  /** Waiting torrents, in the order of their requests. */
  readonly #waiting = new Set<() => void>();

  /** @param platform Timers and garbage collection. */
  constructor(platform: Pick<Platform, "after" | "collectGarbage">) {
    this.#platform = platform;
  }

  /**
   * Opens a torrent when it is its turn.
   *
   * @param open Opens the torrent. May call `passOn`, even repeatedly, to let the next torrent begin when much is left
   * to do.
   * @param signal Aborts the wait.
   * @returns The result of `open`.
   * @throws The error of `open`.
   * @throws The signal's reason, when it is aborted before the turn.
   */
  async take<T>(open: (passOn: () => void) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#underWay < AT_A_TIME) this.#underWay++;
    else await this.#wait(signal);
    let isOurs = true;
    const passOn = (): void => {
      if (!isOurs) return;
      isOurs = false;
      patience.cancel();
      this.#passOn();
    };
    const patience = this.#platform.after(PATIENCE_MS, passOn);
    try {
      return await open(passOn);
    } finally {
      passOn();
    }
  }

  /** Resolves when it is the torrent's turn. */
  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#waiting.delete(go);
        reject(signal.reason);
      };
      this.#waiting.add(go);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** Ends a turn and begins the next one. */
  #passOn(): void {
    if (++this.#over % COLLECT_EVERY === 0) this.#platform.collectGarbage?.();
    const [next] = this.#waiting;
    if (next === undefined) return void this.#underWay--;
    this.#waiting.delete(next);
    next();
  }
}
