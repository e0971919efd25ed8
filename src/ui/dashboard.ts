/**
 * Draws the live view as lines: torrents, rates of the last minute, pieces, peers, latest messages, keys.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
import type { FileSnapshot, PieceMap } from "../session/session_events.ts";
import type { TorrentSnapshot, TorrentSources } from "../session/session_events.ts";
import { renderFiles } from "./file_lines.ts";
import { formatRate } from "./format.ts";
import type { LiveState } from "./live_state.ts";
import { renderPieces } from "./piece_row.ts";
import { renderSources } from "./source_lines.ts";
import { type RateHistory, renderSpark } from "./spark.ts";
import { painted, type Style } from "./style.ts";
import { renderList, renderPeers, renderTorrent } from "./table.ts";
import { widthOf } from "./text.ts";
import { renderWaiting } from "./waiting_lines.ts";

/** Contents of the live view. */
export interface Picture {
  /** Torrents in display order. */
  readonly torrents: readonly TorrentSnapshot[];
  /** Selections of the user. */
  readonly state: LiveState;
  /** Rates of the selected torrent in the last minute. */
  readonly rates: { readonly down: RateHistory; readonly up: RateHistory };
  /**
   * Returns the piece map of the selected torrent with at most the given number of cells; `null` before the metadata is
   * known.
   */
  readonly pieces: (cells: number) => PieceMap | null;
  /** Returns the files of the selected torrent. Called only if the files are shown. */
  readonly files: () => readonly FileSnapshot[];
  /** Returns the sources of the selected torrent; `null` if they are unknown. Called only if they are shown. */
  readonly sources: () => TorrentSources | null;
  /** Latest messages, coloured, the newest last. */
  readonly log: readonly string[];
  /** Most peers shown so far. Rows for that many peers are kept, so that the layout is stable when a peer leaves. */
  readonly peerRows: number;
  /** Rate limits of the session, in bytes per second; `null` for no limit. */
  readonly limits: { readonly down: number | null; readonly up: number | null };
}

/** Size and capabilities of the window. */
export interface Window {
  /** Width in cells. */
  readonly columns: number;
  /** Height in lines. The last line is kept free for the cursor. */
  readonly rows: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/** Smallest width, in cells, at which both sparklines share a line. */
const BOTH_RATES_WIDTH = 78;
/** Cells of a sparkline besides its bars: arrow, spaces, the word `peak`, a rate. */
const SPARK_EXTRA = 2 + 1 + 5 + 10;
const SPARK_GAP = 3;
const MAX_SPARK = 60;
/** Fewest lines in which the key line is shown. */
const KEYS_ROOM = 6;

/**
 * Divides the window among the parts of the view. The layout depends only on the size of the window and the number of
 * torrents, so that it is stable while contents change.
 *
 * @param window The window.
 * @param torrents Number of torrents.
 * @returns Lines of each part including blank lines; 0 for a part that doesn't fit.
 */
export function layout(
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
  const log = left >= 8 ? take(left < 12 ? 2 : left < 20 ? 4 : 6) : 0; // includes a blank line
  const peers = take(left, 3);
  return { list, torrent, spark, map, peers, log, keys };
}

/**
 * Draws the live view. A pure function.
 *
 * @param picture Contents of the view.
 * @param window The window.
 * @returns At most `rows - 1` lines, none wider than `columns`.
 */
export function renderDashboard(picture: Picture, window: Window): string[] {
  const { torrents, state } = picture;
  const { columns: width, style } = window;
  const room = Math.max(1, window.rows - 1);
  const share = layout(window, torrents.length);
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
    : state.panel === "sources"
    ? renderSources(picture.sources(), { width, style, room: below, scroll: state.scroll })
    : state.panel === "help"
    ? helpLines(style)
    : overview(picture, { ...window, share });
  return [...lines, ...panel.slice(0, below), ...keys].slice(0, room).map((line) => cut(line, window));
}

/** Returns the number of files that {@linkcode renderDashboard} shows at once. */
export function filePage(window: Pick<Window, "columns" | "rows">, torrents: number): number {
  const { list, torrent, keys } = layout(window, torrents);
  return Math.max(1, window.rows - 1 - list - torrent - keys - 1);
}

function overview(picture: Picture, window: Window & { readonly share: ReturnType<typeof layout> }): string[] {
  const { columns: width, style, share } = window;
  const { state, torrents, log } = picture;
  const lines: string[] = [];
  if (share.spark > 0) lines.push(sparkLine(picture, window));
  const map = share.map > 0 ? picture.pieces(width * (share.map - 1)) : null;
  if (map) lines.push(...renderPieces(map, { width, style, rows: share.map - 1 }));
  const waiting = renderWaiting(torrents[state.selected]!, { width, style });
  if (waiting.length > 0) lines.push(...(map || share.spark > 0 ? [""] : []), ...waiting);
  if (share.peers > 0) {
    const { peers } = torrents[state.selected]!;
    const rows = Math.max(0, share.peers - 1 - (waiting.length > 0 ? waiting.length + 1 : 0));
    const drawn = rows < 2 ? [] : renderPeers(peers, { width, style, order: state.order, room: rows });
    const blank = Math.max(0, Math.min(picture.peerRows + 1, rows) - Math.max(1, drawn.length));
    if (drawn.length > 0 || picture.peerRows > 0) lines.push("", ...drawn, ...Array<string>(blank).fill(""));
  }
  const messages = share.log > 0 ? log.slice(1 - share.log) : [];
  if (messages.length > 0) lines.push("", ...messages);
  if (share.keys > 0 && share.peers > 0) lines.push("");
  return lines;
}

/** Returns the number of messages that {@linkcode renderDashboard} shows. */
export function logRows(window: Pick<Window, "columns" | "rows">, torrents: number): number {
  return Math.max(0, layout(window, torrents).log - 1);
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

/** Draws the prompt if the user is typing, otherwise as many keys as fit. */
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
    ["t", state.panel === "sources" ? "back" : "trackers"],
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
  ["t", "trackers, DHT, port and web seeds"],
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

/** Cuts a line to the width of the window. */
function cut(line: string, { columns, style }: Window): string {
  if (widthOf(line) <= columns) return line;
  return cliTruncate(line, columns, { truncationCharacter: style.unicode ? "\u2026" : "~" });
}
