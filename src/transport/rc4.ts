/**
 * The RC4 stream cipher. RC4 is broken as encryption. Message stream encryption uses it only to make the stream look
 * like noise to passive observers, and promises no more.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";

/** Options for {@linkcode Rc4}. */
export interface Rc4Options {
  /** Number of bytes to discard from the start of the key stream. Default: 0. */
  readonly skip?: number;
}

/**
 * An RC4 stream for one direction of a connection.
 *
 * @example
 * ```ts
 * const cipher = new Rc4(utf8("Key"));
 * const bytes = utf8("Plaintext");
 * cipher.apply(bytes); // bbf316e8d940af0ad3
 * ```
 */
export class Rc4 {
  readonly #state = new Uint8Array(256);
  #i = 0;
  #j = 0;

  /** @param key 1 to 256 bytes. */
  constructor(key: Uint8Array, options: Rc4Options = {}) {
    const state = this.#state;
    for (let i = 0; i < 256; i++) state[i] = i;
    for (let i = 0, j = 0; i < 256; i++) {
      const at = state[i]!;
      j = (j + at + key[i % key.length]!) & 255;
      state[i] = state[j]!;
      state[j] = at;
    }
    if (options.skip) this.apply(new Uint8Array(options.skip));
  }

  /**
   * Encrypts or decrypts the next bytes of the stream in place.
   *
   * @param from Index of the first byte.
   * @param to Index after the last byte.
   */
  apply(bytes: Bytes, from: number = 0, to: number = bytes.length): void {
    const state = this.#state;
    let i = this.#i;
    let j = this.#j;
    for (let at = from; at < to; at++) {
      i = (i + 1) & 255;
      const a = state[i]!;
      j = (j + a) & 255;
      const b = state[j]!;
      state[i] = b;
      state[j] = a;
      bytes[at]! ^= state[(a + b) & 255]!;
    }
    this.#i = i;
    this.#j = j;
  }
}
