/**
 * The network interfaces of this machine on Deno.
 *
 * @module
 */

import { canonicalHost } from "../base/address.ts";
import type { LocalAddress } from "./platform.ts";

/**
 * As {@linkcode Network.localAddresses} has it. Without the permission `--allow-sys=networkInterfaces` there are none; the
 * user is not asked for it, since whoever needs them can do without.
 *
 * @returns The addresses.
 */
export function localAddresses(): LocalAddress[] {
  return interfaces().map(({ name, address, cidr, scopeid }) => ({
    // Only addresses of a single link have a scope of their own.
    host: canonicalHost(scopeid ? `${address}%${name}` : address),
    prefix: Number(cidr.split("/")[1]),
    name,
  }));
}

/**
 * The number by which the system knows an interface.
 *
 * @param host One of its IPv6 addresses.
 * @returns The number; 0, which stands for any, when it isn't known.
 */
export function interfaceIndex(host: string): number {
  const all = interfaces();
  const owner = all.find(({ address }) => canonicalHost(address) === host)?.name;
  // Its number is the scope of its address for the link, which every interface with IPv6 has.
  return all.find(({ name, scopeid }) => name === owner && scopeid)?.scopeid ?? 0;
}

function interfaces(): Deno.NetworkInterfaceInfo[] {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "networkInterfaces" });
  return state === "granted" ? Deno.networkInterfaces() : [];
}
