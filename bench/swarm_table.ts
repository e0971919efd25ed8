/**
 * Output of `deno task bench:swarm`.
 *
 * @module
 */

/** Figures of one leecher. */
export interface Measured {
  /** Seconds until the leecher was complete: from its start, or with `--swarm` from the start of the first one. */
  readonly seconds: number;
  /** Processor time in seconds. */
  readonly cpu: number;
  /** Peak resident memory in bytes. */
  readonly peak: number;
}

/** One turn of one leecher, or of as many concurrent leechers as `--swarm` says. */
export interface Turn {
  /** Leechers with the right payload, in the order of their starts. */
  readonly leechers: readonly Measured[];
  /** Errors of the other leechers. */
  readonly failures: readonly string[];
  /** Processor time of each seeder in seconds. */
  readonly seederCpu: readonly number[];
}

/** All turns with one name. */
export interface Row {
  readonly name: string;
  readonly turns: readonly Turn[];
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** Options for {@linkcode turnTable}. */
export interface TurnTableOptions {
  /** Bytes of the payload. */
  readonly size: number;
  /** Name of the leecher that the others are compared with. */
  readonly base: string;
}

/**
 * Makes the table of leechers that ran one at a time: medians, and ratios to one leecher.
 *
 * @param rows One row for each leecher.
 * @param options See {@linkcode TurnTableOptions}.
 * @returns Markdown.
 */
export function turnTable(rows: readonly Row[], { size, base }: TurnTableOptions): string {
  const summaries = rows.map(({ name, turns }) => ({ name, ...summarize(turns, size) }));
  const reference = summaries.find(({ name }) => name === base);
  const header = [
    "leecher",
    "right",
    "wall, s (from, to)",
    "MB/s",
    `wall / ${base}`,
    "CPU, s/GiB",
    `CPU / ${base}`,
    "peak, MiB",
    "seeders' CPU, s/GiB",
  ];
  const cells = summaries.map((one) => [
    one.name,
    one.right,
    `${fixed(one.wall, 2)} (${fixed(one.best, 2)}, ${fixed(one.worst, 2)})`,
    fixed(size / 1e6 / one.wall, 0),
    fixed(one.wall / (reference?.wall ?? NaN), 2),
    fixed(one.cpu, 2),
    fixed(one.cpu / (reference?.cpu ?? NaN), 2),
    fixed(one.peak / MIB, 0),
    fixed(one.seederCpu, 2),
  ]);
  return formatTable(header, cells);
}

/** Options for {@linkcode crowdTable}. */
export interface SwarmTableOptions {
  /** Bytes of the payload. */
  readonly size: number;
  /** Least seconds that are possible for the slowest leecher. */
  readonly bound: number;
}

/**
 * Makes the table of leechers that ran concurrently: when they were complete, compared with what is possible.
 *
 * @param rows One row for each kind of leecher.
 * @param options See {@linkcode SwarmTableOptions}.
 * @returns Markdown.
 */
export function swarmTable(rows: readonly Row[], { size, bound }: SwarmTableOptions): string {
  const header = [
    "leechers",
    "right",
    "bound, s",
    "first, s",
    "of bound",
    "median, s",
    "of bound",
    "last, s",
    "of bound",
    "CPU each, s/GiB",
    "peak, MiB",
    "seeders' CPU, s/GiB of payload",
  ];
  const cells = rows.map(({ name, turns }) => {
    const { right, cpu, peak, seederCpu } = summarize(turns, size);
    const times = turns.map(({ leechers }) => leechers.map(({ seconds }) => seconds));
    const points = [(all: readonly number[]) => Math.min(...all), median, (all: readonly number[]) => Math.max(...all)];
    const moments = points.map((point) => median(times.filter((all) => all.length > 0).map(point)));
    const inSeconds = moments.flatMap((seconds) => [fixed(seconds, 2), fixed(seconds / bound, 2)]);
    return [name, right, fixed(bound, 2), ...inSeconds, fixed(cpu, 2), fixed(peak / MIB, 0), fixed(seederCpu, 2)];
  });
  return formatTable(header, cells);
}

/**
 * Describes one turn as progress output.
 *
 * @param turn The turn.
 * @param size Bytes of the payload.
 * @returns A line for each leecher and one for the seeders; a single line if there is one leecher and it succeeded.
 */
export function turnLines({ leechers, failures, seederCpu }: Turn, size: number): string[] {
  const gib = size / GIB;
  const seeders = `seeders' CPU ${seederCpu.map((cpu) => fixed(cpu / gib, 2)).join(" + ")} s/GiB`;
  const each = leechers.map(({ seconds, cpu, peak }) =>
    `${fixed(seconds, 2)} s, ${fixed(size / 1e6 / seconds, 0)} MB/s, CPU ${fixed(cpu / gib, 2)} s/GiB, ` +
    `peak ${fixed(peak / MIB, 0)} MiB`
  );
  const lines = [...failures.map((failure) => `FAILED: ${failure}`), ...each, seeders];
  return leechers.length === 1 && failures.length === 0 ? [lines.join("; ")] : lines;
}

/** Returns the median, or `NaN` without numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? NaN) + (sorted[Math.floor(half)] ?? NaN)) / 2;
}

/**
 * Makes a Markdown table in the format of `deno fmt`, without a newline at the end.
 *
 * @param header Names of the columns.
 * @param rows Cells.
 */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, i) => Math.max(3, name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

function summarize(turns: readonly Turn[], size: number) {
  const leechers = turns.flatMap((turn) => turn.leechers);
  const failures = turns.reduce((sum, turn) => sum + turn.failures.length, 0);
  const walls = leechers.map(({ seconds }) => seconds);
  const whole = turns.filter((turn) => turn.failures.length === 0);
  return {
    right: `${leechers.length}/${leechers.length + failures}`,
    wall: median(walls),
    best: Math.min(...walls),
    worst: Math.max(...walls),
    cpu: median(leechers.map(({ cpu }) => cpu)) / (size / GIB),
    peak: Math.max(...leechers.map(({ peak }) => peak)),
    seederCpu: median(whole.map(({ seederCpu }) => seederCpu.reduce((sum, cpu) => sum + cpu, 0))) / (size / GIB),
  };
}

function fixed(number: number, digits: number): string {
  return Number.isFinite(number) ? number.toFixed(digits) : "-";
}
