/**
 * Decides how many connections an HTTP server keeps, and which one is closed to make room. Contains no I/O.
 *
 * @module
 */

import { networkOf } from "../base/networks.ts";

/**
 * What a connection is doing, the least worth keeping first.
 *
 * - `silent`: it waits for a request.
 * - `asking`: a part of a request has arrived.
 * - `stalled`: the client doesn't read the response.
 * - `busy`: anything else.
 */
export type ConnectionState = "silent" | "asking" | "stalled" | "busy";

/** Facts about a connection that the limit needs. */
export interface LimitedConnection {
  /** Address of the client in canonical form. */
  readonly host: string;
  /** What the connection is doing now. */
  readonly state: ConnectionState;
  /** Time when that began, in milliseconds. */
  readonly since: number;
}

/** Limits on the number of connections. */
export interface ConnectionLimits {
  /** All connections. */
  readonly total: number;
  /** Connections of one network, see {@linkcode networkOf}. */
  readonly perNetwork: number;
  /** Connections of one network for which {@linkcode ConnectionLimits.hasManyClients} returns `true`. */
  readonly perProxy: number;
  /** Returns `true` if many clients are behind an address: a reverse proxy, or this machine, where one may run. */
  readonly hasManyClients: (host: string) => boolean;
}

const ORDER: readonly ConnectionState[] = ["silent", "asking", "stalled"];
/** The total never sinks below this, so that some clients can always be served. */
const LEAST = 8;

/** Keeps track of a server's connections. */
export class ConnectionLimit<M extends LimitedConnection> {
  readonly #limits: ConnectionLimits;
  /** Connections by network, in the order of arrival. */
  readonly #networks = new Map<string, Set<M>>();
  #size = 0;
  #total: number;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
    this.#total = limits.total;
  }

  /** Number of connections. */
  get size(): number {
    return this.#size;
  }

  /** Most connections that are allowed now. */
  get total(): number {
    return this.#total;
  }

  /** Iterates over all connections. */
  *[Symbol.iterator](): Generator<M> {
    for (const members of this.#networks.values()) yield* members;
  }

  /**
   * Adds a connection.
   *
   * @returns `true` if there are too many now, so that the one from {@linkcode ConnectionLimit.surplus} has to be
   * closed.
   */
  add(member: M): boolean {
    const network = networkOf(member.host);
    const members = this.#networks.get(network) ?? new Set();
    this.#networks.set(network, members.add(member));
    this.#size++;
    return this.#isFull(member) || this.#size > this.#total;
  }

  /**
   * Chooses the connection to close.
   *
   * @param newcomer The connection that was added last.
   * @returns `null` if there are not too many, another connection, or the newcomer if all others are busy.
   */
  surplus(newcomer: M): M | null {
    if (this.#isFull(newcomer)) return leastWorth(this.#networks.get(networkOf(newcomer.host))!, newcomer) ?? newcomer;
    return this.#size > this.#total ? this.#anyOf(newcomer) ?? newcomer : null;
  }

  /** Returns `true` if the network of a connection has too many connections. */
  #isFull({ host }: M): boolean {
    const { hasManyClients, perProxy, perNetwork } = this.#limits;
    return (this.#networks.get(networkOf(host))?.size ?? 0) > (hasManyClients(host) ? perProxy : perNetwork);
  }

  /** Removes a connection. Harmless if it was removed before. */
  remove(member: M): void {
    const network = networkOf(member.host);
    const members = this.#networks.get(network);
    if (!members?.delete(member)) return;
    this.#size--;
    if (members.size === 0) this.#networks.delete(network);
  }

  /**
   * Lowers the total below the present number, because the system has no room for more.
   *
   * @returns The connections to close.
   */
  shrink(): M[] {
    this.#total = Math.max(LEAST, Math.min(this.#total, Math.floor(this.#size * 3 / 4)));
    const gone: M[] = [];
    while (this.#size > this.#total) {
      const victim = this.#anyOf(null);
      if (victim === null) break;
      this.remove(victim);
      gone.push(victim);
    }
    return gone;
  }

  /** Raises the total a little, as the system may have room again. */
  grow(): void {
    this.#total = Math.min(this.#limits.total, this.#total + Math.max(1, Math.floor(this.#total / 16)));
  }

  /** Returns a connection of the network with the most of them, or else of any network. */
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
