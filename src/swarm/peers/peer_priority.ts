/**
 * Canonical peer priority (BEP 40): an order of peers that no end can choose and both ends agree on, so that a swarm's
 * connections spread evenly and whoever is new finds somebody with room.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../../base/address.ts";
import { crc32c } from "../../base/crc32c.ts";

/** Leading bytes of an address that always count in full: a /16, of IPv6 a /48. */
const WHOLE = { 4: 2, 16: 6 } as const;
/** What counts of the others: every second bit, so that a whole network is not worth more than some of its addresses. */
const SPARSE = 0x55;

/**
 * How much two peers should want a connection with each other, compared with others.
 *
 * @param ours An end of the connection, as the other one sees it.
 * @param theirs The other end. The result is the same when both are swapped.
 * @returns 0 to 2^32 - 1, the larger the better; `null` if the two are not of one family or no literal addresses.
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
  // The byte in which they differ counts in full, so that it decides about the order, masked or not.
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
