/**
 * Searching for UPnP gateways (SSDP, UPnP Device Architecture 1.1 section 1.3).
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy, utf8 } from "../base/bytes.ts";

/** Where a search goes. */
export const SSDP_GROUP = "239.255.255.250";
/** To which port. */
export const SSDP_PORT = 1900;
/** What is searched for. Gateways of version 2 answer for version 1, too; a few answer for their own alone. */
export const SEARCH_TARGETS = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
] as const;

/**
 * A search.
 *
 * @param target What to search for.
 * @returns A datagram. Answers are due within a second.
 */
export function encodeSearch(target: string): Bytes {
  return utf8([
    "M-SEARCH * HTTP/1.1",
    `HOST: ${SSDP_GROUP}:${SSDP_PORT}`,
    'MAN: "ssdp:discover"',
    "MX: 1",
    `ST: ${target}`,
    "\r\n",
  ].join("\r\n"));
}

/**
 * Reads an answer to a search.
 *
 * @param bytes A datagram.
 * @param from The IPv4 address that sent it.
 * @returns Where the gateway's description is; `null` if the datagram is no answer, or names a place that is not on the
 * host that sent it: nobody may send us to others.
 */
export function parseSearchReply(bytes: Uint8Array, from: string): URL | null {
  const [status = "", ...lines] = fromUtf8Lossy(bytes).split(/\r?\n/);
  if (!/^HTTP\/1\.\d 200\b/i.test(status)) return null;
  let location: URL | null = null;
  let isGateway = false;
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === "location") location = URL.parse(value);
    if (name === "st") isGateway = SEARCH_TARGETS.some((target) => target === value);
  }
  return isGateway && location?.protocol === "http:" && location.hostname === from ? location : null;
}
