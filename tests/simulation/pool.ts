/**
 * Worker processes that play runs in parallel. A run that takes too long is killed and counts as failed.
 *
 * @module
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Order, Result } from "./worker.ts";
import { TEST_FLAGS } from "../support/from_source.ts";

/** Limit of a run in milliseconds of real time. */
export const LONGEST_RUN_MS = 120_000;
/** Number of runs after which a process is replaced, so that leaked memory doesn't accumulate. */
const RUNS_OF_A_PROCESS = 2_000;

/** Options for {@linkcode playAll}. */
export interface PlayAllOptions {
  /** Number of processes. */
  readonly jobs: number;
  /** Called with each result. */
  readonly done: (result: Result) => void;
}

/**
 * Plays runs until there are no more.
 *
 * @param next Returns the next run, or `null` if there are no more.
 * @param options See {@linkcode PlayAllOptions}.
 */
export async function playAll(next: () => Order | null, options: PlayAllOptions): Promise<void> {
  const lane = async () => {
    let order = next();
    while (order !== null) {
      const worker = new Worker();
      try {
        for (let runs = 0; order !== null && runs < RUNS_OF_A_PROCESS; runs++) {
          const result: Result = await worker.play(order);
          options.done(result);
          order = next();
          if (result.failure.startsWith(HANG)) break;
        }
      } finally {
        worker.end();
      }
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, lane));
}

const HANG = "hang";

/** One worker process. */
class Worker {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const script = new URL("./worker.ts", import.meta.url).href;
    const flags = ["run", ...TEST_FLAGS, "--no-check", "--no-prompt", "--allow-read", "--allow-env", script];
    this.#child = spawn(Deno.execPath(), flags);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.pipe(process.stderr);
  }

  async play(order: Order): Promise<Result> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const tooLong = Promise.withResolvers<null>();
    const timer = setTimeout(() => tooLong.resolve(null), LONGEST_RUN_MS);
    const line = await Promise.race([this.#lines.next(), tooLong.promise]);
    clearTimeout(timer);
    const failed = (failure: string): Result => ({ ...order, failure, checks: 0, time: 0, cpu: 0 });
    if (line === null) return failed(`${HANG}: no end after ${LONGEST_RUN_MS / 1000} s of real time`);
    if (line.done) return failed(`${HANG}: the process ended in the middle of the run`);
    return JSON.parse(line.value) as Result;
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}
