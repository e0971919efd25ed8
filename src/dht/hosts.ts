/**
 * What an address tells about whoever is there.
 *
 * @module
 */

import { formatAddress, parseIp, type PeerAddress } from "../base/address.ts";
import { kindOf, mayName, type NetworkKind, type Reach, reachOf } from "../base/networks.ts";

/** IPv4 and IPv6 are two networks with a DHT each (BEP 32). */
export type Family = 4 | 6;

/** What is known of a host by its address alone. */
export interface HostFacts {
  /** 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
  /** `local`: this machine, or a network that isn't routed. `unusable`: nobody can be there. */
  readonly kind: NetworkKind;
  /** How far the address reaches. */
  readonly reach: Reach;
  /** Equal for addresses that one machine has: the address itself, of IPv6 the /64. */
  readonly site: string;
  /** Equal for neighbours: the /24, of IPv6 the /48. */
  readonly network: string;
}

/**
 * @param host A literal address in its usual form.
 * @returns Its family.
 */
export function familyOf(host: string): Family {
  return host.includes(":") ? 6 : 4;
}

/**
 * @param host A literal address; with a zone it is none that others could reach.
 * @returns What it tells, or `null` if it is no address.
 */
export function factsOf(host: string): HostFacts | null {
  const known = recent.get(host);
  if (known !== undefined) return known;
  const facts = findFacts(host);
  if (recent.size >= MAX_RECENT) recent.clear();
  recent.set(host, facts);
  return facts;
}

/** The same addresses come up again and again, several times for every message. */
const recent = new Map<string, HostFacts | null>();
const MAX_RECENT = 4096;

function findFacts(host: string): HostFacts | null {
  const bytes = parseIp(host);
  if (bytes === null) return null;
  if (bytes.length === 4) {
    return {
      bytes,
      kind: kindOf(bytes),
      reach: reachOf(host),
      site: host,
      network: host.slice(0, host.lastIndexOf(".")),
    };
  }
  return {
    bytes,
    kind: kindOf(bytes),
    reach: reachOf(host),
    site: `${bytes.subarray(0, 8)}`,
    network: `${bytes.subarray(0, 6)}`,
  };
}

/**
 * A key that is equal for nodes of which one is enough: for public addresses the machine, for local ones the node, since
 * several programs on one machine are what a private network is for.
 *
 * @param address Where a node is.
 * @param facts What its host tells.
 * @returns The key.
 */
export function placeOf(address: PeerAddress, facts: HostFacts): string {
  return facts.kind === "local" ? formatAddress(address) : facts.site;
}

/**
 * Whether an address that somebody told us is worth a packet: public ones are, local ones only when we have them from somebody
 * local, and of this machine only from this machine. Otherwise any stranger could aim us at the machines around us.
 *
 * @param told What we were told of.
 * @param teller Who told.
 * @returns Whether to believe it.
 */
export function isPlausible(told: HostFacts, teller: HostFacts): boolean {
  return mayName(teller.reach, told.reach);
}
