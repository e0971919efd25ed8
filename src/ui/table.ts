/**
 * Draws torrents with their progress, and tables of torrents and peers, for the live view.
 *
 * @module
 */

import stringWidth from "string-width";
import type { PeerSnapshot, TorrentSnapshot, TorrentState } from "../session/session_events.ts";
import { renderBar } from "./bar.ts";
import {
  formatDuration,
  formatPart,
  formatPercent,
  formatPlural,
  formatRate,
  formatSize,
  ratioOf,
  UNKNOWN,
} from "./format.ts";
import { type Column, renderGrid } from "./grid.ts";
import { type Paint, painted, type Style } from "./style.ts";
import { clip } from "./text.ts";

/** Largest width of a table, in cells. A wider table is harder to read. */
const MAX_WIDTH = 120;
const MIN_WIDTH = 40;
const MAX_PEERS = 20;
/** Length of the longest IPv6 address with brackets and port. */
const MAX_ADDRESS = 47;
/** Smallest width at which bar and numbers share a line. */
const ONE_LINE_WIDTH = 78;
/** Smallest width at which the remaining time has a label. */
const LABEL_WIDTH = 60;
/** Length of the longest state. */
const STATE_WIDTH = 11;
const PERCENT_WIDTH = 6;
const RATE_WIDTH = 10;
const TIME_WIDTH = 7;
const SIZE_WIDTH = 8;

const STATE_PAINT: Readonly<Record<TorrentState, Paint>> = {
  metadata: "yellow",
  checking: "yellow",
  downloading: "cyan",
  seeding: "green",
  paused: "yellow",
  queued: "yellow",
  stopping: "yellow",
  stopped: "dim",
  error: "red",
};

/** Space to draw in. */
export interface DrawingSpace {
  /** Width in cells, at least 1. */
  readonly width: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws the name, progress bar and numbers of a torrent.
 *
 * @param torrent The torrent.
 * @param place The space.
 * @returns Two lines, or three in a narrow window.
 */
export function renderTorrent(torrent: TorrentSnapshot, place: DrawingSpace): string[] {
  const { style } = place;
  const { width } = place;
  if (width < MIN_WIDTH) return renderNarrow(torrent, place);
  const paint = STATE_PAINT[torrent.state];
  const percent = formatPercent(torrent.progress).padStart(PERCENT_WIDTH);
  const bar = (cells: number): string => renderBar(torrent.progress, { width: cells, paint, style });
  const title = renderTitle(torrent, { width, style });
  if (width < ONE_LINE_WIDTH) {
    return [
      title,
      `${bar(width - PERCENT_WIDTH - 1)} ${percent}`,
      joinFields(torrentFields(torrent, { width, style }), width).trimStart(),
    ];
  }
  const fields = torrentFields(torrent, { width, style });
  const taken = fields.reduce((sum, field) => sum + field.width + 2, PERCENT_WIDTH + 1);
  return [title, `${bar(width - taken)} ${percent}  ${joinFields(fields, width)}`];
}

/** Draws a torrent in a very narrow window. */
function renderNarrow(torrent: TorrentSnapshot, { width, style }: DrawingSpace): string[] {
  const percent = formatPercent(torrent.progress).padStart(PERCENT_WIDTH);
  const paint = STATE_PAINT[torrent.state];
  const bar = width < PERCENT_WIDTH + 4
    ? ""
    : `${renderBar(torrent.progress, { width: width - PERCENT_WIDTH - 1, paint, style })} `;
  const name = painted(clip(torrent.name, { width, style }), "bold", style);
  return [bar + percent, name, joinFields(torrentFields(torrent, { width, style }), width).trimStart()];
}

function renderTitle(torrent: TorrentSnapshot, { width, style }: DrawingSpace): string {
  const peers = width < ONE_LINE_WIDTH
    ? formatPlural(torrent.peerCount, "peer")
    : `${formatPlural(torrent.peerCount, "peer")}, ${formatPlural(torrent.seedCount, "seed")}`;
  const stateWidth = width < ONE_LINE_WIDTH ? torrent.state.length : STATE_WIDTH;
  const state = painted(torrent.state.padEnd(stateWidth), STATE_PAINT[torrent.state], style);
  const room = width - stateWidth - peers.length - 4;
  const name = clip(torrent.name, { width: room, style });
  const space = " ".repeat(room - stringWidth(name) + 2);
  return `${state}  ${painted(name, "bold", style)}${space}${painted(peers, "dim", style)}`;
}

/** A part of a line. Its width is stored, since its text contains escape sequences. */
interface Field {
  readonly text: string;
  readonly width: number;
  readonly priority: number;
}

function torrentFields(torrent: TorrentSnapshot, { width, style }: DrawingSpace): Field[] {
  const rate = (value: number, glyph: string): string => {
    return painted(`${glyph} ${formatRate(value).padStart(RATE_WIDTH)}`, value > 0 ? "plain" : "dim", style);
  };
  const seeding = torrent.state === "seeding";
  const label = width < LABEL_WIDTH ? "" : "ETA ";
  const remaining = seeding ? `ratio ${formatRatio(torrent)}` : label + formatDuration(torrent.eta).padEnd(TIME_WIDTH);
  // Both numbers share a unit, so four characters are enough for the first.
  const partWidth = formatSize(torrent.size).length + 7;
  const part = { text: formatPart(torrent.verified, torrent.size).padStart(partWidth), width: partWidth, priority: 3 };
  return [
    ...(torrent.size === 0 ? [] : [part]),
    { text: rate(torrent.rateDown, style.unicode ? "\u2193" : "D"), width: RATE_WIDTH + 2, priority: seeding ? 4 : 1 },
    { text: rate(torrent.rateUp, style.unicode ? "\u2191" : "U"), width: RATE_WIDTH + 2, priority: seeding ? 1 : 4 },
    { text: remaining, width: Math.max(remaining.length, label.length + TIME_WIDTH), priority: 2 },
  ];
}

function joinFields(fields: readonly Field[], width: number): string {
  let left = width;
  const kept = fields.toSorted((a, b) => a.priority - b.priority).filter((field) => {
    const fits = field.width <= left;
    if (fits) left -= field.width + 2;
    return fits;
  });
  return fields.filter((field) => kept.includes(field)).map((field) => field.text).join("  ");
}

function formatRatio(torrent: TorrentSnapshot): string {
  const ratio = ratioOf(torrent);
  return ratio < 100 ? ratio.toFixed(2) : ratio.toFixed(0);
}

/** Options for {@linkcode renderList}. */
export interface RenderListOptions extends DrawingSpace {
  /** Index of the selected torrent; `null` for none. */
  readonly selected: number | null;
  /** Most lines, at least 1. */
  readonly room: number;
}

/**
 * Draws a line for each torrent.
 *
 * @param torrents The torrents, at least one.
 * @param place See {@linkcode RenderListOptions}.
 * @returns The lines. If not all torrents fit, the torrents around the selected one, and a line with totals.
 */
export function renderList(torrents: readonly TorrentSnapshot[], place: RenderListOptions): string[] {
  const { width, room, style, selected } = place;
  const count = torrents.length <= room ? torrents.length : Math.max(1, room - 1);
  const first = Math.max(0, Math.min(torrents.length - count, (selected ?? 0) - Math.floor(count / 2)));
  const mark = style.unicode ? "\u25b8" : ">";
  const indent = selected === null ? 0 : 2;
  const rows = torrents.slice(first, first + count);
  const lines = renderGrid(rows, { columns: SHORT_COLUMNS, width: Math.max(1, width - indent), head: false, style })
    .map((line, i) => {
      if (selected === null) return line;
      return first + i === selected ? `${painted(mark, "bold", style)} ${line}` : `  ${line}`;
    });
  if (count === torrents.length || room < 2) return lines;
  const total = (of: (torrent: TorrentSnapshot) => number): string =>
    formatRate(torrents.reduce((sum, torrent) => sum + of(torrent), 0));
  const more = `${torrents.length - count} more; all: ${total((t) => t.rateDown)} down, ${total((t) => t.rateUp)} up`;
  return [...lines, painted(clip(more, { width, style }), "dim", style)];
}

const SHORT_COLUMNS: readonly Column<TorrentSnapshot>[] = [
  {
    header: "DONE",
    align: "right",
    min: PERCENT_WIDTH,
    max: PERCENT_WIDTH,
    priority: 1,
    text: (torrent) => formatPercent(torrent.progress),
    paint: (torrent) => STATE_PAINT[torrent.state],
  },
  numberColumn("SIZE", { width: SIZE_WIDTH, priority: 5, value: (torrent) => torrent.size, format: formatSize }),
  numberColumn("DOWN", { width: RATE_WIDTH, priority: 3, value: (torrent) => torrent.rateDown, format: formatRate }),
  numberColumn("UP", { width: RATE_WIDTH, priority: 6, value: (torrent) => torrent.rateUp, format: formatRate }),
  {
    header: "ETA",
    min: TIME_WIDTH,
    max: TIME_WIDTH,
    priority: 4,
    text: (torrent) => formatDuration(torrent.eta),
    paint: () => "dim",
  },
  {
    header: "STATE",
    min: STATE_WIDTH,
    max: STATE_WIDTH,
    priority: 7,
    text: (torrent) => torrent.state,
    paint: (torrent) => STATE_PAINT[torrent.state],
  },
  { header: "NAME", min: 18, max: MAX_WIDTH, priority: 2, text: (torrent) => torrent.name },
];

/** Wide enough for any IPv4 address. Widened for IPv6 addresses if there is space. */
const ADDRESS: Column<PeerSnapshot> = {
  header: "PEER",
  min: 21,
  max: 21,
  priority: 1,
  text: (peer) => peer.address,
  paint: activity,
};

const PEER_COLUMNS: readonly Column<PeerSnapshot>[] = [
  ADDRESS,
  { header: "FLAGS", min: 6, max: 6, priority: 6, text: (peer) => peer.flags, paint: () => "dim" },
  {
    header: "HAS",
    align: "right",
    min: 4,
    max: 4,
    priority: 3,
    text: (peer) => formatPercent(peer.progress, 0),
    paint: activity,
  },
  numberColumn("DOWN", { width: RATE_WIDTH, priority: 2, value: (peer) => peer.rateDown, format: formatRate }),
  numberColumn("UP", { width: RATE_WIDTH, priority: 4, value: (peer) => peer.rateUp, format: formatRate }),
  numberColumn("GOT", { width: SIZE_WIDTH, priority: 7, value: (peer) => peer.downloaded, format: formatSize }),
  numberColumn("GAVE", { width: SIZE_WIDTH, priority: 8, value: (peer) => peer.uploaded, format: formatSize }),
  { header: "CLIENT", min: 12, max: 40, priority: 5, text: (peer) => peer.client || UNKNOWN, paint: activity },
];

/** Options for {@linkcode numberColumn}. */
interface NumberColumnOptions<Row> {
  /** Width in cells. */
  readonly width: number;
  /** See {@linkcode Column.priority}. */
  readonly priority: number;
  /** Returns the number of a row. */
  readonly value: (row: Row) => number;
  /** Formats a number above 0. */
  readonly format: (value: number) => string;
}

function numberColumn<Row>(header: string, options: NumberColumnOptions<Row>): Column<Row> {
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

function activity(peer: PeerSnapshot): Paint {
  return peer.rateDown > 0 || peer.rateUp > 0 ? "plain" : "dim";
}

/** Sort orders of the peer table, in the order in which the key cycles through them. */
export const PEER_ORDERS = ["activity", "down", "up", "got", "gave", "has", "client", "address"] as const;
/** A sort order of the peer table. */
export type PeerOrder = (typeof PEER_ORDERS)[number];

/** Heading of the column to highlight for each sort order. */
const HEADERS: Readonly<Partial<Record<PeerOrder, string>>> = {
  down: "DOWN",
  up: "UP",
  got: "GOT",
  gave: "GAVE",
  has: "HAS",
  client: "CLIENT",
  address: "PEER",
};

/** Options for {@linkcode renderPeers}. */
export interface RenderPeersOptions extends DrawingSpace {
  /** Sort order. */
  readonly order: PeerOrder;
  /** Most lines, at least 2. */
  readonly room: number;
}

/**
 * Draws a table of peers.
 *
 * @param peers The peers.
 * @param place See {@linkcode RenderPeersOptions}.
 * @returns A line of headings and a line for each of the first peers; no lines if there are no peers.
 */
export function renderPeers(peers: readonly PeerSnapshot[], place: RenderPeersOptions): string[] {
  const { style, order, room } = place;
  const rows = sorted(peers, order).slice(0, Math.min(MAX_PEERS, room - 1));
  if (rows.length === 0) return [];
  const longest = Math.max(...rows.map((peer) => peer.address.length));
  const columns = PEER_COLUMNS.map((column) => ({
    ...column,
    ...(column === ADDRESS && { max: Math.max(column.max, Math.min(longest, MAX_ADDRESS)) }),
    ...(column.header === HEADERS[order] && { headPaint: "bold" as const }),
  }));
  return renderGrid(rows, { columns, width: Math.min(place.width, MAX_WIDTH), head: true, style });
}

type Compare = (a: PeerSnapshot, b: PeerSnapshot) => number;

/** Compares rates and sizes by their power of two, so that small changes don't reorder the rows. */
const COMPARE: Readonly<Record<PeerOrder, Compare>> = {
  activity: (a, b) =>
    most((peer) => peer.rateDown + peer.rateUp)(a, b) || most((peer) => peer.downloaded + peer.uploaded)(a, b),
  down: most((peer) => peer.rateDown),
  up: most((peer) => peer.rateUp),
  got: most((peer) => peer.downloaded),
  gave: most((peer) => peer.uploaded),
  has: (a, b) => b.progress - a.progress,
  client: (a, b) => inOrder(a.client.toLowerCase(), b.client.toLowerCase()),
  address: () => 0,
};

function sorted(peers: readonly PeerSnapshot[], order: PeerOrder): PeerSnapshot[] {
  const compare = COMPARE[order];
  return peers.toSorted((a, b) => compare(a, b) || inOrder(a.address, b.address));
}

function most(of: (peer: PeerSnapshot) => number): Compare {
  return (a, b) => magnitude(of(b)) - magnitude(of(a));
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function magnitude(value: number): number {
  return value > 0 ? Math.floor(Math.log2(value + 1)) : 0;
}
