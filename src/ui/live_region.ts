/**
 * Redraws a region at the bottom of the terminal by generating escape sequences. log-update doesn't fit: it moves up by
 * the number of lines it wrote, so that wrapped remains of each frame stay on the screen after the window became
 * narrower. It also reads the process's own output when loaded, bypassing the `Terminal` interface.
 *
 * @module
 */

import { widthOf } from "./text.ts";

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
const ERASE_LINE_END = `${ESC}K`;
const ERASE_BELOW = `${ESC}J`;

/** Options for {@linkcode LiveRegion.draw}. */
export interface DrawRegionOptions {
  /** Current width of the window, in cells. */
  readonly columns: number;
  /** Lines to print once above the region, where they scroll away (default none). */
  readonly above?: readonly string[];
  /** Whether to redraw unchanged lines, too (default `false`). */
  readonly force?: boolean;
}

/** Options for {@linkcode LiveRegion.end}. */
export interface EndRegionOptions {
  /** Current width of the window, in cells. */
  readonly columns: number;
  /** Lines to print in place of the region. */
  readonly left: readonly string[];
}

/** Lines at the bottom of the terminal that are redrawn in place. The cursor rests below the region. */
export class LiveRegion {
  #drawn: readonly string[] = [];
  #columns = 0;

  /**
   * Draws a frame.
   *
   * @param lines Lines of the region, none wider than the window.
   * @param options See {@linkcode DrawRegionOptions}.
   * @returns Text for the terminal; empty if nothing has changed.
   */
  draw(lines: readonly string[], options: DrawRegionOptions): string {
    const { columns, above = [], force = false } = options;
    if (!force && above.length === 0 && columns === this.#columns && sameLines(lines, this.#drawn)) return "";
    const start = this.#toStart(columns);
    // Lines are overwritten, not erased first, which would flicker. Only for lines above the region everything is
    // erased, since those lines may wrap.
    const fixed = above.length === 0 ? "" : `${ERASE_BELOW}${above.map((line) => `${line}\n`).join("")}`;
    // Unchanged lines are skipped.
    const stays = !force && above.length === 0 && columns === this.#columns ? this.#drawn : [];
    const region = lines.map((line, i) =>
      line === stays[i] ? "\n" : `${line}${widthOf(line) < columns ? ERASE_LINE_END : ""}\n`
    ).join("");
    this.#drawn = [...lines];
    this.#columns = columns;
    return `${BEGIN}${HIDE_CURSOR}${start}${fixed}${region}${ERASE_BELOW}${SHOW_CURSOR}${END}`;
  }

  /**
   * Removes the region.
   *
   * @param options See {@linkcode EndRegionOptions}.
   * @returns Text for the terminal.
   */
  end(options: EndRegionOptions): string {
    const start = this.#toStart(options.columns);
    this.#drawn = [];
    return `${BEGIN}${start}${ERASE_BELOW}${options.left.map((line) => `${line}\n`).join("")}${END}`;
  }

  /**
   * Called when another program has written below the region. The region stays as it is, and the next frame is drawn at
   * the cursor.
   */
  leave(): void {
    this.#drawn = [];
    this.#columns = 0;
  }

  /** Moves the cursor to the first cell of the region. Drawn lines have wrapped if the window became narrower. */
  #toStart(columns: number): string {
    const rows = columns >= this.#columns
      ? this.#drawn.length
      : this.#drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    return rows === 0 ? "" : `\r${ESC}${rows}A`;
  }
}

function sameLines(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((line, i) => line === b[i]);
}
