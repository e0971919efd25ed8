/**
 * Parses rate limits that the user types in the live view.
 *
 * @module
 */

import { parseSizeText } from "../base/size_text.ts";

/** Rate limits in bytes per second; `null` for no limit, absent for no change. */
export interface TypedLimits {
  readonly down?: number | null;
  readonly up?: number | null;
}

/**
 * Parses a download limit, optionally followed by an upload limit. `0` and `none` mean no limit, `-` means no change.
 *
 * @param text Text such as `5M`, `5MB 500K`, `- 500K` or `none none`.
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
  const rate = Math.round(parseSizeText(word));
  return Number.isSafeInteger(rate) ? rate || null : undefined;
}
