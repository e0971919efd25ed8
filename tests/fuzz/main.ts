/**
 * `deno task fuzz`: runs the decoders with millions of inputs and keeps the inputs that fail.
 *
 * @module
 */

import process from "node:process";
import type { Bytes } from "../../src/base/bytes.ts";
import { keepFailure } from "./corpus.ts";
import { describeFailure, type Failure } from "./fuzzer.ts";
import { fuzzGuarded } from "./guarded.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets/mod.ts";
import { WORST_SHAPES, type WorstShape } from "./worst/mod.ts";

const USAGE = `deno task fuzz [--target NAME]... [--seed N] [--first N] [--inputs N | --minutes N]
deno task fuzz --worst

  --target NAME   one of ${TARGETS.map(({ name }) => name).join(", ")}; all when absent
  --seed N        decides all inputs; 1 when absent
  --first N       number of the first input; 0 when absent
  --inputs N      inputs of all targets together, shared out so that cheap decoders get more; 1,000,000 when absent
  --minutes N     goes on for so long instead
  --worst         tells how much processor time the inputs that cost most take, at 256 KiB and at 1 MiB
`;
const MODULE = new URL("./targets/mod.ts", import.meta.url).href;
const HEAD = line(["target", "inputs", "accepted", "seconds", "inputs/s", "failures"]);
const DEFAULT_INPUTS = 1_000_000;
/** Inputs of a round when time decides the number of rounds. */
const ROUND = 200_000;
/** Time limit per input in milliseconds. */
const PATIENCE = 20_000;
/** Number of measurements of each of the worst shapes. */
const TRIES = 12;

interface Options {
  readonly targets: readonly Target[];
  readonly seed: number;
  readonly first: number;
  readonly inputs: number;
  readonly minutes: number | null;
}

/** A row of the table. */
interface Row {
  inputs: number;
  accepted: number;
  seconds: number;
  failures: number;
  next: number;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 1 && args[0] === "--worst") return printWorst();
  const options = parseArguments(args);
  if (typeof options === "string") {
    say(options === "" ? USAGE : `${options}\n\n${USAGE}`);
    return options === "" ? 0 : 2;
  }
  const rows = new Map(options.targets.map((target) => [target, emptyRow(options.first)]));
  const end = options.minutes === null ? null : performance.now() + options.minutes * 60_000;
  say(HEAD);
  do {
    for (const [target, row] of rows) {
      await runRow(target, row, { ...options, inputs: end === null ? options.inputs : ROUND });
      if (end === null) say(lineOf(target.name, row));
    }
  } while (end !== null && performance.now() < end);
  if (end !== null) { for (const [target, row] of rows) say(lineOf(target.name, row)); }
  say(lineOf("all", sumOf([...rows.values()])));
  return [...rows.values()].some((row) => row.failures > 0) ? 1 : 0;
}

/** Prints processor time, the best of several tries: other load on the machine only makes tries longer. */
function printWorst(): number {
  const widest = Math.max(...WORST_SHAPES.map(({ name }) => name.length));
  say(`${"shape".padEnd(widest)}  ms for 256 KiB  ms for 1 MiB  growth\n`);
  for (const shape of WORST_SHAPES) {
    const [short, long] = [1 << 18, 1 << 20].map((size) => bestOf(shape, shape.make(size)));
    const cells = [
      short!.toFixed(1).padStart(16),
      long!.toFixed(1).padStart(14),
      (long! / short!).toFixed(1).padStart(8),
    ];
    say(`${shape.name.padEnd(widest)}${cells.join("")}\n`);
  }
  return 0;
}

function bestOf(shape: WorstShape, input: Bytes): number {
  let best = Infinity;
  for (let i = 0; i < TRIES; i++) {
    const before = process.cpuUsage();
    shape.run(input);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

async function runRow(target: Target, row: Row, { targets, seed, inputs }: Options): Promise<void> {
  const shares = targets.reduce((sum, { weight }) => sum + weight, 0);
  const count = Math.max(1, Math.round(inputs * target.weight / shares));
  const started = performance.now();
  const tally = await fuzzGuarded({ module: MODULE, target, seed, first: row.next, count, patience: PATIENCE });
  row.seconds += (performance.now() - started) / 1000;
  row.inputs += tally.inputs;
  row.accepted += tally.accepted;
  row.failures += tally.failures.length;
  row.next += tally.inputs;
  for (const failure of tally.failures) await report(target, failure);
}

async function report(target: Target, failure: Failure): Promise<void> {
  // An endless input can't be shrunk by trying.
  const kept = failure.what.startsWith("Endless") ? "" : `  kept as ${await keepFailure(target, failure)}\n`;
  say(`${describeFailure(failure)}\n${kept}`);
}

function parseArguments(args: readonly string[]): Options | string {
  const values = { seed: 1, first: 0, inputs: DEFAULT_INPUTS };
  let minutes: number | null = null;
  const targets: Target[] = [];
  for (let i = 0; i < args.length; i += 2) {
    const [option = "", value = ""] = args.slice(i);
    if (option === "--help") return "";
    if (option === "--target") {
      const target = TARGETS.find(({ name }) => name === value);
      if (target === undefined) return `there is no target "${value}"`;
      targets.push(target);
      continue;
    }
    const number = Number(value);
    if (value === "" || !Number.isFinite(number) || number < 0) return `${option} needs a number, not "${value}"`;
    if (option === "--minutes") minutes = number;
    else if (option === "--seed" || option === "--first" || option === "--inputs") {
      if (!Number.isSafeInteger(number)) return `${option} needs a whole number, not ${value}`;
      values[option.slice(2) as keyof typeof values] = number;
    } else return `there is no option ${option}`;
  }
  return { ...values, minutes, targets: targets.length > 0 ? targets : TARGETS };
}

function emptyRow(next: number): Row {
  return { inputs: 0, accepted: 0, seconds: 0, failures: 0, next };
}

function sumOf(rows: readonly Row[]): Row {
  const all = emptyRow(0);
  for (const row of rows) {
    all.inputs += row.inputs;
    all.accepted += row.accepted;
    all.seconds += row.seconds;
    all.failures += row.failures;
  }
  return all;
}

function lineOf(name: string, { inputs, accepted, seconds, failures }: Row): string {
  const share = `${Math.round(100 * accepted / Math.max(1, inputs))}%`;
  const rate = Math.round(inputs / Math.max(0.001, seconds)).toLocaleString("en");
  return line([name, inputs.toLocaleString("en"), share, seconds.toFixed(1), rate, String(failures)]);
}

function line([name = "", ...cells]: readonly string[]): string {
  return `${name.padEnd(20)}${cells.map((cell) => cell.padStart(12)).join("")}\n`;
}

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

Deno.exitCode = await main(Deno.args);
