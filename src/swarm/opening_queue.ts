/**
 * A session may have thousands of torrents when it starts. If all of them look at their files at the same time, none is ready soon,
 * and what that takes of memory is never given back.
 *
 * @module
 */

import type { Platform } from "../platform/platform.ts";

/**
 * Torrents that are opened at a time: one has the disk read while the other hashes. With four, 300 torrents take 20 MiB more where
 * nobody collects the garbage.
 */
const AT_A_TIME = 2;
/** Milliseconds after which the next one gets its turn although this one isn't done: its disk sleeps, perhaps, or hangs. */
const PATIENCE_MS = 1_000;
/**
 * Turns after which garbage is collected. What opening leaves behind is largely outside of the heap, so that the engine doesn't
 * see how much there is: 300 torrents took 10 to 13 MiB less at rest, and 27 to 30 less at the most.
 */
const COLLECT_EVERY = 64;

/** Lets a few torrents look at their files at a time, in the order in which they have asked. */
export class OpeningQueue {
  readonly #platform: Pick<Platform, "after" | "collectGarbage">;
  #underWay = 0;
  #over = 0;
  /** Those that wait for their turn, who came first first. */
  readonly #waiting = new Set<() => void>();

  /** @param platform Timers, and who collects garbage. */
  constructor(platform: Pick<Platform, "after" | "collectGarbage">) {
    this.#platform = platform;
  }

  /**
   * Opens a torrent when it is its turn.
   *
   * @param open Opens it. It calls `passOn` when it turns out to have much to do, which others needn't wait for; harmless when called again.
   * @param signal Gives up.
   * @returns What `open` gives.
   * @throws What `open` throws.
   * @throws The signal's reason, when it is aborted before its turn.
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

  /** Settles when it counts as being under way. */
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

  /** Somebody's turn is over: the next one has it, if there is one. */
  #passOn(): void {
    if (++this.#over % COLLECT_EVERY === 0) this.#platform.collectGarbage?.();
    const [next] = this.#waiting;
    if (next === undefined) return void this.#underWay--;
    this.#waiting.delete(next);
    next();
  }
}
