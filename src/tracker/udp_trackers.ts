/**
 * The way to all UDP trackers of a session, over the session's socket, and what is known of each tracker's address.
 *
 * @module
 */

import { canonicalHost, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { MAX_RESOLVED_TRACKERS, MAX_UDP_ENDPOINTS } from "../base/defences.ts";
import { LruMap } from "../base/lru_map.ts";
import type { Network, Platform } from "../platform/platform.ts";
import { TrackerError } from "./errors.ts";
import { UdpEndpoint } from "./udp_endpoint.ts";

/** IPv4 or IPv6. */
export type Family = 4 | 6;

/** What {@linkcode UdpTrackers} needs of the outside. */
export type UdpPlatform = Pick<Platform, "now" | "after" | "randomBytes"> & {
  readonly net: Pick<Network, "resolve">;
};

/** The socket that trackers are asked over; others use it, too. */
export interface TrackerSocket {
  /** The local address that it sends from; `::` stands for all of them. */
  readonly host: string;
  /** Families of addresses that it sends to. */
  readonly families: readonly Family[];
  /**
   * Opens it. Harmless when it is open.
   *
   * @throws {ShoalError} If the system has no socket for us.
   */
  open(): void;
  /** Sends a datagram; it may be lost. `bytes` isn't used again. */
  send(bytes: Bytes, to: PeerAddress): void;
}

/** What a name server said. */
interface ResolvedHost {
  /** When it was asked, in milliseconds. */
  readonly at: number;
  readonly hosts: Promise<readonly string[]>;
}

/** What {@linkcode UdpTrackers} needs. */
export interface UdpTrackersOptions {
  /** The outside. */
  readonly platform: UdpPlatform;
  /** The way out. Who owns it gives what comes from trackers to {@linkcode UdpTrackers.receive}. */
  readonly socket: TrackerSocket;
}

/** Milliseconds for which a name's addresses are believed: a tracker that moves is found again soon enough. */
const RESOLVED_LIFE_MS = 5 * 60_000;

/**
 * Shared by all torrents of a session.
 *
 * @example
 * ```ts
 * const udp = new UdpTrackers({ platform, socket });
 * socket.register("tracker", (bytes, from) => udp.receive(bytes, from));
 * const announcer = new Announcer({ ...options, udp });
 * // ... at the end, when the announcers have stopped
 * udp.close();
 * ```
 */
export class UdpTrackers {
  /** Time and chance. */
  readonly platform: UdpPlatform;
  readonly #socket: TrackerSocket;
  /** By address; in the order of use, the latest at the end. */
  readonly #endpoints = new Map<string, UdpEndpoint>();
  readonly #resolved = new LruMap<string, ResolvedHost>(MAX_RESOLVED_TRACKERS);
  #closed = false;

  /** @param options What it needs. */
  constructor({ platform, socket }: UdpTrackersOptions) {
    this.platform = platform;
    this.#socket = socket;
  }

  /**
   * Finds a tracker's addresses.
   *
   * @param host A name or a literal address.
   * @returns Literal addresses of the families that we may send from.
   * @throws {TrackerError} If there are none.
   */
  async resolve(host: string): Promise<readonly string[]> {
    const hosts = parseIp(host) === null ? await this.#lookUp(host) : [canonicalHost(host)];
    const { families, host: own } = this.#socket;
    const usable = hosts.filter((found) => families.includes(familyOf(found)));
    if (usable.length === 0) throw new TrackerError(`it has no address that can be reached from ${own}`);
    return usable;
  }

  /**
   * The one place for what is said to an address. Opens the socket if need be.
   *
   * @param address A literal address, in its usual form, and a port.
   * @returns Where to ask.
   * @throws {TrackerError} If the system gives us no socket for it, or this was closed.
   */
  endpoint(address: PeerAddress): UdpEndpoint {
    this.#open();
    const key = keyOf(address);
    const known = this.#endpoints.get(key);
    const endpoint = known ?? new UdpEndpoint({
      platform: this.platform,
      send: (bytes) => this.#socket.send(bytes, address),
    });
    this.#endpoints.delete(key);
    if (known === undefined) this.#makeRoom();
    this.#endpoints.set(key, endpoint);
    return endpoint;
  }

  /**
   * Takes a datagram that looks as if it came from a tracker; it counts if we have asked something at that address.
   *
   * @param bytes Good until this returns.
   * @param from The sender.
   */
  receive(bytes: Uint8Array, from: PeerAddress): void {
    this.#endpoints.get(keyOf(from))?.receive(bytes);
  }

  /** Ends all conversations; the socket stays. Harmless when closed. */
  close(): void {
    this.#closed = true;
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    this.#endpoints.clear();
  }

  async #lookUp(host: string): Promise<readonly string[]> {
    const now = this.platform.now();
    let known = this.#resolved.peek(host);
    if (known === undefined || now - known.at > RESOLVED_LIFE_MS) {
      known = { at: now, hosts: this.platform.net.resolve(host) };
      this.#resolved.set(host, known);
    }
    try {
      return (await known.hosts).map(canonicalHost);
    } catch (error) {
      if (this.#resolved.peek(host) === known) this.#resolved.delete(host);
      throw new TrackerError(`no address is known for the host "${host}"`, { cause: error });
    }
  }

  #open(): void {
    if (this.#closed) throw new TrackerError("the session has been stopped");
    try {
      this.#socket.open();
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      throw new TrackerError(messageOf(error), { cause: error });
    }
  }

  #makeRoom(): void {
    if (this.#endpoints.size < MAX_UDP_ENDPOINTS) return;
    for (const [key, endpoint] of this.#endpoints) {
      if (!endpoint.isIdle) continue;
      this.#endpoints.delete(key);
      return;
    }
    throw new TrackerError("too many UDP trackers are being asked at the same time");
  }
}

/**
 * The family of a literal address.
 *
 * @param host In its usual form, in which an IPv4-mapped address is IPv4.
 * @returns Its family.
 */
export function familyOf(host: string): Family {
  return host.includes(":") ? 6 : 4;
}

function keyOf({ host, port }: PeerAddress): string {
  return `${host} ${port}`;
}
