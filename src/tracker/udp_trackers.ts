/**
 * Sends the requests to all UDP trackers of a session over its socket, and caches their addresses.
 *
 * @module
 */

import { type AddressFamily, canonicalHost, familyOf, parseIp, type PeerAddress } from "../base/address.ts";
import type { Bytes } from "../base/bytes.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { MAX_RESOLVED_TRACKERS, MAX_UDP_ENDPOINTS } from "../base/defences.ts";
import { LruMap } from "../base/lru_map.ts";
import type { Network, Platform } from "../platform/platform.ts";
import { TrackerError } from "./errors.ts";
import { UdpEndpoint } from "./udp_endpoint.ts";

/** System services that {@linkcode UdpTrackers} needs. */
export type UdpPlatform = Pick<Platform, "now" | "after" | "randomBytes"> & {
  readonly net: Pick<Network, "resolve">;
};

/** The socket for tracker requests, which is shared with other protocols. */
export interface TrackerSocket {
  /** Local address of the socket; `::` for all addresses. */
  readonly host: string;
  /** Address families that the socket can send to. */
  readonly families: readonly AddressFamily[];
  /**
   * Opens the socket. No effect if it is open.
   *
   * @throws {ShoalError} If the system can't open a socket.
   */
  open(): void;
  /** Sends a datagram, which may be lost. The caller doesn't use `bytes` afterwards. */
  send(bytes: Bytes, to: PeerAddress): void;
}

/** Addresses of a host name. */
interface ResolvedHost {
  /** Time of the lookup in milliseconds. */
  readonly at: number;
  readonly hosts: Promise<readonly string[]>;
}

/** Options for {@linkcode UdpTrackers}. */
export interface UdpTrackersOptions {
  /** System services. */
  readonly platform: UdpPlatform;
  /** The socket. Its owner passes datagrams from trackers to {@linkcode UdpTrackers.receive}. */
  readonly socket: TrackerSocket;
}

/** Milliseconds for which the addresses of a name are cached: the time to find a tracker that has moved. */
const RESOLVED_LIFE_MS = 5 * 60_000;

/**
 * Client for all UDP trackers of a session.
 *
 * @example
 * ```ts
 * const udp = new UdpTrackers({ platform, socket });
 * socket.register("tracker", (bytes, from) => udp.receive(bytes, from));
 * const announcer = new Announcer({ ...options, udp });
 * // at the end, when the announcers have stopped
 * udp.close();
 * ```
 */
export class UdpTrackers {
  /** System services. */
  readonly platform: UdpPlatform;
  readonly #socket: TrackerSocket;
  /** Endpoints by address, the most recently used last. */
  readonly #endpoints = new Map<string, UdpEndpoint>();
  readonly #resolved = new LruMap<string, ResolvedHost>(MAX_RESOLVED_TRACKERS);
  #closed = false;

  constructor({ platform, socket }: UdpTrackersOptions) {
    this.platform = platform;
    this.#socket = socket;
  }

  /**
   * Resolves a tracker's host.
   *
   * @param host A name or literal address.
   * @returns Literal addresses of the families that the socket can send to.
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
   * Returns the endpoint of an address. Opens the socket if need be.
   *
   * @param address A literal address in canonical form, and a port.
   * @throws {TrackerError} If the socket can't be opened, this was closed, or too many endpoints are busy.
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
   * Handles a datagram that may be from a tracker; ignored unless a request was sent to the sender.
   *
   * @param bytes Datagram; valid only during the call.
   * @param from Sender.
   */
  receive(bytes: Uint8Array, from: PeerAddress): void {
    this.#endpoints.get(keyOf(from))?.receive(bytes);
  }

  /** Fails all requests; the socket stays open. Calling it again has no effect. */
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

function keyOf({ host, port }: PeerAddress): string {
  return `${host} ${port}`;
}
