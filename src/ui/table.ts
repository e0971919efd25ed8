/**
 * The live table: each torrent with its progress, below them the busiest peers.
 *
 * @module
 */

import stringWidth from "string-width";
import type { PeerSnapshot, TorrentSnapshot, TorrentState } from "../session/types.ts";
import { renderBar } from "./bar.ts";
import { formatDuration, formatPart, formatPercent, formatPlural, formatRate, formatSize, UNKNOWN } from "./format.ts";
import { type Column, renderGrid } from "./grid.ts";
import { ratioOf } from "./ratio.ts";
import { type Paint, painted, type Style } from "./style.ts";
import { clip } from "./text.ts";

/** The window and what it can show. */
export interface TableOptions {
  /** Cells in a line; lines that fit are promised from 40 on. */
  readonly columns: number;
  /** Lines of the window; the table takes at most one less, so that the cursor has a place. */
  readonly rows: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/** Past this width, more room makes a table harder to read. */
const MAX_WIDTH = 120;
const MIN_WIDTH = 40;
const MAX_PEERS = 20;
/** The longest IPv6 address with its brackets and port. */
const MAX_ADDRESS = 47;
/** From this width on, bar and numbers share a line. */
const ONE_LINE_WIDTH = 78;
/** From this width on, the time that is left has a label. */
const LABEL_WIDTH = 60;
/** The longest state word. */
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
  stopping: "yellow",
  stopped: "dim",
  failed: "red",
};

/**
 * Draws the table. Pure: the same snapshots give the same lines.
 *
 * @param snapshots The torrents, in the order in which to show them.
 * @param options The window.
 * @returns Lines, none wider than `columns`, at most `rows - 1`.
 */
export function renderTable(snapshots: readonly TorrentSnapshot[], options: TableOptions): string[] {
  const { style } = options;
  const width = Math.max(MIN_WIDTH, Math.min(MAX_WIDTH, options.columns));
  const room = Math.max(1, options.rows - 1);
  const lines = snapshots.flatMap((torrent) => renderTorrent(torrent, { width, style }));
  if (lines.length > room) return renderShort(snapshots, { width, room, style });
  // a blank line, the header and one peer
  if (room - lines.length < 3) return lines;
  const peers = busiestPeers(snapshots, Math.min(MAX_PEERS, room - lines.length - 2));
  if (peers.length === 0) return lines;
  const longest = Math.max(...peers.map((peer) => peer.address.length));
  const columns = PEER_COLUMNS.map((column) =>
    column === ADDRESS ? { ...column, max: Math.max(column.max, Math.min(longest, MAX_ADDRESS)) } : column
  );
  return [...lines, "", ...renderGrid(peers, { columns, width, head: true, style })];
}

interface Place {
  readonly width: number;
  readonly style: Style;
}

function renderTorrent(torrent: TorrentSnapshot, place: Place): string[] {
  const { width, style } = place;
  const paint = STATE_PAINT[torrent.state];
  const percent = formatPercent(torrent.progress).padStart(PERCENT_WIDTH);
  const bar = (cells: number): string => renderBar(torrent.progress, { width: cells, paint, style });
  const title = renderTitle(torrent, place);
  if (width < ONE_LINE_WIDTH) {
    return [
      title,
      `${bar(width - PERCENT_WIDTH - 1)} ${percent}`,
      joinFields(torrentFields(torrent, place), width).trimStart(),
    ];
  }
  const fields = torrentFields(torrent, place);
  const taken = fields.reduce((sum, field) => sum + field.width + 2, PERCENT_WIDTH + 1);
  return [title, `${bar(width - taken)} ${percent}  ${joinFields(fields, width)}`];
}

function renderTitle(torrent: TorrentSnapshot, { width, style }: Place): string {
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

/** A piece of a line whose width is known without looking through its colours. */
interface Field {
  readonly text: string;
  readonly width: number;
  readonly priority: number;
}

function torrentFields(torrent: TorrentSnapshot, { width, style }: Place): Field[] {
  const rate = (value: number, glyph: string): string => {
    return painted(`${glyph} ${formatRate(value).padStart(RATE_WIDTH)}`, value > 0 ? "plain" : "dim", style);
  };
  const seeding = torrent.state === "seeding";
  const label = width < LABEL_WIDTH ? "" : "ETA ";
  const remaining = seeding ? `ratio ${formatRatio(torrent)}` : label + formatDuration(torrent.eta).padEnd(TIME_WIDTH);
  // one unit for both numbers, so four characters are enough for the first
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

/** One line a torrent, when there are many for the window. */
function renderShort(
  snapshots: readonly TorrentSnapshot[],
  { width, room, style }: Place & { readonly room: number },
): string[] {
  const fitting = snapshots.length <= room ? snapshots.length : room - 1;
  const shown = snapshots.slice(0, fitting);
  const lines = shown.length === 0 ? [] : renderGrid(shown, { columns: SHORT_COLUMNS, width, head: false, style });
  if (fitting === snapshots.length) return lines;
  const total = (of: (torrent: TorrentSnapshot) => number): string =>
    formatRate(snapshots.reduce((sum, torrent) => sum + of(torrent), 0));
  const more = `${snapshots.length - fitting} more; all: ${total((t) => t.rateDown)} down, ${
    total((t) => t.rateUp)
  } up`;
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
  { header: "NAME", min: 18, max: MAX_WIDTH, priority: 2, text: (torrent) => torrent.name },
];

/** Takes any IPv4 address; IPv6 addresses widen it where there is room. */
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

function numberColumn<Row>(
  header: string,
  options: {
    readonly width: number;
    readonly priority: number;
    readonly value: (row: Row) => number;
    readonly format: (value: number) => string;
  },
): Column<Row> {
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

/**
 * The peers that move most, over all torrents. Rates count in powers of two, and the address decides between equals, so
 * that rows do not jump about with every little change.
 */
function busiestPeers(snapshots: readonly TorrentSnapshot[], count: number): PeerSnapshot[] {
  const ranked = snapshots.flatMap((torrent) => torrent.peers).map((peer) => ({
    peer,
    rate: magnitude(peer.rateDown + peer.rateUp),
    moved: magnitude(peer.downloaded + peer.uploaded),
  }));
  ranked.sort((a, b) => b.rate - a.rate || b.moved - a.moved || (a.peer.address < b.peer.address ? -1 : 1));
  return ranked.slice(0, count).map(({ peer }) => peer);
}

function magnitude(value: number): number {
  return value > 0 ? Math.floor(Math.log2(value + 1)) : 0;
}
