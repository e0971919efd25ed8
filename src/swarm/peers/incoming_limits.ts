/**
 * Who may connect to us, before it has said who it is. Decides only; the sockets are elsewhere.
 *
 * @module
 */

import {
  ACCEPT_BURST,
  ACCEPTS_PER_SECOND,
  ARRIVALS_PER_SECOND,
  CONNECT_BURST,
  CONNECTS_PER_SECOND,
  MAX_PENDING,
  MAX_PENDING_PER_HOST,
  MAX_REMEMBERED_HOSTS,
  TELL_AGAIN_MS,
} from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { networkOf } from "../../base/networks.ts";

/** What is known of an address. */
interface Caller {
  /** Connections that it may still make in a row, at the time `seen`. */
  credit: number;
  seen: number;
  /** When the user was last told of it, and how often there would have been something to tell since. */
  told: number;
  untold: number;
}

/** A connection without a handshake. */
export interface PendingConnection {
  /** Where it comes from. */
  readonly host: string;
}

/** The limits on connections that have not said what they want. */
export class IncomingLimits<C extends PendingConnection> {
  /** In the order in which they came. */
  readonly #pending = new Set<C>();
  /** By what {@linkcode networkOf} says. */
  readonly #known = new LruMap<string, Caller>(MAX_REMEMBERED_HOSTS);
  #accepts = ACCEPT_BURST;
  #acceptedAt = -Infinity;

  /** Connections that have not said what they want. */
  get pending(): Iterable<C> {
    return this.#pending;
  }

  /**
   * Milliseconds to wait before the next connection is accepted; counts one that was.
   *
   * @param now Milliseconds.
   */
  accepted(now: number): number {
    const elapsed = now - this.#acceptedAt;
    this.#accepts = Math.min(ACCEPT_BURST, this.#accepts + ACCEPTS_PER_SECOND * elapsed / 1000) - 1;
    this.#acceptedAt = now;
    return this.#accepts >= 0 ? 0 : -1000 * this.#accepts / ACCEPTS_PER_SECOND;
  }

  /**
   * A connection came.
   *
   * @param connection Which.
   * @param now Milliseconds.
   * @returns Why it isn't heard, or `null` when it may speak.
   */
  came(connection: C, now: number): string | null {
    const caller = this.#meet(connection.host, now);
    if (caller.credit < 1) return "it connects too often";
    caller.credit--;
    this.#pending.add(connection);
    return null;
  }

  /** The connection that has to make room, if one has to: the oldest of an address that has too many. */
  get surplus(): C | null {
    const counts = new Map<string, number>();
    let crowd = "";
    for (const connection of this.#pending) {
      const network = networkOf(connection.host);
      counts.set(network, (counts.get(network) ?? 0) + 1);
      if (counts.get(network)! > (counts.get(crowd) ?? 0)) crowd = network;
    }
    if (this.#pending.size <= MAX_PENDING && (counts.get(crowd) ?? 0) <= MAX_PENDING_PER_HOST) return null;
    return this.#oldestOf(crowd);
  }

  /** The oldest of all, if there is any: for when the system has no room for more. */
  get oldest(): C | null {
    const [first] = this.#pending;
    return first ?? null;
  }

  /** A connection has said what it wants, or is closed. */
  done(connection: C): void {
    this.#pending.delete(connection);
  }

  /**
   * Whether the user should be told about an address: not of each of a thousand knocks.
   *
   * @param host The address.
   * @param options `message`: what there is to tell. `now`: milliseconds.
   * @returns What to tell, or `null`.
   */
  tell(host: string, options: { readonly message: string; readonly now: number }): string | null {
    const caller = this.#meet(host, options.now);
    if (options.now - caller.told < TELL_AGAIN_MS) {
      caller.untold++;
      return null;
    }
    const more = caller.untold > 0 ? `; ${caller.untold} times more before` : "";
    caller.told = options.now;
    caller.untold = 0;
    return options.message + more;
  }

  #meet(host: string, now: number): Caller {
    const network = networkOf(host);
    const known = this.#known.peek(network) ?? { credit: CONNECT_BURST, seen: now, told: -Infinity, untold: 0 };
    known.credit = Math.min(CONNECT_BURST, known.credit + CONNECTS_PER_SECOND * (now - known.seen) / 1000);
    known.seen = now;
    this.#known.set(network, known);
    return known;
  }

  #oldestOf(network: string): C | null {
    for (const connection of this.#pending) if (networkOf(connection.host) === network) return connection;
    return null;
  }
}

/** A bucket that leaks: counts those that came lately. */
export class ArrivalRate {
  #count = 0;
  #seen = 0;

  /** One more came, at a time in milliseconds. */
  came(now: number): void {
    this.#count = Math.min(2 * ARRIVALS_PER_SECOND, this.#left(now) + 1);
    this.#seen = now;
  }

  /** Whether more come than can be looked at one by one. */
  isCrowded(now: number): boolean {
    return this.#left(now) > ARRIVALS_PER_SECOND;
  }

  #left(now: number): number {
    return Math.max(0, this.#count - ARRIVALS_PER_SECOND * (now - this.#seen) / 1000);
  }
}
