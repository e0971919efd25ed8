/**
 * Decodes bencode (BEP 3).
 *
 * The decoder goes through the input once, without recursion, and checks everything. Values are created later, when
 * they are accessed (see `value.ts`). Time is linear in the input, memory is at most a few times its size, and depth is
 * a counter, so the worst that an input can cause is an error.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { BencodeError } from "./errors.ts";
import type { Tape } from "./tape.ts";
import { BencodeDict, type BencodeValue, valueAt } from "./value.ts";

/** Options for {@linkcode decode} and {@linkcode decodeDict}. */
export interface DecodeOptions {
  /**
   * Whether the input must be as BEP 3 asks: dictionary keys sorted by their bytes and unique, no leading zeros, no
   * negative zero. Torrents and trackers get this wrong and other clients accept it, so by default keys may have any
   * order, the first of equal keys wins, and leading zeros are ignored. Default: `false`.
   */
  readonly strict?: boolean;
  /**
   * Whether `-0` and `-05` are accepted in spite of `strict`, as libtorrent does in the canonical info dictionaries of v2
   * torrents. Default: `false`.
   */
  readonly allowNegativeZeros?: boolean;
  /** Largest number of digits of an integer, without its sign. Default: 64. */
  readonly maxDigits?: number;
  /**
   * Called for errors that are accepted: leading zeros, and with `allowTrailing` bytes after the value. Only the first
   * error of each kind is reported. The order of keys is not checked.
   *
   * @param offset Offset of the error in the input.
   * @param what A plain sentence, as in a {@linkcode BencodeError}.
   */
  readonly onOddity?: ((offset: number, what: string) => void) | undefined;
  /** Largest nesting depth of lists and dictionaries. Default: 100. */
  readonly maxDepth?: number;
  /** Largest size of the input in bytes, at most 4 GiB. Default: 64 MiB. */
  readonly maxSize?: number;
  /**
   * Whether bytes may follow the value, as in the metadata messages of BEP 9. The length of `raw` of the dictionary or
   * list tells where they begin. Default: `false`.
   */
  readonly allowTrailing?: boolean;
}

const DEFAULT_MAX_DEPTH = 100;
const DEFAULT_MAX_SIZE = 64 * 1024 * 1024;
/** No protocol exceeds 64 bits (20 digits), and the cost of parsing an integer is quadratic. */
const DEFAULT_MAX_DIGITS = 64;
/** A length stops growing here: far beyond any input, and far below the point where a number loses exactness. */
const LENGTH_CAP = 2 ** 40;
/** Marks the absence of a row. */
const NONE = 2 ** 32 - 1;

const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const LETTER_D = 0x64;
const LETTER_E = 0x65;
const LETTER_I = 0x69;
const LETTER_L = 0x6c;

/**
 * Decodes one bencoded value.
 *
 * @param input The value, and nothing else unless `allowTrailing` is set. Returned byte strings are views of it.
 * @param options See {@linkcode DecodeOptions}.
 * @returns The value.
 * @throws {BencodeError} If `input` is not bencode or exceeds a limit.
 *
 * @example
 * ```ts
 * decode(utf8("i42e")); // 42
 * ```
 */
export function decode(input: Uint8Array, options: DecodeOptions = {}): BencodeValue {
  return valueAt(new Decoder(input, options).run(), 0);
}

/**
 * Decodes one bencoded dictionary, which nearly every message of the protocols is.
 *
 * @param input The dictionary, and nothing else unless `allowTrailing` is set. Returned byte strings are views of it.
 * @param options See {@linkcode DecodeOptions}.
 * @returns The dictionary.
 * @throws {BencodeError} If `input` is not bencode, not a dictionary, or exceeds a limit.
 *
 * @example
 * ```ts
 * decodeDict(utf8("d8:intervali1800ee")).getInt("interval"); // 1800
 * ```
 */
export function decodeDict(input: Uint8Array, options: DecodeOptions = {}): BencodeDict {
  if (input[0] !== LETTER_D) throw new BencodeError(0, `expected a dictionary, found ${describeByte(input[0])}`);
  return new BencodeDict(new Decoder(input, options).run(), 0);
}

class Decoder {
  readonly #source: Bytes;
  readonly #strict: boolean;
  readonly #allowNegativeZeros: boolean;
  readonly #maxDepth: number;
  readonly #maxDigits: number;
  readonly #allowTrailing: boolean;
  readonly #onOddity: DecodeOptions["onOddity"];
  /** Errors that were reported to `onOddity`. */
  readonly #told = new Set<string>();
  #rows: Uint32Array;
  #count = 0;
  #at = 0;
  /** Row of the innermost open list or dictionary, or `NONE`. The row of an open one refers to the one around it. */
  #holder = NONE;
  #depth = 0;
  /** Row of the latest key of each open dictionary, by depth. Only used in strict mode. */
  readonly #keys: number[] = [];

  constructor(input: Uint8Array, options: DecodeOptions) {
    const maxSize = Math.min(options.maxSize ?? DEFAULT_MAX_SIZE, 2 ** 32 - 1);
    if (input.length > maxSize) {
      throw new BencodeError(maxSize, `the input has ${input.length} bytes, at most ${maxSize} are accepted`);
    }
    this.#source = input.buffer instanceof ArrayBuffer ? input as Bytes : new Uint8Array(input);
    this.#strict = options.strict ?? false;
    this.#allowNegativeZeros = options.allowNegativeZeros ?? false;
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#maxDigits = options.maxDigits ?? DEFAULT_MAX_DIGITS;
    this.#allowTrailing = options.allowTrailing ?? false;
    this.#onOddity = options.onOddity;
    this.#rows = new Uint32Array(64);
  }

  run(): Tape {
    do this.#step(); while (this.#holder !== NONE);
    const left = this.#source.length - this.#at;
    if (left > 0) {
      const what = `expected the end of the input, ${left} ${left === 1 ? "byte follows" : "bytes follow"}`;
      if (!this.#allowTrailing) throw new BencodeError(this.#at, what);
      this.#onOddity?.(this.#at, what);
    }
    this.#push(); // the last row marks where the last value ends
    return { source: this.#source, rows: this.#rows };
  }

  /** Decodes a value and its key, if it has one, or the beginning or end of a list or dictionary. */
  #step(): void {
    const source = this.#source;
    const holder = this.#holder;
    const inDict = holder !== NONE && source[this.#rows[2 * holder]!] === LETTER_D;
    if (holder !== NONE && source[this.#at] === LETTER_E) return this.#close(holder);
    if (inDict) this.#key();
    const byte = source[this.#at];
    if (byte === LETTER_D || byte === LETTER_L) return this.#begin(holder);
    const row = this.#push();
    if (byte === LETTER_I) this.#integer();
    else if (isDigit(byte)) this.#string();
    else this.#fail(holder === NONE || inDict ? "a value" : "a value or the end of the list");
    this.#rows[2 * row + 1] = this.#count;
  }

  #begin(holder: number): void {
    if (this.#depth >= this.#maxDepth) {
      throw new BencodeError(this.#at, `lists and dictionaries stand more than ${this.#maxDepth} deep in each other`);
    }
    const row = this.#push();
    this.#rows[2 * row + 1] = holder;
    this.#holder = row;
    this.#depth++;
    if (this.#strict) this.#keys.push(NONE);
    this.#at++;
  }

  #close(holder: number): void {
    this.#push();
    this.#at++;
    this.#holder = this.#rows[2 * holder + 1]!;
    this.#rows[2 * holder + 1] = this.#count;
    this.#depth--;
    if (this.#strict) this.#keys.pop();
  }

  #key(): void {
    if (!isDigit(this.#source[this.#at])) this.#fail("a key or the end of the dictionary");
    const row = this.#push();
    this.#string();
    this.#rows[2 * row + 1] = this.#count;
    if (!this.#strict) return;
    const previous = this.#keys[this.#depth - 1]!;
    if (previous !== NONE) this.#checkOrder(previous, row);
    this.#keys[this.#depth - 1] = row;
  }

  #checkOrder(previous: number, row: number): void {
    const source = this.#source;
    const start = this.#rows[2 * row]!;
    const a = this.#keyBytes(this.#rows[2 * previous]!);
    const b = this.#keyBytes(start);
    const shorter = Math.min(a.length, b.length);
    let same = 0;
    while (same < shorter && source[a.start + same] === source[b.start + same]) same++;
    if (same === b.length && a.length === b.length) {
      throw new BencodeError(start, "a dictionary has the same key twice");
    }
    const ordered = same === a.length || (same < b.length && source[a.start + same]! < source[b.start + same]!);
    if (!ordered) throw new BencodeError(start, "the keys of a dictionary are not sorted");
  }

  #keyBytes(offset: number): { start: number; length: number } {
    let length = 0;
    let at = offset;
    for (; this.#source[at] !== COLON; at++) length = length * 10 + this.#source[at]! - ZERO;
    return { start: at + 1, length };
  }

  #string(): void {
    const source = this.#source;
    const start = this.#at;
    let length = 0;
    for (; isDigit(source[this.#at]); this.#at++) {
      if (length < LENGTH_CAP) length = length * 10 + source[this.#at]! - ZERO;
    }
    if (source[start] === ZERO && this.#at > start + 1) this.#odd(start, "a length has a leading zero");
    if (source[this.#at] !== COLON) this.#fail(`":" after the length of a byte string`);
    const left = source.length - this.#at - 1;
    if (length > left) {
      throw new BencodeError(start, `a byte string runs past the end of the input, which has ${left} bytes left`);
    }
    this.#at += 1 + length;
  }

  #integer(): void {
    const source = this.#source;
    const start = this.#at;
    this.#at++;
    const negative = source[this.#at] === MINUS;
    if (negative) this.#at++;
    const first = this.#at;
    while (isDigit(source[this.#at])) this.#at++;
    const digits = this.#at - first;
    if (digits === 0) this.#fail("a digit");
    if (source[first] === ZERO && (negative ? !this.#allowNegativeZeros : digits > 1)) {
      this.#odd(start, `an integer ${digits > 1 ? "has a leading zero" : "is a negative zero"}`);
    }
    if (digits > this.#maxDigits) {
      throw new BencodeError(start, `an integer has ${digits} digits, at most ${this.#maxDigits} are accepted`);
    }
    if (source[this.#at] !== LETTER_E) this.#fail(`a digit or "e" in an integer`);
    this.#at++;
  }

  /** Handles an error that leaves only one meaning: throws in strict mode, else reports it. */
  #odd(offset: number, what: string): void {
    if (this.#strict) throw new BencodeError(offset, what);
    if (this.#onOddity === undefined || this.#told.has(what)) return;
    this.#told.add(what);
    this.#onOddity(offset, what);
  }

  /** Adds a row for what starts at the current offset, and returns its index. */
  #push(): number {
    if (2 * this.#count + 2 > this.#rows.length) {
      // Each value takes at least one byte, and one more row marks where the last value ends.
      const grown = new Uint32Array(Math.min(this.#rows.length * 2, 2 * (this.#source.length + 2)));
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#rows[2 * this.#count] = this.#at;
    return this.#count++;
  }

  #fail(expected: string): never {
    throw new BencodeError(this.#at, `expected ${expected}, found ${describeByte(this.#source[this.#at])}`);
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function describeByte(byte: number | undefined): string {
  if (byte === undefined) return "the end of the input";
  if (byte === 0x22) return `'"'`;
  return byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `byte 0x${byte.toString(16).padStart(2, "0")}`;
}
