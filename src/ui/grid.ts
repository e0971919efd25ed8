/**
 * Draws rows in columns. Drops the less important columns in a narrow window.
 *
 * @module
 */

import { type Paint, painted, shown, type Style } from "./style.ts";
import { clip } from "./text.ts";

/** A column of rows of type `Row`. */
export interface Column<Row> {
  /** Heading of the column. */
  readonly header: string;
  /** Alignment of the cells (default `left`). */
  readonly align?: "left" | "right";
  /** Smallest width, in character cells. The column is dropped if it doesn't fit. */
  readonly min: number;
  /** Largest width, in character cells. */
  readonly max: number;
  /** Columns with a higher number are dropped first. */
  readonly priority: number;
  /** Returns the text of a cell. Only the last column shows non-ASCII characters. */
  readonly text: (row: Row) => string;
  /** Returns the colour of a cell (default `plain`). */
  readonly paint?: (row: Row) => Paint;
  /** Colour of the heading (default `dim`). */
  readonly headPaint?: Paint;
}

/** A column and the width that it got. */
export interface Placed<Row> {
  /** The column. */
  readonly column: Column<Row>;
  /** Width in character cells. */
  readonly width: number;
}

const GAP = "  ";
const ASCII: Style = { color: false, unicode: false };

/**
 * Chooses the columns that fit the window, and divides the width among them.
 *
 * @param columns All columns in display order.
 * @param width Width of the window, in cells.
 * @returns The columns that fit, in display order.
 */
export function placeColumns<Row>(columns: readonly Column<Row>[], width: number): Placed<Row>[] {
  const byPriority = columns.toSorted((a, b) => a.priority - b.priority);
  const widths = new Map<Column<Row>, number>();
  let left = width + GAP.length;
  for (const column of byPriority) {
    if (column.min + GAP.length > left) break;
    widths.set(column, column.min);
    left -= column.min + GAP.length;
  }
  for (const [column, min] of widths) {
    const more = Math.min(left, column.max - min);
    widths.set(column, min + more);
    left -= more;
  }
  return columns.flatMap((column) => {
    const own = widths.get(column);
    return own === undefined ? [] : [{ column, width: own }];
  });
}

/** Options for {@linkcode renderGrid}. */
export interface GridOptions<Row> {
  /** All columns in display order. The column with text from outside is the last one. */
  readonly columns: readonly Column<Row>[];
  /** Width of the window, in cells. */
  readonly width: number;
  /** Whether to draw a line of headings. */
  readonly head: boolean;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws rows in columns.
 *
 * @param rows The rows, at least one.
 * @param options See {@linkcode GridOptions}.
 * @returns A line for each row and one for the headings, none wider than the window.
 */
export function renderGrid<Row>(rows: readonly Row[], options: GridOptions<Row>): string[] {
  const { columns, width, head, style } = options;
  const placed = placeColumns(columns, width);
  const last = columns.at(-1);
  const draw = (row: Row | null): string =>
    placed.map(({ column, width }) => {
      const isLast = column === last;
      const text = row === null ? column.header : column.text(row);
      const cell = clip(isLast ? text : shown(text, ASCII), { width, style });
      const paint = row === null ? column.headPaint ?? "dim" : column.paint?.(row) ?? "plain";
      // Cells of all but the last column are ASCII, so that their width is their length.
      const full = isLast ? cell : column.align === "right" ? cell.padStart(width) : cell.padEnd(width);
      return painted(column === placed.at(-1)?.column ? full.trimEnd() : full, paint, style);
    }).join(GAP).trimEnd();
  return [...head ? [draw(null)] : [], ...rows.map(draw)];
}
