/**
 * Canonical peer priority (BEP 40). Neither end of a connection can choose the priority and both compute the same, so
 * the connections of a swarm spread evenly, and new peers find peers with room.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../../base/address.ts";
import { crc32c } from "../../base/crc32c.ts";

/** Leading bytes of an address that count in full: a /16 of IPv4, a /48 of IPv6. */
const WHOLE = { 4: 2, 16: 6 } as const;
/** Mask for the other bytes: every second bit, so that a whole network is not worth more than a few addresses. */
const SPARSE = 0x55;

/**
 * Returns the priority of a connection between two peers.
 *
 * @param ours One end of the connection, as the other end sees it.
 * @param theirs The other end. Swapping both gives the same result.
 * @returns 0 to 2^32 - 1, higher is better; `null` if the addresses are of different families, or not literal.
 */
export function peerPriority(ours: PeerAddress, theirs: PeerAddress): number | null {
  const a = parseIp(ours.host);
  const b = parseIp(theirs.host);
  if (a === null || b === null || a.length !== b.length) return null;
  let shared = 0;
  while (shared < a.length && a[shared] === b[shared]) shared++;
  if (shared === a.length) {
    const [low, high] = ours.port < theirs.port ? [ours.port, theirs.port] : [theirs.port, ours.port];
    return crc32c(Uint8Array.of(low >> 8, low, high >> 8, high));
  }
  // The first byte that differs counts in full, so that the order of the two is the same with and without mask.
  const whole = Math.max(WHOLE[a.length as 4 | 16], shared + 1);
  const [first, second] = a[shared]! < b[shared]! ? [a, b] : [b, a];
  const mixed = new Uint8Array(2 * a.length);
  for (let i = 0; i < a.length; i++) {
    const mask = i < whole ? 0xff : SPARSE;
    mixed[i] = first[i]! & mask;
    mixed[a.length + i] = second[i]! & mask;
  }
  return crc32c(mixed);
}
