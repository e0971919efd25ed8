/**
 * Node ids and the distance between them (BEP 5), and ids derived from an IP address (BEP 42).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import type { HostFacts } from "./hosts.ts";

/** Length of a node id or lookup target in bytes. */
export const ID_LENGTH = 20;
/** Length of a node id in bits. */
export const ID_BITS = 160;

const MASK_4 = Uint8Array.of(0x03, 0x0f, 0x3f, 0xff);
const MASK_6 = Uint8Array.of(0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff);
/**
 * Compares the distances of two ids to a target.
 *
 * @returns A negative number if `a` is closer, a positive number if `b` is closer, 0 if both are equal.
 */
export function compareDistance(a: Uint8Array, b: Uint8Array, target: Uint8Array): number {
  for (let i = 0; i < ID_LENGTH; i++) {
    if (a[i] !== b[i]) return (a[i]! ^ target[i]!) - (b[i]! ^ target[i]!);
  }
  return 0;
}

/**
 * Counts the leading bits that two ids have in common.
 *
 * @returns 0 to 160.
 */
export function sharedBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < ID_LENGTH; i++) {
    const difference = a[i]! ^ b[i]!;
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return ID_BITS;
}

/**
 * Creates a random id that shares a given number of leading bits with another id.
 *
 * @param bits Exact number of shared leading bits, 0 to 159.
 * @param random 20 random bytes.
 */
export function idSharing(id: Uint8Array, bits: number, random: Uint8Array): Bytes {
  const made = new Uint8Array(random);
  const whole = bits >> 3;
  made.set(id.subarray(0, whole));
  const keep = 0xff00 >> (bits & 7) & 0xff; // mask of the bits to copy in the next byte
  const flip = 0x80 >> (bits & 7);
  made[whole] = (id[whole]! & keep) | (~id[whole]! & flip) | (made[whole]! & ~(keep | flip));
  return made;
}

/**
 * Creates a random id that matches an IP address (BEP 42).
 *
 * @param ip The address, 4 or 16 bytes.
 * @param random 20 random bytes.
 */
export function idForAddress(ip: Uint8Array, random: Uint8Array): Bytes {
  const id = new Uint8Array(random);
  const hash = hashOf(ip, id[19]!);
  id[0] = hash >>> 24;
  id[1] = hash >>> 16;
  id[2] = (hash >>> 8 & 0xf8) | (id[2]! & 0x07);
  return id;
}

/** Returns `true` if an id matches the address of its node (BEP 42). On local networks any id matches. */
export function isIdOf(id: Uint8Array, host: HostFacts): boolean {
  if (host.kind === "local") return true;
  const hash = hashOf(host.bytes, id[19]!);
  return id[0] === hash >>> 24 && id[1] === (hash >>> 16 & 0xff) && (id[2]! & 0xf8) === (hash >>> 8 & 0xf8);
}

function hashOf(ip: Uint8Array, chance: number): number {
  const mask = ip.length === 4 ? MASK_4 : MASK_6;
  const masked = new Uint8Array(mask.length);
  for (let i = 0; i < mask.length; i++) masked[i] = ip[i]! & mask[i]!;
  masked[0]! |= (chance & 7) << 5;
  return crc32c(masked);
}
