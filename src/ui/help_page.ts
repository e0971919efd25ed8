/**
 * Draws the page that explains keys, flags of peers, marks of pieces, and states.
 *
 * @module
 */

import { pieceMarks } from "./piece_row.ts";
import { painted, type Style } from "./style.ts";
import { clip, packWords, widthOf } from "./text.ts";

/** A line: what it explains, which may be painted, and the explanation. */
type Entry = readonly [mark: string, text: string];

interface Section {
  readonly title: string;
  readonly entries: readonly Entry[];
}

/** Cells of the marks of a section. */
const MARK_WIDTH = 5;
/** Most lines of an explanation. */
const MAX_LINES = 4;
/** Cells of the left column, and the smallest width at which there are two columns. */
const LEFT_WIDTH = 44;
const TWO_COLUMNS = 80;

const KEYS: Section = {
  title: "Keys",
  entries: [
    ["q", "stop in good order, as Ctrl-C"],
    ["p", "pause or resume (P: all torrents)"],
    ["f", "files and their progress"],
    ["t", "trackers, DHT, port and web seeds"],
    ["s", "sort peers by the next column"],
    ["l", "limit rates: 5M 500K, 0 for none"],
    ["tab", "the next torrent (also the arrows)"],
    ["PgUp", "scroll peers, files and help (also PgDn, Home, End, and arrows that select nothing)"],
    ["esc", "back"],
  ],
};
const FLAGS: Section = {
  title: "Flags of a peer",
  entries: [
    ["D", "we download from it"],
    ["d", "we want to, but it chokes us"],
    ["U", "we upload to it"],
    ["u", "it wants us to, but we choke it"],
    ["O", "unchoked to try it (optimistic)"],
    ["S", "snubbed: it sends nothing"],
    ["I", "it connected to us"],
    ["F", "it has the fast extension"],
    ["E", "all is encrypted"],
    ["e", "only the handshake is encrypted"],
    ["W", "a web seed"],
  ],
};
const STATES: Section = {
  title: "States",
  entries: [
    ["stalled", "nothing came for 10 s"],
    ["failed", "p tries again"],
    ["queued", "waits for its turn"],
    ["complete", "all is here; stopped"],
  ],
};

/** Options for {@linkcode renderHelp}. */
export interface RenderHelpOptions {
  /** Width in cells. */
  readonly width: number;
  /** Most lines, at least 1. */
  readonly room: number;
  /** Index of the first line to show. */
  readonly scroll: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/**
 * Draws the page.
 *
 * @param place See {@linkcode RenderHelpOptions}.
 * @returns At most `room` lines. If not all fit, the last one counts the others.
 */
export function renderHelp(place: RenderHelpOptions): string[] {
  const { width, room, scroll, style } = place;
  const lines = helpLines(width, style);
  if (lines.length <= room) return lines;
  if (room < 2) return lines.slice(scroll, scroll + 1);
  const page = helpPage(lines.length, room);
  const first = Math.max(0, Math.min(scroll, lines.length - page));
  const after = lines.length - first - page;
  const more = after > 0 ? `${after} more, arrows scroll` : "arrows scroll back";
  return [...lines.slice(first, first + page), painted(clip(more, { width, style }), "dim", style)];
}

/**
 * Returns the number of lines of the page that fit.
 *
 * @param count Number of lines of the page.
 * @param room Most lines.
 */
export function helpPage(count: number, room: number): number {
  return Math.max(1, count <= room ? count : room - 1);
}

/**
 * Returns all lines of the page.
 *
 * @param width Width in cells.
 * @param style What the terminal can show.
 */
export function helpLines(width: number, style: Style): string[] {
  const pieces = { title: "Pieces (a mark stands for one or more)", entries: pieceMarks(style) };
  const column = width < TWO_COLUMNS ? width : LEFT_WIDTH - 1;
  const draw = (...sections: readonly Section[]): string[] =>
    sections.flatMap((section, i) => [...(i > 0 ? [""] : []), ...drawSection(section, { width: column, style })]);
  if (width < TWO_COLUMNS) return draw(KEYS, FLAGS, pieces, STATES);
  const [left, right] = [draw(KEYS, pieces), draw(FLAGS, STATES)];
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const [a, b] = [left[i] ?? "", right[i] ?? ""];
    return b === "" ? a : a + " ".repeat(Math.max(1, LEFT_WIDTH - widthOf(a))) + b;
  });
}

function drawSection({ title, entries }: Section, { width, style }: { width: number; style: Style }): string[] {
  const longest = Math.max(MARK_WIDTH, ...entries.map(([mark]) => widthOf(mark) + 2));
  return [
    painted(title, "dim", style),
    ...entries.flatMap(([mark, text]) => {
      // Marks of pieces have colours of their own.
      const drawn = mark.includes("\x1b") ? mark : painted(mark, "bold", style);
      const lines = packWords(text, { width: Math.max(1, width - longest), style, room: MAX_LINES });
      return lines.map((line, i) =>
        i === 0 ? drawn + " ".repeat(longest - widthOf(mark)) + line : " ".repeat(longest) + line
      );
    }),
  ];
}
