/**
 * Runs a target with many inputs, each of them decided by a seed and a number.
 *
 * @module
 */

import { type Bytes, toHex } from "../../src/base/bytes.ts";
import { Dice, streamOf } from "./dice.ts";
import { Draft } from "./draft.ts";
import { mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

/** As many inputs in a row are made from one valid input: the first is that input itself. */
const SIBLINGS = 8;
/** Failures after which a run is given up: more of them would tell nothing new. */
const ENOUGH_FAILURES = 20;
/** Beyond this many bytes an input is not printed. */
const PRINTED_BYTES = 400;

/** An input that brought out something else than a value or the module's own error. */
export interface Failure {
  readonly target: string;
  readonly seed: number;
  /** Number of the input. */
  readonly index: number;
  readonly input: Bytes;
  /** What came out, in words. */
  readonly what: string;
}

/** What became of a run. */
export interface Tally {
  readonly inputs: number;
  /** How many of the inputs gave a value. */
  readonly accepted: number;
  readonly failures: readonly Failure[];
}

/** Which inputs to run. */
export interface RunOptions {
  /** Any integer. */
  readonly seed: number;
  /** Number of the first input; 0 when absent. */
  readonly first?: number;
  /** How many inputs. */
  readonly count: number;
  /** Told about each input before it is run. */
  readonly onInput?: (index: number) => void;
  /** Told what was refused, and why. */
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

  /**
   * @param target What the inputs are for.
   * @param seed Any integer.
   */
  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#seed = seed;
    this.#stream = streamOf(target.name);
  }

  /**
   * @param index Number of an input, 0 or more.
   * @returns The input, which depends on target, seed and number alone.
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
 * @param target What to fuzz.
 * @param options Which inputs to run.
 * @returns What became of them; at most 20 failures.
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
 * Whether an input fails, and how.
 *
 * @param target What to run.
 * @param input Any bytes.
 * @returns What came out, in words, or `null` when all is well.
 */
export function faultOf(target: Target, input: Bytes): string | null {
  try {
    target.run(input);
    return null;
  } catch (error) {
    return describeThrown(error);
  }
}

/**
 * A failure for people, with the command that shows it again.
 *
 * @param failure What failed.
 * @returns Some lines.
 */
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
