/**
 * What can be fuzzed.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import type { Dice } from "./dice.ts";
import type { Draft } from "./draft.ts";

/** A decoder, what to feed it with, and what may come out. */
export interface Target {
  /** Lower case with hyphens; names the folder of the corpus too. */
  readonly name: string;
  /** Its share of a run of all targets: cheap decoders get more inputs. */
  readonly weight: number;
  /** What has a meaning in this format; mutations put these in. */
  readonly tokens: readonly string[];
  /**
   * Makes an input that is valid, or valid but for something odd.
   *
   * @param dice Chance.
   * @param draft Takes the input.
   */
  generate(dice: Dice, draft: Draft): void;
  /**
   * Decodes an input and looks at all that comes out.
   *
   * @param input Any bytes. Not changed.
   * @returns `null` for a value, else the module's own error.
   * @throws {unknown} If anything else came out: this is what fuzzing looks for.
   */
  run(input: Bytes): Error | null;
}

/** A value that a decoder must never give. */
export class Broken extends Error {
  override name = "Broken";
}

/**
 * Holds a decoder to something.
 *
 * @param holds Whether it does.
 * @param what What it breaks if not; made only then when it is a function.
 * @throws {Broken} If it doesn't.
 */
export function hold(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Broken(typeof what === "string" ? what : what());
}

/**
 * Decodes, telling the module's own errors from all others.
 *
 * @param own The class of the module's errors.
 * @param decode What to do.
 * @returns What it returned, or the error.
 * @throws {unknown} Any other error.
 */
export function attempt<T, E extends Error>(own: new (...args: never[]) => E, decode: () => T): T | E {
  try {
    return decode();
  } catch (error) {
    if (error instanceof own) return error;
    throw error;
  }
}
