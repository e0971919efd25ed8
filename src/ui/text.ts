/**
 * Text from outside, cut to a width in character cells.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
import stringWidth from "string-width";
import { shown, type Style } from "./style.ts";

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/**
 * Text from outside, cut to a width.
 *
 * @param text Anything.
 * @param options `width`: most cells, 0 or more; a wide character takes two. `style`: what the terminal can show.
 * @returns Printable text of at most `width` cells; its last one says so when something was cut off.
 */
export function clip(text: string, { width, style }: { readonly width: number; readonly style: Style }): string {
  const safe = shown(text, style);
  // A character is a cell there, and measuring costs more than all else in a frame.
  if (safe.length <= width && PRINTABLE_ASCII.test(safe)) return safe;
  return cliTruncate(safe, width, { truncationCharacter: style.unicode ? "\u2026" : "~" });
}

// deno-lint-ignore no-control-regex
const PAINT = /\x1b\[[\d;]*m/g;
/** What frames are made of for the most part: ASCII, blocks, arrows and dots, a cell each. */
const NARROW = /^[\x20-\x7e\u00b7\u2026\u2191\u2193\u2580-\u259f\u25b8]*$/;

/**
 * How wide text is, like string-width says, but quickly for what frames are made of.
 *
 * @param text Printable text, painted or not.
 * @returns Cells.
 */
export function widthOf(text: string): number {
  const bare = text.replace(PAINT, "");
  return NARROW.test(bare) ? bare.length : stringWidth(bare);
}
