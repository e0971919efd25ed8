/**
 * Measures text, and cuts text to a width, in character cells.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
import stringWidth from "string-width";
import { shown, type Style } from "./style.ts";

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

/** Options for {@linkcode clip}. */
export interface ClipOptions {
  /** Most cells, 0 or more. A wide character takes two. */
  readonly width: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Makes text from outside printable and cuts it to a width.
 *
 * @param text Text from outside.
 * @param options See {@linkcode ClipOptions}.
 * @returns Printable text of at most `width` cells, with an ellipsis in the last cell if it was cut.
 */
export function clip(text: string, { width, style }: ClipOptions): string {
  const safe = shown(text, style);
  // Each ASCII character takes one cell. Measuring the width of other text is the most expensive part of a frame.
  if (safe.length <= width && PRINTABLE_ASCII.test(safe)) return safe;
  return cliTruncate(safe, width, { truncationCharacter: style.unicode ? "\u2026" : "~" });
}

// deno-lint-ignore no-control-regex
const PAINT = /\x1b\[[\d;]*m/g;
/** Characters that frames mostly consist of, each one cell wide: ASCII, blocks, arrows and dots. */
const NARROW = /^[\x20-\x7e\u00b7\u2026\u2191\u2193\u2580-\u259f\u25b8]*$/;

/**
 * Measures the width of text. Gives the same result as string-width, but faster for text of frames.
 *
 * @param text Printable text, with or without colours.
 * @returns Cells.
 */
export function widthOf(text: string): number {
  const bare = text.replace(PAINT, "");
  return NARROW.test(bare) ? bare.length : stringWidth(bare);
}

/**
 * Divides text into the rows that it takes in a window.
 *
 * @param text Printable text, with or without colours.
 * @param columns Width of the window, in cells.
 * @returns The rows without colours, at least one. A wide character that doesn't fit into the rest of a row starts the
 * next one.
 */
export function rowsOf(text: string, columns: number): string[] {
  const bare = text.replace(PAINT, "");
  if (widthOf(bare) <= columns) return [bare];
  const rows: string[] = [];
  let row = "";
  let left = columns;
  for (const { segment } of new Intl.Segmenter().segment(bare)) {
    const width = widthOf(segment);
    if (width > left && row !== "") {
      rows.push(row);
      row = "";
      left = columns;
    }
    row += segment;
    left -= width;
  }
  return [...rows, row];
}

/** Options for {@linkcode packWords}. */
export interface PackOptions extends ClipOptions {
  /** Most lines, 0 or more. */
  readonly room: number;
}

/**
 * Makes text from outside printable and breaks it into lines between words.
 *
 * @param text Text from outside.
 * @param options See {@linkcode PackOptions}.
 * @returns Lines of at most `width` cells. The last one ends with an ellipsis if the text doesn't fit into `room` lines.
 */
export function packWords(text: string, { width, style, room }: PackOptions): string[] {
  const lines: string[] = [];
  let rest = shown(text, style).trim();
  while (rest !== "" && lines.length < room) {
    const [row] = rowsOf(rest, width);
    const end = row!.length === rest.length ? rest.length : rest.lastIndexOf(" ", row!.length);
    // A word that is longer than a line is broken.
    const line = lines.length === room - 1 ? clip(rest, { width, style }) : rest.slice(0, end > 0 ? end : row!.length);
    lines.push(line.trimEnd());
    rest = rest.slice(line.length).trimStart();
  }
  return lines;
}
