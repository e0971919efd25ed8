/**
 * What an IP address alone tells about a node.
 *
 * @module
 */

import { formatAddress, parseIp, type PeerAddress } from "../base/address.ts";
import { kindOf, mayReportAddress, type NetworkKind, type Reach, reachOf } from "../base/networks.ts";

/** Facts about a host that follow from its IP address. */
export interface HostFacts {
  /** The address, 4 or 16 bytes in network order. */
  readonly bytes: Uint8Array;
  /** `local`: this machine, or a network that isn't routed. `unusable`: not a host address, such as multicast. */
  readonly kind: NetworkKind;
  /** How far the address reaches: the internet, the local network, or this machine. */
  readonly reach: Reach;
  /** Equal for addresses that one machine may own: the IPv4 address itself, or the IPv6 /64. */
  readonly site: string;
  /** Equal for addresses of one network: the IPv4 /24 or the IPv6 /48. */
  readonly network: string;
}

/**
 * Returns the facts about an address.
 *
 * @param host Literal IP address. An address with a zone is rejected, since other nodes could not reach it.
 * @returns The facts, or `null` if `host` is not a usable literal address.
 */
export function factsOf(host: string): HostFacts | null {
  const known = recent.get(host);
  if (known !== undefined) return known;
  const facts = findFacts(host);
  if (recent.size >= MAX_RECENT) recent.clear();
  recent.set(host, facts);
  return facts;
}

/** Cache of {@linkcode factsOf}: the same addresses occur again and again, several times per message. */
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
 * Returns the key by which nodes are considered the same, so that only one of them is kept. The key of a public address
 * is the machine ({@linkcode HostFacts.site}). The key of a local address includes the port, since a private network
 * may run several nodes on one machine.
 */
export function nodeKey(address: PeerAddress, facts: HostFacts): string {
  return facts.kind === "local" ? formatAddress(address) : facts.site;
}

/**
 * Returns `true` if an address reported by another host may be sent packets. Public addresses are always accepted,
 * local addresses only from a local host, and addresses of this machine only from this machine. Otherwise any node on
 * the internet could direct our packets at machines in the local network.
 */
export function isPlausible(told: HostFacts, teller: HostFacts): boolean {
  return mayReportAddress(teller.reach, told.reach);
}
