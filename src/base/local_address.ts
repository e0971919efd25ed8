/**
 * Addresses that mean something else, or nothing, to somebody else.
 *
 * @module
 */

import { parseIp } from "./address.ts";

/** IPv4 networks that aren't the internet (RFC 6890), as first bytes and how many bits of them count. */
const LOCAL_V4: readonly (readonly [bytes: readonly number[], bits: number])[] = [
  [[0], 8],
  [[10], 8],
  [[100, 64], 10],
  [[127], 8],
  [[169, 254], 16],
  [[172, 16], 12],
  [[192, 0, 0], 24],
  [[192, 168], 16],
  [[198, 18], 15],
  [[224], 3], // multicast, reserved, broadcast
];

/** The same for IPv6: unspecified, loopback, unique local, link-local, site-local, multicast. */
const LOCAL_V6: readonly (readonly [bytes: readonly number[], bits: number])[] = [
  [new Array<number>(16).fill(0), 128],
  [[...new Array<number>(15).fill(0), 1], 128],
  [[0xfc], 7],
  [[0xfe, 0x80], 10],
  [[0xfe, 0xc0], 10],
  [[0xff], 8],
];

/** IPv6 networks whose addresses hold an IPv4 address, and where: mapped ones, and those of a NAT64 (RFC 6052). */
const EMBEDDED: readonly (readonly [bytes: readonly number[], at: number])[] = [
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 12],
  [[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], 12],
  [[0x20, 0x02], 2], // 6to4
  [new Array<number>(12).fill(0), 12], // IPv4-compatible ones, of old
];

/**
 * Whether an address leads to this machine or its own network rather than to the internet.
 *
 * @param host A literal address, IPv6 with or without a zone.
 * @returns Whether it is local; what is no literal address isn't known to be.
 */
export function isLocalAddress(host: string): boolean {
  const bytes = parseIp(host.split("%", 1)[0]!);
  if (bytes === null) return false;
  if (bytes.length === 4) return isIn(bytes, LOCAL_V4);
  if (isIn(bytes, LOCAL_V6)) return true;
  return EMBEDDED.some(([prefix, at]) => {
    return prefix.every((byte, i) => bytes[i] === byte) && isIn(bytes.subarray(at, at + 4), LOCAL_V4);
  });
}

function isIn(bytes: Uint8Array, networks: typeof LOCAL_V4): boolean {
  return networks.some(([prefix, bits]) => {
    for (let bit = 0; bit < bits; bit++) {
      const mask = 128 >> (bit & 7);
      if (((bytes[bit >> 3]! ^ (prefix[bit >> 3] ?? 0)) & mask) !== 0) return false;
    }
    return true;
  });
}
