/**
 * A model of a terminal: what it shows, and what it does to its lines when its size changes.
 *
 * @module
 */

/** A row of the terminal. */
interface Row {
  /** Characters by cell; the second cell of a wide character is empty. */
  cells: string[];
  /** `true` if the line goes on in the next row. */
  wrapped: boolean;
}

/** Options for {@linkcode ScreenModel}. */
export interface ScreenModelOptions {
  /** Width in cells. */
  readonly columns: number;
  /** Height in rows (default: no limit, so that nothing scrolls away). */
  readonly rows?: number;
  /**
   * What terminals differ in. `tmux` brings rows back from the scrollback when it becomes higher, and counts erased cells
   * at the end of a row as a part of the line, except in a row that was erased as a whole. When everything is erased from
   * the first cell on, it moves the screen into the scrollback. `plain` does none of that.
   */
  readonly kind?: "tmux" | "plain";
}

/** The parts of a terminal that the views use: wrapping, scrolling, moving up, erasing, changes of the size. */
export class ScreenModel {
  columns: number;
  height: number;
  cursorVisible = true;
  /** The scrollback and the screen. */
  #all: Row[] = [emptyRow()];
  /** Index of the first row of the screen. */
  #top = 0;
  #row = 0;
  #column = 0;
  readonly #kind: "tmux" | "plain";

  constructor(options: ScreenModelOptions) {
    this.columns = options.columns;
    this.height = options.rows ?? Infinity;
    this.#kind = options.kind ?? "tmux";
    this.#fill();
  }

  /** Shows text with escape sequences. */
  feed(text: string): void {
    // deno-lint-ignore no-control-regex
    for (const [token] of text.matchAll(/\x1b\[(\??\d*)([A-Za-z])|[^\x1b]/gu)) this.#one(token);
  }

  /** Rows of the screen, without empty ones at the end. */
  get lines(): string[] {
    return textOf(this.#all.slice(this.#top));
  }

  /** Row of the cursor, from 1. */
  get cursorRow(): number {
    return this.#row - this.#top + 1;
  }

  /** Rows of the scrollback. */
  get scrollback(): string[] {
    return this.#all.slice(0, this.#top).map(({ cells }) => cells.join("").trimEnd());
  }

  /** Changes the size of the window. */
  resize(columns: number, rows: number): void {
    this.#changeHeight(rows);
    if (columns !== this.columns) this.#reflow(columns);
  }

  #changeHeight(rows: number): void {
    if (rows < this.height) {
      // Rows below the cursor go first, then rows of the top scroll away.
      this.#all.length -= Math.min(this.#all.length - 1 - this.#row, this.height - rows);
      this.#top = this.#all.length - rows;
    } else if (this.#kind === "tmux") {
      this.#top = Math.max(0, this.#top - (rows - this.height));
    }
    this.height = rows;
    this.#fill();
  }

  /** Divides the lines into rows of another width. The screen is what comes last, including its empty rows. */
  #reflow(columns: number): void {
    const lines: Row[][] = [];
    for (const [i, row] of this.#all.entries()) {
      if (i > 0 && this.#all[i - 1]!.wrapped) lines.at(-1)!.push(row);
      else lines.push([row]);
    }
    const [top, cursor] = [this.#all[this.#top]!, this.#all[this.#row]!];
    const all: Row[] = [];
    for (const line of lines) {
      if (line.includes(top)) this.#top = all.length;
      if (line.includes(cursor)) this.#row = all.length;
      let row = emptyRow();
      for (const cell of line.flatMap(({ cells }) => this.#kind === "plain" ? trimmed(cells) : cells)) {
        if (row.cells.length === columns) {
          row.wrapped = true;
          all.push(row);
          row = emptyRow();
        }
        row.cells.push(cell);
      }
      all.push(row);
    }
    this.#all = all;
    this.columns = columns;
    if (this.#kind === "tmux") this.#top = Math.max(0, all.length - this.height);
    else {
      this.#top = Math.max(this.#top, this.#row - this.height + 1);
      this.#all.length = Math.min(this.#all.length, this.#top + this.height);
    }
    this.#fill();
  }

  /** Adds empty rows, so that the screen is full. */
  #fill(): void {
    while (Number.isFinite(this.height) && this.#all.length < this.#top + this.height) this.#all.push(emptyRow());
  }

  #one(token: string): void {
    const row = this.#all[this.#row]!;
    if (token === "\n") {
      row.wrapped = false;
      this.#down();
    } else if (token === "\r") {
      this.#column = 0;
    } else if (token.startsWith("\x1b")) {
      this.#sequence(token, row);
    } else {
      if (this.#column === this.columns) {
        row.wrapped = true;
        this.#down();
      }
      const { cells } = this.#all[this.#row]!;
      while (cells.length < this.#column) cells.push(" ");
      cells[this.#column++] = token;
    }
  }

  #sequence(token: string, row: Row): void {
    const count = Number(token.slice(2, -1)) || 1;
    if (token.endsWith("A")) this.#row = Math.max(this.#top, this.#row - count);
    else if (token.endsWith("2K")) this.#eraseLine(this.#row);
    else if (token.endsWith("K")) this.#eraseFrom(row, this.#column);
    else if (token.endsWith("J")) this.#eraseBelow(row);
    else if (token.includes("?25")) this.cursorVisible = token.endsWith("h");
  }

  /** A line that has wrapped ends where its next row is erased. */
  #eraseLine(index: number): void {
    this.#all[index] = emptyRow();
    if (index > 0) this.#all[index - 1]!.wrapped = false;
  }

  #eraseBelow(row: Row): void {
    const isAll = this.#row === this.#top && this.#column === 0;
    if (isAll && this.#kind === "tmux" && Number.isFinite(this.height)) {
      const used = this.#all.findLastIndex(({ cells }) => cells.length > 0) + 1;
      this.#top = this.#row = Math.max(this.#top, used);
      this.#all.length = this.#top;
    } else {
      this.#eraseFrom(row, this.#column);
      this.#all.length = this.#row + 1;
    }
    this.#fill();
  }

  #eraseFrom(row: Row, column: number): void {
    if (column === 0 || this.#kind === "plain") row.cells.length = Math.min(column, row.cells.length);
    else row.cells.fill(" ", column);
  }

  #down(): void {
    this.#column = 0;
    this.#row++;
    this.#all[this.#row] ??= emptyRow();
    this.#top = Math.max(this.#top, this.#row - this.height + 1);
  }
}

function emptyRow(): Row {
  return { cells: [], wrapped: false };
}

function trimmed(cells: readonly string[]): string[] {
  const end = cells.findLastIndex((cell) => cell !== " ");
  return cells.slice(0, end + 1);
}

function textOf(rows: readonly Row[]): string[] {
  const lines = rows.map(({ cells }) => cells.join("").trimEnd());
  while (lines.length > 0 && lines.at(-1) === "") lines.pop();
  return lines;
}
