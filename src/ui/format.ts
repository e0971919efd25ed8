/**
 * Formats numbers for people: sizes, rates, durations, percentages.
 *
 * @module
 */

import prettyBytes from "pretty-bytes";
import prettyMs from "pretty-ms";
import type { TorrentSnapshot } from "../session/session_events.ts";

/** Placeholder for an unknown number. */
export const UNKNOWN = "-";

/**
 * Formats a size with 1024-based units and three digits.
 *
 * @param bytes Bytes; a negative number counts as 0.
 * @returns Text such as `512 B`, `1.5 GiB` or `700 MiB`, at most 8 characters; {@linkcode UNKNOWN} for a number that is
 * not finite.
 */
export function formatSize(bytes: number): string {
  return Number.isFinite(bytes) ? prettyBytes(Math.max(0, Math.round(bytes)), { binary: true }) : UNKNOWN;
}

const COLUMN_UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB"];
/** Largest number in a column with one decimal: the next one would have a digit more. */
const COLUMN_MAX = 999.95;

/**
 * Formats a size for a column of sizes, always with one decimal, so that the numbers line up.
 *
 * @param bytes Bytes; a negative number counts as 0.
 * @returns Text such as `0.5 KiB`, `1.5 GiB` or `700.0 MiB`, at most 9 characters; {@linkcode UNKNOWN} for a number that
 * is not finite. Only 0 shows as `0.0 KiB`.
 */
export function formatColumnSize(bytes: number): string {
  if (!Number.isFinite(bytes)) return UNKNOWN;
  let value = Math.max(0, bytes) / 1024;
  let unit = 0;
  for (; value >= COLUMN_MAX && unit < COLUMN_UNITS.length - 1; unit++) value /= 1024;
  const shown = value > 0 ? Math.max(0.1, value) : 0;
  return `${shown.toFixed(1)} ${COLUMN_UNITS[unit]}`;
}

/**
 * Formats a rate for a column of rates.
 *
 * @param bytes Bytes per second.
 * @returns Text such as `1.5 MiB/s`, at most 11 characters; see {@linkcode formatColumnSize}.
 */
export function formatColumnRate(bytes: number): string {
  return `${formatColumnSize(bytes)}/s`;
}

/**
 * Formats a part of a size for the live view, in the unit of the whole and with as many decimals.
 *
 * @param done Bytes of the part.
 * @param size Bytes of the whole.
 * @returns Text such as `0.7 / 1.5 GiB`, at most 17 characters.
 */
export function formatColumnPart(done: number, size: number): string {
  const whole = formatColumnSize(size);
  const number = parseFloat(whole);
  return `${(done >= size ? number : Math.max(0, done / size) * number).toFixed(1)} / ${whole}`;
}

/**
 * Formats a part of a size in the unit of the whole, so that the width hardly changes while the part grows.
 *
 * @param done Bytes of the part.
 * @param size Bytes of the whole.
 * @returns Text such as `0.7 / 1.5 GiB`, at most 15 characters.
 */
export function formatPart(done: number, size: number): string {
  const whole = formatSize(size);
  if (done >= size) return `${whole.split(" ")[0]} / ${whole}`;
  const part = Math.max(0, done / size) * parseFloat(whole);
  return `${part.toFixed(whole.endsWith(" B") || part >= 99.95 ? 0 : 1)} / ${whole}`;
}

/**
 * Formats a rate.
 *
 * @param bytes Bytes per second.
 * @returns Text such as `1.5 MiB/s`, at most 10 characters.
 */
export function formatRate(bytes: number): string {
  return `${formatSize(bytes)}/s`;
}

/** Created on first use: the first `Intl.NumberFormat` takes a tenth of the time that the program may take to start. */
let percentFormats: readonly Intl.NumberFormat[] | null = null;
let countFormat: Intl.NumberFormat | null = null;

function makePercentFormats(): readonly Intl.NumberFormat[] {
  return [0, 1].map((digits) =>
    new Intl.NumberFormat("en-US", {
      style: "percent",
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
      roundingMode: "trunc",
    })
  );
}

/**
 * Formats a fraction as a percentage. Rounds down, so that an incomplete torrent never shows as 100%.
 *
 * @param part 0 to 1; clamped to that range.
 * @param decimals Digits after the decimal point (default 1).
 * @returns Text such as `46.2%`.
 */
export function formatPercent(part: number, decimals: 0 | 1 = 1): string {
  percentFormats ??= makePercentFormats();
  return percentFormats[decimals]!.format(Math.min(1, Math.max(0, part)));
}

/**
 * Formats a duration in its two largest units.
 *
 * @param seconds Seconds, rounded up to 1; `null` if unknown.
 * @returns Text such as `45s`, `2m 5s`, `3h 10m` or `4d 6h`, at most 7 characters; {@linkcode UNKNOWN} for `null` and
 * for 100 days or more.
 */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || !(seconds < 100 * 86400)) return UNKNOWN;
  const whole = Math.max(1, Math.round(seconds));
  // prettyMs() leaves out zeros: without rounding, three hours and five seconds would be "3h 5s".
  const unit = whole < 3600 ? 1 : whole < 86400 ? 60 : 3600;
  return prettyMs((whole - whole % unit) * 1000);
}

/**
 * Formats an elapsed time, below ten seconds more precisely than {@linkcode formatDuration}.
 *
 * @param seconds Seconds.
 * @returns Text such as `840ms`, `1.5s` or `2m 5s`.
 */
export function formatElapsed(seconds: number): string {
  return seconds < 10 ? prettyMs(Math.max(0, seconds) * 1000) : formatDuration(seconds);
}

/**
 * Formats a whole number with thousands separators.
 *
 * @param value A whole number.
 * @returns Text such as `1,234,567`.
 */
export function formatCount(value: number): string {
  countFormat ??= new Intl.NumberFormat("en-US");
  return countFormat.format(value);
}

/**
 * Formats a count with its noun.
 *
 * @param count The count.
 * @param noun Singular of a noun with a plural in `s`.
 * @returns Text such as `1 peer` or `12 peers`.
 */
export function formatPlural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Formats a count out of a whole, as the subject of a sentence.
 *
 * @param count The count.
 * @param whole The whole, at least as much as the count.
 * @param noun Singular of a noun with a plural in `s`.
 * @returns Text such as `3 of 12 pieces`, and `its only piece` if there is one alone.
 */
export function formatOutOf(count: number, whole: number, noun: string): string {
  return whole === 1 && count === 1 ? `its only ${noun}` : `${formatCount(count)} of ${formatPlural(whole, noun)}`;
}

/**
 * Returns the form of "to be" for a count.
 *
 * @param count Number of things that the sentence is about.
 */
export function isOrAre(count: number): "is" | "are" {
  return count === 1 ? "is" : "are";
}

/**
 * Returns the share ratio: uploaded bytes divided by verified bytes of wanted files. Verified bytes count whether they
 * were downloaded in this run or earlier; bytes that were downloaded twice count once.
 *
 * @param torrent Payload bytes uploaded since the start, and verified bytes of wanted files.
 * @returns The ratio; 0 if nothing is verified.
 */
export function ratioOf({ uploaded, verified }: Pick<TorrentSnapshot, "uploaded" | "verified">): number {
  return verified === 0 ? 0 : uploaded / verified;
}

/**
 * Returns the remaining time of a torrent.
 *
 * @param torrent The torrent.
 * @returns Seconds; `null` if unknown, and for a torrent that doesn't download or is complete.
 */
export function remainingTime({ state, eta }: Pick<TorrentSnapshot, "state" | "eta">): number | null {
  return state === "downloading" && eta !== null && eta > 0 ? eta : null;
}
