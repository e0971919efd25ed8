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

/**
 * The SHA-256 info-hash that names a v2 torrent: 32 bytes, immutable by convention (BEP 52).
 *
 * @example
 * ```ts
 * const hash = new InfoHashV2(new Uint8Array(32));
 * hash.truncated.hex; // "0000000000000000000000000000000000000000"
 * ```
 */
export class InfoHashV2 {
  /** Length of a v2 info-hash in bytes. */
  static readonly LENGTH = 32;
  /** The raw 32 bytes. */
  readonly bytes: Bytes;
  /** 64 lower-case hexadecimal digits. */
  readonly hex: string;
  /** The first 20 bytes, which stand for the torrent in handshakes, in the DHT and with trackers. */
  readonly truncated: InfoHash;

  /**
   * Makes an info-hash from its bytes.
   *
   * @param bytes 32 bytes, which are copied.
   * @throws {RangeError} If `bytes` is not 32 bytes long.
   */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== InfoHashV2.LENGTH) {
      throw new RangeError(`A v2 info-hash has ${InfoHashV2.LENGTH} bytes, got ${bytes.length}`);
    }
    this.bytes = new Uint8Array(bytes);
    this.hex = toHex(bytes);
    this.truncated = new InfoHash(bytes.subarray(0, InfoHash.LENGTH));
  }

  /** Returns `true` if both name the same torrent. */
  equals(other: InfoHashV2): boolean {
    return this.hex === other.hex;
  }

  /** Returns the hexadecimal form. */
  toString(): string {
    return this.hex;
  }
}
