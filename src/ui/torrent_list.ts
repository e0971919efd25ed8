/**
 * Draws the list of torrents of the live view.
 *
 * @module
 */

import type { TorrentSnapshot } from "../session/session_events.ts";
import {
  formatColumnRate,
  formatColumnSize,
  formatCount,
  formatDuration,
  formatPercent,
  formatPlural,
  remainingTime,
} from "./format.ts";
import { type Column, numberColumn, placeColumns, renderGrid } from "./grid.ts";
import { type Paint, painted } from "./style.ts";
import { type DrawingSpace, MAX_WIDTH, PERCENT_WIDTH, RATE_WIDTH, SIZE_WIDTH, TIME_WIDTH } from "./table.ts";
import { type Status, STATUS_PAINT, STATUS_WIDTH, statusOf } from "./torrent_status.ts";

/** Options for {@linkcode renderList}. */
export interface RenderListOptions extends DrawingSpace {
  /** Index of the selected torrent; `null` for none. */
  readonly selected: number | null;
  /** Most lines, at least 1. */
  readonly room: number;
  /** Returns `true` if nothing has come for some time. */
  readonly isStalled: (torrent: TorrentSnapshot) => boolean;
}

/** Fewest lines of a list with a heading and a line of totals. */
const FULL_LIST = 4;

/**
 * Draws a line for each torrent.
 *
 * @param torrents The torrents, at least one.
 * @param place See {@linkcode RenderListOptions}.
 * @returns A heading, the lines, and a line of totals; only lines where there is no room for the others, or only one
 * torrent. If not all torrents fit, those around the selected one.
 */
export function renderList(torrents: readonly TorrentSnapshot[], place: RenderListOptions): string[] {
  const { width, room, style, selected, isStalled } = place;
  const full = torrents.length > 1 && room >= FULL_LIST;
  const count = Math.max(1, Math.min(torrents.length, full ? room - 2 : room));
  const first = Math.max(0, Math.min(torrents.length - count, (selected ?? 0) - Math.floor(count / 2)));
  const mark = style.unicode ? "\u25b8" : ">";
  const indent = selected === null ? 0 : 2;
  const shown = withFailed(torrents, { first, count, selected });
  const rows = shown.map((at) => listRow(torrents[at]!, isStalled(torrents[at]!)));
  const space = Math.max(1, width - indent);
  // Where no other column is left to show the reason, it follows the name.
  const columns = placeColumns(LIST_COLUMNS, space).some(({ column }) => column.spanned) ? LIST_COLUMNS : SHORT_COLUMNS;
  const lines = renderGrid(
    full ? [...rows, totalRow(torrents, { hidden: torrents.length - count, isStalled })] : rows,
    {
      columns,
      width: space,
      head: full,
      style,
      span: ({ error }) => error === null ? null : { text: error, paint: "red" },
    },
  );
  if (selected === null) return lines;
  return lines.map((line, i) => {
    const isSelected = shown[i - (full ? 1 : 0)] === selected;
    return isSelected ? `${painted(mark, "bold", style)} ${line}` : `  ${line}`;
  });
}

/** Options for {@linkcode withFailed}. */
interface ShownOptions {
  readonly first: number;
  readonly count: number;
  readonly selected: number | null;
}

/**
 * Returns the indexes of the torrents to show: those from `first` on, but with one that failed in place of an outer one,
 * if all that failed are out of sight.
 */
function withFailed(torrents: readonly TorrentSnapshot[], { first, count, selected }: ShownOptions): number[] {
  const shown = Array.from({ length: count }, (_, i) => first + i);
  const failed = torrents.findIndex(({ state }) => state === "error");
  if (failed < 0 || count < 3 || shown.some((at) => torrents[at]!.state === "error")) return shown;
  const replaced = failed < first ? 0 : count - 1;
  if (shown[replaced] !== selected) shown[replaced] = failed;
  return shown;
}

/** A line of the list. */
interface ListRow {
  readonly status: string;
  readonly paint: Paint;
  readonly progress: number;
  readonly size: number;
  readonly down: number;
  readonly up: number;
  readonly eta: number | null;
  readonly name: string;
  readonly error: string | null;
}

function listRow(torrent: TorrentSnapshot, stalled: boolean): ListRow {
  const { progress, size, rateDown: down, rateUp: up, name, error } = torrent;
  const status = statusOf(torrent, stalled);
  return { status, paint: STATUS_PAINT[status], progress, size, down, up, eta: remainingTime(torrent), name, error };
}

/** Options for {@linkcode totalRow}. */
interface TotalOptions extends Pick<RenderListOptions, "isStalled"> {
  /** Number of torrents that have no line. */
  readonly hidden: number;
}

function totalRow(torrents: readonly TorrentSnapshot[], { hidden, isStalled }: TotalOptions): ListRow {
  const sum = (of: (torrent: TorrentSnapshot) => number): number => torrents.reduce((all, one) => all + of(one), 0);
  const [size, verified] = [sum((torrent) => torrent.size), sum((torrent) => torrent.verified)];
  const counts = new Map<Status, number>();
  for (const torrent of torrents) {
    const status = statusOf(torrent, isStalled(torrent));
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  const parts = TOLD.flatMap((status) => counts.has(status) ? [`${formatCount(counts.get(status)!)} ${status}`] : []);
  const number = hidden > 0 ? `${formatCount(hidden)} more` : formatPlural(torrents.length, "torrent");
  return {
    status: "total",
    paint: "dim",
    progress: size === 0 ? 0 : verified / size,
    size,
    down: sum((torrent) => torrent.rateDown),
    up: sum((torrent) => torrent.rateUp),
    eta: null,
    name: [number, ...parts].join(", "),
    error: null,
  };
}

/** What the line of totals counts, the most important first. */
const TOLD: readonly Status[] = ["failed", "stalled", "downloading", "seeding", "complete", "paused", "queued"];

const LIST_COLUMNS: readonly Column<ListRow>[] = [
  {
    header: "STATE",
    min: STATUS_WIDTH,
    max: STATUS_WIDTH,
    priority: 3,
    text: (row) => row.status,
    paint: (row) => row.paint,
  },
  {
    header: "DONE",
    align: "right",
    min: PERCENT_WIDTH,
    max: PERCENT_WIDTH,
    priority: 1,
    text: (row) => formatPercent(row.progress),
    paint: (row) => row.paint,
  },
  {
    ...numberColumn<ListRow>("SIZE", {
      width: SIZE_WIDTH,
      priority: 7,
      value: (row) => row.size,
      format: formatColumnSize,
    }),
    spanned: true,
  },
  {
    ...numberColumn<ListRow>("DOWN", {
      width: RATE_WIDTH,
      priority: 4,
      value: (row) => row.down,
      format: formatColumnRate,
    }),
    spanned: true,
  },
  {
    ...numberColumn<ListRow>("UP", {
      width: RATE_WIDTH,
      priority: 6,
      value: (row) => row.up,
      format: formatColumnRate,
    }),
    spanned: true,
  },
  {
    header: "ETA",
    align: "right",
    min: TIME_WIDTH,
    max: TIME_WIDTH,
    priority: 5,
    text: (row) => formatDuration(row.eta),
    paint: () => "dim",
    spanned: true,
  },
  { header: "NAME", min: 16, max: MAX_WIDTH, priority: 2, text: (row) => row.name, paint: namePaint },
];
const SHORT_COLUMNS: readonly Column<ListRow>[] = LIST_COLUMNS.map((column) =>
  column.header === "NAME"
    ? { ...column, text: ({ name, error }) => error === null ? name : `${name}: ${error}` }
    : column
);

function namePaint(row: ListRow): Paint {
  return row.status === "total" ? "dim" : row.error === null ? "plain" : "red";
}
