/**
 * Limits incoming connections before their handshake. Opens no sockets.
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

/** State of a network. */
interface Caller {
  /** Connections that may still be made in a burst, as of `seen`. */
  credit: number;
  seen: number;
  /** When the user was last told about the network, and how many messages were suppressed since. */
  told: number;
  untold: number;
}

/** A connection without a handshake. */
export interface PendingConnection {
  /** Source address. */
  readonly host: string;
}

/** A message about a network. */
export interface Notice {
  /** Text of the message. */
  readonly message: string;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** Limits on connections without a handshake. */
export class IncomingLimits<C extends PendingConnection> {
  /** Connections, oldest first. */
  readonly #pending = new Set<C>();
  /** State by {@linkcode networkOf}. */
  readonly #known = new LruMap<string, Caller>(MAX_REMEMBERED_HOSTS);
  #accepts = ACCEPT_BURST;
  #acceptedAt = -Infinity;

  /** Connections without a handshake, oldest first. */
  get pending(): Iterable<C> {
    return this.#pending;
  }

  /**
   * Counts an accepted connection, and returns the milliseconds to wait before the next one is accepted.
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
   * Called with each new connection.
   *
   * @param now Milliseconds.
   * @returns Why the connection is refused, or `null` if it isn't.
   */
  admit(connection: C, now: number): string | null {
    const caller = this.#meet(connection.host, now);
    if (caller.credit < 1) return "it connects too often";
    caller.credit--;
    this.#pending.add(connection);
    return null;
  }

  /** The connection to close, if there are too many: the oldest of the network with the most. */
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

  /** The oldest connection, to be closed when the system is out of file descriptors. */
  get oldest(): C | null {
    const [first] = this.#pending;
    return first ?? null;
  }

  /** Called when a handshake is complete, or the connection is closed. */
  done(connection: C): void {
    this.#pending.delete(connection);
  }

  /**
   * Limits messages to the user about a network.
   *
   * @param options See {@linkcode Notice}.
   * @returns The message to show, or `null` for none.
   */
  tell(host: string, options: Notice): string | null {
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

/** Rate of recent connections, as a leaky bucket. */
export class ArrivalRate {
  #count = 0;
  #seen = 0;

  /**
   * Counts a connection.
   *
   * @param now Milliseconds.
   */
  came(now: number): void {
    this.#count = Math.min(2 * ARRIVALS_PER_SECOND, this.#left(now) + 1);
    this.#seen = now;
  }

  /** Returns `true` while connections arrive at a rate above {@linkcode ARRIVALS_PER_SECOND}. */
  isCrowded(now: number): boolean {
    return this.#left(now) > ARRIVALS_PER_SECOND;
  }

  #left(now: number): number {
    return Math.max(0, this.#count - ARRIVALS_PER_SECOND * (now - this.#seen) / 1000);
  }
}
