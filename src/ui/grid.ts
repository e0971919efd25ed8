/**
 * Rows in columns that fit the window: the less important columns go first when it is narrow.
 *
 * @module
 */

import { type Paint, painted, shown, type Style } from "./style.ts";
import { clip } from "./text.ts";

/** One column of rows of type `Row`. */
export interface Column<Row> {
  /** Above the column. */
  readonly header: string;
  /** Which side the cells keep to; left when absent. */
  readonly align?: "left" | "right";
  /** Fewest cells with which it makes sense. */
  readonly min: number;
  /** Most cells that it can use. */
  readonly max: number;
  /** The lower, the longer it stays. */
  readonly priority: number;
  /** Text of a cell. Only the last column shows other characters than ASCII. */
  readonly text: (row: Row) => string;
  /** Colour of a cell; plain when absent. */
  readonly paint?: (row: Row) => Paint;
  /** Colour of its header; dim when absent. */
  readonly headPaint?: Paint;
}

/** A column that has its place. */
export interface Placed<Row> {
  /** Which column. */
  readonly column: Column<Row>;
  /** Its width in cells. */
  readonly width: number;
}

const GAP = "  ";
const ASCII: Style = { color: false, unicode: false };

/**
 * Chooses the columns for a window and shares out its width.
 *
 * @param columns All columns in their order.
 * @param width Cells of the window.
 * @returns The columns that fit, in the same order.
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

/** How to draw rows. */
export interface GridOptions<Row> {
  /** All columns in their order, the one with text from outside last. */
  readonly columns: readonly Column<Row>[];
  /** Cells of the window. */
  readonly width: number;
  /** Whether a line of headers comes first. */
  readonly head: boolean;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws rows in columns.
 *
 * @param rows What they show, at least one.
 * @param options The columns and the window.
 * @returns One line a row and one for the headers, none wider than the window.
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
      // All but the last column are ASCII, so that their cells are their characters.
      const full = isLast ? cell : column.align === "right" ? cell.padStart(width) : cell.padEnd(width);
      return painted(column === placed.at(-1)?.column ? full.trimEnd() : full, paint, style);
    }).join(GAP).trimEnd();
  return [...head ? [draw(null)] : [], ...rows.map(draw)];
}
