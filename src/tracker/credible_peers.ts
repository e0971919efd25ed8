/**
 * Filters the peers that a tracker names, by the networks that it can know of. The DHT and peer exchange use the same
 * rule.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { farthestReach, mayReportAddress, type Reach, reachOf } from "../base/networks.ts";
import type { Platform } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";

/** Milliseconds for resolving a tracker's host name, which is needed when it names peers in local networks. */
const RESOLVE_MS = 5_000;

/** Replaces the peers of a reply with the credible ones. Adds a warning if none of its peers is credible. */
export function withCrediblePeers(reply: AnnounceReply, peers: PeerAddress[]): AnnounceReply {
  if (peers.length > 0 || reply.peers.length === 0) return { ...reply, peers };
  const why = `it names addresses (${reply.peers.length}) that lead nowhere, or into networks that it is not in`;
  return { ...reply, peers, warning: reply.warning === "" ? why : `${reply.warning}; ${why}` };
}

/** Options for {@linkcode filterCrediblePeers}. */
export interface CredibilityOptions {
  /** How far the tracker's own address reaches. */
  readonly reach: Reach;
  /** `true` if the torrent is private. */
  readonly isPrivate: boolean;
}

/**
 * Removes peers in networks that a tracker can't know of. The tracker of a private torrent may name peers in local
 * networks wherever it is, since an organisation's tracker may be outside its members' network. Only a tracker on this
 * machine may name loopback addresses.
 *
 * @param peers Peers that the tracker names.
 * @param options See {@linkcode CredibilityOptions}.
 */
export function filterCrediblePeers(
  peers: readonly PeerAddress[],
  { reach, isPrivate }: CredibilityOptions,
): PeerAddress[] {
  const teller = isPrivate && reach !== "machine" ? "network" : reach;
  return peers.filter(({ host }) => mayReportAddress(teller, reachOf(host)));
}

/**
 * Returns `false` if all peers are on the internet, so that it doesn't matter where the tracker is.
 *
 * @param peers Peers that the tracker names.
 */
export function namesLocal(peers: readonly PeerAddress[]): boolean {
  return peers.some(({ host }) => reachOf(host) !== "internet");
}

/** How names are resolved. */
export interface NameLookup {
  /** Timers. */
  readonly platform: Pick<Platform, "after">;
  /** Resolves a name to addresses. When absent, names have none. */
  readonly resolve?: ((name: string) => Promise<readonly string[]>) | undefined;
}

/**
 * Returns how far the host of a URL reaches. A name reaches as far as the farthest of its addresses. If no address is
 * known, the form of the name decides, since a proxy may be able to resolve it.
 *
 * @param host A literal address, IPv6 with or without brackets, or a name.
 * @param lookup See {@linkcode NameLookup}.
 */
export async function reachOfHost(host: string, { platform, resolve }: NameLookup): Promise<Reach> {
  const literal = literalOf(host);
  if (literal !== null) return reachOf(literal);
  const name = host.replace(/\.$/, "").toLowerCase();
  const reach = farthestReach(await addressesOf(name, { platform, resolve }));
  if (reach !== "nowhere") return reach;
  if (name === "localhost" || name.endsWith(".localhost")) return "machine";
  return !name.includes(".") || LOCAL_NAME.test(name) ? "network" : "internet";
}

/**
 * @param host The host of a URL.
 * @returns The literal address without brackets, or `null` if the host is a name.
 */
export function literalOf(host: string): string | null {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return parseIp(bare) === null ? null : bare;
}

/**
 * Resolves a name, within a short time.
 *
 * @param name A host name.
 * @param lookup See {@linkcode NameLookup}.
 * @returns Addresses of the name; none if it is unknown, or not resolved in time.
 */
export async function addressesOf(name: string, { platform, resolve }: NameLookup): Promise<readonly string[]> {
  return resolve ? await inTime(resolve(name), platform) : [];
}

/** Names that aren't in public DNS (RFC 6761, 6762, 8375, and names that routers use). */
const LOCAL_NAME = /\.(local|lan|home|internal|test|home\.arpa)$/;

function inTime(found: Promise<readonly string[]>, platform: Pick<Platform, "after">): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const timer = platform.after(RESOLVE_MS, () => resolve([]));
    const end = (hosts: readonly string[]) => {
      timer.cancel();
      resolve(hosts);
    };
    found.then(end, () => end([]));
  });
}
