/**
 * Host names to addresses.
 *
 * @module
 */

import { type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import type { Network } from "../platform/platform.ts";

/**
 * @param hosts Who listens somewhere, some perhaps by name.
 * @param net Knows the names.
 * @returns Literal addresses, all that a name has; a name that isn't known is left out.
 */
export async function resolveAll(hosts: readonly HostPort[], net: Network): Promise<PeerAddress[]> {
  const found = await Promise.allSettled(hosts.map(async ({ host, port }) => {
    if (parseIp(host) !== null) return [{ host, port }];
    return (await net.resolve(host)).map((address) => ({ host: address, port }));
  }));
  return found.flatMap((result) => result.status === "fulfilled" ? result.value : []);
}
