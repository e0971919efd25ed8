/**
 * Encodes values as bencode (BEP 3).
 *
 * @module
 */

import { type Bytes, utf8 } from "../base/bytes.ts";
import { BencodeDict, BencodeList } from "./value.ts";

/**
 * Values that can be encoded. Text is written as UTF-8, numbers must be safe integers, and decoded values are written
 * unchanged.
 */
export type Encodable =
  | string
  | Uint8Array
  | number
  | bigint
  | readonly Encodable[]
  | ReadonlyMap<string | Uint8Array, Encodable>
  | { readonly [key: string]: Encodable | undefined }
  | BencodeList
  | BencodeDict;

/** Deeper than any real value. A structure that contains itself causes this error, not a stack overflow. */
const MAX_DEPTH = 500;

const COLON = 0x3a;
const LETTER_D = 0x64;
const LETTER_E = 0x65;
const LETTER_L = 0x6c;

/**
 * Encodes a value canonically: dictionary keys are sorted by their bytes, so that equal values have equal encodings.
 *
 * @param value Value to encode. The keys of an object and the text keys of a `Map` are written as UTF-8; a key whose
 * value is `undefined` is left out. The keys of a decoded dictionary keep their bytes.
 * @returns The encoding.
 * @throws {TypeError} If the value contains something that has no encoding, such as `null` or a boolean.
 * @throws {RangeError} If a number is not a safe integer, a `Map` has the same key twice (as text and as bytes), or the
 * value is nested too deeply.
 *
 * @example
 * ```ts
 * encode({ b: "text", a: [1, 2n] }); // d1:ali1ei2ee1:b4:texte
 * ```
 */
export function encode(value: Encodable): Bytes {
  const writer = new Writer();
  write(writer, value, 0);
  return writer.finish();
}

function write(writer: Writer, value: Encodable, depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`Bencoded values may stand ${MAX_DEPTH} deep in each other, not more`);
  if (typeof value === "string") return writer.string(utf8(value));
  if (value instanceof Uint8Array) return writer.string(value);
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError(`Bencode has safe integers only, got ${value}`);
    return writer.ascii(`i${value === 0 ? 0 : value}e`); // not "-0"
  }
  if (typeof value === "bigint") return writer.ascii(`i${value}e`);
  if (Array.isArray(value) || value instanceof BencodeList) {
    writer.byte(LETTER_L);
    for (const item of value as Iterable<Encodable>) write(writer, item, depth + 1);
    return writer.byte(LETTER_E);
  }
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`Bencode has no ${value === null ? "null" : typeof value}`);
  }
  writeDict(writer, entriesOf(value as Exclude<typeof value, readonly Encodable[]>), depth);
}

function writeDict(writer: Writer, entries: [Uint8Array, Encodable][], depth: number): void {
  entries.sort(([a], [b]) => compareBytes(a, b));
  writer.byte(LETTER_D);
  let previous: Uint8Array | null = null;
  for (const [key, value] of entries) {
    if (previous && compareBytes(previous, key) === 0) {
      throw new RangeError("A map has the same key as text and as bytes");
    }
    writer.string(key);
    write(writer, value, depth + 1);
    previous = key;
  }
  writer.byte(LETTER_E);
}

function entriesOf(
  value: BencodeDict | ReadonlyMap<string | Uint8Array, Encodable> | { readonly [key: string]: Encodable | undefined },
): [Uint8Array, Encodable][] {
  if (value instanceof BencodeDict) {
    return Array.from(value, ([key, item]) => [bytesOf(key), item]);
  }
  if (value instanceof Map) {
    return Array.from(
      value as ReadonlyMap<string | Uint8Array, Encodable>,
      ([key, item]) => [typeof key === "string" ? utf8(key) : key, item],
    );
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`Bencode has no ${(value as object).constructor.name}`);
  }
  const entries: [Uint8Array, Encodable][] = [];
  for (const [key, item] of Object.entries(value)) if (item !== undefined) entries.push([keyBytes(key), item]);
  return entries;
}

/** Returns a key of an object as UTF-8. The result is cached, because the protocols use few keys again and again. */
function keyBytes(key: string): Uint8Array {
  const known = KEYS.get(key);
  if (known) return known;
  const bytes = utf8(key);
  if (KEYS.size < MAX_KEYS) KEYS.set(key, bytes);
  return bytes;
}

const KEYS = new Map<string, Uint8Array>();
const MAX_KEYS = 256;

/** Returns the bytes of a decoded dictionary's key, which has one character for each byte. */
function bytesOf(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = key.charCodeAt(i); // many times as fast as Uint8Array.from()
  return bytes;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

/** A byte buffer that grows. */
class Writer {
  #bytes: Bytes = new Uint8Array(256);
  #length = 0;

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  ascii(text: string): void {
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  string(bytes: Uint8Array): void {
    this.ascii(String(bytes.length));
    this.byte(COLON);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
