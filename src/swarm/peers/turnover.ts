/**
 * Selects the connection to close when there is no room and other peers wait. Closes nothing itself.
 *
 * @module
 */

import {
  ARRIVALS_MUTE_DIALLED_MS,
  ARRIVALS_NOT_INTERESTED_MS,
  NOT_INTERESTED_MS,
  USELESS_MS,
} from "../../base/defences.ts";
import type { Peer } from "../../peer/mod.ts";

/** What the selection reads of a peer. */
export type TurnoverPeer = Pick<
  Peer,
  "network" | "lastPayload" | "incoming" | "interested" | "amInterested" | "address"
>;

/** Options for {@linkcode pickForTurnover}. */
export interface TurnoverOptions<P extends TurnoverPeer> {
  /** Current time in milliseconds. */
  readonly now: number;
  /** `true` if many peers wait, which shortens the time before a peer without interest may be closed. */
  readonly crowded: boolean;
  /** `true` if a peer that has waited in vain for payload may be closed. */
  readonly due: boolean;
  /** Returns the priority of a peer. */
  readonly rank: (address: P["address"]) => number;
}

/** Options for {@linkcode leastUseful}. */
export interface LeastUsefulOptions<P extends TurnoverPeer> {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Peers with payload in the last `quiet` milliseconds have to stay. */
  readonly quiet: number;
  /** Returns the priority of a peer. */
  readonly rank: (address: P["address"]) => number;
}

/** Returns `true` if neither end is interested in the other. */
export function hasNoInterest(peer: Pick<Peer, "interested" | "amInterested">): boolean {
  return !peer.interested && !peer.amInterested;
}

/**
 * Selects the least useful peer: one with no interest on either side, from the network with the most connections; else
 * one that has waited in vain for payload. Ties go to the lowest priority (BEP 40), then to the longest without
 * payload.
 *
 * @param peers All connected peers.
 * @param options See {@linkcode TurnoverOptions}.
 * @returns The peer, or `null` if all are useful.
 */
export function pickForTurnover<P extends TurnoverPeer>(peers: Iterable<P>, options: TurnoverOptions<P>): P | null {
  const { now, crowded, due, rank } = options;
  const all = [...peers].sort((a, b) => a.lastPayload - b.lastPayload);
  const patience = ({ incoming }: P) =>
    !crowded ? NOT_INTERESTED_MS : incoming ? ARRIVALS_NOT_INTERESTED_MS : ARRIVALS_MUTE_DIALLED_MS;
  const mute = all.filter((peer) => hasNoInterest(peer) && now - peer.lastPayload > patience(peer));
  if (mute.length > 0) {
    const counts = new Map<string, number>();
    for (const { network } of all) counts.set(network, (counts.get(network) ?? 0) + 1);
    const most = Math.max(...mute.map(({ network }) => counts.get(network)!));
    return lowest(mute.filter(({ network }) => counts.get(network) === most), rank);
  }
  return due ? lowest(all.filter((peer) => now - peer.lastPayload > USELESS_MS), rank) : null;
}

/**
 * Selects the peer that does the least just now, when one has to go although it may be useful again: one with no
 * interest on either side, of the lowest priority; else the one with the longest time without payload.
 *
 * @param peers All connected peers.
 * @param options See {@linkcode LeastUsefulOptions}.
 * @returns The peer, or `null` if all have to stay.
 */
export function leastUseful<P extends TurnoverPeer>(peers: Iterable<P>, options: LeastUsefulOptions<P>): P | null {
  const all = [...peers].filter(({ lastPayload }) => options.now - lastPayload >= options.quiet)
    .sort((a, b) => a.lastPayload - b.lastPayload);
  return lowest(all.filter(hasNoInterest), options.rank) ?? all[0] ?? null;
}

/** Returns the first peer with the lowest rank. */
function lowest<P extends TurnoverPeer>(peers: readonly P[], rank: (address: P["address"]) => number): P | null {
  let worst: { readonly peer: P; readonly rank: number } | null = null;
  for (const peer of peers) {
    const theirs = rank(peer.address);
    if (!worst || theirs < worst.rank) worst = { peer, rank: theirs };
  }
  return worst?.peer ?? null;
}
