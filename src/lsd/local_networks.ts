/**
 * Which addresses belong to the local network. Messages from other addresses are ignored, since anyone can send a
 * datagram.
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import { isDialable, isWithin, kindOf } from "../base/networks.ts";
import type { LocalAddress } from "../platform/platform.ts";

/**
 * Returns `true` if an address is in a network of this machine, or in any network that is not part of the internet,
 * since BEP 14 lets announces cross routers within an organisation. Link-local addresses are rejected: the system
 * doesn't report the link on which a datagram arrived, and without the link no connection is possible.
 *
 * @param host Literal IP address.
 */
export function isNeighbour(host: string, own: readonly LocalAddress[]): boolean {
  const ip = parseIp(host);
  if (ip === null || !isDialable(host)) return false;
  return kindOf(ip) === "local" || own.some((local) => isWithin(ip, local));
}

/** Options for {@linkcode sendingAddresses}. */
export interface SpeakingAddressesOptions {
  /** Address family of the multicast group. */
  readonly family: 4 | 6;
  /** The only local address that may be used. Any when absent. */
  readonly bind?: string;
  /** Maximum number of addresses to return. */
  readonly most: number;
}

/**
 * Selects the local addresses from which to send to the multicast group. Loopback addresses are used only if there is
 * no other address.
 */
export function sendingAddresses(
  own: readonly LocalAddress[],
  { family, bind, most }: SpeakingAddressesOptions,
): LocalAddress[] {
  const length = family === 4 ? 4 : 16;
  // No addresses with a zone: receivers reject link-local senders.
  const mine = own.filter(({ host }) => {
    return parseIp(host)?.length === length && isDialable(host) && (bind === undefined || host === bind);
  });
  const outward = mine.filter(({ host }) => host !== "::1" && !host.startsWith("127."));
  return (outward.length > 0 ? outward : mine).slice(0, most);
}
