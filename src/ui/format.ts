/**
 * Numbers as people read them: sizes, rates, times, parts.
 *
 * @module
 */

import prettyBytes from "pretty-bytes";
import prettyMs from "pretty-ms";
import type { TorrentSnapshot } from "../session/session_events.ts";

/** What stands for a number that is not known. */
export const UNKNOWN = "-";

/**
 * A size, 1024-based, to three digits.
 *
 * @param bytes How many; below 0 counts as 0.
 * @returns Like `512 B`, `1.5 GiB` or `700 MiB`; at most 8 characters. {@linkcode UNKNOWN} for what is not finite.
 */
export function formatSize(bytes: number): string {
  return Number.isFinite(bytes) ? prettyBytes(Math.max(0, Math.round(bytes)), { binary: true }) : UNKNOWN;
}

/**
 * A part of a size, in the unit of the whole, so that its width hardly changes while it grows.
 *
 * @param done Bytes that are there.
 * @param size Bytes in all.
 * @returns Like `0.7 / 1.5 GiB`; at most 15 characters.
 */
export function formatPart(done: number, size: number): string {
  const whole = formatSize(size);
  if (done >= size) return `${whole.split(" ")[0]} / ${whole}`;
  const part = Math.max(0, done / size) * parseFloat(whole);
  return `${part.toFixed(whole.endsWith(" B") || part >= 99.95 ? 0 : 1)} / ${whole}`;
}

/**
 * A rate.
 *
 * @param bytes Bytes a second.
 * @returns Like `1.5 MiB/s`; at most 10 characters.
 */
export function formatRate(bytes: number): string {
  return `${formatSize(bytes)}/s`;
}

/** Made when the first number is shown: the first of them takes the runtime a tenth of the time that a start may take. */
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
 * A part of the whole in percent, cut and not rounded: what is not complete never shows as 100.
 *
 * @param part 0 to 1; anything else counts as the nearer end.
 * @param decimals Digits after the point; 1 when absent.
 * @returns Like `46.2%`.
 */
export function formatPercent(part: number, decimals: 0 | 1 = 1): string {
  percentFormats ??= makePercentFormats();
  return percentFormats[decimals]!.format(Math.min(1, Math.max(0, part)));
}

/**
 * A span of time in its two largest units.
 *
 * @param seconds How long, or `null` when that is not known; below 1 counts as 1.
 * @returns Like `45s`, `2m 5s`, `3h 10m` or `4d 6h`; {@linkcode UNKNOWN} for `null` and for 100 days and more. At most
 * 7 characters.
 */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || !(seconds < 100 * 86400)) return UNKNOWN;
  const whole = Math.max(1, Math.round(seconds));
  // Zeros are left out: uncut, three hours and five seconds would be "3h 5s".
  const unit = whole < 3600 ? 1 : whole < 86400 ? 60 : 3600;
  return prettyMs((whole - whole % unit) * 1000);
}

/**
 * How long something took, finer than {@linkcode formatDuration} below ten seconds.
 *
 * @param seconds How long.
 * @returns Like `840ms`, `1.5s` or `2m 5s`.
 */
export function formatElapsed(seconds: number): string {
  return seconds < 10 ? prettyMs(Math.max(0, seconds) * 1000) : formatDuration(seconds);
}

/**
 * A whole number with its digits in threes.
 *
 * @param value Any whole number.
 * @returns Like `1,234,567`.
 */
export function formatCount(value: number): string {
  countFormat ??= new Intl.NumberFormat("en-US");
  return countFormat.format(value);
}

/**
 * A number of things.
 *
 * @param count How many.
 * @param noun What, in the singular; its plural ends in `s`.
 * @returns Like `1 peer` or `12 peers`.
 */
export function formatPlural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * What was given back for what is there: whether it was fetched in this run or before doesn't count, nor what was fetched twice.
 *
 * @param torrent Payload bytes uploaded since the start, and those of wanted files that are verified.
 * @returns Uploaded bytes for each verified one; 0 while there is none.
 */
export function ratioOf({ uploaded, verified }: Pick<TorrentSnapshot, "uploaded" | "verified">): number {
  return verified === 0 ? 0 : uploaded / verified;
}
