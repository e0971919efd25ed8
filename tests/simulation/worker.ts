/**
 * A worker process that plays runs one after the other. It reads {@linkcode Order}s and prints {@linkcode Result}s as
 * lines of JSON.
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

/** Result of a run. */
export interface Result extends Order {
  /** Error that ended the run, empty if it succeeded. */
  readonly failure: string;
  /** Number of checks. */
  readonly checks: number;
  /** Duration in virtual milliseconds. */
  readonly time: number;
  /** Processor time in milliseconds. */
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
  // A run makes and catches thousands of errors, and stack traces are slow. A replay shows them.
  Error.stackTraceLimit = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const result = await obey(JSON.parse(line) as Order);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}
