/**
 * The magnet link of `shoal share`, and the addresses of this machine that go into it.
 *
 * @module
 */

import { formatAddress, type HostPort, parseIp, type PeerAddress } from "../base/address.ts";
import { isDialable, isLocalAddress, isPublic, networkOf } from "../base/networks.ts";
import { magnetOf, type Metainfo } from "../metainfo/mod.ts";
import type { LocalAddress } from "../platform/platform.ts";

/** Most addresses of this machine in a link, so that the link is short enough to paste. */
const MAX_OWN = 4;
/** Names of interfaces for containers and virtual machines, through which no other machine is reached. */
const INNER = /^(?:docker|br-|veth|virbr|vmnet|vboxnet|lxc|lxdbr|podman|cni|flannel|cali|awdl|llw|vEthernet)/;

/** An address at which the share can be reached. */
export interface SharePlace {
  /** Literal address without brackets, or a name. */
  readonly host: string;
  /** Port of the tracker, TCP and UDP; `null` if the tracker can't be reached at this address. */
  readonly trackerPort: number | null;
  /** Port of the seed. */
  readonly peerPort: number;
}

/**
 * Chooses addresses at which other machines may reach this one. Private IPv4 addresses come first, since most shares
 * are between machines of one local network. Of the IPv6 addresses that an interface has in one /64, only the first is
 * used.
 *
 * @param addresses All addresses of the interfaces.
 * @returns At most four addresses, IPv4 first; only `127.0.0.1` if no other machine can reach this one.
 */
export function reachableHosts(addresses: readonly LocalAddress[]): string[] {
  const found = addresses.filter(({ host }) => !host.includes("%") && isDialable(host) && !isLoopback(host));
  const outer = found.filter(({ name }) => !INNER.test(name));
  const seen = new Set<string>();
  const hosts: string[] = [];
  for (const { host, name } of (outer.length > 0 ? outer : found).toSorted((a, b) => rank(a.host) - rank(b.host))) {
    // With privacy extensions (RFC 8981), an interface has many addresses in one /64.
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

/** Orders addresses: private IPv4, public IPv4, public IPv6, other IPv6. */
function rank(host: string): number {
  if (!host.includes(":")) return isPublic(host) ? 1 : 0;
  return isPublic(host) ? 2 : 3;
}

/**
 * Returns announce URLs of the tracker.
 *
 * @param places Addresses of the share.
 * @returns For each address an HTTP URL, which every client supports, then a UDP URL.
 */
export function trackerUrls(places: readonly SharePlace[]): string[] {
  return places.flatMap(({ host, trackerPort: port }) => {
    if (port === null) return [];
    const address = formatAddress({ host, port });
    return [`http://${address}/announce`, `udp://${address}/announce`];
  });
}

/**
 * Returns addresses of the seed.
 *
 * @param places Addresses of the share.
 * @returns One address for each place.
 */
export function peerAddresses(places: readonly SharePlace[]): HostPort[] {
  return places.map(({ host, peerPort: port }) => ({ host, port }));
}

/**
 * Filters the addresses that a tracker can return to peers.
 *
 * @param hosts Addresses; a host may be a name.
 * @returns The addresses with a literal host.
 */
export function literal(hosts: readonly HostPort[]): PeerAddress[] {
  return hosts.filter(({ host }) => parseIp(host) !== null);
}

/** Options for {@linkcode shareLink}. */
export interface ShareLinkOptions {
  /** Announce URLs. */
  readonly trackers: readonly string[];
  /** Addresses of the seed. */
  readonly peers: readonly HostPort[];
}

/**
 * Makes a magnet link for any client. Clients that support `x.pe` (BEP 9) connect directly, others find the seed
 * through a tracker.
 *
 * @param meta The torrent. Only its name and info-hash are used.
 * @param options See {@linkcode ShareLinkOptions}.
 * @returns The link, without characters that are special to a shell between double quotes.
 */
export function shareLink(meta: Metainfo, { trackers, peers }: ShareLinkOptions): string {
  const link = magnetOf({ ...meta, trackers: [trackers], webSeeds: [] })
    // encodeURIComponent() leaves characters that are special to a shell, such as `!` and `'`.
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  // The addresses are not escaped, since some clients don't decode `x.pe`.
  return [link, ...peers.map((peer) => `x.pe=${formatAddress(peer)}`)].join("&");
}

/**
 * Returns the command that downloads the share, for any shell.
 *
 * @param link A link from {@linkcode shareLink}.
 * @returns A command line.
 */
export function shareCommand(link: string): string {
  return `shoal download "${link}"`;
}
