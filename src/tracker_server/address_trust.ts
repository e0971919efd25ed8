/**
 * Who is believed what it says of addresses. Whoever can name any address points a swarm at a victim.
 *
 * @module
 */

import { canonicalHost, parseHostPort, parseIp, type PeerAddress } from "../base/address.ts";
import type { IpRanges } from "../base/ip_ranges.ts";
import { isDialable } from "../base/networks.ts";

/** Addresses and networks that are believed; nobody when absent. */
export interface TrustOptions {
  /** Reverse proxies: who sent a request is what they say in `X-Forwarded-For`. */
  readonly proxies?: IpRanges;
  /** Clients that may say where they listen: by `ip=` (BEP 3), or by the address in an announce over UDP (BEP 15). */
  readonly clients?: IpRanges;
}

/** Hops that are looked at; what is farther away was not written by a proxy of ours. */
const MAX_HOPS = 16;

/** Decides whom to believe. */
export class Trust {
  readonly #proxies: IpRanges | null;
  readonly #clients: IpRanges | null;

  /** @param options Who is believed. */
  constructor({ proxies, clients }: TrustOptions = {}) {
    this.#proxies = proxies ?? null;
    this.#clients = clients ?? null;
  }

  /**
   * @param host A literal address.
   * @returns Whether a reverse proxy of ours is there.
   */
  isProxy(host: string): boolean {
    return this.#proxies?.has(host) ?? false;
  }

  /**
   * Who sent a request. A proxy puts whom it heard behind what it was told, so that the last address that is not a proxy of ours is the
   * client; anybody could have written what stands before it.
   *
   * @param from Who made the connection.
   * @param forwarded `X-Forwarded-For`, all of it; `null` when it isn't there.
   * @returns The client; its port is the connection's.
   */
  clientOf(from: PeerAddress, forwarded: () => string | null): PeerAddress {
    if (!this.isProxy(from.host)) return from;
    let host = from.host;
    const hops = (forwarded() ?? "").split(",");
    for (const hop of hops.reverse().slice(0, MAX_HOPS)) {
      const next = addressIn(hop.trim());
      if (next === null) break; // no address, such as "unknown": who that was nobody knows but the proxy
      host = next;
      if (!this.isProxy(host)) break;
    }
    return { host, port: from.port };
  }

  /**
   * Where a peer listens.
   *
   * @param client Who announces.
   * @param claimed The address that it names; anything else when it names none.
   * @returns Its host.
   */
  hostOf(client: string, claimed: string): string {
    if (claimed === "" || !this.#clients?.has(client)) return client;
    const host = canonicalHost(claimed);
    return parseIp(host) !== null && isDialable(host) ? host : client;
  }
}

/** An address as proxies write it: alone, in brackets, or with a port. */
function addressIn(text: string): string | null {
  const host = parseIp(text) !== null ? text : parseHostPort(text)?.host ?? /^\[([^\]]*)\]$/.exec(text)?.[1] ?? "";
  return parseIp(host) === null ? null : canonicalHost(host);
}
