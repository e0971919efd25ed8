/**
 * Tracks whether the file system responds at once, to decide whether calls are made on the main thread.
 *
 * @module
 */

/** Longest duration of a fast call. */
const QUICK_MS = 10;
/**
 * After a slow call, calls are made on threads for this long. The first pause is short, since on a busy machine a call
 * may be slow because another program ran.
 */
const LEAST_PAUSE_MS = 100;
/** Longest pause. Each slow call that follows another doubles the pause up to this. */
const MOST_PAUSE_MS = 60_000;

/** A file system call in both forms. */
export interface FileSystemCall<T> {
  /** Makes the call synchronously, on the main thread. */
  readonly here: () => T;
  /** Makes the call on another thread. */
  readonly there: () => Promise<T>;
}

/**
 * Decides on which thread file system calls are made. Handing a call to a thread costs twenty times as much as the call
 * itself when all data is in memory, which is nearly always the case. But when the device has to be waited for, the
 * main thread must not block. So calls are synchronous until one takes too long, and then go to threads for a while,
 * which is longer the more often that happens.
 */
export class DiskPace {
  readonly #now: () => number;
  #slowUntil = -Infinity;
  #pause = LEAST_PAUSE_MS;

  /** @param now Monotonic clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Makes a call in the form that suits the file system now. */
  async run<T>(call: FileSystemCall<T>): Promise<T> {
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
