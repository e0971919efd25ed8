/**
 * Parses rate limits that the user types in the live view.
 *
 * @module
 */

/** Bytes per unit. */
const UNITS: Readonly<Record<string, number>> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };

/** Rate limits in bytes per second; `null` for no limit, absent for no change. */
export interface TypedLimits {
  readonly down?: number | null;
  readonly up?: number | null;
}

/**
 * Parses a download limit, optionally followed by an upload limit. `0` and `none` mean no limit, `-` means no change.
 *
 * @param text Text such as `5M`, `5M 500K`, `- 500K` or `none none`.
 * @returns The limits, or `null` if the text is invalid.
 */
export function parseLimits(text: string): TypedLimits | null {
  const words = text.trim().split(/[\s,/]+/);
  if (words.length > 2) return null;
  const [down, up] = [words[0]!, words[1] ?? "-"].map(parseLimit);
  if (down === undefined || up === undefined) return null;
  return { ...(down !== "same" && { down }), ...(up !== "same" && { up }) };
}

function parseLimit(word: string): number | null | "same" | undefined {
  if (word === "-") return "same";
  if (/^none$/i.test(word)) return null;
  const match = /^(\d{1,9}(?:\.\d{1,3})?)([KMG]?)$/i.exec(word);
  if (!match) return undefined;
  return Math.round(Number(match[1]) * UNITS[match[2]!.toUpperCase()]!) || null;
}
