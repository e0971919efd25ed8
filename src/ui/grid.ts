/**
 * Draws rows in columns. Drops the less important columns in a narrow window.
 *
 * @module
 */

import { UNKNOWN } from "./format.ts";
import { type Paint, painted, type Style } from "./style.ts";
import { clip, widthOf } from "./text.ts";

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
  /** Returns the text of a cell. It may come from outside. */
  readonly text: (row: Row) => string;
  /** Returns the colour of a cell (default `plain`). */
  readonly paint?: (row: Row) => Paint;
  /** Colour of the heading (default `dim`). */
  readonly headPaint?: Paint;
  /** Whether {@linkcode GridOptions.span} takes the place of this column (default `false`). */
  readonly spanned?: boolean;
}

/** A column and the width that it got. */
export interface Placed<Row> {
  /** The column. */
  readonly column: Column<Row>;
  /** Width in character cells. */
  readonly width: number;
}

const GAP = "  ";

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
  /** All columns in display order. */
  readonly columns: readonly Column<Row>[];
  /** Width of the window, in cells. */
  readonly width: number;
  /** Whether to draw a line of headings. */
  readonly head: boolean;
  /**
   * Returns a text to show in a row instead of the cells of the neighbouring columns that are `spanned`; `null` for none
   * (default).
   */
  readonly span?: (row: Row) => { readonly text: string; readonly paint: Paint } | null;
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
  const { columns, width, head, style, span = () => null } = options;
  const placed = placeColumns(columns, width);
  const spanned = placed.filter(({ column }) => column.spanned);
  const spanWidth = spanned.reduce((sum, { width }) => sum + width + GAP.length, -GAP.length);
  const draw = (row: Row | null): string => {
    const instead = row === null || spanned.length === 0 ? null : span(row);
    const cells = placed.flatMap(({ column, width }): string[] => {
      const align = column.align ?? "left";
      if (row === null) return [cell(column.header, { width, align, paint: column.headPaint ?? "dim", style })];
      if (instead === null || !column.spanned) {
        return [cell(column.text(row), { width, align, paint: column.paint?.(row) ?? "plain", style })];
      }
      if (column !== spanned[0]!.column) return [];
      return [cell(instead.text, { width: spanWidth, align: "left", paint: instead.paint, style })];
    });
    return cells.join(GAP).trimEnd();
  };
  return [...head ? [draw(null)] : [], ...rows.map(draw)];
}

interface CellOptions {
  readonly width: number;
  readonly align: "left" | "right";
  readonly paint: Paint;
  readonly style: Style;
}

/** Draws a cell: the text is painted, and the spaces around it aren't. */
function cell(text: string, { width, align, paint, style }: CellOptions): string {
  const shown = clip(text, { width, style }).trimEnd();
  const space = " ".repeat(Math.max(0, width - widthOf(shown)));
  const drawn = painted(shown, paint, style);
  return align === "right" ? space + drawn : drawn + space;
}

/** Options for {@linkcode numberColumn}. */
export interface NumberColumnOptions<Row> {
  /** Width in cells. */
  readonly width: number;
  /** See {@linkcode Column.priority}. */
  readonly priority: number;
  /** Returns the number of a row. */
  readonly value: (row: Row) => number;
  /** Formats a number above 0. */
  readonly format: (value: number) => string;
}

/**
 * Returns a column of numbers, aligned to the right.
 *
 * @param header Heading of the column.
 * @param options See {@linkcode NumberColumnOptions}.
 */
export function numberColumn<Row>(header: string, options: NumberColumnOptions<Row>): Column<Row> {
  const { width, priority, value, format } = options;
  return {
    header,
    align: "right",
    min: width,
    max: width,
    priority,
    text: (row) => value(row) > 0 ? format(value(row)) : UNKNOWN,
    paint: (row) => value(row) > 0 ? "plain" : "dim",
  };
}
