/**
 * Draws a progress bar.
 *
 * @module
 */

import { type Paint, painted, type Style } from "./style.ts";

/** Partial blocks, from one eighth to seven eighths of a cell. */
const EIGHTHS = ["", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"];
const FULL = "\u2588";
/** Thin ends of the bar that touch its inside: right one-eighth block and left one-eighth block. */
const LEFT_WALL = "\u2595";
const RIGHT_WALL = "\u258f";

/** Options for {@linkcode renderBar}. */
export interface BarOptions {
  /** Cells of the whole bar, at least 3. */
  readonly width: number;
  /** Colour of the completed part. */
  readonly paint: Paint;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws a progress bar with a resolution of an eighth of a cell. The bar is full only if `progress` is 1.
 *
 * @param progress 0 to 1; clamped to that range.
 * @param options See {@linkcode BarOptions}.
 * @returns Text of `width` cells.
 */
export function renderBar(progress: number, options: BarOptions): string {
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
