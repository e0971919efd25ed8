/**
 * Classifies addresses: which lead to the internet, to a local network, to this machine, or nowhere.
 *
 * @module
 */

import { canonicalHost, formatIp, parseIp } from "./address.ts";

/**
 * Kind of network that an address belongs to.
 *
 * - `public`: the internet.
 * - `local`: this machine, a private network, a single link, or another network that isn't routed.
 * - `unusable`: no single host can have the address, as with multicast.
 */
export type NetworkKind = "public" | "local" | "unusable";

/** A network that isn't the internet (RFC 6890): its first bytes, the number of significant bits, and its kind. */
type Network = readonly [bytes: readonly number[], bits: number, kind: NetworkKind];

const V4: readonly Network[] = [
  [[0], 8, "unusable"],
  [[10], 8, "local"],
  [[100, 64], 10, "local"], // shared between a provider's customers (RFC 6598)
  [[127], 8, "local"],
  [[169, 254], 16, "local"],
  [[172, 16], 12, "local"],
  [[192, 0, 0], 24, "local"],
  [[192, 168], 16, "local"],
  [[198, 18], 15, "local"],
  [[224], 3, "unusable"], // multicast, reserved, broadcast
];

const V6: readonly Network[] = [
  [new Array<number>(16).fill(0), 128, "unusable"],
  [[...new Array<number>(15).fill(0), 1], 128, "local"],
  [[0, 0x64, 0xff, 0x9b, 0, 1], 48, "local"], // NAT64 with a local prefix (RFC 8215)
  [[0xfc], 7, "local"],
  [[0xfe, 0x80], 10, "local"],
  [[0xfe, 0xc0], 10, "local"],
  [[0xff], 8, "unusable"],
];

/**
 * IPv6 prefixes whose addresses contain an IPv4 address, with its offset: mapped addresses, NAT64 (RFC 6052), 6to4, and
 * the obsolete IPv4-compatible ones.
 */
const EMBEDDED: readonly (readonly [bytes: readonly number[], at: number])[] = [
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 12],
  [[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], 12],
  [[0x20, 0x02], 2], // 6to4
  [new Array<number>(12).fill(0), 12], // IPv4-compatible
];

/** Returns the kind of an address of 4 or 16 bytes, or of the IPv4 address that an IPv6 address contains. */
export function kindOf(ip: Uint8Array): NetworkKind {
  if (ip.length === 4) return kindIn(ip, V4);
  const kind = kindIn(ip, V6);
  if (kind !== "public") return kind;
  const embedded = EMBEDDED.find(([prefix]) => prefix.every((byte, i) => ip[i] === byte));
  return embedded ? kindIn(ip.subarray(embedded[1], embedded[1] + 4), V4) : "public";
}

function kindIn(ip: Uint8Array, networks: readonly Network[]): NetworkKind {
  for (const [prefix, bits, kind] of networks) if (hasPrefix(ip, prefix, bits)) return kind;
  return "public";
}

function hasPrefix(ip: Uint8Array, prefix: ArrayLike<number>, bits: number): boolean {
  for (let i = 0; i * 8 < bits; i++) {
    const mask = 0xff << Math.max(0, 8 - (bits - i * 8));
    if (((ip[i]! ^ (prefix[i] ?? 0)) & mask & 0xff) !== 0) return false;
  }
  return true;
}

/**
 * Returns `true` if an address does not lead to the internet.
 *
 * @param host Literal address, IPv6 with or without a zone. `false` for any other text.
 */
export function isLocalAddress(host: string): boolean {
  const ip = parseIp(host.split("%", 1)[0]!);
  return ip !== null && kindOf(ip) !== "public";
}

/**
 * Returns `true` for an IPv4 address of a local network that may be behind a gateway. `false` for loopback, for public
 * addresses, and for IPv6, which needs no port mapping.
 *
 * @param host Literal address.
 */
export function isPrivate(host: string): boolean {
  const ip = parseIp(canonicalHost(host));
  return ip?.length === 4 && ip[0] !== 127 && kindOf(ip) === "local";
}

/**
 * Returns `true` if an address can be our external address: not private, loopback, multicast, reserved or unset.
 *
 * @param host Literal address. `false` for any other text.
 */
export function isPublic(host: string): boolean {
  const ip = parseIp(canonicalHost(host));
  if (ip === null || kindOf(ip) !== "public") return false;
  if (ip.length === 4) return true;
  // All IPv6 addresses that were ever allocated are in 2000::/3 (RFC 4291), except documentation (RFC 3849).
  return ip[0]! >> 5 === 1 && !hasPrefix(ip, [0x20, 0x01, 0x0d, 0xb8], 32);
}

/** Hosts that can be at an address: this machine, a host in a network that isn't routed, any host, or none. */
export type Reach = "machine" | "network" | "internet" | "nowhere";

/**
 * Returns the reach of an address.
 *
 * @param host Literal address, IPv6 with or without a zone. `nowhere` for any other text.
 */
export function reachOf(host: string): Reach {
  const ip = parseIp(canonicalHost(host).split("%", 1)[0]!);
  if (ip === null) return "nowhere";
  const kind = kindOf(ip);
  if (kind !== "local") return kind === "public" ? "internet" : "nowhere";
  return isLoopback(ip) ? "machine" : "network";
}

/**
 * Returns the reach of a host name: the farthest of its addresses.
 *
 * @param hosts Literal addresses.
 * @returns The reach; `nowhere` if no address leads anywhere.
 */
export function farthestReach(hosts: readonly string[]): Reach {
  const reaches = hosts.map(reachOf);
  return (["internet", "network", "machine"] as const).find((reach) => reaches.includes(reach)) ?? "nowhere";
}

/** An address of this machine. */
interface OwnAddress {
  readonly host: string;
  /** Prefix length of its network in bits. */
  readonly prefix: number;
}

/**
 * Returns `true` if an address is in the network of one of this machine's addresses.
 *
 * @param ip 4 or 16 bytes.
 * @param own An address of this machine.
 */
export function isWithin(ip: Uint8Array, { host, prefix }: OwnAddress): boolean {
  const net = parseIp(host.split("%", 1)[0]!);
  return net?.length === ip.length && hasPrefix(ip, net, prefix);
}

/**
 * Returns `true` if an address is on this machine or in one of its networks, so that no NAT is between the two.
 *
 * @param host Literal address. `false` for any other text.
 * @param own Addresses of this machine.
 */
export function isNear(host: string, own: readonly OwnAddress[]): boolean {
  const ip = parseIp(canonicalHost(host).split("%", 1)[0]!);
  if (ip === null) return false;
  return isLoopback(ip) || (ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80) || own.some((one) => isWithin(ip, one));
}

/**
 * Returns `true` if a host may tell us an address. A local address means nothing, or another host, outside its network,
 * and addresses of this machine concern only programs on it. Otherwise a remote host could aim our connections at hosts
 * around us.
 *
 * @param teller Reach of the address of the host that tells us.
 * @param told Reach of the address that we are told.
 */
export function mayReportAddress(teller: Reach, told: Reach): boolean {
  if (told === "internet") return true;
  return told === "network" ? teller === "network" || teller === "machine" : told === teller && told === "machine";
}

function isLoopback(ip: Uint8Array): boolean {
  if (ip.length === 4) return ip[0] === 127;
  const embedded = EMBEDDED.find(([prefix]) => prefix.every((byte, i) => ip[i] === byte));
  if (embedded && ip[embedded[1]] === 127) return true;
  return ip[15] === 1 && ip.subarray(0, 15).every((byte) => byte === 0);
}

/**
 * Returns the neighbourhood of an address, a network that one owner may have alone: the /24, or the /48 for IPv6.
 * Neighbours give equal text.
 *
 * @param host Literal address in its canonical form.
 */
export function subnetOf(host: string): string {
  if (!host.includes(":")) return host.slice(0, host.lastIndexOf("."));
  return parseIp(host.split("%", 1)[0]!)?.subarray(0, 6).join(".") ?? host;
}

/**
 * Ports of well-known services: those that the Fetch standard blocks (2.9), without the ones that a client may choose
 * by accident, and ports of databases and remote desktops.
 */
const SERVICE_PORTS: ReadonlySet<number> = new Set(
  [
    "1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117",
    "119 123 135 137 139 143 161 179 389 427 445 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587",
    "601 636 989 990 993 995 1719 1720 1723 2049 3306 3389 5060 5061 5432 6000 6379 6667 6697 11211",
  ].join(" ").split(" ").map(Number),
);

/**
 * Returns `true` if another protocol than BitTorrent or HTTP is spoken on a port. An address with such a port is an
 * attempt to make us talk to somebody's mail server, for example.
 */
export function isServicePort(port: number): boolean {
  return SERVICE_PORTS.has(port);
}

/** Returns `true` if a peer may listen on a port that we are told: not 0, and not that of a well-known service. */
export function isPeerPort(port: number): boolean {
  return port > 0 && port < 65_536 && !isServicePort(port);
}

/**
 * Returns the network of one end user: an IPv4 address, or the /64 of an IPv6 address, since the owner of one address
 * in a /64 has all of them. In a local network (RFC 4193, link-local) every machine counts by itself. Limits and bans
 * treat addresses with equal text as one.
 *
 * @param host Literal address in its canonical form.
 */
export function networkOf(host: string): string {
  if (!host.includes(":")) return host;
  const bytes = parseIp(host.split("%", 1)[0]!);
  if (bytes?.length !== 16 || kindOf(bytes) === "local") return host;
  return `${formatIp(Uint8Array.from(bytes, (byte, i) => i < 8 ? byte : 0))}/64`;
}

/**
 * Returns `true` if a connection to an address is possible: not to multicast or unspecified addresses, and not to a
 * link-local one without a zone.
 *
 * @param host Literal address. A link-local one needs its zone (`fe80::1%eth0`).
 */
export function isDialable(host: string): boolean {
  const [address = "", zone] = host.split("%", 2);
  const ip = parseIp(address);
  if (ip === null) return false;
  if (ip.length === 4) return ip[0]! > 0 && ip[0]! < 224;
  return ip[0] !== 0xff && formatIp(ip) !== "::" && (zone !== undefined || !isLinkLocal6(ip));
}

function isLinkLocal6(ip: Uint8Array): boolean {
  return ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80;
}

/**
 * How near an address is to us. A nearer host trusts us more, so a host that is farther away must not send us there.
 *
 * - `internet`: any host can reach it.
 * - `network`: a private network, or one that isn't routed.
 * - `link`: only the same link.
 * - `self`: this machine.
 * - `nobody`: multicast, reserved, a cloud's metadata service, or a tunnel whose other end is unknown.
 */
export type Nearness = "internet" | "network" | "link" | "self" | "nobody";

/** All values from far to near. `nobody` is the nearest, so that no host may send us there. */
export const NEARNESS: readonly Nearness[] = ["internet", "network", "link", "self", "nobody"];

/** Metadata services of clouds, which give a machine its credentials. No peer or web seed is there. */
const CREDENTIALS = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"];

/** IPv6 prefixes that lead elsewhere than they say: Teredo (RFC 4380), and NAT64 with a local prefix (RFC 8215). */
const TUNNELS: readonly (readonly [bytes: readonly number[], bits: number])[] = [
  [[0x20, 0x01, 0, 0], 32],
  [[0, 0x64, 0xff, 0x9b, 0, 1], 48],
];

/**
 * Returns the nearness of an address.
 *
 * @param host Literal address, IPv6 with or without a zone. `nobody` for any other text.
 */
export function nearnessOf(host: string): Nearness {
  const ip = parseIp(host.split("%", 1)[0]!);
  if (ip === null) return "nobody";
  if (ip.length === 4) return nearness4(ip);
  const text = formatIp(ip);
  if (CREDENTIALS.includes(text)) return "nobody";
  if (text === "::" || text === "::1") return "self";
  if (isLinkLocal6(ip)) return "link";
  if (TUNNELS.some(([prefix, bits]) => hasPrefix(ip, prefix, bits))) return "nobody";
  const kind = kindIn(ip, V6);
  if (kind !== "public") return kind === "local" ? "network" : "nobody";
  // ISATAP (RFC 5214) puts the IPv4 address at the end, in any network.
  const isatap = (ip[8]! & 0xfd) === 0 && ip[9] === 0 && ip[10] === 0x5e && ip[11] === 0xfe;
  const embedded = EMBEDDED.find(([prefix]) => prefix.every((byte, i) => ip[i] === byte))?.[1] ?? (isatap ? 12 : null);
  return embedded === null ? "internet" : nearness4(ip.subarray(embedded, embedded + 4));
}

function nearness4(ip: Uint8Array): Nearness {
  if (CREDENTIALS.includes(formatIp(ip))) return "nobody";
  if (ip[0] === 127 || ip[0] === 0) return "self"; // a connection to 0.0.0.0 goes to this machine
  if (ip[0] === 169 && ip[1] === 254) return "link";
  const kind = kindIn(ip, V4);
  return kind === "public" ? "internet" : kind === "local" ? "network" : "nobody";
}
