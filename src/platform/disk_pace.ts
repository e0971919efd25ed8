/**
 * Whether the file system answers at once.
 *
 * @module
 */

/** Milliseconds that a call may take and still count as quick. */
const QUICK_MS = 10;
/**
 * Milliseconds without calls on the spot after one that wasn't quick; doubled by each that follows. The first is short: on a
 * busy machine a call may take long because something else ran meanwhile.
 */
const LEAST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 60_000;

/**
 * Decides where calls of the file system are made. Handing one to a thread and waiting for it costs twenty times as much
 * as the call itself when all it needs is in memory, which it nearly always is; when the device has to be waited for, the
 * program must not stand still. So calls are made on the spot until one takes too long, and then on threads for a while,
 * the longer the more often that happens.
 */
export class DiskPace {
  readonly #now: () => number;
  #slowUntil = -Infinity;
  #pause = LEAST_PAUSE_MS;

  /**
   * @param now Milliseconds on a clock that never jumps.
   */
  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * Makes a call.
   *
   * @param call `here`: on the spot. `there`: on a thread.
   * @returns What the call returns.
   */
  async make<T>(call: { readonly here: () => T; readonly there: () => Promise<T> }): Promise<T> {
    const began = this.#now();
    if (began < this.#slowUntil) return await call.there();
    try {
      return call.here();
    } finally {
      this.#note(began, this.#now());
    }
  }

  #note(began: number, ended: number): void {
    if (ended - began > QUICK_MS) {
      this.#slowUntil = ended + this.#pause;
      this.#pause = Math.min(2 * this.#pause, MOST_PAUSE_MS);
    } else if (ended > this.#slowUntil + this.#pause) this.#pause = LEAST_PAUSE_MS;
  }
}
