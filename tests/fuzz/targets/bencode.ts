/**
 * Fuzzes the bencode decoder and encoder.
 *
 * @module
 */

import { type Bytes, equalBytes } from "../../../src/base/bytes.ts";
import {
  BencodeDict,
  BencodeError,
  BencodeList,
  type BencodeValue,
  decode as shoalDecode,
  encode,
} from "../../../src/bencode/mod.ts";
import { anyShape, BENCODE_TOKENS, writeShape } from "../shapes/bencode.ts";
import { attempt, hold, type Target } from "../target.ts";

/** A limit of depth that small inputs reach, too. */
const SHALLOW = 4;
const DEFAULT_DEPTH = 100;
const MAX_DIGITS = 64;

/**
 * Makes a target that checks a decoder against {@linkcode encode} and against a second implementation of the rules of
 * BEP 3.
 */
export function bencodeTargetOf(decode: typeof shoalDecode): Target {
  return {
    name: "bencode",
    weight: 8,
    tokens: BENCODE_TOKENS,
    generate: (dice, draft) => writeShape(draft, anyShape(dice, 5)),
    run(input) {
      const maxDepth = input.length % 3 === 0 ? SHALLOW : DEFAULT_DEPTH;
      const expected = referenceEnd(input, { at: 0, depth: maxDepth });
      const value = attempt(BencodeError, () => decode(input, { maxDepth }));
      checkTrailing(input, { decode, maxDepth, expected });
      if (value instanceof BencodeError) {
        hold(expected !== input.length, "refused what is bencode");
        hold(value.offset >= 0 && value.offset <= input.length, () => `offset ${value.offset} is outside the input`);
        return value;
      }
      hold(expected === input.length, "took what is not bencode");
      look(value);
      checkEncoding(input, { decode, value });
      return null;
    },
  };
}

/** Target for `decode()` and `encode()`. */
export const bencodeTarget = bencodeTargetOf(shoalDecode);

function checkTrailing(
  input: Bytes,
  { decode, maxDepth, expected }: { decode: typeof shoalDecode; maxDepth: number; expected: number },
): void {
  if (input[0] !== 0x64 || input.length % 4 !== 0) return;
  const value = attempt(BencodeError, () => decode(input, { maxDepth, allowTrailing: true }));
  const end = value instanceof BencodeDict ? value.raw.length : -1;
  hold(end === expected, () => `with what follows the value ends at ${end}, not ${expected}`);
}

function checkEncoding(input: Bytes, { decode, value }: { decode: typeof shoalDecode; value: BencodeValue }): void {
  const encoded = encode(value);
  const strict = attempt(BencodeError, () => decode(input, { strict: true }));
  if (!(strict instanceof BencodeError)) hold(equalBytes(encoded, input), "encode() changed what was canonical");
  else hold(!equalBytes(encoded, input), "the strict decoder refused what is canonical");
  hold(equalBytes(encode(decode(encoded, { strict: true })), encoded), "encode() does not settle");
}

/** Reads everything in a value. */
function look(value: BencodeValue): void {
  if (value instanceof BencodeDict) {
    for (const [key, item] of value) {
      hold(value.has(key), "a dictionary does not know its own key");
      look(item);
    }
    hold(value.raw.at(0) === 0x64 && value.raw.at(-1) === 0x65, "a dictionary is not where it says");
  } else if (value instanceof BencodeList) {
    let count = 0;
    for (const item of value) {
      count++;
      look(item);
    }
    hold(count === value.length, "a list has another length than it has values");
  } else if (typeof value === "number") {
    hold(Number.isSafeInteger(value) && !Object.is(value, -0), () => `${value} is no safe integer`);
  } else if (typeof value === "bigint") {
    hold(!Number.isSafeInteger(Number(value)), () => `${value} should be a number`);
  } else {
    hold(value.byteOffset + value.length <= value.buffer.byteLength, "a byte string is outside the input");
  }
}

/**
 * Returns the end of the value at `at`, or -1 if it is invalid. A second implementation of the rules of BEP 3, as plain
 * as possible, except that leading zeros are allowed.
 */
function referenceEnd(input: Bytes, { at, depth }: { readonly at: number; readonly depth: number }): number {
  const kind = String.fromCharCode(input[at] ?? 0);
  if (kind === "i") return integerEnd(input, at);
  if (kind !== "l" && kind !== "d") return stringEnd(input, at);
  if (depth === 0) return -1;
  let next = at + 1;
  while (input[next] !== 0x65) {
    if (kind === "d") next = stringEnd(input, next);
    if (next >= 0) next = referenceEnd(input, { at: next, depth: depth - 1 });
    if (next < 0) return -1;
  }
  return next + 1;
}

function integerEnd(input: Bytes, at: number): number {
  const first = input[at + 1] === 0x2d ? at + 2 : at + 1;
  const end = digitsEnd(input, first);
  const digits = end - first;
  return digits < 1 || digits > MAX_DIGITS || input[end] !== 0x65 ? -1 : end + 1;
}

function stringEnd(input: Bytes, at: number): number {
  const colon = digitsEnd(input, at);
  if (colon === at || input[colon] !== 0x3a) return -1;
  let length = 0;
  for (let i = at; i < colon; i++) length = length * 10 + input[i]! - 0x30;
  return length <= input.length - colon - 1 ? colon + 1 + length : -1;
}

function digitsEnd(input: Bytes, at: number): number {
  let end = at;
  while (input[end]! >= 0x30 && input[end]! <= 0x39) end++;
  return end;
}
