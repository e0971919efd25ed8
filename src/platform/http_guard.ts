/**
 * Decides where HTTP requests may go. URLs and redirects come from torrents, magnet links, trackers and routers, which
 * must not aim our requests at services that only this machine or its network can reach.
 *
 * The rules are those of libtorrent's `ssrf_mitigation`, for all HTTP alike. A redirect must not lead nearer to us than
 * the server that sent it. Hosts on the local network may serve files and run trackers. But a mere `GET` with a query
 * can change a router or a service. So when a URL leads to the local network and the user didn't type it, the URL of a
 * file must have no query of its own, and the URL of a tracker must have a tracker's path. The URL of a tracker on this
 * machine must fulfil both. The rules are applied to addresses, and the connection is made to the same addresses.
 *
 * @module
 */

import { isServicePort, NEARNESS, type Nearness } from "../base/networks.ts";
import { HttpError, type UrlTrust } from "./platform.ts";

/** URL with the nearness of its host. */
export interface RequestTarget {
  /** Absolute URL. */
  readonly url: URL;
  /** Nearness of the nearest address of the host. */
  readonly nearness: Nearness;
}

/**
 * More ports that browsers block (Fetch, 2.9), since a server there may interpret a request as another protocol. A peer
 * may use such a port by accident, but a web server doesn't.
 */
const OTHER_PORTS: ReadonlySet<number> = new Set([3659, 4045, 4190, 6566, 6665, 6666, 6668, 6669, 6679, 10080]);

/** Paths of trackers: `announce` or `scrape`, with or without `.php`, and with a key before or after. */
const TRACKER_PATH = /^\/(?:[\w.~-]+\/)?(?:announce|scrape)(?:\.php)?(?:\/[\w.~-]*)?$/i;

/**
 * Checks a URL before the request.
 *
 * @param place URL and nearness of its host.
 * @param trust Who named the URL.
 * @throws {HttpError} If the request is not allowed.
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
  // A private tracker on a local network identifies its users by a passkey or a password. Only trackers have such
  // paths.
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
 * @param from Server that sent the redirect.
 * @param to Target of the redirect.
 * @param trust Who named the first URL.
 * @throws {HttpError} If the redirect is not allowed.
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
  // The query may be the one that we added ourselves.
  if (named.search === from.url.search) named.search = "";
  // A tracker may redirect to any path on itself.
  if (to.url.origin === from.url.origin) return checkTarget({ ...to, url: named }, { by: "file" });
  checkTarget(to, { by: "tracker", named: named.href });
}

function portOf(url: URL): number {
  return Number(url.port) || (url.protocol === "https:" ? 443 : 80);
}
