/**
 * Decoded values in error messages.
 *
 * @module
 */

import { fromUtf8 } from "../base/bytes.ts";
import { BencodeDict, BencodeList, type BencodeValue } from "../bencode/mod.ts";

/** Longer text than this is not worth repeating. */
const SHOWN = 40;

/**
 * What a value is, in words that end a sentence: `found a list`.
 *
 * @param value A decoded value, or `undefined` for a missing key.
 * @returns A few words, printable.
 */
export function describeValue(value: BencodeValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value instanceof BencodeDict) return "a dictionary";
  if (value instanceof BencodeList) return "a list";
  if (!(value instanceof Uint8Array)) return `the integer ${value}`;
  const text = value.length <= SHOWN ? fromUtf8(value) : null;
  return text !== null && /^[ -~]*$/.test(text) ? JSON.stringify(text) : `a byte string of ${value.length} bytes`;
}
