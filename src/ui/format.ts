/**
 * Numbers as people read them: sizes, rates, times, parts.
 *
 * @module
 */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
/** What stands for a number that is not known. */
export const UNKNOWN = "-";

interface Scaled {
  readonly number: string;
  readonly unit: string;
}

function scale(bytes: number): Scaled {
  let value = Math.max(0, bytes);
  let unit = 0;
  // 1023.5 would be shown as 1024, which is one of the next unit
  while (value >= (unit === 0 ? 1024 : 1023.5) && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return { number: digits(value, unit), unit: UNITS[unit]! };
}

function digits(value: number, unit: number): string {
  return unit === 0 || value >= 99.95 ? Math.round(value).toString() : Math.max(0, value).toFixed(1);
}

/**
 * A size, 1024-based.
 *
 * @param bytes How many; below 0 counts as 0.
 * @returns Like `512 B`, `1.5 GiB` or `700 MiB`; at most 8 characters below 1 ZiB.
 */
export function formatSize(bytes: number): string {
  const { number, unit } = scale(bytes);
  return `${number} ${unit}`;
}

/**
 * A part of a size, in the unit of the whole, so that its width hardly changes while it grows.
 *
 * @param done Bytes that are there.
 * @param size Bytes in all.
 * @returns Like `0.7 / 1.5 GiB`; at most 15 characters below 1 ZiB.
 */
export function formatPart(done: number, size: number): string {
  const whole = scale(size);
  const unit = UNITS.indexOf(whole.unit);
  return `${digits(Math.min(done, size) / 1024 ** unit, unit)} / ${whole.number} ${whole.unit}`;
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

/**
 * A part of the whole in percent, cut and not rounded: what is not complete never shows as 100.
 *
 * @param part 0 to 1; anything else counts as the nearer end.
 * @param decimals Digits after the point; 1 when absent.
 * @returns Like `46.2%`.
 */
export function formatPercent(part: number, decimals = 1): string {
  if (part >= 1) return `${(100).toFixed(decimals)}%`;
  const factor = 10 ** decimals;
  // the tiny addend takes back what binary fractions lose: 0.57 * 100 is 56.99999999999999
  const steps = Math.floor(Math.max(0, part) * 100 * factor + 1e-9);
  return `${(Math.min(steps, 100 * factor - 1) / factor).toFixed(decimals)}%`;
}

/**
 * A span of time in its two largest units.
 *
 * @param seconds How long, or `null` when that is not known.
 * @returns Like `45s`, `2m 05s`, `3h 10m` or `4d 06h`; {@linkcode UNKNOWN} for `null` and for 100 days and more. At most
 * 7 characters.
 */
export function formatDuration(seconds: number | null): string {
  if (seconds === null || !(seconds < 100 * 86400)) return UNKNOWN;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d ${two(Math.floor(whole / 3600) % 24)}h`;
}

function two(value: number): string {
  return value.toString().padStart(2, "0");
}

/**
 * How long something took, finer than {@linkcode formatDuration} below ten seconds.
 *
 * @param seconds How long.
 * @returns Like `0.8s` or `2m 05s`.
 */
export function formatElapsed(seconds: number): string {
  return seconds < 9.95 ? `${Math.max(0, seconds).toFixed(1)}s` : formatDuration(seconds);
}

/**
 * A whole number with its digits in threes.
 *
 * @param value Any whole number.
 * @returns Like `1,234,567`.
 */
export function formatCount(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
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
