/**
 * Bloom filters that count the peers of a torrent across nodes (BEP 33).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Platform } from "../platform/platform.ts";
import { FILTER_LENGTH } from "./krpc_messages.ts";

const BITS = FILTER_LENGTH * 8;

/** A set of IP addresses that can be merged with other filters and can estimate its own size. */
export class BloomFilter {
  /** The filter, 256 bytes. */
  readonly bytes: Bytes = new Uint8Array(FILTER_LENGTH);

  /** Estimated number of addresses in the filter. The filter is saturated at about 6,000. */
  get estimate(): number {
    let zeros = 0;
    for (const byte of this.bytes) {
      for (let bit = 0; bit < 8; bit++) if ((byte >> bit & 1) === 0) zeros++;
    }
    // The formula of BEP 33 yields half an address for an empty filter.
    return zeros === BITS ? 0 : Math.log(Math.max(zeros, 1) / BITS) / (2 * Math.log(1 - 1 / BITS));
  }

  /**
   * Adds an IP address to the filter.
   *
   * @param ip The address, 4 or 16 bytes.
   */
  add(ip: Uint8Array, digest: Platform["digest"]): void {
    const sha1 = digest("sha1");
    sha1.update(new Uint8Array(ip));
    const hash = sha1.digest();
    this.#set((hash[0]! | hash[1]! << 8) % BITS);
    this.#set((hash[2]! | hash[3]! << 8) % BITS);
  }

  /**
   * Merges another filter into this one.
   *
   * @param bytes The other filter, 256 bytes.
   */
  join(bytes: Uint8Array): void {
    for (let i = 0; i < FILTER_LENGTH; i++) this.bytes[i]! |= bytes[i]!;
  }

  #set(bit: number): void {
    this.bytes[bit >> 3]! |= 1 << (bit & 7);
  }
}
