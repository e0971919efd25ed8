/**
 * Draws a terminal's screen: converts text with escape sequences to SVG.
 *
 * @module
 */

import stringWidth from "string-width";

/** Attributes of a cell. Colours are `#rrggbb`, or `null` for the terminal's default. */
export interface Look {
  readonly color: string | null;
  readonly background: string | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
  readonly reverse: boolean;
}

/** Consecutive characters with the same attributes. */
export interface Run {
  readonly column: number;
  /** In cells. */
  readonly width: number;
  readonly text: string;
  readonly look: Look;
}

const PLAIN: Look = {
  color: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  reverse: false,
};
/** The sixteen standard colours, for a dark background. */
const SIXTEEN = [
  ...["#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4"],
  ...["#6e7681", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#f0f6fc"],
];
const INK = "#e6edf3";
const PAPER = "#0d1117";
const CELL = { width: 9, height: 20, font: 15, baseline: 15 } as const;
const MARGIN = 16;

/**
 * Parses a screen.
 *
 * @param text Lines with SGR sequences, as printed by `tmux capture-pane -e -p`. Other sequences are skipped.
 * @returns The runs of each line. Trailing spaces without a colour are left out.
 */
export function readScreen(text: string): Run[][] {
  let look = PLAIN;
  const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
  return text.replace(/\n$/, "").split("\n").map((line) => {
    const runs: { column: number; width: number; text: string; look: Look }[] = [];
    let column = 0;
    // deno-lint-ignore no-control-regex
    for (const [part, sgr] of line.matchAll(/\x1b\[([\d;:]*)m|\x1b(?:\[[^@-~]*[@-~]|[ -/]*[0-Z\\-~])|[^\x1b]+/g)) {
      if (sgr !== undefined) look = changed(look, sgr);
      if (part.startsWith("\x1b")) continue;
      for (const { segment } of segmenter.segment(part)) {
        const width = stringWidth(segment);
        if (width === 0) continue;
        const last = runs.at(-1);
        // A wide character gets its own run, because fonts differ in its width.
        if (last?.look === look && width === 1 && last.width === last.text.length) last.text += segment, last.width++;
        else runs.push({ column, width, text: segment, look });
        column += width;
      }
    }
    while (runs.length > 0 && runs.at(-1)!.text.trim() === "" && isBare(runs.at(-1)!.look)) runs.pop();
    return runs;
  });
}

function isBare({ background, reverse, underline }: Look): boolean {
  return background === null && !reverse && !underline;
}

function changed(look: Look, sgr: string): Look {
  const codes = sgr.split(/[;:]/).map(Number);
  const next = { ...look };
  for (let code = codes.shift(); code !== undefined; code = codes.shift()) {
    if (code === 0) Object.assign(next, PLAIN);
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.reverse = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.reverse = false;
    else if (code >= 30 && code <= 37) next.color = SIXTEEN[code - 30]!;
    else if (code >= 90 && code <= 97) next.color = SIXTEEN[code - 82]!;
    else if (code >= 40 && code <= 47) next.background = SIXTEEN[code - 40]!;
    else if (code >= 100 && code <= 107) next.background = SIXTEEN[code - 92]!;
    else if (code === 39) next.color = null;
    else if (code === 49) next.background = null;
    else if (code === 38) next.color = longColor(codes) ?? next.color;
    else if (code === 48) next.background = longColor(codes) ?? next.background;
  }
  return next;
}

/** Parses a colour, `5;N` of 256 or `2;R;G;B`, and removes its codes from the list. */
function longColor(codes: number[]): string | null {
  const kind = codes.shift();
  if (kind === 2) return hex(codes.splice(0, 3));
  if (kind !== 5) return null;
  const index = codes.shift() ?? 0;
  if (index < 16) return SIXTEEN[index]!;
  if (index >= 232) return hex(new Array<number>(3).fill(8 + (index - 232) * 10));
  const level = (step: number): number => step === 0 ? 0 : 55 + step * 40;
  const cube = index - 16;
  return hex([level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)]);
}

function hex(rgb: readonly number[]): string {
  return `#${[0, 1, 2].map((i) => Math.min(255, rgb[i] ?? 0).toString(16).padStart(2, "0")).join("")}`;
}

/** Options for {@linkcode drawSvg}. */
export interface DrawSvgOptions {
  /** Width of the terminal in cells. */
  readonly columns: number;
  /** Description of the picture, for screen readers. */
  readonly title: string;
}

/**
 * Draws a screen. The picture has its own background, so that it looks the same on any page.
 *
 * @param screen Result of {@linkcode readScreen}.
 * @param options See {@linkcode DrawSvgOptions}.
 * @returns SVG.
 */
export function drawSvg(
  screen: readonly (readonly Run[])[],
  { columns, title }: DrawSvgOptions,
): string {
  const rows = screen.findLastIndex((runs) => runs.length > 0) + 1;
  const width = columns * CELL.width + 2 * MARGIN;
  const height = rows * CELL.height + 2 * MARGIN;
  const shapes = screen.slice(0, rows).flatMap((runs, row) => runs.flatMap((run) => drawRun(run, row)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ` +
    `role="img" aria-label="${escaped(title)}">`,
    `<title>${escaped(title)}</title>`,
    `<style>text{font:${CELL.font}px ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",` +
    `monospace;white-space:pre}.b{font-weight:700}.i{font-style:italic}.u{text-decoration:underline}` +
    `rect.c{shape-rendering:crispEdges}</style>`,
    `<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8" fill="${PAPER}" stroke="#30363d"/>`,
    `<g transform="translate(${MARGIN} ${MARGIN})" fill="${INK}" xml:space="preserve">`,
    ...shapes,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

function drawRun({ column, width, text, look }: Run, row: number): string[] {
  const [x, y] = [column * CELL.width, row * CELL.height];
  const ink = look.reverse ? look.background ?? PAPER : look.color ?? INK;
  const ground = look.reverse ? look.color ?? INK : look.background;
  const faint = look.dim ? 0.6 : 1;
  const shapes: string[] = [];
  if (ground !== null) shapes.push(rect([x, y, width * CELL.width, CELL.height], ground, 1));
  // Blocks and lines are drawn as shapes, since those of fonts leave gaps.
  for (const match of text.matchAll(/[\u2500-\u259f]+|[^\u2500-\u259f]+/g)) {
    const part = match[0];
    const left = x + match.index * CELL.width;
    if (!/[\u2500-\u259f]/.test(part)) shapes.push(...drawText(part, { left, y, width, look, ink, faint }));
    else {
      for (const [i, character] of [...part].entries()) {
        const cell = cellShapes(character);
        const at = left + i * CELL.width;
        if (cell === null) shapes.push(...drawText(character, { left: at, y, width: 1, look, ink, faint }));
        else {for (const [dx, dy, w, h, alpha = 1] of cell) {
            shapes.push(rect([at + dx, y + dy, w, h], ink, alpha * faint));
          }}
      }
    }
  }
  return joined(shapes);
}

interface TextPlace {
  readonly left: number;
  readonly y: number;
  readonly width: number;
  readonly look: Look;
  readonly ink: string;
  readonly faint: number;
}

function drawText(text: string, { left, y, width, look, ink, faint }: TextPlace): string[] {
  const kinds = [look.bold && "b", look.italic && "i", look.underline && "u"].filter(Boolean).join(" ");
  const attributes = [
    ...(kinds === "" ? [] : [`class="${kinds}"`]),
    ...(ink === INK ? [] : [`fill="${ink}"`]),
    ...(faint === 1 ? [] : [`fill-opacity="${faint}"`]),
  ];
  // Words with more than one space between them are placed separately, so that columns are aligned in any font.
  const words = look.underline ? /.+/g : /\S+(?: \S+)*/g;
  return Array.from(text.matchAll(words), ({ 0: word, index }) => {
    // A wide character has two cells and a run of its own. Any other character has one cell.
    const cells = width === 2 && stringWidth(text) === 2 ? 2 : word.length;
    const place = `x="${left + index * CELL.width}" y="${y + CELL.baseline}" textLength="${cells * CELL.width}"`;
    return `<text ${[place, `lengthAdjust="spacingAndGlyphs"`, ...attributes].join(" ")}>${escaped(word)}</text>`;
  });
}

type Shape = readonly [x: number, y: number, width: number, height: number, alpha?: number];

/** Returns the shapes of a block or line character in its cell, or `null` if the character is drawn as text. */
function cellShapes(character: string): readonly Shape[] | null {
  const { width: w, height: h } = CELL;
  const code = character.charCodeAt(0);
  const lines = LINES[character];
  if (lines !== undefined) return lineShapes(lines);
  if (code < 0x2580) return null;
  if (code === 0x2580) return [[0, 0, w, h / 2]];
  if (code <= 0x2588) return [[0, h * (0x2588 - code) / 8, w, h * (code - 0x2580) / 8]];
  if (code <= 0x258f) return [[0, 0, w * (0x2590 - code) / 8, h]];
  if (code === 0x2590) return [[w / 2, 0, w / 2, h]];
  if (code <= 0x2593) return [[0, 0, w, h, (code - 0x2590) / 4]];
  if (code === 0x2594) return [[0, 0, w, h / 8]];
  if (code === 0x2595) return [[w * 7 / 8, 0, w / 8, h]];
  // Quarters: upper left, upper right, lower left, lower right.
  const quarters = [0b0010, 0b0001, 0b1000, 0b1011, 0b1001, 0b1110, 0b1101, 0b0100, 0b0110, 0b0111][code - 0x2596]!;
  return [[0, 0], [w / 2, 0], [0, h / 2], [w / 2, h / 2]]
    .filter((_, i) => quarters & 0b1000 >> i)
    .map(([x, y]) => [x!, y!, w / 2, h / 2]);
}

/** Arms of line characters: up, right, down, left; 1 for light, 2 for heavy. Round corners are drawn square. */
const LINES: Readonly<Record<string, readonly [number, number, number, number]>> = {
  ..."\u2500 0101 \u2502 1010 \u250c 0110 \u2510 0011 \u2514 1100 \u2518 1001 \u251c 1110 \u2524 1011 \u252c 0111 \u2534 1101 \u253c 1111"
    .concat(" \u256d 0110 \u256e 0011 \u256f 1001 \u2570 1100 \u2574 0001 \u2575 1000 \u2576 0100 \u2577 0010")
    .concat(" \u2501 0202 \u2503 2020 \u250f 0220 \u2513 0022 \u2517 2200 \u251b 2002 \u2578 0002 \u257a 0200")
    .split(" ")
    .reduce((all: Record<string, [number, number, number, number]>, word, i, words) => {
      if (i % 2 === 1) all[words[i - 1]!] = [...word].map(Number) as [number, number, number, number];
      return all;
    }, {}),
};

function lineShapes([up, right, down, left]: readonly [number, number, number, number]): Shape[] {
  const { width: w, height: h } = CELL;
  const [x, y] = [Math.floor(w / 2), h / 2];
  const shapes: Shape[] = [];
  if (left && right) shapes.push([0, y, w, right]);
  else if (left) shapes.push([0, y, x + 1, left]);
  else if (right) shapes.push([x, y, w - x, right]);
  if (up && down) shapes.push([x, 0, down, h]);
  else if (up) shapes.push([x, 0, up, y + 1]);
  else if (down) shapes.push([x, y, down, h - y]);
  return shapes;
}

function rect([x, y, width, height]: readonly [number, number, number, number], fill: string, alpha: number): string {
  const opacity = alpha === 1 ? "" : ` fill-opacity="${round(alpha)}"`;
  return `<rect class="c" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${
    round(height)
  }" fill="${fill}"${opacity}/>`;
}

/** Joins adjacent rectangles of a row, which saves bytes and avoids seams. */
function joined(shapes: readonly string[]): string[] {
  const pattern = /^<rect class="c" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" (height="[\d.]+" fill="#\w+"[^/]*\/>)$/;
  const out: string[] = [];
  for (const shape of shapes) {
    const [, x, y, width, rest] = pattern.exec(shape) ?? [];
    const [, lastX, lastY, lastWidth, lastRest] = pattern.exec(out.at(-1) ?? "") ?? [];
    const touches = rest !== undefined && rest === lastRest && y === lastY &&
      Number(lastX) + Number(lastWidth) === Number(x);
    if (!touches) out.push(shape);
    else {
      const whole = round(Number(lastWidth) + Number(width));
      out[out.length - 1] = `<rect class="c" x="${lastX}" y="${y}" width="${whole}" ${rest}`;
    }
  }
  return out;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}
