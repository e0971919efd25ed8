/**
 * Text from outside, cut to a width in character cells.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
import { shown, type Style } from "./style.ts";

/**
 * Text from outside, cut to a width.
 *
 * @param text Anything.
 * @param options `width`: most cells, 0 or more; a wide character takes two. `style`: what the terminal can show.
 * @returns Printable text of at most `width` cells; its last one says so when something was cut off.
 */
export function clip(text: string, { width, style }: { readonly width: number; readonly style: Style }): string {
  return cliTruncate(shown(text, style), width, { truncationCharacter: style.unicode ? "\u2026" : "~" });
}
