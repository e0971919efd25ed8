/**
 * Which addresses lead where.
 *
 * @module
 */

import { canonicalHost, parseIp } from "./address.ts";

/**
 * Whether an IPv4 address is one of a local network behind a gateway: RFC 1918, link-local (RFC 3927), or shared between a
 * provider's customers (RFC 6598).
 *
 * @param host A literal address.
 * @returns `false` for loopback, for every public address, and for IPv6, which needs no mapping.
 */
export function isPrivate(host: string): boolean {
  const [a, b, ...rest] = parseIp(canonicalHost(host)) ?? [];
  if (a === undefined || b === undefined || rest.length !== 2) return false;
  return a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128);
}

/**
 * Whether an address can be one's own as all others see it: neither private, nor loopback, multicast, reserved or unset.
 *
 * @param host A literal address.
 * @returns Whether it is public; `false` for what is no address.
 */
export function isPublic(host: string): boolean {
  const bytes = parseIp(canonicalHost(host));
  if (bytes === null) return false;
  const [a = 0, b = 0] = bytes;
  // IPv6: 2000::/3 is all that was ever given out (RFC 4291), less documentation (RFC 3849).
  if (bytes.length === 16) return a >> 5 === 1 && !(a === 0x20 && b === 0x01 && bytes[2] === 0x0d && bytes[3] === 0xb8);
  return a !== 0 && a !== 127 && a < 224 && !isPrivate(host);
}
