/**
 * Draws a torrent with its progress, and a table of its peers, for the live view.
 *
 * @module
 */

import type { PeerSnapshot, TorrentSnapshot } from "../session/session_events.ts";
import { renderBar } from "./bar.ts";
import {
  formatColumnPart,
  formatColumnRate,
  formatColumnSize,
  formatCount,
  formatDuration,
  formatPercent,
  formatPlural,
  ratioOf,
  remainingTime,
  UNKNOWN,
} from "./format.ts";
import { type Column, numberColumn, renderGrid } from "./grid.ts";
import { type Paint, painted, type Style } from "./style.ts";
import { clip, widthOf } from "./text.ts";
import { STATUS_PAINT, STATUS_WIDTH, statusOf } from "./torrent_status.ts";

/** Largest width of a table, in cells. A wider table is harder to read. */
export const MAX_WIDTH = 120;
const MIN_WIDTH = 40;
/** Length of the longest IPv6 address with brackets and port. */
const MAX_ADDRESS = 47;
/** Fewest cells of the progress bar where numbers are on the same line. */
const MIN_BAR = 4;
/** Smallest width at which bar and numbers share a line. */
const ONE_LINE_WIDTH = 78;
/** Smallest width at which the remaining time has a label. */
const LABEL_WIDTH = 60;
/** Widths of numbers, in cells. */
export const PERCENT_WIDTH = 6;
export const RATE_WIDTH = 11;
export const TIME_WIDTH = 7;
export const SIZE_WIDTH = 9;

/** Space to draw in. */
export interface DrawingSpace {
  /** Width in cells, at least 1. */
  readonly width: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/** Options for {@linkcode renderTorrent}. */
export interface RenderTorrentOptions extends DrawingSpace {
  /** Whether nothing has come for some time. */
  readonly stalled: boolean;
}

/**
 * Draws the name, progress bar and numbers of a torrent.
 *
 * @param torrent The torrent.
 * @param place The space.
 * @returns Two lines, or three in a narrow window.
 */
export function renderTorrent(torrent: TorrentSnapshot, place: RenderTorrentOptions): string[] {
  const { style, stalled } = place;
  const { width } = place;
  if (width < MIN_WIDTH) return renderNarrow(torrent, place);
  const paint = STATUS_PAINT[statusOf(torrent, stalled)];
  const percent = formatPercent(torrent.progress).padStart(PERCENT_WIDTH);
  const bar = (cells: number): string => renderBar(torrent.progress, { width: cells, paint, style });
  const title = renderTitle(torrent, place);
  const fields = torrentFields(torrent, { width, style });
  if (width < ONE_LINE_WIDTH) {
    return [title, `${bar(width - PERCENT_WIDTH - 1)} ${percent}`, joinFields(fields, width).trimStart()];
  }
  const kept = fittingFields(fields, width - MIN_BAR - PERCENT_WIDTH - 3);
  const taken = kept.reduce((sum, field) => sum + field.width + 2, PERCENT_WIDTH + 1);
  return [title, `${bar(width - taken)} ${percent}  ${kept.map(({ text }) => text).join("  ")}`.trimEnd()];
}

/** Draws a torrent in a very narrow window. */
function renderNarrow(torrent: TorrentSnapshot, { width, style, stalled }: RenderTorrentOptions): string[] {
  const percent = formatPercent(torrent.progress).padStart(PERCENT_WIDTH);
  const paint = STATUS_PAINT[statusOf(torrent, stalled)];
  const bar = width < PERCENT_WIDTH + 4
    ? ""
    : `${renderBar(torrent.progress, { width: width - PERCENT_WIDTH - 1, paint, style })} `;
  const name = painted(clip(torrent.name, { width, style }), "bold", style);
  return [bar + percent, name, joinFields(torrentFields(torrent, { width, style }), width).trimStart()];
}

function renderTitle(torrent: TorrentSnapshot, { width, style, stalled }: RenderTorrentOptions): string {
  const peers = width < ONE_LINE_WIDTH
    ? formatPlural(torrent.peerCount, "peer")
    : `${formatPlural(torrent.peerCount, "peer")}, ${formatPlural(torrent.seedCount, "seed")}`;
  const status = statusOf(torrent, stalled);
  const statusWidth = width < ONE_LINE_WIDTH ? status.length : STATUS_WIDTH;
  const state = painted(status.padEnd(statusWidth), STATUS_PAINT[status], style);
  const room = width - statusWidth - peers.length - 4;
  const name = clip(torrent.name, { width: room, style });
  const space = " ".repeat(room - widthOf(name) + 2);
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
    return painted(`${glyph} ${formatColumnRate(value).padStart(RATE_WIDTH)}`, value > 0 ? "plain" : "dim", style);
  };
  const seeding = torrent.state === "seeding";
  const part = formatColumnPart(torrent.verified, torrent.size);
  const whole = formatColumnPart(torrent.size, torrent.size);
  const narrow = width < LABEL_WIDTH;
  const sizes = (narrow ? part.replaceAll(" / ", "/") : part).padStart(whole.length - (narrow ? 2 : 0));
  return [
    ...(torrent.size === 0 ? [] : [{ text: sizes, width: sizes.length, priority: 3 }]),
    { text: rate(torrent.rateDown, style.unicode ? "\u2193" : "D"), width: RATE_WIDTH + 2, priority: seeding ? 4 : 1 },
    { text: rate(torrent.rateUp, style.unicode ? "\u2191" : "U"), width: RATE_WIDTH + 2, priority: seeding ? 1 : 4 },
    ...remainingField(torrent, narrow),
  ];
}

/** Returns the ratio of a complete torrent, and the remaining time of one that downloads. */
function remainingField(torrent: TorrentSnapshot, narrow: boolean): Field[] {
  const field = (text: string): Field[] => [{ text, width: text.length, priority: 2 }];
  if (torrent.size > 0 && torrent.verified >= torrent.size) return field(`ratio ${formatRatio(torrent)}`);
  if (torrent.state !== "downloading") return [];
  return field((narrow ? "" : "ETA ") + formatDuration(remainingTime(torrent)).padStart(TIME_WIDTH));
}

function joinFields(fields: readonly Field[], width: number): string {
  return fittingFields(fields, width).map(({ text }) => text).join("  ");
}

/** Returns the fields that fit into a width with two cells between them, the most important ones first. */
function fittingFields(fields: readonly Field[], width: number): Field[] {
  let left = width;
  const kept = fields.toSorted((a, b) => a.priority - b.priority).filter((field) => {
    const fits = field.width <= left;
    if (fits) left -= field.width + 2;
    return fits;
  });
  return fields.filter((field) => kept.includes(field));
}

function formatRatio(torrent: TorrentSnapshot): string {
  const ratio = ratioOf(torrent);
  return ratio < 100 ? ratio.toFixed(2) : ratio.toFixed(0);
}

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
  numberColumn("DOWN", { width: RATE_WIDTH, priority: 2, value: (peer) => peer.rateDown, format: formatColumnRate }),
  numberColumn("UP", { width: RATE_WIDTH, priority: 4, value: (peer) => peer.rateUp, format: formatColumnRate }),
  numberColumn("GOT", { width: SIZE_WIDTH, priority: 7, value: (peer) => peer.downloaded, format: formatColumnSize }),
  numberColumn("GAVE", { width: SIZE_WIDTH, priority: 8, value: (peer) => peer.uploaded, format: formatColumnSize }),
  { header: "CLIENT", min: 9, max: 40, priority: 5, text: (peer) => peer.client || UNKNOWN, paint: activity },
];

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
  /** Index of the first peer to show. */
  readonly scroll: number;
  /** Keys that scroll, such as `arrows`. */
  readonly keys: string;
}

/**
 * Returns the number of peers that {@linkcode renderPeers} shows.
 *
 * @param count Number of peers.
 * @param room Most lines.
 */
export function peerPage(count: number, room: number): number {
  return Math.max(1, count <= room - 1 ? count : room - 2);
}

/**
 * Draws a table of peers.
 *
 * @param peers The peers.
 * @param place See {@linkcode RenderPeersOptions}.
 * @returns A line of headings, a line for each peer that fits, and a line that counts the others; no lines if there are
 * no peers.
 */
export function renderPeers(peers: readonly PeerSnapshot[], place: RenderPeersOptions): string[] {
  const { style, order, room, keys } = place;
  const page = peerPage(peers.length, room);
  const first = Math.max(0, Math.min(place.scroll, peers.length - page));
  const rows = sorted(peers, order).slice(first, first + page);
  if (rows.length === 0) return [];
  const longest = Math.max(...rows.map((peer) => peer.address.length));
  const columns = PEER_COLUMNS.map((column) => ({
    ...column,
    ...(column === ADDRESS && { max: Math.max(column.max, Math.min(longest, MAX_ADDRESS)) }),
    ...(column.header === HEADERS[order] && { headPaint: "bold" as const }),
  }));
  const width = Math.min(place.width, MAX_WIDTH);
  const lines = renderGrid(rows, { columns, width, head: true, style });
  if (page === peers.length || room < 3) return lines;
  const after = peers.length - first - page;
  const parts = [
    ...(first > 0 ? [`${formatCount(first)} above`] : []),
    ...(after > 0 ? [`${formatCount(after)} more`] : []),
    `${keys} scroll`,
  ];
  return [...lines, painted(clip(parts.join(", "), { width, style }), "dim", style)];
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
