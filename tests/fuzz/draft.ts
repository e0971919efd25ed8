/**
 * Inputs while they are being made.
 *
 * @module
 */

import { type Bytes, utf8 } from "../../src/base/bytes.ts";

/** Bytes that grow. One draft serves for many inputs. */
export class Draft {
  #bytes: Bytes = new Uint8Array(4096);
  #length = 0;

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Begins anew. */
  clear(): void {
    this.#length = 0;
  }

  /** @returns A copy of what was written. */
  take(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }

  /** Appends a byte; of larger numbers the lowest eight bits. */
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
