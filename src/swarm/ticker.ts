/**
 * One timer for the regular work of all torrents of a session. A busy torrent gets a turn at every tick. An idle
 * torrent gets none before the time that it named, or before it is woken, so that a session with thousands of idle
 * torrents sleeps, too.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";

/** Fewest milliseconds between two ticks. */
export const TICK_MS = 500;
/** Fewest milliseconds between waking a torrent and its turn: rates measured over a shorter time fluctuate. */
const WAKE_MS = TICK_MS / 2;

/** The regular work of one torrent. */
export interface TickerWork {
  /**
   * Does what is due. May use its own seat and those of other torrents.
   *
   * @param now Current time on the monotonic clock in milliseconds.
   * @param seconds Seconds since the last turn, or since the torrent was woken if it had been idle. May be any number
   * after the machine was suspended.
   * @returns Milliseconds until the next turn: {@linkcode TICK_MS} or less for the next tick, `Infinity` for none until
   * the torrent is woken. The turn comes at the first tick after that time, never sooner.
   */
  turn(now: number, seconds: number): number;
}

/** A torrent's registration at a {@linkcode Ticker}. */
export interface TickerSeat {
  /** Wakes the torrent, which gets a turn soon. Does nothing if it gets one anyway. */
  wake(): void;
  /** Ends the registration; there are no more turns. May be called again. */
  leave(): void;
}

/** Gives turns to all torrents of a session, with one timer. */
export class Ticker {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #seats = new Set<Seat>();
  #lastTick = -Infinity;
  #timer: Timer | null = null;
  /** When the timer fires, in milliseconds; `Infinity` while it isn't set. */
  #timerDue = Infinity;
  /** What seats need from the ticker. */
  readonly #host: SeatHost = {
    now: () => this.#platform.now(),
    woken: (seat) => {
      if (this.#seats.has(seat)) this.#armFor(seat.due);
    },
    left: (seat) => {
      if (this.#seats.delete(seat)) this.#arm();
    },
  };

  constructor(platform: Pick<Platform, "now" | "after">) {
    this.#platform = platform;
  }

  /**
   * Registers regular work, which begins awake.
   *
   * @param work The regular work.
   * @returns The seat of the work.
   */
  join(work: TickerWork): TickerSeat {
    const seat = new Seat(work, this.#host);
    this.#seats.add(seat);
    seat.wake();
    return seat;
  }

  #tick(): void {
    const now = this.#lastTick = this.#platform.now();
    this.#timer = null;
    this.#timerDue = Infinity;
    try {
      for (const seat of this.#seats) if (seat.due <= now) seat.turn(now);
    } finally {
      this.#arm(); // an error in one torrent's turn must not stop the others
    }
  }

  #arm(): void {
    let first = Infinity;
    for (const { due } of this.#seats) first = Math.min(first, due);
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerDue = Infinity;
    this.#armFor(first);
  }

  /** Sets the timer to fire at a time if it would fire later, but not before the next tick. */
  #armFor(due: number): void {
    const at = Math.max(due, this.#lastTick + TICK_MS);
    if (at >= this.#timerDue) return;
    this.#timer?.cancel();
    this.#timerDue = at;
    // Rounded up: a timer that fires a moment too soon would find nothing due.
    this.#timer = this.#platform.after(Math.max(0, Math.ceil(at - this.#platform.now())), () => this.#tick());
  }
}

interface SeatHost {
  now(): number;
  woken(seat: Seat): void;
  left(seat: Seat): void;
}

/** A {@linkcode TickerSeat} as the ticker sees it. */
class Seat implements TickerSeat {
  /** When the next turn is due, in milliseconds. */
  due = Infinity;
  readonly #work: TickerWork;
  readonly #host: SeatHost;
  /** When the last turn was, or when the torrent was woken, in milliseconds. */
  #last: number;

  constructor(work: TickerWork, host: SeatHost) {
    this.#work = work;
    this.#host = host;
    this.#last = host.now();
  }

  wake(): void {
    const now = this.#host.now();
    if (this.due <= now + WAKE_MS) return;
    if (this.due > now + TICK_MS) this.#last = now; // there is nothing to measure in the idle time
    this.due = now + WAKE_MS;
    this.#host.woken(this);
  }

  leave(): void {
    this.#host.left(this);
  }

  turn(now: number): void {
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    this.due = Infinity; // the torrent may be woken during its own turn
    let wait = 0; // the next tick, if the turn throws
    try {
      wait = this.#work.turn(now, seconds);
    } finally {
      this.due = Math.min(this.due, wait > TICK_MS ? now + wait : now);
    }
  }
}
