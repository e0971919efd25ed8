/**
 * Counts work, so that tests need no clock.
 *
 * @module
 */

import { Session } from "node:inspector";

/** Folder of the code whose steps are counted. */
const COUNTED = new URL("../../src/", import.meta.url).href;

/** The parts of the engine's coverage report that are read here. */
interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

/** Counts how often blocks of code in `src` run. The number is the same for the same input on every machine. */
export class StepCounter implements AsyncDisposable {
  readonly #session = new Session();

  /** Starts counting. Code runs slowly until the counter is disposed of. */
  async start(): Promise<this> {
    this.#session.connect();
    await this.#post("Profiler.enable");
    await this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return this;
  }

  /** Discards the counts so far. */
  async reset(): Promise<void> {
    await this.#post("Profiler.takePreciseCoverage"); // sets the counts to zero
  }

  /**
   * Counts the steps of a function. The engine doesn't count code fully on its first runs, so the function has to run
   * once before a `reset()`.
   *
   * @param run Function to count.
   * @returns Blocks of code run since the last count, plus bytes that the engine's own functions copied.
   */
  async count(run: () => void): Promise<number> {
    const moved = movedBy(run);
    const { result } = await this.#post("Profiler.takePreciseCoverage") as Coverage;
    let steps = 0;
    for (const { url, functions } of result) {
      if (!url.startsWith(COUNTED)) continue;
      for (const { ranges } of functions) for (const { count } of ranges) steps += count;
    }
    return steps + moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#post("Profiler.stopPreciseCoverage");
    await this.#post("Profiler.disable");
    this.#session.disconnect();
  }

  #post(method: string, parameters: object = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, parameters, (error: unknown, result: unknown) => {
        if (error) reject(error);
        else resolve(result);
      });
    });
  }
}

/** Returns the bytes that a function copies within and between arrays. */
function movedBy(run: () => void): number {
  const prototype = Uint8Array.prototype;
  const { set, slice, copyWithin } = prototype;
  let moved = 0;
  prototype.set = function (source, offset) {
    moved += source.length;
    set.call(this, source, offset);
  };
  prototype.slice = function (start, end) {
    const copy = slice.call(this, start, end);
    moved += copy.length;
    return copy;
  };
  prototype.copyWithin = function (target, start, end) {
    moved += (end ?? this.length) - start;
    return copyWithin.call(this, target, start, end);
  };
  try {
    run();
  } finally {
    Object.assign(prototype, { set, slice, copyWithin });
  }
  return moved;
}
