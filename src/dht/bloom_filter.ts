/**
 * Filters that count the peers of a torrent across nodes (BEP 33).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";
import { FILTER_LENGTH } from "./krpc.ts";

const BITS = FILTER_LENGTH * 8;

/** A set of addresses that can be joined with others, and knows about how many it holds. */
export class BloomFilter {
  /** 256 bytes. */
  readonly bytes: Bytes = new Uint8Array(FILTER_LENGTH);

  /** About how many addresses are in it; past 6,000 it can't tell. */
  get estimate(): number {
    let zeros = 0;
    for (const byte of this.bytes) {
      for (let bit = 0; bit < 8; bit++) if ((byte >> bit & 1) === 0) zeros++;
    }
    // The BEP's formula would say that an empty filter holds half an address.
    return zeros === BITS ? 0 : Math.log(Math.max(zeros, 1) / BITS) / (2 * Math.log(1 - 1 / BITS));
  }

  /**
   * Adds an address.
   *
   * @param ip 4 or 16 bytes.
   * @param digest Starts a SHA-1 digest.
   */
  add(ip: Uint8Array, digest: Platform["digest"]): void {
    const sha1 = digest("sha1");
    sha1.update(new Uint8Array(ip));
    const hash = sha1.digest();
    this.#set((hash[0]! | hash[1]! << 8) % BITS);
    this.#set((hash[2]! | hash[3]! << 8) % BITS);
  }

  /**
   * Adds all that another filter holds.
   *
   * @param bytes The other's 256 bytes.
   */
  join(bytes: Uint8Array): void {
    for (let i = 0; i < FILTER_LENGTH; i++) this.bytes[i]! |= bytes[i]!;
  }

  #set(bit: number): void {
    this.bytes[bit >> 3]! |= 1 << (bit & 7);
  }
}
