/**
 * The way to all UDP trackers of a session: a socket for each family, opened when it is needed first, and what is known of
 * each tracker's address.
 *
 * @module
 */

import { canonicalHost, parseIp, type PeerAddress } from "../base/address.ts";
import { messageOf, ShoalError } from "../base/errors.ts";
import { MAX_RESOLVED_TRACKERS, MAX_TRACKER_DATAGRAM, MAX_UDP_ENDPOINTS } from "../base/limits.ts";
import type { Network, Platform, UdpSocket } from "../platform/platform.ts";
import { TrackerError } from "./errors.ts";
import { UdpEndpoint } from "./udp_endpoint.ts";

/** IPv4 or IPv6. */
export type Family = 4 | 6;

/** What {@linkcode UdpTrackers} needs of the outside. */
export type UdpPlatform = Pick<Platform, "now" | "after" | "randomBytes"> & {
  readonly net: Pick<Network, "openUdp" | "resolve">;
};

/** Milliseconds for which a name's addresses are believed: a tracker that moves is found again soon enough. */
const RESOLVED_LIFE_MS = 5 * 60_000;
const ANY_HOST: Readonly<Record<Family, string>> = { 4: "0.0.0.0", 6: "::" };

/**
 * Shared by all torrents of a session.
 *
 * @example
 * ```ts
 * const udp = new UdpTrackers({ platform });
 * const announcer = new Announcer({ ...options, udp });
 * // ... at the end, when the announcers have stopped
 * udp.close();
 * ```
 */
export class UdpTrackers {
  /** Time and chance. */
  readonly platform: UdpPlatform;
  readonly #bind: string | null;
  readonly #sockets = new Map<Family, UdpSocket>();
  /** By address; in the order of use, the latest at the end. */
  readonly #endpoints = new Map<string, UdpEndpoint>();
  readonly #resolved = new Map<string, { readonly at: number; readonly hosts: Promise<readonly string[]> }>();
  #closed = false;

  /** @param options `platform`: the outside. `bind`: the only local address to send from. */
  constructor(options: { readonly platform: UdpPlatform; readonly bind?: string }) {
    this.platform = options.platform;
    this.#bind = options.bind ?? null;
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
    const bind = this.#bind;
    const usable = bind === null ? hosts : hosts.filter((found) => familyOf(found) === familyOf(bind));
    if (usable.length === 0) throw new TrackerError(`it has no address that can be reached from ${bind}`);
    return usable;
  }

  /**
   * The one place for what is said to an address. Opens a socket if need be.
   *
   * @param address A literal address, in its usual form, and a port.
   * @returns Where to ask.
   * @throws {TrackerError} If the system gives us no socket for it, or this was closed.
   */
  endpoint(address: PeerAddress): UdpEndpoint {
    const socket = this.#socket(familyOf(address.host));
    const key = keyOf(address);
    const known = this.#endpoints.get(key);
    const endpoint = known ?? new UdpEndpoint({
      platform: this.platform,
      send: (bytes) => void socket.send(bytes, address), // resolves even if it is lost
    });
    this.#endpoints.delete(key);
    if (known === undefined) this.#makeRoom();
    this.#endpoints.set(key, endpoint);
    return endpoint;
  }

  /** Ends all conversations and closes the sockets. Harmless when closed. */
  close(): void {
    this.#closed = true;
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#endpoints.clear();
    this.#sockets.clear();
  }

  async #lookUp(host: string): Promise<readonly string[]> {
    const now = this.platform.now();
    let known = this.#resolved.get(host);
    if (known === undefined || now - known.at > RESOLVED_LIFE_MS) {
      known = { at: now, hosts: this.platform.net.resolve(host) };
      this.#resolved.delete(host);
      if (this.#resolved.size >= MAX_RESOLVED_TRACKERS) this.#resolved.delete(this.#resolved.keys().next().value!);
      this.#resolved.set(host, known);
    }
    try {
      return (await known.hosts).map(canonicalHost);
    } catch (error) {
      if (this.#resolved.get(host) === known) this.#resolved.delete(host);
      throw new TrackerError(`no address is known for the host "${host}"`, { cause: error });
    }
  }

  #socket(family: Family): UdpSocket {
    if (this.#closed) throw new TrackerError("the session has been stopped");
    const open = this.#sockets.get(family);
    if (open !== undefined) return open;
    const socket = this.#open(family);
    this.#sockets.set(family, socket);
    void this.#listen(socket);
    return socket;
  }

  #open(family: Family): UdpSocket {
    try {
      return this.platform.net.openUdp({ host: this.#bind ?? ANY_HOST[family], port: 0 });
    } catch (error) {
      if (!(error instanceof ShoalError)) throw error;
      throw new TrackerError(messageOf(error), { cause: error });
    }
  }

  async #listen(socket: UdpSocket): Promise<void> {
    const buffer = new Uint8Array(MAX_TRACKER_DATAGRAM);
    for (;;) {
      const datagram = await socket.receive(buffer);
      if (datagram === null) return;
      this.#endpoints.get(keyOf(datagram.from))?.receive(buffer.subarray(0, datagram.length));
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
