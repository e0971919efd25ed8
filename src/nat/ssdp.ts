/**
 * SSDP search for UPnP gateways (UPnP Device Architecture 1.1, section 1.3).
 *
 * @module
 */

import { type Bytes, fromUtf8Lossy, utf8 } from "../base/bytes.ts";

/** Multicast group of a search. */
export const SSDP_GROUP = "239.255.255.250";
/** UDP port of a search. */
export const SSDP_PORT = 1900;
/** Search targets. Gateways of version 2 should answer for version 1 as well, but a few answer for version 2 only. */
export const SEARCH_TARGETS = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
] as const;

/**
 * Encodes a search.
 *
 * @param target One of {@linkcode SEARCH_TARGETS}.
 * @returns The datagram. Answers arrive within one second.
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
 * Decodes an answer to a search.
 *
 * @param from IPv4 address of the sender.
 * @returns URL of the device description, or `null` if the datagram is not an answer of a gateway. A URL on another
 * host than the sender's is rejected, so that no sender can direct our requests at other hosts.
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
