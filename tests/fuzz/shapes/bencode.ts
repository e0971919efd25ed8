/**
 * Bencode that a fuzzer writes: keys in any order or twice, and other things that no encoder would write.
 *
 * @module
 */

import { utf8 } from "../../../src/base/bytes.ts";
import type { Dice } from "../dice.ts";
import type { Draft } from "../draft.ts";

/** A value to write as bencode. */
export type Shape = string | Uint8Array | number | bigint | readonly Shape[] | Pairs;

/** A dictionary to write. */
export class Pairs {
  /** Keys and values in the order of writing. */
  readonly list: [key: string | Uint8Array, value: Shape][];

  /** @param entries Entries of the dictionary; an entry with the value `undefined` is left out. */
  constructor(entries: { readonly [key: string]: Shape | undefined } = {}) {
    this.list = Object.entries(entries).filter((entry): entry is [string, Shape] => entry[1] !== undefined);
  }
}

/** Tokens that mutations insert into bencode. */
export const BENCODE_TOKENS: readonly string[] = [
  ...["d", "l", "i", "e", ":", "-", "0", "1", "0:", "1:a", "de", "le", "i0e", "i-1e", "d1:ai1ee", "l1:ae", "ee", "eee"],
  ...["i-0e", "i00e", "i9007199254740993e", "i18446744073709551615e", "4294967295:", "99999999999999999999:", "01:a"],
];

const EDGES: readonly (number | bigint)[] = [
  ...[0, 1, -1, 2, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1)],
  ...[2n ** 53n, 2n ** 63n - 1n, 2n ** 64n, -(2n ** 63n), 10n ** 63n, 10n ** 64n - 1n],
];
const LENGTHS = [0, 0, 1, 1, 2, 3, 4, 6, 8, 12, 19, 20, 21, 31, 32, 33];
const LONG_LENGTHS = [63, 64, 65, 100, 255, 256, 1000, 4095, 4096, 4097];

export function writeShape(draft: Draft, shape: Shape): void {
  if (typeof shape === "string" || shape instanceof Uint8Array) return writeString(draft, shape);
  if (typeof shape === "number" || typeof shape === "bigint") return draft.ascii(`i${shape}e`);
  if (shape instanceof Pairs) {
    draft.byte(0x64);
    for (const [key, value] of shape.list) {
      writeString(draft, key);
      writeShape(draft, value);
    }
  } else {
    draft.byte(0x6c);
    for (const item of shape) writeShape(draft, item);
  }
  draft.byte(0x65);
}

function writeString(draft: Draft, text: string | Uint8Array): void {
  const bytes = typeof text === "string" ? utf8(text) : text;
  draft.ascii(`${bytes.length}:`);
  draft.raw(bytes);
}

/** Returns any integer of up to 64 digits, often one at which programs break. */
export function anyInteger(dice: Dice): number | bigint {
  if (dice.oneIn(2)) return dice.pick(EDGES);
  return dice.oneIn(2) ? dice.below(1000) - 500 : dice.next() * (dice.oneIn(2) ? 1 : 65_536);
}

/** Returns up to 33 bytes, rarely up to 4,097. Half of the results look like text. */
export function anyBytes(dice: Dice): Uint8Array {
  const bytes = dice.bytes(dice.oneIn(400) ? dice.pick(LONG_LENGTHS) : dice.pick(LENGTHS));
  if (dice.oneIn(2)) { for (let i = 0; i < bytes.length; i++) bytes[i] = 0x20 + bytes[i]! % 95; }
  return bytes;
}

/**
 * Returns any value.
 *
 * @param depth The most levels of nested lists and dictionaries.
 */
export function anyShape(dice: Dice, depth: number): Shape {
  const kind = dice.below(depth > 0 ? 6 : 3);
  if (kind === 0) return anyInteger(dice);
  if (kind <= 2) return anyBytes(dice);
  if (kind <= 4) return anyPairs(dice, depth);
  return Array.from({ length: anyCount(dice) }, () => anyShape(dice, depth - 1));
}

/**
 * Returns any dictionary, sorted or not, sometimes with a key twice.
 *
 * @param depth The most levels of nested lists and dictionaries, including this dictionary.
 */
export function anyPairs(dice: Dice, depth: number): Pairs {
  const pairs = new Pairs();
  let key = anyBytes(dice);
  for (let left = anyCount(dice); left > 0; left--) {
    pairs.list.push([key, anyShape(dice, depth - 1)]);
    if (!dice.oneIn(16)) key = dice.oneIn(3) ? follower(key) : anyBytes(dice);
  }
  if (!dice.oneIn(4)) pairs.list.sort(([a], [b]) => compare(a as Uint8Array, b as Uint8Array));
  return pairs;
}

/**
 * Makes a dictionary odd: changes, removes, repeats or adds an entry, or reverses the order.
 *
 * @param pairs The dictionary, which is changed.
 * @param odds Each change happens once in this many times.
 */
export function disturb(pairs: Pairs, dice: Dice, odds: number): void {
  const { list } = pairs;
  for (let i = 0; i < list.length; i++) if (dice.oneIn(odds)) list[i]![1] = anyShape(dice, 3);
  if (dice.oneIn(odds)) list.splice(dice.below(list.length + 1), 1);
  if (dice.oneIn(odds) && list.length > 0) list.push([dice.pick(list)[0], anyShape(dice, 2)]);
  if (dice.oneIn(odds)) list.unshift([anyBytes(dice), anyShape(dice, 2)]);
  if (dice.oneIn(odds)) list.reverse();
}

function anyCount(dice: Dice): number {
  return dice.oneIn(800) ? dice.below(120) : dice.below(4);
}

/** Returns a key that has `key` as its prefix. */
function follower(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
