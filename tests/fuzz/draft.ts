/**
 * A buffer for making inputs.
 *
 * @module
 */

import { type Bytes, utf8 } from "../../src/base/bytes.ts";

/** Bytes that grow. A draft can be reused for many inputs. */
export class Draft {
  #bytes: Bytes = new Uint8Array(4096);
  #length = 0;

  /** Number of bytes written. */
  get length(): number {
    return this.#length;
  }

  /** Removes all bytes. */
  clear(): void {
    this.#length = 0;
  }

  /** Returns a copy of the bytes written. */
  take(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }

  /** Appends a byte, the lowest eight bits of `value`. */
  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** Appends two bytes, highest first. */
  uint16(value: number): void {
    this.byte(value >>> 8);
    this.byte(value);
  }

  /** Appends four bytes, highest first. */
  uint32(value: number): void {
    this.uint16(value >>> 16);
    this.uint16(value);
  }

  /** Appends text of ASCII characters. */
  ascii(text: string): void {
    this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) this.#bytes[this.#length++] = text.charCodeAt(i);
  }

  /** Appends text as UTF-8. */
  text(text: string): void {
    this.raw(utf8(text));
  }

  /** Appends bytes. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + more, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
