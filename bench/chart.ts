/**
 * Draws the tables of `bench/RESULTS.md` that the README shows: `deno task chart` writes `docs/benchmark.svg`.
 *
 * @module
 */

/** One bar. */
export interface Bar {
  /** Name of the client. */
  readonly name: string;
  /** Length of the bar, in the unit of the panel. */
  readonly value: number;
}

/** Bars with the same unit. */
export interface Panel {
  /** Heading. */
  readonly title: string;
  /** The bars, from top to bottom. */
  readonly bars: readonly Bar[];
}

/** Sections of RESULTS.md that are drawn, with the beginning of their panels' headings. */
const SECTIONS: Readonly<Record<string, string>> = {
  "1 GiB from Shoal": "1 GiB from Shoal",
  "1 GiB from libtorrent 2.1": "1 GiB from libtorrent 2.1",
};
/** Names in the tables, and as they are drawn. Others are not drawn. */
const NAMES: Readonly<Record<string, string>> = {
  compiled: "Shoal",
  libtorrent21: "libtorrent 2.1",
  libtorrent: "libtorrent 2.0",
  aria2: "aria2",
  rqbit: "rqbit",
};
const WIDTH = 760;
const PANEL_WIDTH = 360;
const LABEL_WIDTH = 100;
const BAR_WIDTH = 190;
const ROW = 24;
const HEAD = 34;
const GAP = 22;

/**
 * Reads the panels from the results.
 *
 * @param markdown Content of RESULTS.md.
 * @returns Two panels for each section that is drawn: time, and processor time.
 * @throws {Error} If a section or a column is missing.
 */
export function panelsOf(markdown: string): Panel[] {
  const sections = markdown.split(/^## /m);
  return Object.entries(SECTIONS).flatMap(([heading, title]) => {
    const section = sections.find((text) => text.startsWith(`${heading}\n`));
    if (section === undefined) throw new Error(`RESULTS.md has no section "${heading}"`);
    const [head, , ...rows] = section.split("\n").filter((line) => line.startsWith("|")).map(cellsOf);
    const column = (name: string): Bar[] => {
      const at = head?.findIndex((cell) => cell.startsWith(name)) ?? -1;
      if (at < 0) throw new Error(`the table of "${heading}" has no column "${name}"`);
      return rows.flatMap((cells) => {
        const drawn = NAMES[cells[0]!];
        return drawn === undefined ? [] : [{ name: drawn, value: Number.parseFloat(cells[at]!) }];
      });
    };
    return [
      { title: `${title}: time, s`, bars: column("wall, s") },
      { title: `${title}: processor time, s/GiB`, bars: column("CPU, s/GiB") },
    ];
  });
}

function cellsOf(line: string): string[] {
  return line.split("|").slice(1, -1).map((cell) => cell.trim());
}

/**
 * Draws panels, two in a row.
 *
 * @param panels The panels.
 * @returns An SVG image.
 */
export function drawChart(panels: readonly Panel[]): string {
  const parts: string[] = [];
  let top = 12;
  for (let i = 0; i < panels.length; i += 2) {
    const row = panels.slice(i, i + 2);
    for (const [side, panel] of row.entries()) parts.push(...drawPanel(panel, 16 + side * (PANEL_WIDTH + 8), top));
    top += HEAD + ROW * Math.max(...row.map(({ bars }) => bars.length)) + GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${top}" rx="8" fill="#ffffff"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function drawPanel({ title, bars }: Panel, left: number, top: number): string[] {
  const most = Math.max(...bars.map(({ value }) => value));
  const lines = [`<text x="${left}" y="${top + 16}" font-weight="bold" fill="#222222">${escaped(title)}</text>`];
  for (const [i, { name, value }] of bars.entries()) {
    const y = top + HEAD + i * ROW;
    const width = Math.max(1, Math.round(value / most * BAR_WIDTH));
    const colour = name === "Shoal" ? "#1f77b4" : "#b8c4ce";
    lines.push(
      `<text x="${left + LABEL_WIDTH - 6}" y="${y + 13}" text-anchor="end" fill="#222222">${escaped(name)}</text>`,
      `<rect x="${left + LABEL_WIDTH}" y="${y}" width="${width}" height="17" rx="2" fill="${colour}"/>`,
      `<text x="${left + LABEL_WIDTH + width + 6}" y="${y + 13}" fill="#222222">${value.toFixed(2)}</text>`,
    );
  }
  return lines;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

if (import.meta.main) {
  const results = await Deno.readTextFile(new URL("RESULTS.md", import.meta.url));
  await Deno.writeTextFile(new URL("../docs/benchmark.svg", import.meta.url), drawChart(panelsOf(results)));
}
