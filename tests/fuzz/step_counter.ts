/**
 * Counts work, so that tests need no clock.
 *
 * @module
 */

import { Session } from "node:inspector";

/** Where the code is whose steps are counted. */
const COUNTED = new URL("../../src/", import.meta.url).href;

/** What the engine says of the code that has run, as far as it is read here. */
interface Coverage {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
}

/** Counts how often the blocks of code in `src` are run: the same number for the same input, on any machine. */
export class StepCounter implements AsyncDisposable {
  readonly #session = new Session();

  /** Begins to count. Until it is disposed, code runs slowly. */
  async start(): Promise<this> {
    this.#session.connect();
    await this.#post("Profiler.enable");
    await this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
    return this;
  }

  /** Forgets what was run up to now. */
  async reset(): Promise<void> {
    await this.#post("Profiler.takePreciseCoverage"); // it sets the counts to zero
  }

  /**
   * Counts what something runs. Code that has hardly run before isn't counted fully, so let it run once, then `reset()`.
   *
   * @param run What to count.
   * @returns Blocks that were run, all together, since the last count too, and bytes that the engine itself moved around.
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

/** Bytes that are copied within and between arrays while something runs. */
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
