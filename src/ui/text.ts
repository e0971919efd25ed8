/**
 * Text from outside, cut to a width in character cells.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
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
