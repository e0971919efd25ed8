/**
 * Decoded values, and access to their contents.
 *
 * A byte string is a `Uint8Array`, a view of the input; copy it to keep it when the input's buffer is reused. An
 * integer is a `number` if that is exact, else a `bigint`. Lists and dictionaries read the input when they are
 * accessed, so that a value costs nothing until then.
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy } from "../base/bytes.ts";
import { endOf, rowAfter, startOf, type Tape } from "./tape.ts";

/** A decoded value. */
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
/** Longer text is decoded faster by a decoder than by a loop. */
const SHORT_TEXT = 64;
/** `String.fromCharCode` may overflow the stack with more arguments than this. */
const KEY_SLICE = 4096;
/** After this many lookups by linear search an index of the keys pays. */
const FEW_LOOKUPS = 16;
/** Integers of up to this many digits are exact as numbers. */
const EXACT_DIGITS = 15;

/**
 * Returns a dictionary key in Shoal's form: one character, U+0000 to U+00FF, for each byte. The keys of the protocols
 * are ASCII and don't change; keys such as the info-hashes of a scrape reply need this function.
 *
 * @param bytes Bytes of the key.
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
    parts.push(String.fromCharCode.apply(null, slice as unknown as number[])); // any array-like object will do
  }
  return parts.join("");
}

/** A decoded list. Only `decode()` creates one. */
export class BencodeList implements Iterable<BencodeValue> {
  readonly #tape: Tape;
  readonly #row: number;
  #length = -1;
  #rows: readonly number[] | null = null;

  constructor(tape: Tape, row: number) {
    this.#tape = tape;
    this.#row = row;
  }

  /** Number of values in the list. */
  get length(): number {
    if (this.#length >= 0) return this.#length;
    let length = 0;
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) length++;
    return this.#length = length;
  }

  /**
   * Returns the value at an index, or `undefined` if there is none.
   *
   * @param index Index from the start, or from the end when negative.
   */
  at(index: number): BencodeValue | undefined {
    const row = this.#index().at(index);
    return row === undefined ? undefined : valueAt(this.#tape, row);
  }

  /** Yields the values in order. */
  *[Symbol.iterator](): Generator<BencodeValue> {
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) yield valueAt(this.#tape, row);
  }

  /**
   * Returns the values in order, short ASCII byte strings as text: a torrent may have a hundred thousand names, and
   * text costs less than a view.
   */
  toTexts(): (BencodeValue | string)[] {
    const values: (BencodeValue | string)[] = [];
    const last = this.#last;
    for (let row = this.#row + 1; row < last; row = rowAfter(this.#tape, row)) {
      values.push(asciiAt(this.#tape, row) ?? valueAt(this.#tape, row));
    }
    return values;
  }

  /** Row of the closing "e". */
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
 * A decoded dictionary. Only `decode()` creates one.
 *
 * Keys are strings with one character for each byte, see {@linkcode keyOf}. They are in the order of the input. If a
 * key occurs twice, the first one wins, as in libtorrent and Transmission; later ones are visible only in `raw`.
 */
export class BencodeDict implements Iterable<[string, BencodeValue]> {
  readonly #tape: Tape;
  readonly #row: number;
  #rows: ReadonlyMap<string, number> | null = null;
  #lookups = 0;

  constructor(tape: Tape, row: number) {
    this.#tape = tape;
    this.#row = row;
  }

  /** The dictionary as it is in the input, from `d` to `e`. */
  get raw(): Bytes {
    return rawAt(this.#tape, this.#row);
  }

  /** Yields the keys with their values in the order of the input. */
  *[Symbol.iterator](): Generator<[string, BencodeValue]> {
    for (const [key, row] of this.#index()) yield [key, valueAt(this.#tape, row)];
  }

  /**
   * Yields all keys with their values in the order of the input, without an index in memory. A key that occurs twice is
   * yielded twice.
   */
  *pairs(): Generator<[string, BencodeValue]> {
    const tape = this.#tape;
    const last = rowAfter(tape, this.#row) - 1; // row of the closing "e"
    for (let row = this.#row + 1; row < last; row = rowAfter(tape, row + 1)) {
      yield [characters(tape.source, payloadStart(tape, row), endOf(tape, row)), valueAt(tape, row + 1)];
    }
  }

  /** Returns `true` if a key is present. */
  has(key: string): boolean {
    return this.#find(key) !== undefined;
  }

  /** Returns the value of a key, or `undefined` if the key is missing. */
  get(key: string): BencodeValue | undefined {
    const row = this.#find(key);
    return row === undefined ? undefined : valueAt(this.#tape, row);
  }

  /** Returns the byte string of a key, or `undefined` if the key is missing or holds another type. */
  getBytes(key: string): Bytes | undefined {
    const value = this.get(key);
    return value instanceof Uint8Array ? value : undefined;
  }

  /**
   * Returns the byte string of a key as text, with U+FFFD for bytes that are not UTF-8, or `undefined` if the key is
   * missing or holds another type.
   */
  getText(key: string): string | undefined {
    const value = this.getBytes(key);
    return value && fromUtf8Lossy(value);
  }

  /**
   * Returns the integer of a key, or `undefined` if the key is missing, holds another type, or holds an integer that a
   * `number` can't represent exactly (`get()` returns such an integer as a `bigint`).
   */
  getInt(key: string): number | undefined {
    const value = this.get(key);
    return typeof value === "number" ? value : undefined;
  }

  /** Returns the list of a key, or `undefined` if the key is missing or holds another type. */
  getList(key: string): BencodeList | undefined {
    const value = this.get(key);
    return value instanceof BencodeList ? value : undefined;
  }

  /** Returns the dictionary of a key, or `undefined` if the key is missing or holds another type. */
  getDict(key: string): BencodeDict | undefined {
    const value = this.get(key);
    return value instanceof BencodeDict ? value : undefined;
  }

  /** Returns the row of a key's value. */
  #find(key: string): number | undefined {
    if (this.#rows) return this.#rows.get(key);
    const tape = this.#tape;
    const last = rowAfter(tape, this.#row) - 1; // row of the closing "e"
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
    const last = rowAfter(tape, this.#row) - 1; // row of the closing "e"
    for (let row = this.#row + 1; row < last; row = rowAfter(tape, row + 1)) {
      const key = characters(tape.source, payloadStart(tape, row), endOf(tape, row));
      if (!rows.has(key)) rows.set(key, row + 1);
    }
    this.#rows = rows;
    return rows;
  }
}

/**
 * Returns the value in a row of a tape.
 *
 * @param tape The decoder's record.
 * @param row Row of the value.
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
  while (tape.source[at] !== COLON) at++; // the decoder has checked that there is one
  return at + 1;
}

/** Returns the size of a key's encoding: its length prefix, the colon and its bytes. */
function encodedLength(key: string): number {
  return key.length + (key.length < 10 ? 2 : 1 + String(key.length).length);
}

/** Returns `true` if a key that is longer in the input has the same length as `key`, written with leading zeros. */
function isPadded(tape: Tape, { row, key }: { row: number; key: string }): boolean {
  return tape.source[startOf(tape, row)] === ZERO && endOf(tape, row) - payloadStart(tape, row) === key.length;
}

/** Returns `true` if a key of the same length is equal to `key`. */
function hasKeyAt(tape: Tape, { row, key }: { row: number; key: string }): boolean {
  const { source } = tape;
  const start = endOf(tape, row) - key.length;
  for (let i = 0; i < key.length; i++) if (source[start + i] !== key.charCodeAt(i)) return false;
  return true;
}

/** Returns a short ASCII byte string as text, or `null` for any other value. */
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
