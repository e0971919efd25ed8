/**
 * Info-hashes as a type.
 *
 * @module
 */

import { type Bytes, toHex } from "./bytes.ts";

/**
 * The SHA-1 info-hash that names a v1 torrent: 20 bytes, immutable by convention (BEP 3).
 *
 * @example
 * ```ts
 * const hash = new InfoHash(new Uint8Array(20));
 * hash.hex; // "0000000000000000000000000000000000000000"
 * ```
 */
export class InfoHash {
  /** Length of a v1 info-hash in bytes. */
  static readonly LENGTH = 20;
  /** The raw 20 bytes. */
  readonly bytes: Bytes;
  /** 40 lower-case hexadecimal digits, which can be a map key. */
  readonly hex: string;

  /**
   * Makes an info-hash from its bytes.
   *
   * @param bytes 20 bytes, which are copied.
   * @throws {RangeError} If `bytes` is not 20 bytes long.
   */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== InfoHash.LENGTH) {
      throw new RangeError(`An info-hash has ${InfoHash.LENGTH} bytes, got ${bytes.length}`);
    }
    this.bytes = new Uint8Array(bytes);
    this.hex = toHex(bytes);
  }

  /** Returns `true` if both name the same torrent. */
  equals(other: InfoHash): boolean {
    return this.hex === other.hex;
  }

  /** Returns the hexadecimal form. */
  toString(): string {
    return this.hex;
  }
}
