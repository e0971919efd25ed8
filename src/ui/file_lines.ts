/**
 * Draws the files of a torrent with their progress.
 *
 * @module
 */

import type { FileSnapshot } from "../session/session_events.ts";
import { formatColumnSize, formatPercent } from "./format.ts";
import { painted, type Style } from "./style.ts";
import { clip } from "./text.ts";

const SIZE_WIDTH = 9;
const NUMBERS_WIDTH = 6 + 2 + SIZE_WIDTH + 2;

/** Options for {@linkcode renderFiles}. */
export interface RenderFilesOptions {
  /** Width in cells. */
  readonly width: number;
  /** Most lines. */
  readonly room: number;
  /** Index of the first file to show. */
  readonly scroll: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws files.
 *
 * @param files All files of the torrent.
 * @param place See {@linkcode RenderFilesOptions}.
 * @returns A heading, and a line for each file that fits.
 */
export function renderFiles(files: readonly FileSnapshot[], place: RenderFilesOptions): string[] {
  const { width, style } = place;
  const rows = Math.max(0, place.room - 1);
  const first = Math.max(0, Math.min(place.scroll, files.length - rows));
  const shown = files.slice(first, first + rows);
  const range = shown.length === files.length ? "" : `, ${first + 1} to ${first + shown.length}; arrows move`;
  const heading = files.length === 0 ? "The files are not known yet" : `Files: ${files.length}${range}`;
  return [painted(clip(heading, { width, style }), "dim", style), ...shown.map((file) => fileLine(file, width, style))];
}

function fileLine(file: FileSnapshot, width: number, style: Style): string {
  const { size, verified, wanted, path } = file;
  const done = size === 0 ? 1 : verified / size;
  const part = (wanted ? formatPercent(done) : "not").padStart(6);
  const paint = !wanted ? "dim" : done >= 1 ? "green" : "cyan";
  const name = clip(path, { width: Math.max(1, width - NUMBERS_WIDTH), style });
  return `${painted(part, paint, style)}  ${formatColumnSize(size).padStart(SIZE_WIDTH)}  ${
    wanted ? name : painted(name, "dim", style)
  }`;
}
