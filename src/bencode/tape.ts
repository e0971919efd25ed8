/**
 * The decoder's record of where each value is in the input.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/**
 * One row of two numbers for each value, key and closing `e` of an input, in the order of the input. A row costs 8
 * bytes; an object or a view for each value would cost a hostile input of two-byte values sixty times its size.
 */
export interface Tape {
  /** The decoded input. Byte strings read from the tape are views of it. */
  readonly source: Bytes;
  /**
   * Row `i` is at `[2 * i]` and `[2 * i + 1]`: the offset at which the value starts, and the row that follows the whole
   * value. Values are adjacent, so the following row's offset is where the value ends.
   */
  readonly rows: Uint32Array;
}

/**
 * Returns the offset of a value's first byte.
 *
 * @param tape The decoder's record.
 * @param row Row of the value.
 */
export function startOf(tape: Tape, row: number): number {
  return tape.rows[2 * row]!;
}

/**
 * Returns the row that follows a value.
 *
 * @param tape The decoder's record.
 * @param row Row of the value.
 */
export function rowAfter(tape: Tape, row: number): number {
  return tape.rows[2 * row + 1]!;
}

/**
 * Returns the offset just past a value's last byte.
 *
 * @param tape The decoder's record.
 * @param row Row of the value.
 */
export function endOf(tape: Tape, row: number): number {
  return startOf(tape, rowAfter(tape, row));
}
