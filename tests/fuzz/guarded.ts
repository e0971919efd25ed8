/**
 * Fuzzing that survives endless loops.
 *
 * @module
 */

import { type Failure, InputMaker, type Tally } from "./fuzzer.ts";
import type { Target } from "./target.ts";
import type { Job } from "./worker.ts";

/** Options for {@linkcode fuzzGuarded}. */
export interface GuardedOptions extends Omit<Job, "progress" | "target"> {
  /** The target, which `module` exports, too. */
  readonly target: Target;
  /** Time limit per input in milliseconds; far more than any input needs. */
  readonly patience: number;
}

/** Value of the progress while the worker is still loading its modules. */
const NOT_YET = -1;

/** Runs a target in a worker. An input that exceeds the time limit is a failure and ends the run. */
export async function fuzzGuarded(options: GuardedOptions): Promise<Tally> {
  const { module, target, seed, first, count, patience } = options;
  const progress = new SharedArrayBuffer(4);
  new Int32Array(progress).fill(NOT_YET);
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const answer = new Promise<Tally>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<Tally>) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
  const job: Job = { module, target: target.name, seed, first, count, progress };
  worker.postMessage(job);
  const watch = watchProgress(new Int32Array(progress), patience);
  try {
    const stuck = await Promise.race([answer, watch.stuck]);
    if (typeof stuck !== "number") return stuck;
    const index = first + stuck;
    const what = `Endless: no outcome in ${patience} ms`;
    const input = new InputMaker(target, seed).make(index);
    const failure: Failure = { target: target.name, seed, index, input, what };
    return { inputs: stuck + 1, accepted: 0, failures: [failure] };
  } finally {
    watch.stop();
    worker.terminate();
  }
}

/** Resolves with the progress once it has not changed for `patience` milliseconds. */
function watchProgress(progress: Int32Array, patience: number): { stuck: Promise<number>; stop: () => void } {
  let timer: ReturnType<typeof setInterval> | undefined;
  let last = NOT_YET;
  const stuck = new Promise<number>((resolve) => {
    timer = setInterval(() => {
      const now = Atomics.load(progress, 0);
      if (now === last && now !== NOT_YET) resolve(now);
      last = now;
    }, patience);
  });
  return { stuck, stop: () => clearInterval(timer) };
}
