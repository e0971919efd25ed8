/**
 * Where a request may go. URLs come from torrents, magnet links, trackers and routers, and so do redirects: nobody is to aim our
 * requests at what only this machine, or its network, can reach.
 *
 * The rules are libtorrent's (`ssrf_mitigation`), for all HTTP alike. Nobody may send us nearer to ourselves than they are. Who is
 * on the local network may serve files there and run trackers, but a URL that leads there and that the user didn't type has no
 * query of its own, since what can be done to a router or a service with a mere `GET` is done with one; or it has a path that is a
 * tracker's, and on this machine both. What is decided here is decided on addresses, and the connection is made to those very addresses.
 *
 * @module
 */

import { isServicePort, NEARNESS, type Nearness } from "../base/networks.ts";
import { HttpError, type UrlTrust } from "./platform.ts";

/** A URL, and how near the nearest address of its host is. */
export interface RequestTarget {
  /** Absolute. */
  readonly url: URL;
  /** The nearest of its addresses. */
  readonly nearness: Nearness;
}

/**
 * More ports that browsers keep away from (Fetch, 2.9): a request there can be read as something else by whoever listens. A peer may
 * have chosen them by accident, a web server hasn't.
 */
const OTHER_PORTS: ReadonlySet<number> = new Set([3659, 4045, 4190, 6566, 6665, 6666, 6668, 6669, 6679, 10080]);

/**
 * Paths of trackers: `announce` or `scrape`, with `.php` or without, and a key before or after it.
 */
const TRACKER_PATH = /^\/(?:[\w.~-]+\/)?(?:announce|scrape)(?:\.php)?(?:\/[\w.~-]*)?$/i;

/**
 * Checks a URL before it is asked.
 *
 * @param place The URL and where it leads.
 * @param trust Who named it.
 * @throws {HttpError} If it may not be asked.
 */
export function checkTarget({ url, nearness }: RequestTarget, trust: UrlTrust): void {
  if (trust.by === "user") return;
  if (isServicePort(portOf(url)) || OTHER_PORTS.has(portOf(url))) {
    throw new HttpError(`port ${portOf(url)} is not for HTTP`);
  }
  if (nearness === "nobody") throw new HttpError(`${url.host} is an address that nobody can be at`);
  if (trust.by === "gateway") {
    if (nearness === "network" || nearness === "link") return;
    throw new HttpError(`${url.host} is not on the local network, where a gateway is`);
  }
  if (nearness === "internet") return;
  const named = trust.by === "tracker" ? new URL(trust.named) : url;
  // A private tracker of a network knows its users by a passkey or a password; nothing but a tracker has such a path.
  if (trust.by === "tracker" && nearness !== "self" && TRACKER_PATH.test(url.pathname)) return;
  if (named.search !== "") throw new HttpError(`${url.host} is on the local network, where a URL may have no query`);
  if (url.username !== "" || url.password !== "") {
    throw new HttpError(`${url.host} is on the local network, where a URL may have no password`);
  }
  if (trust.by === "tracker" && !TRACKER_PATH.test(url.pathname)) {
    throw new HttpError(`${url.host} is on the local network, where a tracker's path is /announce`);
  }
}

/**
 * Checks a redirect before it is followed.
 *
 * @param from Who sends us away.
 * @param to Where.
 * @param trust Who named the first URL.
 * @throws {HttpError} If it may not be followed.
 */
export function checkRedirect(from: RequestTarget, to: RequestTarget, trust: UrlTrust): void {
  if (trust.by === "gateway") throw new HttpError("it redirects, which a gateway has no reason to");
  if (NEARNESS.indexOf(to.nearness) > NEARNESS.indexOf(from.nearness)) {
    const where = { internet: "", network: "on the local network", link: "on the local link", self: "on this machine" };
    const place = to.nearness === "nobody" ? "an address that nobody can be at" : where[to.nearness];
    throw new HttpError(`it redirects to ${to.url.host}, which is ${place}`);
  }
  if (trust.by !== "tracker") return checkTarget(to, trust);
  const named = new URL(to.url);
  // What we have added ourselves may be in it again.
  if (named.search === from.url.search) named.search = "";
  // Where on itself a tracker answers is its own business.
  if (to.url.origin === from.url.origin) return checkTarget({ ...to, url: named }, { by: "file" });
  checkTarget(to, { by: "tracker", named: named.href });
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
