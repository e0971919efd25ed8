/**
 * Which of a tracker's peers are believed: the same that peers and nodes of the DHT may name.
 *
 * @module
 */

import { parseIp, type PeerAddress } from "../base/address.ts";
import { farthestReach, mayName, type Reach, reachOf } from "../base/networks.ts";
import type { Platform } from "../platform/platform.ts";
import type { AnnounceReply } from "./announce_reply.ts";

/** Milliseconds for finding out where a tracker is, when it names peers of a local network. */
const RESOLVE_MS = 5_000;

/** An answer as far as it is believed, and why there is nothing left of it. */
export function believe(reply: AnnounceReply, peers: PeerAddress[]): AnnounceReply {
  if (peers.length > 0 || reply.peers.length === 0) return { ...reply, peers };
  const why = `it names ${reply.peers.length} addresses that lead nowhere, or into networks that it is not in`;
  return { ...reply, peers, warning: reply.warning === "" ? why : `${reply.warning}; ${why}` };
}

/**
 * Leaves out whom a tracker has no business to name. The tracker of a private torrent is believed about local networks wherever
 * it is, since an organisation's own may well be outside of the network in which its members are; but about this machine, only
 * one that is here.
 *
 * @param peers What it names.
 * @param options `reach`: how far its own address reaches. `isPrivate`: whether the torrent is.
 * @returns Those that are believed.
 */
export function credible(
  peers: readonly PeerAddress[],
  { reach, isPrivate }: { readonly reach: Reach; readonly isPrivate: boolean },
): PeerAddress[] {
  const teller = isPrivate && reach !== "machine" ? "network" : reach;
  return peers.filter(({ host }) => mayName(teller, reachOf(host)));
}

/**
 * Whether it matters where a tracker is.
 *
 * @param peers What it names.
 * @returns `false` if anybody may name them.
 */
export function namesLocal(peers: readonly PeerAddress[]): boolean {
  return peers.some(({ host }) => reachOf(host) !== "internet");
}

/**
 * How far the host of a URL reaches. A name is as public as the most public of its addresses, or what it looks like when none is
 * known (a proxy may know it).
 *
 * @param host A literal address, IPv6 in brackets or not, or a name.
 * @param options `platform`: timers. `resolve`: finds the addresses of a name; absent when nobody can.
 * @returns How far.
 */
export async function reachOfHost(
  host: string,
  { platform, resolve }: {
    readonly platform: Pick<Platform, "after">;
    readonly resolve?: ((name: string) => Promise<readonly string[]>) | undefined;
  },
): Promise<Reach> {
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
 * @returns The host as a literal address without brackets, or `null` if it is a name.
 */
export function literalOf(host: string): string | null {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  return parseIp(bare) === null ? null : bare;
}

/**
 * Looks a name up, but not for long.
 *
 * @param name A host name.
 * @param options As in {@linkcode reachOfHost}.
 * @returns Its addresses; none when it isn't known, or not in time.
 */
export async function addressesOf(
  name: string,
  { platform, resolve }: {
    readonly platform: Pick<Platform, "after">;
    readonly resolve?: ((name: string) => Promise<readonly string[]>) | undefined;
  },
): Promise<readonly string[]> {
  return resolve ? await inTime(resolve(name), platform) : [];
}

/** Names that the public name servers do not have (RFC 6761, 6762, 8375, and what routers use). */
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
