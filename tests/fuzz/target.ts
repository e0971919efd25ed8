/**
 * The interface of fuzzing targets.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import type { Dice } from "./dice.ts";
import type { Draft } from "./draft.ts";

/** A decoder, its inputs, and the outcomes allowed. */
export interface Target {
  /** Name in lower case with hyphens; also the name of the folder in the corpus. */
  readonly name: string;
  /** Share of the inputs when all targets run: cheap decoders get more inputs. */
  readonly weight: number;
  /** Texts with a meaning in the format, which mutations insert. */
  readonly tokens: readonly string[];
  /** Makes an input that is valid, or valid except for something odd. */
  generate(dice: Dice, draft: Draft): void;
  /**
   * Decodes an input and reads everything in the result.
   *
   * @param input Any bytes; must not be changed.
   * @returns `null` if the input decodes, or the module's own error.
   * @throws {unknown} Any other outcome, which is a failure.
   */
  run(input: Bytes): Error | null;
}

/** A result that a decoder must never return. */
export class Broken extends Error {
  override name = "Broken";
}

/**
 * Asserts a property of a decoder.
 *
 * @param holds The property.
 * @param what Message of the failure; a function is called only on failure.
 * @throws {Broken} If the property doesn't hold.
 */
export function hold(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Broken(typeof what === "string" ? what : what());
}

/**
 * Runs a decoder and separates the module's own errors from all others.
 *
 * @param own Class of the module's errors.
 * @param decode Calls the decoder.
 * @returns The result of `decode`, or the module's own error.
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
