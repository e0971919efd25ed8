/**
 * Fuzzes on a thread of its own, so that the main thread can notice an endless loop.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { fuzz } from "./fuzzer.ts";
import type { Target } from "./target.ts";

/** Message that starts a worker. */
export interface Job {
  /** A module that exports `TARGETS`. */
  readonly module: string;
  /** Name of the target. */
  readonly target: string;
  /** Any integer. */
  readonly seed: number;
  /** Number of the first input. */
  readonly first: number;
  /** Number of inputs. */
  readonly count: number;
  /** Shared memory for one 32-bit number: the input being run, counted from the first. */
  readonly progress: SharedArrayBuffer;
}

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  // Most inputs are refused, and stack traces of the errors are never read.
  Error.stackTraceLimit = 0;
  const { TARGETS } = await import(data.module) as { readonly TARGETS: readonly Target[] };
  const target = TARGETS.find(({ name }) => name === data.target);
  if (target === undefined) throw new Error(`there is no target "${data.target}" in ${data.module}`);
  const progress = new Int32Array(data.progress);
  const { seed, first, count } = data;
  const onInput = (index: number) => void Atomics.store(progress, 0, index - first);
  self.postMessage(fuzz(target, { seed, first, count, onInput }));
};
