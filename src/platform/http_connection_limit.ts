/**
 * How many connections an HTTP server has, and which of them makes room for another. Decides only.
 *
 * @module
 */

import { networkOf } from "../base/networks.ts";

/**
 * What a connection is doing, the least worth keeping first. `silent`: it waits for a request. `asking`: some of one came.
 * `stalled`: nobody takes what it is sent. `busy`: anything else.
 */
export type ConnectionState = "silent" | "asking" | "stalled" | "busy";

/** A connection, as far as it counts here. */
export interface LimitedConnection {
  /** Where it comes from, in canonical form. */
  readonly host: string;
  /** What it is doing now. */
  readonly state: ConnectionState;
  /** Since when, in milliseconds. */
  readonly since: number;
}

/** How many there may be. */
export interface ConnectionLimits {
  /** In all. */
  readonly total: number;
  /** Of one network, see {@linkcode networkOf}. */
  readonly perNetwork: number;
  /** Of one that {@linkcode ConnectionLimits.isRoomy} knows. */
  readonly perRoomyNetwork: number;
  /** Whether many clients are behind an address: a proxy of ours, or this machine, where one may be. */
  readonly isRoomy: (host: string) => boolean;
}

const ORDER: readonly ConnectionState[] = ["silent", "asking", "stalled"];
/** The total is never lowered below this, so that there is always somebody who can be served. */
const LEAST = 8;

/** The connections of a server. */
export class ConnectionLimit<M extends LimitedConnection> {
  readonly #limits: ConnectionLimits;
  /** By network, in the order in which they came. */
  readonly #networks = new Map<string, Set<M>>();
  #size = 0;
  #total: number;

  /** @param limits How many there may be. */
  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
    this.#total = limits.total;
  }

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** How many there may be now. */
  get total(): number {
    return this.#total;
  }

  /** Them all. */
  *[Symbol.iterator](): Generator<M> {
    for (const members of this.#networks.values()) yield* members;
  }

  /**
   * A connection came.
   *
   * @param member Which.
   * @returns Whether there are too many now, so that {@linkcode ConnectionLimit.surplus} has to go.
   */
  came(member: M): boolean {
    const network = networkOf(member.host);
    const members = this.#networks.get(network) ?? new Set();
    this.#networks.set(network, members.add(member));
    this.#size++;
    return this.#isFull(member) || this.#size > this.#total;
  }

  /**
   * Who has to go.
   *
   * @param newcomer The connection that came last.
   * @returns Nobody (`null`) when there are not too many, another one, or the newcomer when all others are at work.
   */
  surplus(newcomer: M): M | null {
    if (this.#isFull(newcomer)) return leastWorth(this.#networks.get(networkOf(newcomer.host))!, newcomer) ?? newcomer;
    return this.#size > this.#total ? this.#anyOf(newcomer) ?? newcomer : null;
  }

  /** Whether there are too many of the network of a connection. */
  #isFull({ host }: M): boolean {
    const { isRoomy, perRoomyNetwork, perNetwork } = this.#limits;
    return (this.#networks.get(networkOf(host))?.size ?? 0) > (isRoomy(host) ? perRoomyNetwork : perNetwork);
  }

  /**
   * A connection is closed.
   *
   * @param member Which; harmless when it was.
   */
  left(member: M): void {
    const network = networkOf(member.host);
    const members = this.#networks.get(network);
    if (!members?.delete(member)) return;
    this.#size--;
    if (members.size === 0) this.#networks.delete(network);
  }

  /**
   * The system has no room: from now on there may be fewer than there are.
   *
   * @returns Who has to go.
   */
  shrink(): M[] {
    this.#total = Math.max(LEAST, Math.min(this.#total, Math.floor(this.#size * 3 / 4)));
    const gone: M[] = [];
    while (this.#size > this.#total) {
      const victim = this.#anyOf(null);
      if (victim === null) break;
      this.left(victim);
      gone.push(victim);
    }
    return gone;
  }

  /** The system may have room again: there may be some more. */
  grow(): void {
    this.#total = Math.min(this.#limits.total, this.#total + Math.max(1, Math.floor(this.#total / 16)));
  }

  /** Whoever has most of them gives one, if it has one to give; else anybody. */
  #anyOf(newcomer: M | null): M | null {
    let crowd: Set<M> | null = null;
    for (const members of this.#networks.values()) if (members.size > (crowd?.size ?? 0)) crowd = members;
    return (crowd && leastWorth(crowd, newcomer)) ?? leastWorth(this, newcomer);
  }
}

function leastWorth<M extends LimitedConnection>(members: Iterable<M>, newcomer: M | null): M | null {
  let best: M | null = null;
  for (const member of members) {
    if (member === newcomer || member.state === "busy") continue;
    const order = best === null ? -1 : ORDER.indexOf(member.state) - ORDER.indexOf(best.state);
    if (order < 0 || (order === 0 && member.since < best!.since)) best = member;
  }
  return best;
}
