/**
 * Decides which trackers to announce to next. The order is that of BEP 12, but a tracker that is silent or knows no
 * peers does not hold up the ones after it.
 *
 * @module
 */

/**
 * Outcome of the last announce to a tracker. `peers`: the tracker named peers, or none were asked for. `empty`: it
 * knows no peer but us.
 */
export type AnnounceOutcome = "none" | "peers" | "empty" | "failed";

/** State of a tracker that decides when to announce to it. Times are milliseconds of one clock. */
export interface TurnState {
  /** When the unanswered announce was sent; `null` if there is none. */
  readonly askedAt: number | null;
  /** Milliseconds for which later trackers wait for the answer. The tracker may still answer afterwards. */
  readonly holdsUp: number;
  /** Outcome of the last announce. */
  readonly outcome: AnnounceOutcome;
  /** When the next announce is due; `Infinity` for never. */
  readonly due: number;
  /** `true` to announce at once, out of order: the tracker is new, or knows us and must be sent `completed`. */
  readonly urgent: boolean;
  /** `true` if the tracker is announced to whatever others answer, and holds up none of them. */
  readonly always?: boolean;
}

/** Milliseconds for which a silent tracker takes a place in `atOnce`. Most working trackers answer sooner. */
const PLACE_MS = 2_000;

/** Result of {@linkcode announceOrder}. */
export interface AnnounceOrder<T> {
  /** Trackers to announce to now. */
  readonly ask: readonly T[];
  /** When to call {@linkcode announceOrder} again even if no tracker answers; `Infinity` for never. */
  readonly wakeAt: number;
}

/** Options for {@linkcode announceOrder}. */
export interface AnnounceOrderOptions {
  /** Current time in milliseconds. */
  readonly now: number;
  /** `true` if no tracker waits for another, because they have no order (those of a magnet link). */
  readonly all: boolean;
  /** Number of trackers announced to at the same time, not counting those that have been silent for too long. */
  readonly atOnce: number;
}

/**
 * Goes through the trackers in order, and through those that are always announced to on their own. A tracker with an unanswered announce holds up the next for a limited time. One
 * that failed or knows no peers doesn't hold up the next, and none is needed after one that named peers. Failed
 * trackers are tried again when the tracker that named peers is due, or after their own back-off if there is none.
 *
 * @param order All trackers, in the order of BEP 12.
 * @param options See {@linkcode AnnounceOrderOptions}.
 */
export function announceOrder<T extends TurnState>(
  order: readonly T[],
  options: AnnounceOrderOptions,
): AnnounceOrder<T> {
  const others = order.filter(({ always = false }) => !always);
  if (options.all || others.length === order.length) return turnsOf(order, options);
  const [own, rest] = [
    turnsOf(order.filter(({ always }) => always), { ...options, all: true }),
    turnsOf(others, options),
  ];
  return { ask: [...own.ask, ...rest.ask], wakeAt: Math.min(own.wakeAt, rest.wakeAt) };
}

function turnsOf<T extends TurnState>(
  order: readonly T[],
  { now, all, atOnce }: AnnounceOrderOptions,
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
 * Returns when the next announce to each tracker is due, if nothing changes until then.
 *
 * @param order All trackers, in the order of BEP 12.
 * @param all `true` if no tracker waits for another.
 * @returns Milliseconds of the clock, in the same order; `Infinity` for a tracker with an unanswered announce, or one
 * that is needed only if others fail.
 */
export function nextTurns<T extends TurnState>(order: readonly T[], all: boolean): readonly number[] {
  const isOwn = ({ always = false }: T) => always && !all;
  const [covered, ownCovered] = [
    coveredUntil(order.filter((one) => !isOwn(one)), all),
    coveredUntil(order.filter(isOwn), true),
  ];
  let isHeld = false;
  return order.map((one) => {
    const { askedAt, outcome, due } = one;
    const isFree = isOwn(one);
    const until = isFree ? ownCovered : covered;
    const at = (isHeld && !isFree) || askedAt !== null ? Infinity : outcome === "failed" ? Math.max(due, until) : due;
    if (!all && !isFree && (askedAt !== null || outcome === "peers")) isHeld = true;
    return at;
  });
}

/** Returns when the tracker that names peers is due, before which failed ones aren't tried, or `-Infinity`. */
function coveredUntil<T extends TurnState>(order: readonly T[], all: boolean): number {
  const helpful = order.filter(({ outcome }) => outcome === "peers").map(({ due }) => due);
  return helpful.length === 0 ? -Infinity : all ? Math.min(...helpful) : helpful[0]!;
}
