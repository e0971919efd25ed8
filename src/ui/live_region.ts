/**
 * Redraws a region at the bottom of the terminal by generating escape sequences. log-update doesn't fit: it moves up by
 * the number of lines it wrote, so that wrapped remains of each frame stay on the screen after the window became
 * narrower. It also reads the process's own output when loaded, bypassing the `Terminal` interface.
 *
 * @module
 */

import { rowsOf, widthOf } from "./text.ts";

const ESC = "\x1b[";
/**
 * Synchronized output: terminals that support it show everything between the two sequences at once; others ignore it.
 */
const BEGIN = `${ESC}?2026h`;
const END = `${ESC}?2026l`;
/**
 * The cursor is hidden only while a frame is drawn, so that it stays visible if the program stops between two frames.
 */
const SHOW_CURSOR = `${ESC}?25h`;
const HIDE_CURSOR = `${ESC}?25l`;
const ERASE_LINE = `${ESC}2K`;
const ERASE_LINE_END = `${ESC}K`;
const ERASE_BELOW = `${ESC}J`;

/** Options for {@linkcode LiveRegion.draw}. */
export interface DrawRegionOptions {
  /** Current width of the window, in cells. */
  readonly columns: number;
  /** Current height of the window, in lines (default: high enough for the region). */
  readonly rows?: number;
  /** Lines to print once above the region, where they scroll away (default none). */
  readonly above?: readonly string[];
  /** Whether to redraw unchanged lines, too (default `false`). */
  readonly force?: boolean;
}

/** Options for {@linkcode LiveRegion.end}. */
export interface EndRegionOptions {
  /** Current width of the window, in cells. */
  readonly columns: number;
  /** Current height of the window, in lines (default: high enough for the region). */
  readonly rows?: number;
  /** Lines to print in place of the region. */
  readonly left: readonly string[];
}

/**
 * Lines at the bottom of the terminal that are redrawn in place. The cursor rests below the region.
 *
 * A window that becomes smaller pushes lines of the region into the scrollback, where nothing can erase them. They come
 * back when the window becomes larger, so the region remembers them and erases them then.
 */
export class LiveRegion {
  #drawn: readonly string[] = [];
  #columns = 0;
  #rows = Infinity;
  /** Rows below the cursor, at least. They leave the window first when it becomes lower. */
  #below = 0;
  /** Lines of earlier frames in the scrollback, directly above the region. */
  #lost: readonly string[] = [];

  /**
   * Draws a frame.
   *
   * @param lines Lines of the region, none wider than the window, fewer than its rows.
   * @param options See {@linkcode DrawRegionOptions}.
   * @returns Text for the terminal; empty if nothing has changed.
   */
  draw(lines: readonly string[], options: DrawRegionOptions): string {
    const { columns, rows = Infinity, above = [], force = false } = options;
    const resized = this.#isResized(columns, rows);
    const isNew = force || resized || above.length > 0;
    if (!isNew && sameLines(lines, this.#drawn)) return "";
    const up = this.#rowsUp(columns, rows);
    // Lines are overwritten, not erased first, which would flicker. After a change of the size, and for lines above the
    // region, everything is erased, since lines may have wrapped.
    const erases = resized || above.length > 0 || lines.length === 0;
    const start = erases ? eraseRows(up) : toStart(up);
    const fixed = above.map((line) => `${line}\n`).join("");
    const old = erases ? [] : this.#drawn;
    // Unchanged lines are skipped.
    const stays = isNew ? [] : this.#drawn;
    const region = lines.map((line, i) => `${line === stays[i] ? "" : overwrite(line, old[i], columns)}\n`);
    // What is in the scrollback can't be reached any more once other lines follow it.
    if (above.length > 0) this.#lost = [];
    const added = above.reduce((sum, line) => sum + rowsOf(line, columns).length, lines.length);
    this.#below = Math.max(0, this.#below + Math.min(up, rows - 1 - this.#below) - added);
    this.#drawn = [...lines];
    this.#columns = columns;
    this.#rows = rows;
    const rest = lines.length > 0 ? ERASE_BELOW : "";
    return `${BEGIN}${HIDE_CURSOR}${start}${fixed}${region.join("")}${rest}${SHOW_CURSOR}${END}`;
  }

  /**
   * Removes the region.
   *
   * @param options See {@linkcode EndRegionOptions}.
   * @returns Text for the terminal.
   */
  end(options: EndRegionOptions): string {
    const up = this.#rowsUp(options.columns, options.rows ?? Infinity);
    this.leave();
    return `${BEGIN}${eraseRows(up)}${options.left.map((line) => `${line}\n`).join("")}${END}`;
  }

  /**
   * Called when the terminal has said where the cursor was after the last frame. Until then the region assumes that the
   * cursor is in the last row, and may leave some rows of old frames when the window becomes narrower.
   *
   * @param row Row of the cursor, from 1.
   */
  cursorAt(row: number): void {
    if (Number.isFinite(this.#rows)) this.#below = Math.max(0, this.#rows - row);
  }

  /**
   * Called when another program has written below the region. The region stays as it is, and the next frame is drawn at
   * the cursor.
   */
  leave(): void {
    this.#drawn = [];
    this.#columns = 0;
    this.#below = 0;
    this.#lost = [];
  }

  #isResized(columns: number, rows: number): boolean {
    return this.#columns !== 0 && (columns !== this.#columns || rows !== this.#rows);
  }

  /**
   * Returns the number of rows from the first one of the region on the screen to the cursor. After a change of the size,
   * lines may have wrapped anew, and lines may have moved into the scrollback or come back from it.
   */
  #rowsUp(columns: number, rows: number): number {
    return this.#isResized(columns, rows) ? this.#measure(columns, rows) : this.#drawn.length;
  }

  /**
   * Finds out which lines of the region are in the scrollback.
   *
   * @returns Number of rows from the first one on the screen to the cursor, or more if the first one is the screen's.
   */
  #measure(columns: number, rows: number): number {
    const lines = [...this.#lost, ...this.#drawn];
    const heights = lines.map((line) => rowsOf(line, columns).length);
    const total = heights.reduce((sum, height) => sum + height, 0);
    this.#below = Math.max(0, this.#below - Math.max(0, this.#rows - rows));
    let gone = Math.max(0, total - (rows - 1 - this.#below));
    const lost: string[] = [];
    for (let i = 0; gone > 0; i++) {
      lost.push(rowsOf(lines[i]!, columns).slice(0, gone).join(""));
      gone -= heights[i]!;
    }
    this.#lost = lost;
    return Math.min(total, rows - 1);
  }
}

/** Returns text that moves the cursor up to the first cell of a row. */
function toStart(up: number): string {
  return up === 0 ? "" : `\r${ESC}${up}A`;
}

/**
 * Returns text that erases the rows above the cursor and moves the cursor to the first of them. Row by row, since tmux
 * moves the whole screen into the scrollback when everything is erased at once from the first cell on.
 */
function eraseRows(up: number): string {
  return toStart(up) + `${ERASE_LINE}\n`.repeat(up) + toStart(up);
}

/**
 * Returns text that replaces a line of the last frame. A line that becomes shorter is erased as a whole: some terminals
 * count erased cells at its end as a part of the line, and wrap them when the window becomes narrower.
 */
function overwrite(line: string, old: string | undefined, columns: number): string {
  const width = widthOf(line);
  if (old !== undefined && width < widthOf(old)) return ERASE_LINE + line;
  return width < columns ? line + ERASE_LINE_END : line;
}

function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i]);
}
