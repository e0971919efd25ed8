/**
 * Network interfaces of this machine on Deno.
 *
 * @module
 */

import { canonicalHost } from "../base/address.ts";
import type { LocalAddress } from "./platform.ts";

/**
 * Implements {@linkcode Network.localAddresses}. Returns no addresses without the permission
 * `--allow-sys=networkInterfaces`. The user is not prompted for it, since all callers can do without.
 */
export function localAddresses(): LocalAddress[] {
  return interfaces().map(({ name, address, cidr, scopeid }) => ({
    // Only link-local addresses have a scope.
    host: canonicalHost(scopeid ? `${address}%${name}` : address),
    prefix: Number(cidr.split("/")[1]),
    name,
  }));
}

/**
 * Returns the index by which the system knows an interface, or 0, which means any interface, if it is unknown.
 *
 * @param host An IPv6 address of the interface.
 */
export function interfaceIndex(host: string): number {
  const all = interfaces();
  const owner = all.find(({ address }) => canonicalHost(address) === host)?.name;
  // The index is the scope of the interface's link-local address, which every interface with IPv6 has.
  return all.find(({ name, scopeid }) => name === owner && scopeid)?.scopeid ?? 0;
}

function interfaces(): Deno.NetworkInterfaceInfo[] {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  return state === "granted" ? Deno.networkInterfaces() : [];
}
