/**
 * Draws the sentence that says why nothing arrives.
 *
 * @module
 */

import type { TorrentSnapshot } from "../session/session_events.ts";
import { painted, type Style } from "./style.ts";
import { clip, packWords, widthOf } from "./text.ts";

/** Between the phrases of a sentence. */
const DOT = " \u00b7 ";
/** Lines of a sentence at most. */
const MAX_LINES = 3;

/** Options for {@linkcode renderWaiting}. */
export interface RenderWaitingOptions {
  /** Width in cells, at least 1. */
  readonly width: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws the sentence of a torrent.
 *
 * @param torrent The torrent.
 * @param options See {@linkcode RenderWaitingOptions}.
 * @returns At most three lines, broken between phrases if they fit and otherwise between words; none if there is
 * nothing to say, or nothing besides the state, which is shown anyway.
 */
export function renderWaiting(torrent: TorrentSnapshot, options: RenderWaitingOptions): string[] {
  const { width, style } = options;
  const { waiting, state } = torrent;
  if (waiting === null || state === "paused" || state === "queued") return [];
  const words = style.unicode ? waiting : waiting.replaceAll(DOT, "; ");
  const lines = broken(words, { width, style });
  const shown = lines.length <= MAX_LINES
    ? lines
    : [...lines.slice(0, MAX_LINES - 1), lines.slice(MAX_LINES - 1).join(" ")];
  return shown.map((line) => painted(clip(line, { width, style }), state === "error" ? "red" : "yellow", style));
}

/** Breaks a sentence into lines: after a dot if the phrase after it fits into a line, otherwise after a word. */
function broken(sentence: string, { width, style }: RenderWaitingOptions): string[] {
  const lines: string[] = [];
  for (const phrase of sentence.split(DOT)) {
    const last = lines.at(-1);
    const longer = last === undefined ? phrase : last + DOT + phrase;
    if (widthOf(longer) <= width) lines.splice(-1, 1, longer);
    else if (widthOf(phrase) <= width) lines.push(phrase);
    else lines.push(...packWords(phrase, { width, style, room: Infinity }));
  }
  return lines;
}
