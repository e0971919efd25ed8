/**
 * Decoded values, and how to look into them.
 *
 * A byte string is a `Uint8Array`, a view of the input: whoever keeps one while the input's buffer is used again copies it.
 * An integer is a `number` when that is exact, else a `bigint`. Lists and dictionaries read themselves from the input as they
 * are asked, so that a value costs nothing until it is wanted.
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy } from "../base/bytes.ts";
import { endOf, rowAfter, startOf, type Tape } from "./tape.ts";

/** Any decoded value. */
export type BencodeValue = Bytes | number | bigint | BencodeList | BencodeDict;

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const LETTER_D = 0x64;
const LETTER_I = 0x69;
const LETTER_L = 0x6c;
/** Below this length a loop is faster than a view of the bytes. */
const SHORT_KEY = 32;
/** Longer text is decoded faster than it is put together here. */
const SHORT_TEXT = 64;
/** More arguments than this to `String.fromCharCode` could overflow the stack. */
const KEY_SLICE = 4096;
/** So often a dictionary's keys are looked through; then an index of them is worth making. */
const FEW_LOOKUPS = 16;
/** Integers of no more digits are exact as numbers. */
const EXACT_DIGITS = 15;

/**
 * A dictionary's key as Shoal writes it: one character, U+0000 to U+00FF, for each byte. The keys of the protocols are ASCII and
 * stay what they are; bytes such as an info-hash in a scrape reply need this function.
 *
 * @param bytes The key's bytes.
 * @returns The key to look up.
 *
 * @example
 * ```ts
 * const stats = reply.getDict("files")?.getDict(keyOf(infoHash.bytes));
 * ```
 */
export function keyOf(bytes: Uint8Array): string {
  return characters(bytes, 0, bytes.length);
}

function characters(bytes: Uint8Array, start: number, end: number): string {
  if (end - start < SHORT_KEY) {
    let key = "";
    for (let at = start; at < end; at++) key += String.fromCharCode(bytes[at]!);
    return key;
  }
  const parts: string[] = [];
  for (let at = start; at < end; at += KEY_SLICE) {
    const slice = bytes.subarray(at, Math.min(at + KEY_SLICE, end));
    parts.push(String.fromCharCode.apply(null, slice as unknown as number[])); // it takes anything like an array
  }
  return parts.join("");
}

/** A decoded list. Made by `decode()` only. */
export class BencodeList implements Iterable<BencodeValue> {
  readonly #tape: Tape;
  readonly #row: number;
  #length = -1;
  #rows: readonly number[] | null = null;

  /**
   * @param tape The decoder's record.
   * @param row The list's row in it.
   */
  constructor(tape: Tape, row: number) {
    this.#tape = tape;
    this.#row = row;
  }

  /** How many values it holds. */
  get length(): number {
    if (this.#length >= 0) return this.#length;
    let length = 0;
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) length++;
    return this.#length = length;
  }

  /**
   * @param index Counted from 0, or from the end when negative.
   * @returns The value there, or `undefined` past either end.
   */
  at(index: number): BencodeValue | undefined {
    const row = this.#index().at(index);
    return row === undefined ? undefined : valueAt(this.#tape, row);
  }

  /** @returns The values in order. */
  *[Symbol.iterator](): Generator<BencodeValue> {
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) yield valueAt(this.#tape, row);
  }

  /**
   * The values in order, short byte strings of ASCII as text: a torrent can have a hundred thousand names, and text costs less
   * than a view.
   *
   * @returns The values.
   */
  toTexts(): (BencodeValue | string)[] {
    const values: (BencodeValue | string)[] = [];
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) {
      values.push(asciiAt(this.#tape, row) ?? valueAt(this.#tape, row));
    }
    return values;
  }

  /** The row of the closing "e". */
  get #last(): number {
    return rowAfter(this.#tape, this.#row) - 1;
  }

  #index(): readonly number[] {
    if (this.#rows) return this.#rows;
    const rows: number[] = [];
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) rows.push(row);
    this.#rows = rows;
    return rows;
  }
}

/**
 * A decoded dictionary. Made by `decode()` only.
 *
 * Keys are strings with one character for each byte, see {@linkcode keyOf}. They come in the order of the input. Where a key
 * stands twice the first one wins, as it does in libtorrent and Transmission; the others show only in `raw`.
 */
export class BencodeDict implements Iterable<[string, BencodeValue]> {
  readonly #tape: Tape;
  readonly #row: number;
  #rows: ReadonlyMap<string, number> | null = null;
  #lookups = 0;

  /**
   * @param tape The decoder's record.
   * @param row The dictionary's row in it.
   */
  constructor(tape: Tape, row: number) {
    this.#tape = tape;
    this.#row = row;
  }

  /** The dictionary as it stands in the input, from `d` to `e`. */
  get raw(): Bytes {
    return rawAt(this.#tape, this.#row);
  }

  /** @returns The keys with their values, in the order of the input. */
  *[Symbol.iterator](): Generator<[string, BencodeValue]> {
    for (const [key, row] of this.#index()) yield [key, valueAt(this.#tape, row)];
  }

  /**
   * @param key A key.
   * @returns Whether it is there.
   */
  has(key: string): boolean {
    return this.#find(key) !== undefined;
  }

  /**
   * @param key A key.
   * @returns Its value, or `undefined` when the key is missing.
   */
  get(key: string): BencodeValue | undefined {
    const row = this.#find(key);
    return row === undefined ? undefined : valueAt(this.#tape, row);
  }

  /**
   * @param key A key.
   * @returns Its byte string, or `undefined` when the key is missing or holds another type.
   */
  getBytes(key: string): Bytes | undefined {
    const value = this.get(key);
    return value instanceof Uint8Array ? value : undefined;
  }

  /**
   * @param key A key.
   * @returns Its byte string as text, with U+FFFD for what is not UTF-8, or `undefined` when the key is missing or holds
   * another type.
   */
  getText(key: string): string | undefined {
    const value = this.getBytes(key);
    return value && fromUtf8Lossy(value);
  }

  /**
   * @param key A key.
   * @returns Its integer, or `undefined` when the key is missing, holds another type, or an integer that a `number` can't
   * hold exactly (`get()` gives that as a `bigint`).
   */
  getInt(key: string): number | undefined {
    const value = this.get(key);
    return typeof value === "number" ? value : undefined;
  }

  /**
   * @param key A key.
   * @returns Its list, or `undefined` when the key is missing or holds another type.
   */
  getList(key: string): BencodeList | undefined {
    const value = this.get(key);
    return value instanceof BencodeList ? value : undefined;
  }

  /**
   * @param key A key.
   * @returns Its dictionary, or `undefined` when the key is missing or holds another type.
   */
  getDict(key: string): BencodeDict | undefined {
    const value = this.get(key);
    return value instanceof BencodeDict ? value : undefined;
  }

  /** The row of a key's value. */
  #find(key: string): number | undefined {
    if (this.#rows) return this.#rows.get(key);
    const tape = this.#tape;
    const last = rowAfter(tape, this.#row) - 1; // the row of the closing "e"
    if (this.#lookups++ === FEW_LOOKUPS) return this.#index().get(key);
    const length = encodedLength(key);
    for (let row = this.#row + 1; row < last; row = rowAfter(tape, row + 1)) {
      const span = endOf(tape, row) - startOf(tape, row);
      if (span >= length && (span === length || isPadded(tape, { row, key })) && hasKeyAt(tape, { row, key })) {
        return row + 1;
      }
    }
    return undefined;
  }

  #index(): ReadonlyMap<string, number> {
    if (this.#rows) return this.#rows;
    const rows = new Map<string, number>();
    const tape = this.#tape;
    const last = rowAfter(tape, this.#row) - 1; // the row of the closing "e"
    for (let row = this.#row + 1; row < last; row = rowAfter(tape, row + 1)) {
      const key = characters(tape.source, payloadStart(tape, row), endOf(tape, row));
      if (!rows.has(key)) rows.set(key, row + 1);
    }
    this.#rows = rows;
    return rows;
  }
}

/**
 * The value in one row of a tape.
 *
 * @param tape The decoder's record.
 * @param row The value's row.
 * @returns The value.
 */
export function valueAt(tape: Tape, row: number): BencodeValue {
  switch (tape.source[startOf(tape, row)]) {
    case LETTER_D:
      return new BencodeDict(tape, row);
    case LETTER_L:
      return new BencodeList(tape, row);
    case LETTER_I:
      return integerAt(tape, row);
    default:
      return bytesAt(tape, row);
  }
}

function rawAt(tape: Tape, row: number): Bytes {
  return tape.source.subarray(startOf(tape, row), endOf(tape, row));
}

function bytesAt(tape: Tape, row: number): Bytes {
  return tape.source.subarray(payloadStart(tape, row), endOf(tape, row));
}

function payloadStart(tape: Tape, row: number): number {
  let at = startOf(tape, row);
  while (tape.source[at] !== COLON) at++; // the decoder has seen that there is one
  return at + 1;
}

/** How many bytes a key takes together with its length. */
function encodedLength(key: string): number {
  return key.length + (key.length < 10 ? 2 : 1 + String(key.length).length);
}

/** Whether a key of more bytes has the same length, with zeros in front of it. */
function isPadded(tape: Tape, { row, key }: { row: number; key: string }): boolean {
  return tape.source[startOf(tape, row)] === ZERO && endOf(tape, row) - payloadStart(tape, row) === key.length;
}

/** Whether a key of the same length is the same. */
function hasKeyAt(tape: Tape, { row, key }: { row: number; key: string }): boolean {
  const { source } = tape;
  const start = endOf(tape, row) - key.length;
  for (let i = 0; i < key.length; i++) if (source[start + i] !== key.charCodeAt(i)) return false;
  return true;
}

/** A short byte string of ASCII as text, or `null` for anything else. */
function asciiAt(tape: Tape, row: number): string | null {
  const { source } = tape;
  const first = source[startOf(tape, row)]!;
  if (first < ZERO || first > NINE) return null;
  const start = payloadStart(tape, row);
  const end = endOf(tape, row);
  if (end - start > SHORT_TEXT) return null;
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = source[at]!;
    if (byte > 0x7f) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}

function integerAt(tape: Tape, row: number): number | bigint {
  const { source } = tape;
  const start = startOf(tape, row) + 1;
  const end = endOf(tape, row) - 1;
  if (end - start > EXACT_DIGITS) {
    const digits = characters(source, start, end);
    const value = Number(digits) + 0; // not "-0"
    return Number.isSafeInteger(value) ? value : BigInt(digits);
  }
  const negative = source[start] === MINUS;
  let value = 0;
  for (let at = negative ? start + 1 : start; at < end; at++) value = value * 10 + source[at]! - ZERO;
  return negative ? 0 - value : value; // not "-0"
}
