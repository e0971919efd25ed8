/**
 * Building blocks of the worst shapes.
 *
 * @module
 */

import type { Bytes } from "../../../src/base/bytes.ts";
import { Draft } from "../draft.ts";
import { writeShape } from "../shapes/bencode.ts";

/** An input that is expensive for its length. */
export interface WorstShape {
  /** Names of the decoder and the shape. */
  readonly name: string;
  /**
   * Makes an input.
   *
   * @param size Approximate bytes of the input.
   */
  make(size: number): Bytes;
  /** Decodes an input that `make` has made. */
  run(input: Bytes): void;
}

/**
 * Repeats the results of a function until there are enough bytes.
 *
 * @param size Bytes of the input.
 * @param unit Returns a part by its number.
 * @param around Text before and after the parts.
 */
export function repeated(size: number, unit: (index: number) => string, [before, after] = ["", ""]): Bytes {
  const draft = new Draft();
  draft.text(before);
  for (let i = 0; draft.length < size - after.length; i++) draft.text(unit(i));
  draft.text(after);
  return draft.take();
}

/**
 * Returns a bencoded byte string with text around it.
 *
 * @param around Text before and after the byte string.
 */
export function wrapped(bytes: Uint8Array, [before, after] = ["", ""]): Bytes {
  const draft = new Draft();
  draft.ascii(before);
  writeShape(draft, bytes);
  draft.ascii(after);
  return draft.take();
}

/**
 * Returns a name that is different for every number.
 *
 * @param i Any count.
 * @param length Minimum number of characters.
 */
export function key(i: number, length: number): string {
  return i.toString(36).padStart(length, "k");
}
