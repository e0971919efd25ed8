/**
 * A part of the terminal that is drawn over and over, as text for the terminal. It is not log-update's job, because that
 * goes up by as many lines as it wrote: after the window became narrower, wrapped remains of each frame would stay on the
 * screen. It also looks at the process's own output when it is loaded, past the `Terminal` that is handed in.
 *
 * @module
 */

import { widthOf } from "./text.ts";

const ESC = "\x1b[";
/** Synchronized output: terminals that know it show what is between all at once, others ignore it. */
const BEGIN = `${ESC}?2026h`;
const END = `${ESC}?2026l`;
/** The cursor is hidden only while a frame is drawn: whatever stops the program between two frames leaves it visible. */
const SHOW_CURSOR = `${ESC}?25h`;
const HIDE_CURSOR = `${ESC}?25l`;
const ERASE_LINE_END = `${ESC}K`;
const ERASE_BELOW = `${ESC}J`;

/** Lines at the bottom of the output that replace themselves. Keeps what it drew last; the cursor rests below it. */
export class LiveRegion {
  #drawn: readonly string[] = [];
  #columns = 0;

  /**
   * The next picture.
   *
   * @param lines What to show, none wider than the window.
   * @param options `columns`: width of the window now. `above`: lines that scroll away above the region, once.
   * @returns Text for the terminal; empty when there is nothing new to show.
   */
  draw(
    lines: readonly string[],
    options: { readonly columns: number; readonly above?: readonly string[]; readonly force?: boolean },
  ): string {
    const { columns, above = [], force = false } = options;
    if (!force && above.length === 0 && columns === this.#columns && sameLines(lines, this.#drawn)) return "";
    const start = this.#toStart(columns);
    // Lines are replaced in place, for what is erased first can flicker; lines above may wrap, so they need the room.
    const fixed = above.length === 0 ? "" : `${ERASE_BELOW}${above.map((line) => `${line}\n`).join("")}`;
    // What is there already is passed over.
    const stays = !force && above.length === 0 && columns === this.#columns ? this.#drawn : [];
    const region = lines.map((line, i) =>
      line === stays[i] ? "\n" : `${line}${widthOf(line) < columns ? ERASE_LINE_END : ""}\n`
    ).join("");
    this.#drawn = [...lines];
    this.#columns = columns;
    return `${BEGIN}${HIDE_CURSOR}${start}${fixed}${region}${ERASE_BELOW}${SHOW_CURSOR}${END}`;
  }

  /**
   * Takes the region away.
   *
   * @param options `columns`: width of the window now. `left`: lines that stay in its place.
   * @returns Text for the terminal.
   */
  end(options: { readonly columns: number; readonly left: readonly string[] }): string {
    const start = this.#toStart(options.columns);
    this.#drawn = [];
    return `${BEGIN}${start}${ERASE_BELOW}${options.left.map((line) => `${line}\n`).join("")}${END}`;
  }

  /** Others have written below the region: it stays as it is, and the next one is drawn where the cursor is then. */
  leave(): void {
    this.#drawn = [];
    this.#columns = 0;
  }

  /** Moves the cursor to the first cell of what was drawn; lines wrap anew when the window became narrower. */
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
