/**
 * Draws the live view as lines: torrents, rates of the last minute, pieces, peers, latest messages, keys.
 *
 * @module
 */

import cliTruncate from "cli-truncate";
import type { FileSnapshot, PieceMap } from "../session/session_events.ts";
import type { TorrentSnapshot, TorrentSources } from "../session/session_events.ts";
import { renderFiles } from "./file_lines.ts";
import { formatColumnRate, formatRate } from "./format.ts";
import { helpLines, helpPage, renderHelp } from "./help_page.ts";
import type { LiveState } from "./live_state.ts";
import { renderPieces } from "./piece_row.ts";
import { countSourceLines, renderSources } from "./source_lines.ts";
import { type RateHistory, renderSpark } from "./spark.ts";
import { painted, type Style } from "./style.ts";
import { peerPage, renderPeers, renderTorrent } from "./table.ts";
import { widthOf } from "./text.ts";
import { renderList } from "./torrent_list.ts";
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
  /** Info-hashes of torrents to which nothing has come for some time. */
  readonly stalled: ReadonlySet<string>;
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
const SPARK_EXTRA = 2 + 1 + 5 + 11;
const SPARK_GAP = 3;
const MAX_SPARK = 60;
/** Fewest lines in which the key line is shown. */
const KEYS_ROOM = 6;
/** Largest part of the window for the list of torrents, unless the rest would be too small for anything else. */
const LIST_PART = 0.6;
const LOW_WINDOW = 13;

/**
 * Divides the window among the parts of the view. The layout depends only on the size of the window, the number of
 * torrents, and the lines that say why the selected one waits or failed, so that it is stable while contents change.
 *
 * @param window The window.
 * @param torrents Number of torrents.
 * @param reason Lines about the selected torrent besides its numbers (default 0).
 * @returns Lines of each part including blank lines; 0 for a part that doesn't fit.
 */
export function layout(
  window: Pick<Window, "columns" | "rows">,
  torrents: number,
  reason = 0,
): {
  list: number;
  torrent: number;
  reason: number;
  spark: number;
  map: number;
  peers: number;
  log: number;
  keys: number;
} {
  let left = Math.max(1, window.rows - 1);
  const take = (lines: number, least = lines): number => {
    const taken = left >= least ? Math.min(lines, left) : 0;
    left -= taken;
    return taken;
  };
  const height = window.columns < BOTH_RATES_WIDTH ? 3 : 2;
  const several = torrents > 1;
  const torrent = several && left < 10 ? 0 : take(height);
  const told = torrent === 0 ? 0 : take(Math.min(reason, Math.max(0, left - 1)));
  // With a heading and a line of totals.
  const wanted = several ? torrents + 2 : 1;
  // Without the torrent, the window is too low for anything but the list.
  const early = torrent > 0 && left >= KEYS_ROOM - height ? take(1) : 0;
  const most = left < LOW_WINDOW && torrent > 0 ? left : Math.floor(left * LIST_PART);
  const list = several || torrent === 0 ? take(Math.max(1, Math.min(wanted, most))) : 0;
  const keys = early || (left >= KEYS_ROOM - height ? take(1) : 0);
  const map = take(1 + (left < 12 ? 1 : left < 22 ? 2 : left < 36 ? 3 : 4), 5);
  const spark = left >= 4 ? take(1) : 0;
  const log = left >= 8 ? take(left < 12 ? 2 : left < 20 ? 4 : 6) : 0; // includes a blank line
  const peers = take(left, 3);
  return { list, torrent, reason: told, spark, map, peers, log, keys };
}

/**
 * Draws the live view. A pure function.
 *
 * @param picture Contents of the view.
 * @param window The window.
 * @returns At most `rows - 1` lines, none wider than `columns`.
 */
export function renderDashboard(picture: Picture, window: Window): string[] {
  const { torrents, state, stalled } = picture;
  const { columns: width, style } = window;
  const selected = torrents[state.selected];
  if (!selected) return [];
  const parts = divide(picture, window);
  const { share, reason, room, below } = parts;
  const keys = share.keys > 0 ? [keyLine(picture, window)] : [];
  if (state.panel === "help") {
    const help = renderHelp({ width, style, room: room - keys.length, scroll: state.scroll });
    return [...help, ...keys].slice(0, room).map((line) => cut(line, window));
  }
  const lines: string[] = [];
  const isStalled = ({ infoHash }: TorrentSnapshot) => stalled.has(infoHash.hex);
  if (share.list > 0) {
    const mark = torrents.length > 1 ? state.selected : null;
    lines.push(...renderList(torrents, { width, style, selected: mark, room: share.list, isStalled }));
  }
  if (share.torrent > 0) lines.push(...renderTorrent(selected, { width, style, stalled: isStalled(selected) }));
  lines.push(...reason);
  const panel = state.panel === "files"
    ? renderFiles(picture.files(), { width, style, room: below, scroll: state.scroll })
    : state.panel === "sources"
    ? renderSources(picture.sources(), { width, style, room: below, scroll: state.scroll })
    : overview(picture, { ...window, share });
  return [...lines, ...panel.slice(0, below), ...keys].slice(0, room).map((line) => cut(line, window));
}

/** How the window is divided. */
interface Division {
  /** Lines of each part. */
  readonly share: ReturnType<typeof layout>;
  /** Why nothing arrives for the selected torrent, or why it failed. */
  readonly reason: readonly string[];
  /** Lines of the window that can be drawn. */
  readonly room: number;
  /** Lines of the panel below the torrent. */
  readonly below: number;
}

function divide({ torrents, state }: Picture, window: Window): Division {
  const { columns: width, style } = window;
  const room = Math.max(1, window.rows - 1);
  const reason = renderWaiting(torrents[state.selected]!, { width, style });
  const share = layout(window, torrents.length, reason.length);
  const below = Math.max(0, room - share.list - share.torrent - share.reason - share.keys);
  return { share, reason: reason.slice(0, share.reason), room, below };
}

/**
 * Returns how many items the panel has, and how many {@linkcode renderDashboard} shows at once.
 *
 * @param picture Contents of the view.
 * @param window The window.
 */
export function scrollArea(picture: Picture, window: Window): { readonly items: number; readonly page: number } {
  const { torrents, state, log } = picture;
  const selected = torrents[state.selected];
  if (!selected) return { items: 0, page: 1 };
  const { share, room, below } = divide(picture, window);
  if (state.panel === "files") return { items: picture.files().length, page: Math.max(1, below - 1) };
  if (state.panel === "sources") {
    return { items: countSourceLines(picture.sources(), window.columns), page: Math.max(1, below - 1) };
  }
  if (state.panel === "help") {
    const items = helpLines(window.columns, window.style).length;
    return { items, page: helpPage(items, room - share.keys) };
  }
  const items = selected.peers.length;
  return { items, page: peerPage(items, peerRoom(share, log)) };
}

/** Returns the most lines of the table of peers: its own, and those that messages don't need. */
function peerRoom(share: ReturnType<typeof layout>, log: readonly string[]): number {
  return share.peers - blankAbovePeers(share) + share.log - messageLines(share, log);
}

/** Returns the blank lines above the table of peers; none if there would be no room for peers and their count. */
function blankAbovePeers(share: ReturnType<typeof layout>): number {
  return share.peers > 3 ? 1 : 0;
}

/** Returns the lines of the messages with the blank line above them. */
function messageLines(share: ReturnType<typeof layout>, log: readonly string[]): number {
  return log.length === 0 || share.log === 0 ? 0 : Math.min(share.log, log.length + 1);
}

function overview(picture: Picture, window: Window & { readonly share: ReturnType<typeof layout> }): string[] {
  const { columns: width, style, share } = window;
  const { state, torrents, log } = picture;
  const lines: string[] = [];
  if (share.spark > 0) lines.push(sparkLine(picture, window));
  const map = share.map > 0 ? picture.pieces(width * (share.map - 1)) : null;
  if (map) lines.push(...renderPieces(map, { width, style, rows: share.map - 1 }));
  if (share.peers > 0) {
    const { peers } = torrents[state.selected]!;
    const room = peerRoom(share, log);
    const keys = torrents.length > 1 ? "PgUp PgDn" : "arrows";
    const drawn = renderPeers(peers, { width, style, order: state.order, room, scroll: state.scroll, keys });
    const blank = Math.max(0, Math.min(picture.peerRows + 1, room) - Math.max(1, drawn.length));
    const above = Array<string>(blankAbovePeers(share)).fill("");
    if (drawn.length > 0 || picture.peerRows > 0) lines.push(...above, ...drawn, ...Array<string>(blank).fill(""));
  }
  const messages = share.log > 0 ? log.slice(1 - share.log) : [];
  if (messages.length > 0) lines.push("", ...messages);
  if (share.keys > 0 && share.peers > 0) lines.push("");
  return lines;
}

/** Returns the most messages that {@linkcode renderDashboard} shows. */
export function logRows(picture: Picture, window: Window): number {
  const { torrents, state } = picture;
  const { log } = torrents[state.selected] ? divide(picture, window).share : layout(window, torrents.length);
  return Math.max(0, log - 1);
}

function sparkLine({ rates, torrents, state }: Picture, { columns: width, style }: Window): string {
  const one = (history: RateHistory, glyph: string, cells: number): string => {
    const peak = `peak ${formatColumnRate(history.peak).padStart(11)}`;
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
    ["?", state.panel === "help" ? "back" : "help"],
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

/** Cuts a line to the width of the window. */
function cut(line: string, { columns, style }: Window): string {
  if (widthOf(line) <= columns) return line;
  return cliTruncate(line, columns, { truncationCharacter: style.unicode ? "\u2026" : "~" });
}
