/**
 * A process that plays what it is given, one run after the other: orders come as JSON lines, results go as such.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { play, scenarioNamed } from "./scenarios.ts";

/** A run to play. */
export interface Order {
  readonly scenario: string;
  readonly seed: number;
}

/** How it went. */
export interface Result extends Order {
  /** What was broken; empty when nothing was. */
  readonly failure: string;
  /** Checks that were made. */
  readonly checks: number;
  /** Virtual milliseconds. */
  readonly time: number;
  /** Milliseconds of a processor. */
  readonly cpu: number;
}

async function obey(order: Order): Promise<Result> {
  const before = process.cpuUsage();
  const outcome = await play(scenarioNamed(order.scenario), { seed: order.seed });
  const { user, system } = process.cpuUsage(before);
  return {
    ...order,
    failure: outcome.failure === null ? "" : String(outcome.failure),
    checks: [...outcome.checks.values()].reduce((sum, count) => sum + count, 0),
    time: outcome.time,
    cpu: (user + system) / 1000,
  };
}

if (import.meta.main) {
  // Thousands of errors are made and caught in a run; where they were made is shown by a replay.
  Error.stackTraceLimit = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await obey(JSON.parse(line) as Order);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}
