/**
 * The progress bar.
 *
 * @module
 */

import { type Paint, painted, type Style } from "./style.ts";

/** Left one-eighth block to left seven-eighths block. */
const EIGHTHS = ["", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"];
const FULL = "\u2588";
/** Thin walls that touch the inside: right one-eighth block and left one-eighth block. */
const LEFT_WALL = "\u2595";
const RIGHT_WALL = "\u258f";

/**
 * A progress bar, smooth to an eighth of a cell. It is full only when `progress` is 1.
 *
 * @param progress 0 to 1; anything else counts as the nearer end.
 * @param options `width`: cells in all, at least 3. `paint`: colour of what is done. `style`: what the terminal can show.
 * @returns Text of `width` cells.
 */
export function renderBar(
  progress: number,
  options: { readonly width: number; readonly paint: Paint; readonly style: Style },
): string {
  const { paint, style } = options;
  const inside = options.width - 2;
  const part = Math.min(1, Math.max(0, progress));
  if (!style.unicode) {
    const full = Math.floor(part * inside);
    return `[${painted("#".repeat(full), paint, style)}${painted("-".repeat(inside - full), "dim", style)}]`;
  }
  const eighths = Math.floor(part * inside * 8);
  const full = Math.floor(eighths / 8);
  const edge = EIGHTHS[eighths % 8]!;
  const done = painted(FULL.repeat(full) + edge, paint, style);
  const left = " ".repeat(inside - full - edge.length);
  return painted(LEFT_WALL, "dim", style) + done + left + painted(RIGHT_WALL, "dim", style);
}
