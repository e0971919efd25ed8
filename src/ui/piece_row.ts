/**
 * Draws the piece map. A cell stands for one or more pieces, shaded by how much of them is complete.
 *
 * @module
 */

import type { PieceCell, PieceMap } from "../session/session_events.ts";
import { formatCount, formatPlural } from "./format.ts";
import { type Paint, painted, type Style, tinted } from "./style.ts";
import { clip } from "./text.ts";

/** Cells from missing to complete. */
const SHADES = "\u00b7\u2591\u2592\u2593\u2588";
const ASCII_SHADES = ".:=%#";
const ACTIVE = "+";
const RARE = "!";
const UNWANTED = "-";

/** RGB colours of a cell, from a few pieces complete to all, for terminals with more than sixteen colours. */
const FROM = [38, 92, 110] as const;
const TO = [64, 214, 190] as const;

/** Space for a piece map. */
export interface MapPlace {
  /** Width in cells. */
  readonly width: number;
  /** Lines without the heading. */
  readonly rows: number;
  /** What the terminal can show. */
  readonly style: Style;
}

/** Appearance of a cell. Adjacent cells with equal paint and shade are written together. */
interface Look {
  readonly character: string;
  readonly paint: Paint;
  /** Fraction that is complete, as a shade from 0 to 1; -1 for a colour without shades. */
  readonly shade: number;
}

/**
 * Draws the pieces of a torrent.
 *
 * @param map The piece map, with at most as many cells as fit.
 * @param place The space.
 * @returns A heading, and lines of at most `width` cells.
 */
export function renderPieces(map: PieceMap, place: MapPlace): string[] {
  const { width, style } = place;
  const common = map.cells.reduce((most, { rarest }) => Math.max(most, rarest ?? 0), 0);
  const looks = map.cells.map((cell) => lookOf(cell, common, style));
  // A piece takes several cells if there are few pieces.
  const times = Math.max(1, Math.floor(width / Math.max(1, looks.length)));
  const wide = times === 1 ? looks : looks.flatMap((look) => Array<Look>(times).fill(look));
  const lines: string[] = [];
  for (let at = 0; at < wide.length && lines.length < place.rows; at += width) {
    lines.push(joined(wide.slice(at, at + width), style));
  }
  return [heading(map, { width, style }), ...lines];
}

function lookOf(cell: PieceCell, common: number, style: Style): Look {
  const marks = !style.color || !style.unicode;
  const shades = style.unicode ? SHADES : ASCII_SHADES;
  if (!cell.wanted) return { character: UNWANTED, paint: "dim", shade: -1 };
  const level = cell.done >= 1 ? 4 : cell.done <= 0 ? 0 : 1 + Math.min(2, Math.floor(cell.done * 3));
  if (cell.active) return { character: marks ? ACTIVE : shades[Math.max(1, level)]!, paint: "yellow", shade: -1 };
  if (isRare(cell, common)) {
    return { character: marks ? RARE : shades[Math.max(1, level)]!, paint: "red", shade: -1 };
  }
  if (level === 0) return { character: shades[0]!, paint: "dim", shade: -1 };
  return { character: shades[level]!, paint: "cyan", shade: Math.round(cell.done * 8) / 8 };
}

/** Returns `true` if at most one peer has a piece of the cell, while other pieces are more common. */
function isRare({ rarest }: PieceCell, common: number): boolean {
  return rarest !== null && rarest <= 1 && common >= (rarest === 0 ? 1 : 3);
}

function joined(looks: readonly Look[], style: Style): string {
  let line = "";
  for (let at = 0; at < looks.length;) {
    const { paint, shade } = looks[at]!;
    let text = "";
    for (; at < looks.length && looks[at]!.paint === paint && looks[at]!.shade === shade; at++) {
      text += looks[at]!.character;
    }
    line += shade < 0 ? painted(text, paint, style) : tinted(text, { rgb: mixed(shade), otherwise: paint, style });
  }
  return line;
}

function mixed(part: number): readonly [number, number, number] {
  const at = (i: 0 | 1 | 2) => Math.round(FROM[i] + (TO[i] - FROM[i]) * part);
  return [at(0), at(1), at(2)];
}

/**
 * Returns the marks of the piece map with what they mean.
 *
 * @param style What the terminal can show.
 * @returns Painted marks, and explanations of up to 36 cells.
 */
export function pieceMarks(style: Style): readonly (readonly [mark: string, meaning: string])[] {
  const { shades, active, rare } = marksOf(style);
  const [none, some, half, most, all] = [...shades];
  const parts = [most, half, some].map((shade) => painted(shade!, "cyan", style)).join(" ");
  const told = (paint: Paint) => active === ACTIVE ? "" : ` (${paint})`;
  return [
    [painted(all!, "cyan", style), "here"],
    [parts, "partly here: most, half, some"],
    [painted(none!, "dim", style), "missing"],
    [painted(active, "yellow", style), `coming: requested now${told("yellow")}`],
    [painted(rare, "red", style), `rare: one peer has it, or none${told("red")}`],
    [painted(UNWANTED, "dim", style), "not wanted"],
  ];
}

/** Returns the marks that a terminal can show. Where it has colours, they tell what is coming and what is rare. */
function marksOf(style: Style): { readonly shades: string; readonly active: string; readonly rare: string } {
  const shades = style.unicode ? SHADES : ASCII_SHADES;
  if (!style.color || !style.unicode) return { shades, active: ACTIVE, rare: RARE };
  return { shades, active: shades[2]!, rare: shades[1]! };
}

function heading(map: PieceMap, { width, style }: { readonly width: number; readonly style: Style }): string {
  const { shades, active, rare } = marksOf(style);
  const count = `${formatCount(map.have)} of ${formatPlural(map.pieces, "piece")}`;
  const all: readonly (readonly [string, Paint, string])[] = [
    [shades[4]!, "cyan", "have"],
    [shades[3]!, "cyan", "part"],
    [active, "yellow", "coming"],
    [rare, "red", "rare"],
    [shades[0]!, "dim", "missing"],
    [UNWANTED, "dim", "not wanted"],
  ];
  // What is explained last is left out first.
  const room = width - count.length;
  const lengthOf = (legend: typeof all) => legend.reduce((sum, [, , word]) => sum + word.length + 4, 0);
  const without = (...words: string[]) => all.filter(([, , word]) => !words.includes(word));
  const legend = [all, without("not wanted"), without("not wanted", "part")]
    .find((legend) => lengthOf(legend) <= room);
  if (legend === undefined) return painted(clip(count, { width, style }), "dim", style);
  const right = legend.map(([mark, paint, word]) => `${painted(mark, paint, style)} ${painted(word, "dim", style)}`);
  return painted(count, "dim", style) + " ".repeat(room - lengthOf(legend) + 2) + right.join("  ");
}
