/**
 * Whom to ask next: the order of BEP 12, in which nobody who is silent or knows no peers holds up the others.
 *
 * @module
 */

/** How the last announce to a tracker went. `peers`: it named some, or was asked for none. `empty`: it knows nobody but us. */
export type Outcome = "none" | "peers" | "empty" | "failed";

/** What decides whether it is a tracker's turn. Times are milliseconds of one clock. */
export interface TurnState {
  /** When it was asked what it hasn't answered yet; `null` while it isn't being asked. */
  readonly askedAt: number | null;
  /** Milliseconds for which others wait for its answer; after that it may still answer. */
  readonly holdsUp: number;
  /** How the last announce went. */
  readonly outcome: Outcome;
  /** When it may, or is to be asked again; `Infinity` for never. */
  readonly due: number;
  /** Whether it is asked at once, whoever's turn it is: it knows us and is to be told that we are complete, or it is a new one. */
  readonly urgent: boolean;
}

/** Milliseconds for which one of many without an order keeps its place: most of those that work answer by then. */
const PLACE_MS = 2_000;

/** Whose turn it is, and when to look again. */
export interface AnnounceOrder<T> {
  /** To be asked now. */
  readonly ask: readonly T[];
  /** When it may be somebody else's turn although nobody answers; `Infinity` for never. */
  readonly wakeAt: number;
}

/**
 * Goes through the trackers in order. One that is being asked holds up those after it, but only for so long; one that failed or
 * knows nobody passes the turn on; one that named peers is the last that is needed. Those that failed are tried again when that
 * one is due, or by themselves while there is none.
 *
 * @param order Every tracker, the first first.
 * @param options `now`. `all`: nobody waits for anybody, since they have no order (a magnet link's). `atOnce`: how many are asked
 * at the same time, those left out that have been silent for too long.
 * @returns Whose turn it is.
 */
export function announceOrder<T extends TurnState>(
  order: readonly T[],
  { now, all, atOnce }: { readonly now: number; readonly all: boolean; readonly atOnce: number },
): AnnounceOrder<T> {
  const ask: T[] = [];
  let wakeAt = Infinity;
  let places = atOnce;
  const patience = ({ holdsUp }: T) => all ? Math.min(holdsUp, PLACE_MS) : holdsUp;
  for (const tracker of order) {
    const { askedAt } = tracker;
    if (askedAt === null || now - askedAt >= patience(tracker)) continue;
    places--;
    wakeAt = Math.min(wakeAt, askedAt + patience(tracker));
  }
  const covered = coveredUntil(order, all);
  const give = (tracker: T) => {
    ask.push(tracker);
    wakeAt = Math.min(wakeAt, now + patience(tracker));
    return --places > 0;
  };
  for (const tracker of order) {
    if (!tracker.urgent || tracker.askedAt !== null || tracker.outcome === "failed") continue;
    if (places <= 0 || !give(tracker)) return { ask, wakeAt };
  }
  for (const tracker of order) {
    const { askedAt, holdsUp, outcome } = tracker;
    if (askedAt !== null || ask.includes(tracker)) {
      if (all || (askedAt !== null && now - askedAt >= holdsUp)) continue;
      break;
    }
    const due = outcome === "failed" ? Math.max(tracker.due, covered) : tracker.due;
    if (due <= now) {
      if (places <= 0 || !give(tracker) || !all) break;
    } else {
      wakeAt = Math.min(wakeAt, due);
      if (!all && outcome === "peers") break;
    }
  }
  return { ask, wakeAt };
}

/**
 * When each tracker is asked next, if everything goes on as it is.
 *
 * @param order Every tracker, the first first.
 * @param all Whether nobody waits for anybody.
 * @returns Milliseconds of the clock in the same order; `Infinity` for one that is being asked, or only if others fail.
 */
export function nextTurns<T extends TurnState>(order: readonly T[], all: boolean): readonly number[] {
  const covered = coveredUntil(order, all);
  let isHeld = false;
  return order.map(({ askedAt, outcome, due }) => {
    const at = isHeld || askedAt !== null ? Infinity : outcome === "failed" ? Math.max(due, covered) : due;
    if (!all && (askedAt !== null || outcome === "peers")) isHeld = true;
    return at;
  });
}

/** When the tracker is due that names peers, so that those that failed needn't be tried before; `-Infinity` without one. */
function coveredUntil<T extends TurnState>(order: readonly T[], all: boolean): number {
  const helpful = order.filter(({ outcome }) => outcome === "peers").map(({ due }) => due);
  return helpful.length === 0 ? -Infinity : all ? Math.min(...helpful) : helpful[0]!;
}
