/**
 * Text on a grid of character cells: measured, cut and padded.
 *
 * @module
 */

import stringWidth from "string-width";
import { shown, type Style } from "./style.ts";

/** Which side of its column a text keeps to. */
export type Align = "left" | "right";

const ELLIPSIS = "\u2026";
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * How many cells a text takes: two for a wide character, none for a combining one.
 *
 * @param text Printable text, no escape sequences.
 * @returns Cells.
 */
export function displayWidth(text: string): number {
  return PRINTABLE_ASCII.test(text) ? text.length : stringWidth(text);
}

/** How {@linkcode truncate} and {@linkcode fit} shape a text. */
export interface Fit {
  /** Cells, 0 or more. */
  readonly width: number;
  /** Which side of the column the text keeps to; left when absent. */
  readonly align?: Align;
  /** One cell that stands for what was cut off; U+2026 when absent. */
  readonly ellipsis?: string;
}

/**
 * Text cut to a width.
 *
 * @param text Printable text.
 * @param options `width`: most cells. `ellipsis`: what stands for the rest.
 * @returns Text of at most `width` cells.
 */
export function truncate(text: string, options: Fit): string {
  const { width, ellipsis = ELLIPSIS } = options;
  if (displayWidth(text) <= width) return text;
  if (width <= 0) return "";
  if (PRINTABLE_ASCII.test(text)) return text.slice(0, width - 1) + ellipsis;
  let used = 1; // the ellipsis
  let kept = "";
  for (const { segment } of segmenter.segment(text)) {
    const cells = displayWidth(segment);
    if (used + cells > width) break;
    used += cells;
    kept += segment;
  }
  return kept + ellipsis;
}

/**
 * Text that takes a width exactly: cut when it is too long, padded when it is too short.
 *
 * @param text Printable text.
 * @param options How to shape it.
 * @returns Text of exactly `width` cells.
 */
export function fit(text: string, options: Fit): string {
  const cut = truncate(text, options);
  const space = " ".repeat(Math.max(0, options.width - displayWidth(cut)));
  return options.align === "right" ? space + cut : cut + space;
}

/**
 * Text from outside in a column.
 *
 * @param text Anything.
 * @param options `width`: cells. `align`: which side it keeps to; left when absent. `style`: what the terminal can show.
 * @returns Printable text of exactly `width` cells.
 */
export function cell(
  text: string,
  options: { readonly width: number; readonly align?: Align; readonly style: Style },
): string {
  const { width, align = "left", style } = options;
  return fit(shown(text, style), { width, align, ellipsis: ellipsisOf(style) });
}

/**
 * Text from outside, cut to a width.
 *
 * @param text Anything.
 * @param options `width`: most cells. `style`: what the terminal can show.
 * @returns Printable text.
 */
export function clip(text: string, { width, style }: { readonly width: number; readonly style: Style }): string {
  return truncate(shown(text, style), { width, ellipsis: ellipsisOf(style) });
}

function ellipsisOf(style: Style): string {
  return style.unicode ? ELLIPSIS : "~";
}
