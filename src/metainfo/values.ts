/**
 * Describes decoded values in error messages.
 *
 * @module
 */

import { fromUtf8 } from "../base/bytes.ts";
import { plural } from "../base/plural.ts";
import { BencodeDict, BencodeList, type BencodeValue } from "../bencode/mod.ts";

/** Maximum length of a byte string that is quoted, in bytes. */
const SHOWN = 40;

/**
 * Describes a value so that the text completes a sentence such as `found a list`.
 *
 * @param value A decoded value, or `undefined` for a missing key.
 */
export function describeValue(value: BencodeValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value instanceof BencodeDict) return "a dictionary";
  if (value instanceof BencodeList) return "a list";
  if (!(value instanceof Uint8Array)) return `the integer ${value}`;
  const text = value.length <= SHOWN ? fromUtf8(value) : null;
  return text !== null && /^[ -~]*$/.test(text)
    ? JSON.stringify(text)
    : `a byte string of ${plural(value.length, "byte")}`;
}
