/**
 * Fuzzes on a thread of its own, so that whoever waits for it can notice an endless loop.
 *
 * @module
 */

/// <reference lib="deno.worker" />

import { fuzz } from "./fuzzer.ts";
import type { Target } from "./target.ts";

/** What a worker is asked to do. */
export interface Job {
  /** A module that exports `TARGETS`. */
  readonly module: string;
  /** Name of one of them. */
  readonly target: string;
  /** Any integer. */
  readonly seed: number;
  /** Number of the first input. */
  readonly first: number;
  /** How many inputs. */
  readonly count: number;
  /** One number in shared memory: that of the input that is being run, counted from the first. */
  readonly progress: SharedArrayBuffer;
}

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  // Most inputs are refused, and nobody looks at where.
  Error.stackTraceLimit = 0;
  const { TARGETS } = await import(data.module) as { readonly TARGETS: readonly Target[] };
  const target = TARGETS.find(({ name }) => name === data.target);
  if (target === undefined) throw new Error(`there is no target "${data.target}" in ${data.module}`);
  const progress = new Int32Array(data.progress);
  const { seed, first, count } = data;
  const onInput = (index: number) => void Atomics.store(progress, 0, index - first);
  self.postMessage(fuzz(target, { seed, first, count, onInput }));
};
