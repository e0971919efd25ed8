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

const COLON = 0x3a;
const LETTER_D = 0x64;
const LETTER_I = 0x69;
const LETTER_L = 0x6c;
/** Below this length a loop is faster than a view of the bytes. */
const SHORT_KEY = 32;
/** More arguments than this to `String.fromCharCode` could overflow the stack. */
const KEY_SLICE = 4096;

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
    return this.#index().length;
  }

  /** The list as it stands in the input, from `l` to `e`. */
  get raw(): Bytes {
    return rawAt(this.#tape, this.#row);
  }

  /**
   * @param index Counted from 0, or from the end when negative.
   * @returns The value there, or `undefined` past either end.
   */
  at(index: number): BencodeValue | undefined {
    const row = this.#index().at(index);
    return row === undefined ? undefined : valueAt(this.#tape, row);
  }

  /**
   * @param index Counted from 0, or from the end when negative.
   * @returns The exact bytes of the value there, or `undefined` past either end.
   */
  rawSlice(index: number): Bytes | undefined {
    const row = this.#index().at(index);
    return row === undefined ? undefined : rawAt(this.#tape, row);
  }

  /** @returns The values in order. */
  *[Symbol.iterator](): Generator<BencodeValue> {
    for (const row of this.#index()) yield valueAt(this.#tape, row);
  }

  #index(): readonly number[] {
    if (this.#rows) return this.#rows;
    const rows: number[] = [];
    const last = rowAfter(this.#tape, this.#row) - 1; // the row of the closing "e"
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

  /**
   * @param tape The decoder's record.
   * @param row The dictionary's row in it.
   */
  constructor(tape: Tape, row: number) {
    this.#tape = tape;
    this.#row = row;
  }

  /** How many different keys it has. */
  get size(): number {
    return this.#index().size;
  }

  /** The dictionary as it stands in the input, from `d` to `e`. */
  get raw(): Bytes {
    return rawAt(this.#tape, this.#row);
  }

  /** @returns The keys, in the order of the input. */
  keys(): IterableIterator<string> {
    return this.#index().keys();
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
    return this.#index().has(key);
  }

  /**
   * @param key A key.
   * @returns Its value, or `undefined` when the key is missing.
   */
  get(key: string): BencodeValue | undefined {
    const row = this.#index().get(key);
    return row === undefined ? undefined : valueAt(this.#tape, row);
  }

  /**
   * @param key A key.
   * @returns The exact bytes of its value as they stand in the input, or `undefined` when the key is missing.
   */
  rawSlice(key: string): Bytes | undefined {
    const row = this.#index().get(key);
    return row === undefined ? undefined : rawAt(this.#tape, row);
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

function integerAt(tape: Tape, row: number): number | bigint {
  const digits = characters(tape.source, startOf(tape, row) + 1, endOf(tape, row) - 1);
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : BigInt(digits);
}
