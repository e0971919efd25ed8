/**
 * What the worst shapes are made of.
 *
 * @module
 */

import type { Bytes } from "../../../src/base/bytes.ts";
import { Draft } from "../draft.ts";
import { writeShape } from "../shapes/bencode.ts";

/** An input that costs a decoder much for its length. */
export interface WorstShape {
  /** Decoder and shape. */
  readonly name: string;
  /**
   * @param size Bytes.
   * @returns An input of about that length.
   */
  make(size: number): Bytes;
  /**
   * Decodes an input.
   *
   * @param input From `make`.
   */
  run(input: Bytes): void;
}

/**
 * Repeats what a function gives until there are enough bytes.
 *
 * @param size Bytes.
 * @param unit Gives the part with some number.
 * @param around What stands before and after.
 * @returns The input.
 */
export function repeated(size: number, unit: (index: number) => string, [before, after] = ["", ""]): Bytes {
  const draft = new Draft();
  draft.text(before);
  for (let i = 0; draft.length < size - after.length; i++) draft.text(unit(i));
  draft.text(after);
  return draft.take();
}

/**
 * One byte string of bencode with what stands around it.
 *
 * @param bytes The byte string.
 * @param around What stands before and after.
 * @returns The input.
 */
export function wrapped(bytes: Uint8Array, [before, after] = ["", ""]): Bytes {
  const draft = new Draft();
  draft.ascii(before);
  writeShape(draft, bytes);
  draft.ascii(after);
  return draft.take();
}

/**
 * @param i Any count.
 * @param length Characters, at least.
 * @returns A name that no other count has.
 */
export function key(i: number, length: number): string {
  return i.toString(36).padStart(length, "k");
}
