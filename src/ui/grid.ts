/**
 * Rows in columns that fit the window: the less important columns go first when it is narrow. The table itself is
 * cli-table3's; only the choice of columns is made here.
 *
 * @module
 */

import Table from "cli-table3";
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
const NO_BORDERS = {
  "top": "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  "bottom": "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  "left": "",
  "left-mid": "",
  "mid": "",
  "mid-mid": "",
  "right": "",
  "right-mid": "",
  "middle": GAP,
};

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
  const cells = rows.map((row) =>
    placed.map(({ column, width }) => {
      const text = column.text(row);
      return clip(column === last ? text : shown(text, ASCII), { width, style });
    })
  );
  if (head) cells.unshift(placed.map(({ column, width }) => clip(column.header, { width, style })));
  // Painted afterwards: the table would measure every cell with its colours, which takes it most of a frame.
  return tableOf(cells, placed.map((place) => ({ ...place, isLast: place.column === last }))).map((line, i) => {
    const row = head ? rows[i - 1] : rows[i];
    let at = 0;
    return placed.map(({ column, width }) => {
      const cell = column === last ? line.slice(at) : line.slice(at, at + width);
      at += width + GAP.length;
      const paint = row === undefined ? column.headPaint ?? "dim" : column.paint?.(row) ?? "plain";
      return painted(column === placed.at(-1)?.column ? cell.trimEnd() : cell, paint, style);
    }).join(GAP).trimEnd();
  });
}

/** The tables that were put together last: peers change twice a second, and frames are drawn more often. */
const memory = new Map<string, readonly string[]>();
const MOST_TABLES = 4;

function tableOf<Row>(
  cells: readonly (readonly string[])[],
  placed: readonly (Placed<Row> & { readonly isLast: boolean })[],
): readonly string[] {
  const key = JSON.stringify([cells, placed.map(({ column, width }) => [column.align, width])]);
  const known = memory.get(key);
  if (known) return known;
  const table = new Table({
    chars: NO_BORDERS,
    // An older measure of width than ours is built into the table: where the two disagree, a column with a fixed width
    // would be cut or filled wrongly. They agree on ASCII, and the last column needs neither.
    colWidths: placed.map(({ width, isLast }) => isLast ? null : width),
    colAligns: placed.map(({ column }) => column.align ?? "left"),
    // Colours of its own would come from a library that looks into the environment.
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
  });
  table.push(...cells.map((row) => [...row]));
  const lines = table.toString().split("\n");
  memory.set(key, lines);
  if (memory.size > MOST_TABLES) memory.delete(memory.keys().next().value!);
  return lines;
}
