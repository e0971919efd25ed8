/**
 * Who belongs to the local network. Anybody can send a datagram, but only neighbours are believed.
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import { isDialable, isWithin, kindOf } from "../base/networks.ts";
import type { LocalAddress } from "../platform/platform.ts";

/**
 * Whether a machine is a neighbour: in a network of this machine, or in one that isn't part of the Internet (BEP 14 lets
 * announcements cross routers within an organisation). Addresses of a single link are left out: the system doesn't say on
 * which link a datagram came, and without that nobody can connect to them.
 *
 * @param host Its literal address.
 * @param own The addresses of this machine.
 * @returns Whether it is.
 */
export function isNeighbour(host: string, own: readonly LocalAddress[]): boolean {
  const ip = parseIp(host);
  if (ip === null || !isDialable(host)) return false;
  return kindOf(ip) === "local" || own.some((local) => isWithin(ip, local));
}

/** Options for {@linkcode speakingAddresses}. */
export interface SpeakingAddressesOptions {
  /** Address family of the multicast group. */
  readonly family: 4 | 6;
  /** The only local address that may be used. Any when absent. */
  readonly bind?: string;
  /** Maximum number of addresses to return. */
  readonly most: number;
}

/**
 * The addresses from which a family's group is spoken to: one for each network, those of this machine alone only when
 * there is nothing else.
 *
 * @param own The addresses of this machine.
 * @param options `family`: which. `bind`: the only one that may be used, if one was chosen. `most`: how many at most.
 * @returns Them.
 */
export function speakingAddresses(
  own: readonly LocalAddress[],
  { family, bind, most }: SpeakingAddressesOptions,
): LocalAddress[] {
  const length = family === 4 ? 4 : 16;
  // None with a zone: a sender of a single link isn't believed by those who hear it.
  const mine = own.filter(({ host }) => {
    return parseIp(host)?.length === length && isDialable(host) && (bind === undefined || host === bind);
  });
  const outward = mine.filter(({ host }) => host !== "::1" && !host.startsWith("127."));
  return (outward.length > 0 ? outward : mine).slice(0, most);
}
