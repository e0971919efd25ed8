/**
 * The most expensive inputs for the bencode decoder.
 *
 * @module
 */

import type { Bytes } from "../../../src/base/bytes.ts";
import { BencodeDict, BencodeError, BencodeList, type BencodeValue, decode } from "../../../src/bencode/mod.ts";
import { attempt } from "../target.ts";
import { key, repeated, type WorstShape, wrapped } from "./shape.ts";

function loosely(input: Bytes): void {
  attempt(BencodeError, () => decode(input));
}

function strictly(input: Bytes): void {
  attempt(BencodeError, () => decode(input, { strict: true }));
}

/** Decodes an input and reads every value. */
function everything(input: Bytes): void {
  const value = attempt(BencodeError, () => decode(input));
  if (!(value instanceof BencodeError)) look(value);
}

function look(value: BencodeValue): void {
  if (value instanceof BencodeList) { for (const item of value) look(item); }
  if (value instanceof BencodeDict) { for (const [, item] of value) look(item); }
}

/** Shapes for {@linkcode decode}. */
export const WORST_BENCODE: readonly WorstShape[] = [
  { name: "bencode: empty lists", make: (n) => repeated(n, () => "le", ["l", "e"]), run: loosely },
  { name: "bencode: empty byte strings", make: (n) => repeated(n, () => "0:", ["l", "e"]), run: loosely },
  { name: "bencode: integers of one digit", make: (n) => repeated(n, () => "i0e", ["l", "e"]), run: loosely },
  {
    name: "bencode: integers of 64 digits",
    make: (n) => repeated(n, () => `i${"9".repeat(64)}e`, ["l", "e"]),
    run: loosely,
  },
  { name: "bencode: keys all the same", make: (n) => repeated(n, () => "0:0:", ["d", "e"]), run: loosely },
  {
    name: "bencode: different short keys",
    make: (n) => repeated(n, (i) => `4:${key(i, 4)}0:`, ["d", "e"]),
    run: loosely,
  },
  {
    name: "bencode: keys with a long prefix in common",
    make: (n) => repeated(n, (i) => `1000:${key(i, 1000)}0:`, ["d", "e"]),
    run: loosely,
  },
  {
    name: "bencode: strict, keys with a long prefix in common",
    make: (n) => repeated(n, (i) => `1000:${"k".repeat(992)}${i.toString().padStart(8, "0")}0:`, ["d", "e"]),
    run: strictly,
  },
  {
    name: "bencode: strict, short keys",
    make: (n) => repeated(n, (i) => `7:${i.toString().padStart(7, "0")}0:`, ["d", "e"]),
    run: strictly,
  },
  {
    name: "bencode: lists 99 deep",
    make: (n) => repeated(n, () => "l".repeat(99) + "e".repeat(99), ["l", "e"]),
    run: loosely,
  },
  {
    name: "bencode: dictionaries 99 deep",
    make: (n) => repeated(n, () => "d0:".repeat(98) + "de" + "e".repeat(98), ["l", "e"]),
    run: loosely,
  },
  { name: "bencode: lists without end", make: (n) => repeated(n, () => "l"), run: loosely },
  { name: "bencode: a length of digits alone", make: (n) => repeated(n, () => "9"), run: loosely },
  { name: "bencode: an integer of digits alone", make: (n) => repeated(n, () => "9", ["i", "e"]), run: loosely },
  { name: "bencode: one byte string", make: (n) => wrapped(new Uint8Array(n - 8)), run: loosely },
  { name: "bencode: empty lists, all asked for", make: (n) => repeated(n, () => "le", ["l", "e"]), run: everything },
  {
    name: "bencode: empty byte strings, all asked for",
    make: (n) => repeated(n, () => "0:", ["l", "e"]),
    run: everything,
  },
  {
    name: "bencode: short keys, all asked for",
    make: (n) => repeated(n, (i) => `4:${key(i, 4)}0:`, ["d", "e"]),
    run: everything,
  },
];
