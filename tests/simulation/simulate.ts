/**
 * `deno task simulate`: plays scenarios with one or many seeds.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { playAll } from "./pool.ts";
import { play, scenarioNamed, SCENARIOS } from "./scenarios.ts";
import type { Order, Result } from "./worker.ts";

const USAGE = `Plays simulated swarms: the real engine on a virtual network, decided by a seed.

  deno task simulate --scenario NAME --seed N [--messages | --quiet]   plays one, with its trace
  deno task simulate [--scenario NAME] --seeds N | A..B [--jobs J]     plays many
  deno task simulate [--scenario NAME] --minutes M | --hours H         searches fresh seeds until the time is over

Scenarios (all when none is named; several with commas):
${SCENARIOS.map(({ name, purpose }) => `  ${name.padEnd(16)}${purpose}`).join("\n")}
`;

interface Row {
  seeds: number;
  failed: number;
  checks: number;
  time: number;
  cpu: number;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Plays scenarios with one seed, and prints their traces and results. */
async function replay(names: readonly string[], options: { seed: number; messages: boolean; quiet: boolean }) {
  let failures = 0;
  for (const name of names) {
    const { seed, messages, quiet } = options;
    const outcome = await play(scenarioNamed(name), { seed, ...(!quiet && { trace: say, messages }) });
    const { failure, checks, time } = outcome;
    if (failure !== null) failures++;
    if (failure !== null) say(failure instanceof Error && failure.stack && !quiet ? failure.stack : String(failure));
    if (!quiet) { for (const [rule, count] of checks) say(`checked ${rule.padEnd(24)} ${count} times`); }
    say(
      `${name} with seed ${seed}: ${failure === null ? "right" : "FAILED"} after ${(time / 1000).toFixed(3)} virtual s`,
    );
  }
  return failures;
}

/** Yields the runs of all scenarios for each seed, until a time on `performance.now()`. */
function* orders(names: readonly string[], seeds: Iterable<number>, until: number): Generator<Order> {
  for (const seed of seeds) {
    for (const scenario of names) {
      if (performance.now() > until) return;
      yield { scenario, seed };
    }
  }
}

function* from(first: number, last = Infinity): Generator<number> {
  for (let seed = first; seed <= last; seed++) yield seed;
}

/** Plays many runs, and prints failures and a summary. Returns the number of failures. */
async function search(names: readonly string[], runs: Generator<Order>, jobs: number): Promise<number> {
  const start = performance.now();
  const rows = new Map<string, Row>(names.map((name) => [name, { seeds: 0, failed: 0, checks: 0, time: 0, cpu: 0 }]));
  const failures: Result[] = [];
  let told = start;
  let count = 0;
  const done = (result: Result) => {
    const row = rows.get(result.scenario)!;
    count++;
    row.seeds++;
    row.checks += result.checks;
    row.time += result.time;
    row.cpu += result.cpu;
    if (result.failure !== "") {
      row.failed++;
      failures.push(result);
      say(`FAILED ${result.scenario} --seed ${result.seed}: ${result.failure}`);
    }
    if (performance.now() - told < 30_000) return;
    told = performance.now();
    say(`${count} runs in ${((told - start) / 1000).toFixed(0)} s, ${failures.length} failed, at seed ${result.seed}`);
  };
  await playAll(() => runs.next().value ?? null, { jobs, done });
  report(rows, { failures, seconds: (performance.now() - start) / 1000 });
  return failures.length;
}

function report(rows: ReadonlyMap<string, Row>, options: { failures: readonly Result[]; seconds: number }): void {
  const line = (cells: readonly (string | number)[]) =>
    cells.map((cell, i) => i === 0 ? `${cell}`.padEnd(16) : `${cell}`.padStart(13)).join("");
  say(line(["scenario", "seeds", "failed", "checks", "virtual h", "CPU ms a run"]));
  const sum: Row = { seeds: 0, failed: 0, checks: 0, time: 0, cpu: 0 };
  for (const [name, row] of rows) {
    for (const key of ["seeds", "failed", "checks", "time", "cpu"] as const) sum[key] += row[key];
    const each = row.seeds > 0 ? (row.cpu / row.seeds).toFixed(0) : "-";
    say(line([name, row.seeds, row.failed, row.checks, (row.time / 3_600_000).toFixed(1), each]));
  }
  const each = sum.seeds > 0 ? (sum.cpu / sum.seeds).toFixed(0) : "-";
  say(line(["all", sum.seeds, sum.failed, sum.checks, (sum.time / 3_600_000).toFixed(1), each]));
  const perMinute = sum.seeds / rows.size / (options.seconds / 60);
  say(
    `${perMinute.toFixed(1)} seeds a minute, each through ${rows.size} scenarios, in ${options.seconds.toFixed(0)} s`,
  );
  for (const { scenario, seed } of options.failures) say(`deno task simulate --scenario ${scenario} --seed ${seed}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      scenario: { type: "string" },
      seed: { type: "string" },
      seeds: { type: "string" },
      minutes: { type: "string" },
      hours: { type: "string" },
      jobs: { type: "string" },
      messages: { type: "boolean" },
      quiet: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const names = values.scenario?.split(",") ?? SCENARIOS.map(({ name }) => name);
  for (const name of names) scenarioNamed(name);
  const number = (text: string | undefined, fallback: number) => {
    const value = text === undefined ? fallback : Number(text);
    if (!(value >= 0)) throw new Error(`not a number: ${text}`);
    return value;
  };
  if (values.seed !== undefined) {
    const { messages = false, quiet = false } = values;
    return await replay(names, { seed: number(values.seed, 1), messages, quiet }) > 0 ? 1 : 0;
  }
  const jobs = number(values.jobs, 1);
  const minutes = number(values.minutes, 0) + 60 * number(values.hours, 0);
  if (minutes > 0) {
    // The seeds start at the current time, so that each search tries new ones.
    const first = Math.floor(Date.now() / 1000) % 1_000_000_000;
    return await search(names, orders(names, from(first), performance.now() + 60_000 * minutes), jobs) > 0 ? 1 : 0;
  }
  const [first, last] = (values.seeds ?? "1..10").split("..");
  const range = last === undefined ? from(1, number(first, 10)) : from(number(first, 1), number(last, 10));
  return await search(names, orders(names, range, Infinity), jobs) > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main();
