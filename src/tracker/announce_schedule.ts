/**
 * Computes the intervals between announces, retries and retransmissions.
 *
 * @module
 */

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Interval if the tracker gives none; most trackers use this. */
export const DEFAULT_INTERVAL = 30 * MINUTE;
/** Shortest interval accepted. A tracker that asks for less is broken, or wants to use us for a flood. */
export const SHORTEST_INTERVAL = 5 * SECOND;
/** Longest interval accepted. After this time a tracker would have forgotten us. */
export const LONGEST_INTERVAL = 24 * 60 * MINUTE;
/** Minimum interval that we keep when more peers are needed and the tracker sets none. */
export const DEFAULT_MIN_INTERVAL = 2 * MINUTE;

/** First retransmission delay of BEP 15, "Time outs". */
const FIRST_RETRANSMISSION = 15 * SECOND;
/** Number of times that BEP 15 doubles the delay. */
const MOST_DOUBLINGS = 8;
/** A UDP request times out after this many first delays. It is sent three times by then, after 0, 1 and 3 of them. */
const WAITS_IN_TIMEOUT = 6;

const FIRST_RETRY = 10 * SECOND;
const LONGEST_RETRY = 30 * MINUTE;

/** Intervals from an announce reply in milliseconds; `null` if absent. */
export interface AnnouncedTimes {
  /** Interval between regular announces. */
  readonly interval: number | null;
  /** Shortest interval between announces. */
  readonly minInterval: number | null;
}

/** Milliseconds from one announce to the next. */
export interface Spacing {
  /** Until the next regular announce. */
  readonly regular: number;
  /** Until the earliest announce that is allowed when more peers are needed; never more than `regular`. */
  readonly earliest: number;
}

/**
 * Returns the intervals after a successful announce, within sane limits.
 *
 * @param times Intervals from the reply.
 */
export function spacingAfter(times: AnnouncedTimes): Spacing {
  const floor = clamp(times.minInterval ?? 0, SHORTEST_INTERVAL, LONGEST_INTERVAL);
  const regular = clamp(times.interval ?? DEFAULT_INTERVAL, floor, LONGEST_INTERVAL);
  const earliest = times.minInterval === null ? Math.min(DEFAULT_MIN_INTERVAL, regular) : floor;
  return { regular, earliest };
}

/**
 * Returns the back-off after failed announces: doubled each time, up to 30 minutes. Half of it is random, so that
 * clients which lost a tracker together don't come back together.
 *
 * @param failures Failures in a row, 1 or more.
 * @param random Uniform random number from 0 (inclusive) to 1 (exclusive).
 * @returns Milliseconds.
 */
export function retryDelay(failures: number, random: number): number {
  const longest = Math.min(FIRST_RETRY * 2 ** (failures - 1), LONGEST_RETRY);
  return longest / 2 + (longest / 2) * random;
}

/**
 * Returns how long to wait for a reply before retransmitting a datagram. BEP 15 says 15 * 2 ^ n seconds, by which it
 * takes an hour to find a tracker dead, while other trackers wait. So with less time, the delays shrink until three
 * transmissions fit.
 *
 * @param sent Transmissions so far, 1 or more.
 * @param timeout Milliseconds for the whole request.
 * @returns Milliseconds.
 */
export function retransmitDelay(sent: number, timeout: number): number {
  const first = Math.min(FIRST_RETRANSMISSION, timeout / WAITS_IN_TIMEOUT);
  return first * 2 ** Math.min(sent - 1, MOST_DOUBLINGS);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
