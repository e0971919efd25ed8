/**
 * Turns valid inputs into invalid ones, or into other valid ones.
 *
 * @module
 */

import { type Bytes, concatBytes, utf8 } from "../../src/base/bytes.ts";
import type { Dice } from "./dice.ts";

/** Material for a mutation. */
export interface MutationContext {
  /** Random numbers. */
  readonly dice: Dice;
  /** Texts with a meaning in the format. */
  readonly tokens: readonly string[];
  /** Makes another valid input. */
  other(): Bytes;
}

/** Longest result of a mutation; longer inputs would only make the run slow. */
const MAX_LENGTH = 1 << 14;

/** Decimal numbers at which programs break. */
const NUMBERS = [
  ...["0", "-0", "00", "1", "-1", "9", "10", "127", "128", "255", "256", "65535", "65536", "2147483647", "2147483648"],
  ...["-2147483648", "4294967295", "4294967296", "9007199254740991", "9007199254740992", "-9007199254740992"],
  ...["9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e9", "0x10"],
  ...["9".repeat(63), "9".repeat(64), "9".repeat(65), "-" + "9".repeat(64), "1" + "0".repeat(400)],
];
/** 32-bit numbers at which programs break. */
const WORDS = [
  0,
  1,
  2,
  4,
  5,
  13,
  17,
  0x7f,
  0x80,
  0xff,
  0x100,
  0x3fff,
  0x4000,
  0x4009,
  0x400a,
  0x10000,
  0x10001,
  0x100000,
]
  .concat([0x100001, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff]);
const BYTES = [
  0,
  1,
  0x0a,
  0x20,
  0x25,
  0x2b,
  0x2d,
  0x2e,
  0x2f,
  0x30,
  0x39,
  0x3a,
  0x5c,
  0x64,
  0x65,
  0x69,
  0x6c,
  0x7f,
  0x80,
]
  .concat([0xc0, 0xe2, 0xed, 0xf4, 0xfe, 0xff]);

type Mutation = (input: Bytes, context: MutationContext) => Bytes;

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  setByte,
  setWord,
  cutEnd,
  removeRun,
  repeatRun,
  repeatRun,
  moveRun,
  insertToken,
  insertToken,
  spliceOther,
  setNumber,
  setNumber,
  nest,
  growString,
  growString,
];

/**
 * Changes an input in one to four ways.
 *
 * @param input Any bytes, which stay unchanged.
 * @returns New bytes, rarely more than 16 KiB and sometimes equal to the input.
 */
export function mutate(input: Bytes, context: MutationContext): Bytes {
  const { dice } = context;
  let bytes = input;
  for (let left = 1 + dice.below(2) * dice.below(4); left > 0; left--) {
    bytes = dice.pick(MUTATIONS)(bytes, context);
    if (bytes.length > Math.max(MAX_LENGTH, input.length)) bytes = bytes.subarray(0, MAX_LENGTH);
  }
  // The result must not be a view of a longer buffer, where a decoder could read past its input unnoticed.
  return bytes.byteLength === bytes.buffer.byteLength && bytes !== input ? bytes : bytes.slice();
}

function flipBit(input: Bytes, { dice }: MutationContext): Bytes {
  const out = input.slice();
  if (out.length > 0) out[dice.below(out.length)]! ^= 1 << dice.below(8);
  return out;
}

function setByte(input: Bytes, { dice }: MutationContext): Bytes {
  const out = input.slice();
  if (out.length > 0) out[dice.below(out.length)] = dice.oneIn(2) ? dice.pick(BYTES) : dice.next();
  return out;
}

function setWord(input: Bytes, { dice }: MutationContext): Bytes {
  if (input.length < 4) return input;
  const out = input.slice();
  const view = new DataView(out.buffer);
  view.setUint32(dice.below(out.length - 3), dice.pick(WORDS));
  return out;
}

function cutEnd(input: Bytes, { dice }: MutationContext): Bytes {
  return input.slice(0, dice.below(input.length + 1));
}

function removeRun(input: Bytes, { dice }: MutationContext): Bytes {
  const { start, end } = runIn(input, dice);
  return concatBytes([input.subarray(0, start), input.subarray(end)]);
}

function repeatRun(input: Bytes, { dice }: MutationContext): Bytes {
  const { start, end } = runIn(input, dice);
  const run = input.subarray(start, end);
  const times = dice.oneIn(64) ? dice.below(200) : 1 + dice.below(3);
  return concatBytes([input.subarray(0, end), ...new Array<Uint8Array>(times).fill(run), input.subarray(end)]);
}

function moveRun(input: Bytes, { dice }: MutationContext): Bytes {
  const { start, end } = runIn(input, dice);
  const rest = concatBytes([input.subarray(0, start), input.subarray(end)]);
  const at = dice.below(rest.length + 1);
  return concatBytes([rest.subarray(0, at), input.subarray(start, end), rest.subarray(at)]);
}

function insertToken(input: Bytes, { dice, tokens }: MutationContext): Bytes {
  const token = utf8(dice.pick(tokens));
  const at = dice.below(input.length + 1);
  const skipped = dice.oneIn(2) ? Math.min(token.length, input.length - at) : 0;
  return concatBytes([input.subarray(0, at), token, input.subarray(at + skipped)]);
}

function spliceOther(input: Bytes, { dice, other }: MutationContext): Bytes {
  const tail = other();
  return concatBytes([input.subarray(0, dice.below(input.length + 1)), tail.subarray(dice.below(tail.length + 1))]);
}

/** Replaces a number with an extreme number. */
function setNumber(input: Bytes, { dice }: MutationContext): Bytes {
  const start = findDigit(input, dice.below(input.length + 1));
  if (start < 0) return input;
  return concatBytes([input.subarray(0, start), utf8(dice.pick(NUMBERS)), input.subarray(endOfDigits(input, start))]);
}

/** Wraps a run of bytes in bencoded lists or dictionaries, up to about 600 deep. */
function nest(input: Bytes, { dice }: MutationContext): Bytes {
  const { start, end } = runIn(input, dice);
  const depth = dice.oneIn(20) ? 90 + dice.below(512) : 1 + dice.below(12);
  const opening = dice.oneIn(2) ? "l" : "d1:a";
  const closing = dice.oneIn(8) ? "" : "e".repeat(depth);
  const parts = [input.subarray(0, start), utf8(opening.repeat(depth)), input.subarray(start, end), utf8(closing)];
  return concatBytes([...parts, input.subarray(end)]);
}

/** Changes a bencoded byte string together with its length prefix, so that the surrounding bencode stays valid. */
function growString(input: Bytes, context: MutationContext): Bytes {
  const { dice, tokens } = context;
  const start = findDigit(input, dice.below(input.length + 1));
  if (start < 0) return input;
  const colon = endOfDigits(input, start);
  if (input[colon] !== 0x3a || colon - start > 6) return input;
  let length = 0;
  for (let at = start; at < colon; at++) length = length * 10 + input[at]! - 0x30;
  const end = Math.min(colon + 1 + length, input.length);
  const old = input.subarray(colon + 1, end);
  const content = dice.oneIn(2)
    ? dice.pick([flipBit, setByte, cutEnd, removeRun, repeatRun])(old, context)
    : dice.oneIn(2)
    ? utf8(dice.pick(tokens))
    : dice.bytes(dice.below(24));
  return concatBytes([input.subarray(0, start), utf8(`${content.length}:`), content, input.subarray(end)]);
}

/** Returns a run of bytes, which is more often short than long. */
function runIn(input: Bytes, dice: Dice): { start: number; end: number } {
  const start = dice.below(input.length + 1);
  const longest = dice.oneIn(8) ? input.length : 12;
  return { start, end: Math.min(input.length, start + 1 + dice.below(longest)) };
}

function findDigit(input: Bytes, from: number): number {
  for (let at = from; at < input.length; at++) if (isDigit(input[at])) return at;
  return -1;
}

function endOfDigits(input: Bytes, start: number): number {
  let end = start;
  while (isDigit(input[end])) end++;
  return end;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
