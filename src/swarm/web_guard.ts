/**
 * Where a web seed may lead us. Its URL is from outside, and so is every redirect: nobody is to aim our requests at what only
 * this machine, or its network, can reach.
 *
 * The rules are libtorrent's (`ssrf_mitigation`): who is on the local network may serve files there, but a URL that leads there
 * has no query, since what can be done to a router or a service with a mere `GET` is done with one; and who is on the
 * internet can't send us there. A seed of BEP 17 needs a query, so it can't be on the local network. The name is looked up here
 * and once more when the connection is made; whoever changes the answer in between still gets nothing but a plain path asked.
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import { isLocalAddress } from "../base/networks.ts";
import { HttpError, type Network } from "../platform/platform.ts";

/** Where a host is. */
type Place = "local" | "internet" | "unknown";

/** Keeps the requests of one web seed where they belong. */
export class WebGuard {
  readonly #net: Pick<Network, "resolve">;
  readonly #places = new Map<string, Promise<Place>>();

  /** @param net Looks names up. */
  constructor(net: Pick<Network, "resolve">) {
    this.#net = net;
  }

  /** Names are looked up anew from now on. */
  forget(): void {
    this.#places.clear();
  }

  /**
   * Checks a URL before it is asked.
   *
   * @param url Absolute.
   * @throws {HttpError} If it may not be asked.
   */
  async check(url: URL): Promise<void> {
    if (url.search === "") return;
    if (await this.#placeOf(url.hostname) === "local") {
      throw new HttpError(`${url.host} is on the local network, where a URL may have no query`);
    }
  }

  /**
   * Checks a redirect before it is followed.
   *
   * @param from Who sends us away.
   * @param to Where.
   * @throws {HttpError} If it may not be followed.
   */
  async checkRedirect(from: URL, to: URL): Promise<void> {
    await this.check(to);
    if (await this.#placeOf(to.hostname) === "local" && await this.#placeOf(from.hostname) !== "local") {
      throw new HttpError(`it redirects to ${to.host}, which is on the local network`);
    }
  }

  #placeOf(host: string): Promise<Place> {
    let place = this.#places.get(host);
    if (place === undefined) this.#places.set(host, place = this.#find(host));
    return place;
  }

  async #find(host: string): Promise<Place> {
    const literal = host.replace(/^\[|\]$/g, "");
    if (parseIp(literal) !== null) return isLocalAddress(literal) ? "local" : "internet";
    if (/(^|\.)(localhost|local|internal|home\.arpa)\.?$/.test(literal)) return "local";
    try {
      return (await this.#net.resolve(literal)).some(isLocalAddress) ? "local" : "internet";
    } catch {
      // Whoever makes the connection says what is wrong with the name.
      return "unknown";
    }
  }
}
