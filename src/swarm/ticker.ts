/**
 * One timer for the regular work of all torrents of a session. Whoever has something to do at every tick gets a turn at every
 * tick. Whoever has not is left in peace until the time that it named, or until it is woken, so that a session with thousands of
 * idle torrents sleeps, too.
 *
 * @module
 */

import type { Platform, Timer } from "../platform/platform.ts";

/** Milliseconds from one tick to the next, at the least. */
export const TICK_MS = 500;
/** Milliseconds between being woken and the turn, at the least: rates that are measured over less than that jump. */
const WAKE_MS = TICK_MS / 2;

/** Regular work of one torrent. */
export interface TickerWork {
  /**
   * Does what is due. It may call its own seat and those of others.
   *
   * @param now Milliseconds, on the clock that never jumps.
   * @param seconds Since the turn before, or since it was woken if it had been left in peace. After the machine was suspended
   * it may be any number.
   * @returns Milliseconds until the next turn is wanted: {@linkcode TICK_MS} or less for the next tick, Infinity to be left in
   * peace until it is woken. The turn comes at the first tick after that time, never sooner.
   */
  turn(now: number, seconds: number): number;
}

/** A place at the {@linkcode Ticker}. */
export interface TickerSeat {
  /** Something has happened that needs regular work: it gets a turn soon. Costs nothing if it gets one anyway. */
  wake(): void;
  /** Ends it: it gets no turn any more. Harmless when called again. */
  leave(): void;
}

/** Gives turns to all torrents of a session, by one timer. */
export class Ticker {
  readonly #platform: Pick<Platform, "now" | "after">;
  readonly #seats = new Set<Seat>();
  #lastTick = -Infinity;
  #timer: Timer | null = null;
  /** When the timer fires; Infinity when it isn't set. */
  #timerDue = Infinity;
  /** What seats need of it. */
  readonly #host: SeatHost = {
    now: () => this.#platform.now(),
    woken: (seat) => {
      if (this.#seats.has(seat)) this.#armFor(seat.due);
    },
    left: (seat) => {
      if (this.#seats.delete(seat)) this.#arm();
    },
  };

  /** @param platform Clock and timers. */
  constructor(platform: Pick<Platform, "now" | "after">) {
    this.#platform = platform;
  }

  /**
   * Takes on regular work; it begins awake.
   *
   * @param work What is to be done.
   * @returns Its seat.
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
      this.#arm(); // that the turn of one has failed is no reason for the others to get none
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

  /** Sees to it that the timer fires by then, though not before the next tick. */
  #armFor(due: number): void {
    const at = Math.max(due, this.#lastTick + TICK_MS);
    if (at >= this.#timerDue) return;
    this.#timer?.cancel();
    this.#timerDue = at;
    // Rounded up, since a timer that fires a moment too soon finds that nothing is due.
    this.#timer = this.#platform.after(Math.max(0, Math.ceil(at - this.#platform.now())), () => this.#tick());
  }
}

interface SeatHost {
  now(): number;
  woken(seat: Seat): void;
  left(seat: Seat): void;
}

/** {@linkcode TickerSeat}, as the ticker sees it. */
class Seat implements TickerSeat {
  /** When it gets a turn. */
  due = Infinity;
  readonly #work: TickerWork;
  readonly #host: SeatHost;
  /** When the last turn was, or when it was woken. */
  #last: number;

  constructor(work: TickerWork, host: SeatHost) {
    this.#work = work;
    this.#host = host;
    this.#last = host.now();
  }

  wake(): void {
    const now = this.#host.now();
    if (this.due <= now + WAKE_MS) return;
    if (this.due > now + TICK_MS) this.#last = now; // nothing went on that would have to be measured
    this.due = now + WAKE_MS;
    this.#host.woken(this);
  }

  leave(): void {
    this.#host.left(this);
  }

  turn(now: number): void {
    const seconds = (now - this.#last) / 1000;
    this.#last = now;
    this.due = Infinity; // it may be woken during its own turn
    let wait = 0; // until the next tick, should this one fail
    try {
      wait = this.#work.turn(now, seconds);
    } finally {
      this.due = Math.min(this.due, wait > TICK_MS ? now + wait : now);
    }
  }
}
