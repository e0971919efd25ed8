/**
 * When the next announce is due.
 *
 * @module
 */

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** When a tracker does not say: what most of them do. */
export const DEFAULT_INTERVAL = 30 * MINUTE;
/** A tracker that wants to be asked more often than this is broken, or wants us to hammer somebody. */
export const SHORTEST_INTERVAL = 5 * SECOND;
/** A tracker that wants to be asked less often than this would have forgotten us. */
export const LONGEST_INTERVAL = 24 * 60 * MINUTE;
/** Between announces that we would like, where the tracker sets no other limit. */
export const DEFAULT_MIN_INTERVAL = 2 * MINUTE;

/** BEP 15, "Time outs": the first retransmission, and how often the wait doubles. */
const FIRST_RETRANSMISSION = 15 * SECOND;
const MOST_DOUBLINGS = 8;
/** So many times the first wait, a request over UDP may take: it is sent three times within it, after 0, 1 and 3 waits. */
const WAITS_IN_TIMEOUT = 6;

const FIRST_RETRY = 10 * SECOND;
const LONGEST_RETRY = 30 * MINUTE;

/** What a tracker said about time, in milliseconds; `null` where it said nothing. */
export interface AnnouncedTimes {
  /** Until the next announce is due. */
  readonly interval: number | null;
  /** Before which there must be none. */
  readonly minInterval: number | null;
}

/** Milliseconds from one announce to the next. */
export interface Spacing {
  /** When nothing special happens. */
  readonly regular: number;
  /** When more peers are needed; never more than `regular`. */
  readonly earliest: number;
}

/**
 * How long to wait after a successful announce.
 *
 * @param times What the tracker said.
 * @returns Sane waiting times.
 */
export function spacingAfter(times: AnnouncedTimes): Spacing {
  const floor = clamp(times.minInterval ?? 0, SHORTEST_INTERVAL, LONGEST_INTERVAL);
  const regular = clamp(times.interval ?? DEFAULT_INTERVAL, floor, LONGEST_INTERVAL);
  const earliest = times.minInterval === null ? Math.min(DEFAULT_MIN_INTERVAL, regular) : floor;
  return { regular, earliest };
}

/**
 * How long to wait when no tracker answered: twice as long each time, up to half an hour. Half of it is left to chance,
 * so that all who lost a tracker together don't come back together.
 *
 * @param failures How many rounds have failed in a row, 1 or more.
 * @param random Uniform in 0 (included) to 1 (excluded).
 * @returns Milliseconds.
 */
export function retryDelay(failures: number, random: number): number {
  const longest = Math.min(FIRST_RETRY * 2 ** (failures - 1), LONGEST_RETRY);
  return longest / 2 + (longest / 2) * random;
}

/**
 * How long to wait for an answer to a datagram before it is sent again: 15 * 2 ^ n seconds (BEP 15). That alone would take
 * an hour to find out that a tracker is dead, while others wait to be asked; so where there is less time, all of it shrinks
 * until three attempts fit.
 *
 * @param sent How often it has been sent, 1 or more.
 * @param timeout Milliseconds for the whole conversation.
 * @returns Milliseconds.
 */
export function retransmitDelay(sent: number, timeout: number): number {
  const first = Math.min(FIRST_RETRANSMISSION, timeout / WAITS_IN_TIMEOUT);
  return first * 2 ** Math.min(sent - 1, MOST_DOUBLINGS);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
