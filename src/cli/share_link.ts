/**
 * The link that `shoal share` hands out: by which addresses others reach this machine, and how to say it.
 *
 * @module
 */

import { formatAddress, type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import { isDialable, isLocalAddress, isPublic, networkOf } from "../base/networks.ts";
import { magnetOf, type Metainfo } from "../metainfo/mod.ts";
import type { LocalAddress } from "../platform/platform.ts";

/** Addresses of this machine in one link, at most: a link should still be one that people can paste. */
const MAX_OWN = 4;
/** Interfaces that programs make for themselves: containers and virtual machines are behind them, and nobody else. */
const INNER = /^(?:docker|br-|veth|virbr|vmnet|vboxnet|lxc|lxdbr|podman|cni|flannel|cali|awdl|llw|vEthernet)/;

/** Where this share can be reached. */
export interface SharePlace {
  /** A literal address without brackets, or a name. */
  readonly host: string;
  /** Of the tracker, TCP and UDP; `null` when the tracker can't be reached there. */
  readonly trackerPort: number | null;
  /** Of the seed. */
  readonly peerPort: number;
}

/**
 * The addresses of this machine by which others may reach it: those of its own network first, as those who share a thing
 * mostly share a room. Of many in the same network, one will do.
 *
 * @param addresses All that the interfaces have.
 * @returns A few, IPv4 in front; `127.0.0.1` alone when nobody else can reach us.
 */
export function reachableHosts(addresses: readonly LocalAddress[]): string[] {
  const found = addresses.filter(({ host }) => !host.includes("%") && isDialable(host) && !isLoopback(host));
  const outer = found.filter(({ name }) => !INNER.test(name));
  const seen = new Set<string>();
  const hosts: string[] = [];
  for (const { host, name } of (outer.length > 0 ? outer : found).toSorted((a, b) => rank(a.host) - rank(b.host))) {
    // With privacy extensions (RFC 8981), an interface has many addresses of one /64.
    const key = host.includes(":") ? `${name} ${prefix64(host)}` : host;
    if (seen.has(key)) continue;
    seen.add(key);
    hosts.push(host);
  }
  return hosts.length === 0 ? ["127.0.0.1"] : hosts.slice(0, MAX_OWN);
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}

function prefix64(host: string): string {
  return isLocalAddress(host) ? parseIp(host)!.slice(0, 8).join(".") : networkOf(host);
}

/** Private IPv4, other IPv4, IPv6 that leads here from everywhere, other IPv6. */
function rank(host: string): number {
  if (!host.includes(":")) return isPublic(host) ? 1 : 0;
  return isPublic(host) ? 2 : 3;
}

/**
 * Announce URLs of a tracker.
 *
 * @param places Where it is.
 * @returns For each place HTTP, which every client knows, then UDP.
 */
export function trackerUrls(places: readonly SharePlace[]): string[] {
  return places.flatMap(({ host, trackerPort: port }) => {
    if (port === null) return [];
    const address = formatAddress({ host, port });
    return [`http://${address}/announce`, `udp://${address}/announce`];
  });
}

/**
 * The seed's own addresses.
 *
 * @param places Where it is.
 * @returns One for each place.
 */
export function peerAddresses(places: readonly SharePlace[]): HostPort[] {
  return places.map(({ host, peerPort: port }) => ({ host, port }));
}

/**
 * The addresses among them that a tracker can name.
 *
 * @param hosts Some may be names.
 * @returns Those that are literal.
 */
export function literal(hosts: readonly HostPort[]): PeerAddress[] {
  return hosts.filter(({ host }) => parseIp(host) !== null);
}

/**
 * A link that any client understands: those that know `x.pe` (BEP 9) come straight here, all others by a tracker.
 *
 * @param meta What is shared; only its name and info-hash count.
 * @param options `trackers`: announce URLs. `peers`: our own addresses.
 * @returns The magnet link, without any character that means something to a shell between double quotes.
 */
export function shareLink(
  meta: Metainfo,
  { trackers, peers }: { readonly trackers: readonly string[]; readonly peers: readonly HostPort[] },
): string {
  const link = magnetOf({ ...meta, trackers: [trackers], webSeeds: [] })
    // What encodeURIComponent() leaves and a shell may not: an apostrophe in a name, an exclamation mark.
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  // As it stands: some clients decode no escapes here.
  return [link, ...peers.map((peer) => `x.pe=${formatAddress(peer)}`)].join("&");
}

/**
 * What the other side types, in any shell.
 *
 * @param link A link of {@linkcode shareLink}.
 * @returns A command line.
 */
export function shareCommand(link: string): string {
  return `shoal download "${link}"`;
}
