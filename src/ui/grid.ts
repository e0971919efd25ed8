/**
 * Rows in columns that fit the window: the less important columns go first when it is narrow.
 *
 * @module
 */

import { type Paint, painted, type Style } from "./style.ts";
import { type Align, cell } from "./text.ts";

/** One column of rows of type `Row`. */
export interface Column<Row> {
  /** Above the column. */
  readonly header: string;
  /** Which side the cells keep to; left when absent. */
  readonly align?: Align;
  /** Fewest cells with which it makes sense. */
  readonly min: number;
  /** Most cells that it can use. */
  readonly max: number;
  /** The lower, the longer it stays. */
  readonly priority: number;
  /** Text of a cell. */
  readonly text: (row: Row) => string;
  /** Colour of a cell; plain when absent. */
  readonly paint?: (row: Row) => Paint;
}

/** A column that has its place. */
export interface Placed<Row> {
  /** Which column. */
  readonly column: Column<Row>;
  /** Its width in cells. */
  readonly width: number;
}

/** Cells between two columns. */
export const GAP = 2;

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
  let left = width + GAP;
  for (const column of byPriority) {
    if (column.min + GAP > left) break;
    widths.set(column, column.min);
    left -= column.min + GAP;
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

/**
 * The line of headers.
 *
 * @param placed The columns.
 * @param style What the terminal can show.
 * @returns One line.
 */
export function renderHeader<Row>(placed: readonly Placed<Row>[], style: Style): string {
  const cells = placed.map(({ column, width }) => cell(column.header, { width, align: column.align ?? "left", style }));
  return painted(cells.join(" ".repeat(GAP)).trimEnd(), "dim", style);
}

/**
 * One line of cells.
 *
 * @param row What it shows.
 * @param options `placed`: the columns. `style`: what the terminal can show.
 * @returns One line, no wider than the columns and the gaps between them.
 */
export function renderRow<Row>(
  row: Row,
  options: { readonly placed: readonly Placed<Row>[]; readonly style: Style },
): string {
  const { placed, style } = options;
  const cells = placed.map(({ column, width }) => {
    const text = cell(column.text(row), { width, align: column.align ?? "left", style });
    return painted(text, column.paint?.(row) ?? "plain", style);
  });
  return cells.join(" ".repeat(GAP));
}
