/**
 * Resolves host names.
 *
 * @module
 */

import { type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import type { Network } from "../platform/platform.ts";

/**
 * Resolves hosts to literal addresses.
 *
 * @param hosts Literal addresses or names, with ports.
 * @param net Network that resolves the names.
 * @returns All addresses of each host; names that can't be resolved are left out.
 */
export async function resolveAll(hosts: readonly HostPort[], net: Network): Promise<PeerAddress[]> {
  const found = await Promise.allSettled(hosts.map(async ({ host, port }) => {
    if (parseIp(host) !== null) return [{ host, port }];
    return (await net.resolve(host)).map((address) => ({ host: address, port }));
  }));
  return found.flatMap((result) => result.status === "fulfilled" ? result.value : []);
}
