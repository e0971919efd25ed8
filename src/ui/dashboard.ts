/**
 * The live view as lines: torrents, the last minute, the pieces, the peers, the latest messages, the keys.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
import type { FileSnapshot, PieceMap } from "../session/session_events.ts";
import type { TorrentSnapshot } from "../session/session_events.ts";
import { renderFiles } from "./file_lines.ts";
import { formatRate } from "./format.ts";
import type { LiveState } from "./live_state.ts";
import { renderPieces } from "./piece_row.ts";
import { type RateHistory, renderSpark } from "./spark.ts";
import { painted, type Style } from "./style.ts";
import { renderList, renderPeers, renderTorrent } from "./table.ts";
import { widthOf } from "./text.ts";

/** What is drawn. */
export interface Picture {
  /** The torrents, in the order in which to show them. */
  readonly torrents: readonly TorrentSnapshot[];
  /** What the user has chosen. */
  readonly state: LiveState;
  /** Rates of the last minute of the selected torrent. */
  readonly rates: { readonly down: RateHistory; readonly up: RateHistory };
  /** Pieces of the selected torrent, in as many cells as asked for; `null` while they aren't known. */
  readonly pieces: (cells: number) => PieceMap | null;
  /** Files of the selected torrent. Asked only when they are shown. */
  readonly files: () => readonly FileSnapshot[];
  /** The latest messages, painted, the newest last. */
  readonly log: readonly string[];
  /** Most peers that have been shown so far: room for them is kept, so that nothing jumps when one leaves. */
  readonly peerRows: number;
  /** How fast all torrents together may be, in bytes a second; `null` for no limit. */
  readonly limits: { readonly down: number | null; readonly up: number | null };
}

/** The window and what it can show. */
export interface Window {
  /** Cells in a line. */
  readonly columns: number;
  /** Lines; one is left free, so that the cursor has a place. */
  readonly rows: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/** From this width on, what comes and what goes share a line. */
const BOTH_RATES_WIDTH = 78;
/** Arrow, spaces, the word, a rate. */
const SPARK_EXTRA = 2 + 1 + 5 + 10;
const SPARK_GAP = 3;
const MAX_SPARK = 60;
/** With less room than this, the keys aren't named. */
const KEYS_ROOM = 6;

/**
 * Where things go, by the size of the window alone: what is there doesn't make the rest jump.
 *
 * @param window The window.
 * @param torrents How many torrents there are.
 * @returns Lines for each part, blank ones included; 0 for what has no room.
 */
export function shareOut(
  window: Pick<Window, "columns" | "rows">,
  torrents: number,
): { list: number; torrent: number; spark: number; map: number; peers: number; log: number; keys: number } {
  let left = Math.max(1, window.rows - 1);
  const take = (lines: number, least = lines): number => {
    const taken = left >= least ? Math.min(lines, left) : 0;
    left -= taken;
    return taken;
  };
  const height = window.columns < BOTH_RATES_WIDTH ? 3 : 2;
  const several = torrents > 1;
  const torrent = several && left < 10 ? 0 : take(height);
  const list = several || torrent === 0 ? take(Math.max(1, Math.min(torrents, Math.floor(left / 2)))) : 0;
  const keys = left >= KEYS_ROOM - height ? take(1) : 0;
  const map = take(1 + (left < 12 ? 1 : left < 22 ? 2 : left < 36 ? 3 : 4), 5);
  const spark = left >= 4 ? take(1) : 0;
  const log = left >= 8 ? take(left < 12 ? 2 : left < 20 ? 4 : 6) : 0; // one of them blank
  const peers = take(left, 3);
  return { list, torrent, spark, map, peers, log, keys };
}

/**
 * Draws the live view. Pure: the same picture gives the same lines.
 *
 * @param picture What to draw.
 * @param window Where.
 * @returns Lines, none wider than `columns`, at most `rows - 1`.
 */
export function renderDashboard(picture: Picture, window: Window): string[] {
  const { torrents, state } = picture;
  const { columns: width, style } = window;
  const room = Math.max(1, window.rows - 1);
  const share = shareOut(window, torrents.length);
  const selected = torrents[state.selected];
  if (!selected) return [];
  const lines: string[] = [];
  if (share.list > 0) {
    const mark = torrents.length > 1 ? state.selected : null;
    lines.push(...renderList(torrents, { width, style, selected: mark, room: share.list }));
  }
  if (share.torrent > 0) lines.push(...renderTorrent(selected, { width, style }));
  const keys = share.keys > 0 ? [keyLine(picture, window)] : [];
  const below = Math.max(0, room - lines.length - keys.length);
  const panel = state.panel === "files"
    ? renderFiles(picture.files(), { width, style, room: below, scroll: state.scroll })
    : state.panel === "help"
    ? helpLines(style)
    : overview(picture, { ...window, share });
  return [...lines, ...panel.slice(0, below), ...keys].slice(0, room).map((line) => cut(line, window));
}

/** Lines of files that {@linkcode renderDashboard} shows at once. */
export function filePage(window: Pick<Window, "columns" | "rows">, torrents: number): number {
  const { list, torrent, keys } = shareOut(window, torrents);
  return Math.max(1, window.rows - 1 - list - torrent - keys - 1);
}

function overview(picture: Picture, window: Window & { readonly share: ReturnType<typeof shareOut> }): string[] {
  const { columns: width, style, share } = window;
  const { state, torrents, log } = picture;
  const lines: string[] = [];
  if (share.spark > 0) lines.push(sparkLine(picture, window));
  const map = share.map > 0 ? picture.pieces(width * (share.map - 1)) : null;
  if (map) lines.push(...renderPieces(map, { width, style, rows: share.map - 1 }));
  if (share.peers > 0) {
    const { peers } = torrents[state.selected]!;
    const drawn = renderPeers(peers, { width, style, order: state.order, room: share.peers - 1 });
    const blank = Math.max(0, Math.min(picture.peerRows + 1, share.peers - 1) - Math.max(1, drawn.length));
    if (drawn.length > 0 || picture.peerRows > 0) lines.push("", ...drawn, ...Array<string>(blank).fill(""));
  }
  const messages = share.log > 0 ? log.slice(1 - share.log) : [];
  if (messages.length > 0) lines.push("", ...messages);
  if (share.keys > 0 && share.peers > 0) lines.push("");
  return lines;
}

/** Lines of messages that {@linkcode renderDashboard} shows. */
export function logRows(window: Pick<Window, "columns" | "rows">, torrents: number): number {
  return Math.max(0, shareOut(window, torrents).log - 1);
}

function sparkLine({ rates, torrents, state }: Picture, { columns: width, style }: Window): string {
  const one = (history: RateHistory, glyph: string, cells: number): string => {
    const peak = `peak ${formatRate(history.peak).padStart(10)}`;
    return `${glyph} ${renderSpark(history, { width: cells, style })} ${painted(peak, "dim", style)}`;
  };
  const [down, up] = style.unicode ? ["\u2193", "\u2191"] : ["D", "U"];
  if (width < BOTH_RATES_WIDTH) {
    const cells = Math.max(1, Math.min(MAX_SPARK, width - SPARK_EXTRA));
    return torrents[state.selected]!.state === "seeding" ? one(rates.up, up, cells) : one(rates.down, down, cells);
  }
  const cells = Math.min(MAX_SPARK, Math.floor((width - SPARK_GAP) / 2) - SPARK_EXTRA);
  return `${one(rates.down, down, cells)}${" ".repeat(SPARK_GAP)}${one(rates.up, up, cells)}`;
}

/** The keys, as far as they fit; or what is being typed. */
function keyLine({ state, torrents, limits }: Picture, { columns: width, style }: Window): string {
  if (state.prompt !== null) {
    const asked = `limits, down up: ${state.prompt}_`;
    const hint = state.complaint === "" ? "like 5M 500K; 0 none; - as it is" : state.complaint;
    const room = width - asked.length - 3;
    const paint = state.complaint === "" ? "dim" : "yellow";
    return room < hint.length ? asked : `${asked}   ${painted(hint, paint, style)}`;
  }
  const paused = torrents[state.selected]?.state === "paused";
  const words: readonly (readonly [string, string])[] = [
    ["q", "quit"],
    ["p", paused ? "resume" : "pause"],
    ["?", "help"],
    ["f", state.panel === "files" ? "back" : "files"],
    ["s", `by ${state.order}`],
    ["l", limitWords(limits)],
    ...(torrents.length > 1 ? [["tab", "next"] as const] : []),
  ];
  let left = width;
  const shown: string[] = [];
  for (const [key, word] of words) {
    const length = key.length + word.length + 1 + (shown.length > 0 ? 3 : 0);
    if (length > left) continue;
    left -= length;
    shown.push(`${painted(key, "bold", style)} ${painted(word, "dim", style)}`);
  }
  return shown.join("   ");
}

function limitWords({ down, up }: { readonly down: number | null; readonly up: number | null }): string {
  if (down === null && up === null) return "limits";
  const word = (rate: number | null) => rate === null ? "none" : formatRate(rate);
  return `limits ${word(down)} / ${word(up)}`;
}

const HELP: readonly (readonly [string, string])[] = [
  ["q", "stop in good order and leave, as Ctrl-C"],
  ["p", "pause this torrent, or go on (P: all)"],
  ["s", "sort peers by the next column"],
  ["f", "files and how much is here of each"],
  ["l", "limit the rates: 5M 500K, 0 for none"],
  ["tab", "the next torrent (also the arrows)"],
  ["esc", "back"],
];
const FLAGS: readonly string[] = [
  "Flags: D from it, d it chokes us, U to it,",
  "u we choke it, O optimistic, S snubbed,",
  "I it came to us, F fast, W web seed",
];

function helpLines(style: Style): string[] {
  const keys = HELP.map(([key, text]) => `${painted(key.padEnd(5), "bold", style)}${text}`);
  return ["", ...keys, "", ...FLAGS.map((line) => painted(line, "dim", style)), ""];
}

/** Whatever was put together has an end where the window has one. */
function cut(line: string, { columns, style }: Window): string {
  if (widthOf(line) <= columns) return line;
  return cliTruncate(line, columns, { truncationCharacter: style.unicode ? "\u2026" : "~" });
}
