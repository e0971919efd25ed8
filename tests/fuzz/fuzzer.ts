/**
 * Runs a target with many inputs, each determined by a seed and a number.
 *
 * @module
 */

import { type Bytes, toHex } from "../../src/base/bytes.ts";
import { Dice, streamOf } from "./dice.ts";
import { Draft } from "./draft.ts";
import { mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

/** Number of consecutive inputs made from one valid input; the first is the valid input itself. */
const SIBLINGS = 8;
/** Failures that end a run: more failures would add no information. */
const ENOUGH_FAILURES = 20;
/** The most bytes of an input that are printed. */
const PRINTED_BYTES = 400;

/** An input that led to something other than a value or the module's own error. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  /** Number of the input. */
  readonly index: number;
  readonly input: Bytes;
  /** Outcome in words. */
  readonly what: string;
}

/** Outcome of a run. */
export interface Tally {
  readonly inputs: number;
  /** Number of inputs that decoded to a value. */
  readonly accepted: number;
  readonly failures: readonly Failure[];
}

/** Options for {@linkcode fuzz}. */
export interface RunOptions {
  /** Any integer. */
  readonly seed: number;
  /** Number of the first input; 0 when absent. */
  readonly first?: number;
  /** Number of inputs. */
  readonly count: number;
  /** Called before each input is run. */
  readonly onInput?: (index: number) => void;
  /** Called with the error of each refused input. */
  readonly onRefusal?: (error: Error) => void;
}

/** Makes the inputs of one target and seed. */
export class InputMaker {
  readonly #target: Target;
  readonly #seed: number;
  readonly #stream: number;
  readonly #dice = new Dice();
  readonly #draft = new Draft();
  #base = { number: -1, input: new Uint8Array(0) as Bytes };

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#seed = seed;
    this.#stream = streamOf(target.name);
  }

  /**
   * Makes an input, which depends only on target, seed and number.
   *
   * @param index Number of the input, 0 or more.
   */
  make(index: number): Bytes {
    const number = Math.floor(index / SIBLINGS);
    if (this.#base.number !== number) this.#base = { number, input: this.#generate(number) };
    if (index % SIBLINGS === 0) return this.#base.input;
    const dice = new Dice().start(this.#seed, this.#stream + 1, index);
    const other = () => this.#generate(dice.next());
    return mutate(this.#base.input, { dice, tokens: this.#target.tokens, other });
  }

  #generate(number: number): Bytes {
    this.#draft.clear();
    this.#target.generate(this.#dice.start(this.#seed, this.#stream, number), this.#draft);
    return this.#draft.take();
  }
}

/**
 * Runs a target.
 *
 * @returns The outcome, with at most 20 failures.
 */
export function fuzz(target: Target, options: RunOptions): Tally {
  const { seed, first = 0, count, onInput, onRefusal } = options;
  const maker = new InputMaker(target, seed);
  const failures: Failure[] = [];
  let accepted = 0;
  let index = first;
  for (; index < first + count && failures.length < ENOUGH_FAILURES; index++) {
    const input = maker.make(index);
    onInput?.(index);
    try {
      const refusal = target.run(input);
      if (refusal === null) accepted++;
      else onRefusal?.(refusal);
    } catch (error) {
      failures.push({ target: target.name, seed, index, input, what: describeThrown(error) });
    }
  }
  return { inputs: index - first, accepted, failures };
}

/**
 * Runs a target with one input.
 *
 * @returns The failure in words, or `null` if there is none.
 */
export function faultOf(target: Target, input: Bytes): string | null {
  try {
    target.run(input);
    return null;
  } catch (error) {
    return describeThrown(error);
  }
}

/** Describes a failure in several lines, including the command that reproduces it. */
export function describeFailure(failure: Failure): string {
  const { target, seed, index, input, what } = failure;
  const hex = input.length <= PRINTED_BYTES ? toHex(input) : `${toHex(input.subarray(0, PRINTED_BYTES))}...`;
  return [
    `${target}: ${what}`,
    `  seed ${seed}, input ${index}, ${input.length} bytes: ${hex}`,
    `  again: deno task fuzz --target ${target} --seed ${seed} --first ${index} --inputs 1`,
  ].join("\n");
}

function describeThrown(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `it threw ${String(thrown)}`;
}
