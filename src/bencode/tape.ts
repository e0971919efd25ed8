/**
 * The decoder's record of where every value stands.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/**
 * One row of two numbers for each value, key and closing `e` of an input, in the order of the input. A row costs 8 bytes,
 * whereas an object or a view for each value would cost a hostile input of two-byte values sixty times its size.
 */
export interface Tape {
  /** What was decoded. Whatever is read from the tape is a view of it. */
  readonly source: Bytes;
  /**
   * Row `i` at `[2 * i]`: the offset at which the value starts, and at `[2 * i + 1]`: the row that follows the whole value.
   * Values stand back to back, so the offset in the row that follows is the one at which the value ends.
   */
  readonly rows: Uint32Array;
}

/**
 * @param tape A tape.
 * @param row A value's row.
 * @returns The offset of the value's first byte.
 */
export function startOf(tape: Tape, row: number): number {
  return tape.rows[2 * row]!;
}

/**
 * @param tape A tape.
 * @param row A value's row.
 * @returns The row of what follows the value.
 */
export function rowAfter(tape: Tape, row: number): number {
  return tape.rows[2 * row + 1]!;
}

/**
 * @param tape A tape.
 * @param row A value's row.
 * @returns The offset past the value's last byte.
 */
export function endOf(tape: Tape, row: number): number {
  return startOf(tape, rowAfter(tape, row));
}
