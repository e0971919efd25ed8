/**
 * Which addresses lead where: to the internet, to a network of our own, or to nobody.
 *
 * @module
 */

import { canonicalHost, formatIp, parseIp } from "./address.ts";

/**
 * `local`: this machine, a private network, a single link, or whatever else isn't routed. `unusable`: nobody in particular can
 * be there, as with multicast.
 */
export type NetworkKind = "public" | "local" | "unusable";

/** Networks that aren't the internet (RFC 6890), as first bytes and how many bits of them count. */
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
  [[0, 0x64, 0xff, 0x9b, 0, 1], 48, "local"], // a NAT64 of one's own (RFC 8215)
  [[0xfc], 7, "local"],
  [[0xfe, 0x80], 10, "local"],
  [[0xfe, 0xc0], 10, "local"],
  [[0xff], 8, "unusable"],
];

/** IPv6 networks whose addresses hold an IPv4 address, and where: mapped ones, and those of a NAT64 (RFC 6052). */
const EMBEDDED: readonly (readonly [bytes: readonly number[], at: number])[] = [
  [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 12],
  [[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0], 12],
  [[0x20, 0x02], 2], // 6to4
  [new Array<number>(12).fill(0), 12], // IPv4-compatible ones, of old
];

/**
 * @param ip 4 or 16 bytes.
 * @returns Where the address leads.
 */
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
 * Whether an address leads to this machine or its own network, or to nobody, rather than to the internet.
 *
 * @param host A literal address, IPv6 with or without a zone.
 * @returns Whether it is local; what is no literal address isn't known to be.
 */
export function isLocalAddress(host: string): boolean {
  const ip = parseIp(host.split("%", 1)[0]!);
  return ip !== null && kindOf(ip) !== "public";
}

/**
 * Whether an IPv4 address is one of a local network behind a gateway.
 *
 * @param host A literal address.
 * @returns `false` for loopback, for every public address, and for IPv6, which needs no mapping.
 */
export function isPrivate(host: string): boolean {
  const ip = parseIp(canonicalHost(host));
  return ip?.length === 4 && ip[0] !== 127 && kindOf(ip) === "local";
}

/**
 * Whether an address can be one's own as all others see it: neither private, nor loopback, multicast, reserved or unset.
 *
 * @param host A literal address.
 * @returns Whether it is public; `false` for what is no address.
 */
export function isPublic(host: string): boolean {
  const ip = parseIp(canonicalHost(host));
  if (ip === null || kindOf(ip) !== "public") return false;
  if (ip.length === 4) return true;
  // 2000::/3 is all that was ever given out (RFC 4291), less documentation (RFC 3849).
  return ip[0]! >> 5 === 1 && !hasPrefix(ip, [0x20, 0x01, 0x0d, 0xb8], 32);
}

/** Who can be at an address: this machine alone, whoever is in a network that isn't routed, anybody, or nobody. */
export type Reach = "machine" | "network" | "internet" | "nowhere";

/**
 * @param host A literal address, IPv6 with or without a zone.
 * @returns How far it reaches; `nowhere` for what is no literal address.
 */
export function reachOf(host: string): Reach {
  const ip = parseIp(canonicalHost(host).split("%", 1)[0]!);
  if (ip === null) return "nowhere";
  const kind = kindOf(ip);
  if (kind !== "local") return kind === "public" ? "internet" : "nowhere";
  return isLoopback(ip) ? "machine" : "network";
}

/**
 * How far a name reaches: as far as the farthest of its addresses.
 *
 * @param hosts Literal addresses.
 * @returns How far; `nowhere` when there is none that leads anywhere.
 */
export function farthestReach(hosts: readonly string[]): Reach {
  const reaches = hosts.map(reachOf);
  return (["internet", "network", "machine"] as const).find((reach) => reaches.includes(reach)) ?? "nowhere";
}

/** An address of a machine, and how many of its bits name its network. */
interface OwnAddress {
  readonly host: string;
  readonly prefix: number;
}

/**
 * @param ip 4 or 16 bytes.
 * @param own An address of a machine.
 * @returns Whether the address is in the network of that machine.
 */
export function isWithin(ip: Uint8Array, { host, prefix }: OwnAddress): boolean {
  const net = parseIp(host.split("%", 1)[0]!);
  return net?.length === ip.length && hasPrefix(ip, net, prefix);
}

/**
 * Whether an address is on this machine or in a network of its own, so that nothing translates addresses between the two.
 *
 * @param host A literal address.
 * @param own The addresses of this machine.
 * @returns Whether it is; what is no literal address isn't known to be.
 */
export function isNear(host: string, own: readonly OwnAddress[]): boolean {
  const ip = parseIp(canonicalHost(host).split("%", 1)[0]!);
  if (ip === null) return false;
  return isLoopback(ip) || (ip[0] === 0xfe && (ip[1]! & 0xc0) === 0x80) || own.some((one) => isWithin(ip, one));
}

/**
 * Whether somebody may tell us of an address: those of a network that isn't routed mean nothing to those outside, or somebody
 * else, and what listens on this machine is nobody's business but its own. Else a stranger could aim us at what is around us.
 *
 * @param teller How far the address of whoever tells us reaches.
 * @param told How far that reaches of which we are told.
 * @returns Whether to believe it.
 */
export function mayName(teller: Reach, told: Reach): boolean {
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
 * The neighbourhood of an address, as large as what somebody may have alone: a /24, of IPv6 a /48.
 *
 * @param host A literal address in its canonical form.
 * @returns Equal text for neighbours.
 */
export function groupOf(host: string): string {
  if (!host.includes(":")) return host.slice(0, host.lastIndexOf("."));
  return parseIp(host.split("%", 1)[0]!)?.subarray(0, 6).join(".") ?? host;
}

/**
 * Ports of well-known services: those that the Fetch standard blocks (2.9), but for what a client may choose by accident, and those of
 * databases and remote desktops.
 */
const SERVICE_PORTS: ReadonlySet<number> = new Set(
  [
    "1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117",
    "119 123 135 137 139 143 161 179 389 427 445 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587",
    "601 636 989 990 993 995 1719 1720 1723 2049 3306 3389 5060 5061 5432 6000 6379 6667 6697 11211",
  ].join(" ").split(" ").map(Number),
);

/**
 * Whether something else than BitTorrent or HTTP is spoken on a port: whoever names it wants us to talk to somebody's mail server.
 *
 * @param port Any number.
 */
export function isServicePort(port: number): boolean {
  return SERVICE_PORTS.has(port);
}

/**
 * Whether a peer may listen on a port, as far as somebody else says so.
 *
 * @param port Any number.
 * @returns `false` for 0 and for ports of well-known services.
 */
export function isPeerPort(port: number): boolean {
  return port > 0 && port < 65_536 && !isServicePort(port);
}

/**
 * What stands for one end-user of the network: an IPv4 address, or the first 64 bits of an IPv6 one, since whoever has one
 * of those has all that begin with them. In a local network (RFC 4193, link-local) every machine is counted by itself.
 *
 * @param host A literal address in its canonical form.
 * @returns Equal text for addresses that limits and bans take for one.
 */
export function networkOf(host: string): string {
  if (!host.includes(":")) return host;
  const bytes = parseIp(host.split("%", 1)[0]!);
  if (bytes?.length !== 16 || kindOf(bytes) === "local") return host;
  return `${formatIp(Uint8Array.from(bytes, (byte, i) => i < 8 ? byte : 0))}/64`;
}

/**
 * Whether a connection can be made to an address at all: not to everybody, nobody, or the next link without saying which.
 *
 * @param host A literal address; one of a single link needs its zone (`fe80::1%eth0`).
 * @returns Whether it can.
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
 * How near to us an address is: what is nearer trusts us more, and nobody who is farther away may send us there.
 *
 * - `internet`: everybody can reach it.
 * - `network`: a private network, or one that isn't routed.
 * - `link`: the same link alone.
 * - `self`: this machine.
 * - `nobody`: multicast, reserved, a cloud's own, or a tunnel whose other end can't be told.
 */
export type Nearness = "internet" | "network" | "link" | "self" | "nobody";

/** From far to near; what nobody is at is nearer than all else, so that nobody is sent there. */
export const NEARNESS: readonly Nearness[] = ["internet", "network", "link", "self", "nobody"];

/** Where clouds give a machine its credentials; nobody who shares files is there. */
const CREDENTIALS = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "fd00:ec2::254"];

/** IPv6 networks that lead somewhere else than their addresses say: Teredo (RFC 4380), and NAT64 of a network's own (RFC 8215). */
const TUNNELS: readonly (readonly [bytes: readonly number[], bits: number])[] = [
  [[0x20, 0x01, 0, 0], 32],
  [[0, 0x64, 0xff, 0x9b, 0, 1], 48],
];

/**
 * @param host A literal address, IPv6 with or without a zone.
 * @returns How near it is; `nobody` for what is no literal address.
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
  // ISATAP (RFC 5214) has the IPv4 address at the end, in whatever network.
  const isatap = (ip[8]! & 0xfd) === 0 && ip[9] === 0 && ip[10] === 0x5e && ip[11] === 0xfe;
  const embedded = EMBEDDED.find(([prefix]) => prefix.every((byte, i) => ip[i] === byte))?.[1] ?? (isatap ? 12 : null);
  return embedded === null ? "internet" : nearness4(ip.subarray(embedded, embedded + 4));
}

function nearness4(ip: Uint8Array): Nearness {
  if (CREDENTIALS.includes(formatIp(ip))) return "nobody";
  if (ip[0] === 127 || ip[0] === 0) return "self"; // a connection to 0.0.0.0 is one to this machine
  if (ip[0] === 169 && ip[1] === 254) return "link";
  const kind = kindIn(ip, V4);
  return kind === "public" ? "internet" : kind === "local" ? "network" : "nobody";
}
