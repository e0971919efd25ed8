/**
 * Text on a grid of character cells: made harmless, measured, cut and padded.
 *
 * @module
 */

import stringWidth from "string-width";

/** Which side of its column a text keeps to. */
export type Align = "left" | "right";

const ELLIPSIS = "\u2026";
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const BREAKS = /[\t\n\v\f\r\x85\u2028\u2029]+/g;
const CONTROLS = /[\p{Cc}\p{Cs}]/gu;
/** Format characters turn the direction of text, join letters or show nothing; terminals disagree about all of them. */
const INVISIBLE = /[\p{Cf}\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}\u115f\u1160\u3164\uffa0]/gu;
const TOO_MANY_MARKS = /(\p{M}{3})\p{M}+/gu;
const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * Text from outside, fit for a terminal: no control, escape or bidirectional characters, nothing invisible, no piles of
 * accents, all on one line.
 *
 * @param text A name, a client's version, a tracker's message: anything.
 * @returns Text that takes the width it shows.
 */
export function printable(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replace(BREAKS, " ").replace(CONTROLS, "\ufffd").replace(INVISIBLE, "").replace(TOO_MANY_MARKS, "$1");
}

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
