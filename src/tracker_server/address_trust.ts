/**
 * Decides which claims about addresses the tracker believes. A client that could name any address could aim a swarm at
 * a victim.
 *
 * @module
 */

import { canonicalHost, parseHostPort, parseIp, type PeerAddress } from "../base/address.ts";
import type { IpRanges } from "../base/ip_ranges.ts";
import { isDialable } from "../base/networks.ts";

/** Hosts whose claims about addresses are believed; none when absent. */
export interface TrustOptions {
  /** Reverse proxies, whose `X-Forwarded-For` header gives the client's address. */
  readonly proxies?: IpRanges;
  /** Clients that may name their listen address: by `ip=` (BEP 3), or in the UDP announce (BEP 15). */
  readonly clients?: IpRanges;
}

/** Hops of `X-Forwarded-For` that are read. Hops further away were not written by our proxies. */
const MAX_HOPS = 16;

/** Applies {@linkcode TrustOptions}. */
export class Trust {
  readonly #proxies: IpRanges | null;
  readonly #clients: IpRanges | null;

  constructor({ proxies, clients }: TrustOptions = {}) {
    this.#proxies = proxies ?? null;
    this.#clients = clients ?? null;
  }

  /**
   * Returns `true` if a host is one of our reverse proxies.
   *
   * @param host A literal address.
   */
  isProxy(host: string): boolean {
    return this.#proxies?.has(host) ?? false;
  }

  /**
   * Returns the client that sent a request. Each proxy appends the address of its peer to the header, so the last
   * address that is not one of our proxies is the client; addresses before it can be forged.
   *
   * @param forwarded Returns the `X-Forwarded-For` header, or `null` if there is none.
   * @returns The client's address, with the port of the connection.
   */
  clientOf(from: PeerAddress, forwarded: () => string | null): PeerAddress {
    if (!this.isProxy(from.host)) return from;
    let host = from.host;
    const hops = (forwarded() ?? "").split(",");
    for (const hop of hops.reverse().slice(0, MAX_HOPS)) {
      const next = addressIn(hop.trim());
      if (next === null) break; // not an address, such as "unknown"
      host = next;
      if (!this.isProxy(host)) break;
    }
    return { host, port: from.port };
  }

  /**
   * Returns the address on which a client listens.
   *
   * @param client Address of the client.
   * @param claimed Address that the client names, if any.
   * @returns The claimed address if it is valid and the client is trusted, else the client's own.
   */
  hostOf(client: string, claimed: string): string {
    if (claimed === "" || !this.#clients?.has(client)) return client;
    const host = canonicalHost(claimed);
    return parseIp(host) !== null && isDialable(host) ? host : client;
  }
}

/** Parses an address as proxies write it: plain, in brackets, or with a port. */
function addressIn(text: string): string | null {
  const host = parseIp(text) !== null ? text : parseHostPort(text)?.host ?? /^\[([^\]]*)\]$/.exec(text)?.[1] ?? "";
  return parseIp(host) === null ? null : canonicalHost(host);
}
