/**
 * Which connection has to go when there is no room and somebody else waits. Decides only.
 *
 * @module
 */

import { ARRIVALS_MUTE_DIALLED_MS, ARRIVALS_MUTE_MS, MUTE_MS, USELESS_MS } from "../../base/defences.ts";
import type { Peer } from "../../peer/mod.ts";

/** What counts of a peer. */
export type TurnoverPeer = Pick<
  Peer,
  "network" | "lastPayload" | "incoming" | "interested" | "amInterested" | "address"
>;

/**
 * Neither end wants anything from the other.
 *
 * @param peer The peer.
 * @returns Whether it is so.
 */
export function isMute(peer: Pick<Peer, "interested" | "amInterested">): boolean {
  return !peer.interested && !peer.amInterested;
}

/**
 * The peer that is of the least use. One that nobody wants anything from comes first, of the address that has most of them;
 * then one that waits in vain. Among equals it is the one of the lowest priority (BEP 40), then who was silent for longest.
 *
 * @param peers All.
 * @param options `now`: milliseconds. `crowded`: many wait, so that there is less patience. `due`: one that waits in vain may
 * go. `rank`: the priority of a peer.
 * @returns The peer, or `null` when all are of use.
 */
export function pickForTurnover<P extends TurnoverPeer>(
  peers: Iterable<P>,
  options: {
    readonly now: number;
    readonly crowded: boolean;
    readonly due: boolean;
    readonly rank: (address: P["address"]) => number;
  },
): P | null {
  const { now, crowded, due, rank } = options;
  const all = [...peers].sort((a, b) => a.lastPayload - b.lastPayload);
  const patience = ({ incoming }: P) => !crowded ? MUTE_MS : incoming ? ARRIVALS_MUTE_MS : ARRIVALS_MUTE_DIALLED_MS;
  const mute = all.filter((peer) => isMute(peer) && now - peer.lastPayload > patience(peer));
  if (mute.length > 0) {
    const counts = new Map<string, number>();
    for (const { network } of all) counts.set(network, (counts.get(network) ?? 0) + 1);
    const most = Math.max(...mute.map(({ network }) => counts.get(network)!));
    return lowest(mute.filter(({ network }) => counts.get(network) === most), rank);
  }
  return due ? lowest(all.filter((peer) => now - peer.lastPayload > USELESS_MS), rank) : null;
}

/**
 * The peer that does the least just now, when some have to go although they may be of use again: one that nobody wants
 * anything from, of the lowest priority; then who brought or took nothing for longest.
 *
 * @param peers All.
 * @param options `now`: milliseconds. `quiet`: those that brought or took something within so many milliseconds stay. `rank`: the
 * priority of a peer.
 * @returns The peer, or `null` when all stay.
 */
export function leastUseful<P extends TurnoverPeer>(
  peers: Iterable<P>,
  options: { readonly now: number; readonly quiet: number; readonly rank: (address: P["address"]) => number },
): P | null {
  const all = [...peers].filter(({ lastPayload }) => options.now - lastPayload >= options.quiet)
    .sort((a, b) => a.lastPayload - b.lastPayload);
  return lowest(all.filter(isMute), options.rank) ?? all[0] ?? null;
}

/** The first of those of the lowest rank. */
function lowest<P extends TurnoverPeer>(peers: readonly P[], rank: (address: P["address"]) => number): P | null {
  let worst: { readonly peer: P; readonly rank: number } | null = null;
  for (const peer of peers) {
    const theirs = rank(peer.address);
    if (!worst || theirs < worst.rank) worst = { peer, rank: theirs };
  }
  return worst?.peer ?? null;
}
