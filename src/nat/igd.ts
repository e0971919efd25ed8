/**
 * What is said to and by a UPnP gateway over HTTP: its description, and actions of its service for connections (IGD:1 and
 * IGD:2, `WANIPConnection` and `WANPPPConnection`).
 *
 * Only a handful of elements are looked at, whose names are fixed and whose content is plain text, so that they are picked
 * out of the text rather than parsed with all of XML.
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import { MAX_GATEWAY_MESSAGE, MAX_GATEWAY_SERVICES } from "../base/defences.ts";
import { PortMapError } from "./errors.ts";
import type { MappingRequest } from "./gateway.ts";

/** Services that map ports, best first. */
const SERVICES = [
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/** Error numbers of the service (section 2.5 of WANIPConnection:2) that one can do something about. */
export const IGD_ERROR = {
  /** The external port belongs to somebody else. */
  conflict: 718,
  /** A mapping has to be for good. */
  onlyPermanent: 725,
  /** There is no such mapping. */
  noSuchEntry: 714,
} as const;

/** A service that maps ports. */
export interface IgdService {
  /** Its type. */
  readonly type: string;
  /** Where its actions go. */
  readonly controlUrl: string;
}

/** An action: an HTTP `POST`. */
export interface IgdAction {
  /** Header fields. */
  readonly headers: Readonly<Record<string, string>>;
  /** The envelope. */
  readonly body: string;
}

/**
 * Finds the service that maps ports.
 *
 * @param xml The description.
 * @param location Where it was found.
 * @returns The best one.
 * @throws {PortMapError} If there is none, or its control URL is not on the host that described it.
 */
export function parseDescription(xml: string, location: string): IgdService {
  const base = elementText(xml, "URLBase") || location;
  const found: IgdService[] = [];
  let at = 0;
  for (let count = 0; count < MAX_GATEWAY_SERVICES; count++) {
    const start = xml.indexOf("<service>", at);
    const end = start < 0 ? -1 : xml.indexOf("</service>", start);
    if (end < 0) break;
    at = end;
    const service = xml.slice(start, end);
    const type = elementText(service, "serviceType") ?? "";
    const url = URL.parse(elementText(service, "controlURL") ?? "", base);
    if (!SERVICES.includes(type) || url === null) continue;
    if (url.protocol !== "http:" || url.hostname !== new URL(location).hostname) {
      throw new PortMapError(`its control URL is ${url.href}, on another host`, { where: location });
    }
    found.push({ type, controlUrl: url.href });
  }
  const best = SERVICES.map((type) => found.find((service) => service.type === type)).find((service) => service);
  if (best === undefined) throw new PortMapError("it describes no service that maps ports", { where: location });
  return best;
}

/** A port mapping as a UPnP gateway takes it. A lifetime of 0 requests a permanent mapping. */
export interface IgdMapping extends MappingRequest {
  /** Our own address on the gateway's network. */
  readonly client: string;
}

/**
 * The action that maps a port, or renews the mapping.
 *
 * @param service The gateway's service.
 * @param mapping What to map; a lifetime of 0 is for good. `client`: our own address.
 * @returns The request.
 */
export function addPortMapping(service: IgdService, mapping: IgdMapping): IgdAction {
  return action(service, "AddPortMapping", [
    ["NewRemoteHost", ""],
    ["NewExternalPort", mapping.externalPort],
    ["NewProtocol", mapping.protocol.toUpperCase()],
    ["NewInternalPort", mapping.internalPort],
    ["NewInternalClient", mapping.client],
    ["NewEnabled", 1],
    ["NewPortMappingDescription", "Shoal"],
    ["NewLeaseDuration", mapping.lifetime],
  ]);
}

/**
 * The action that removes a mapping.
 *
 * @param service The gateway's service.
 * @param mapping Which one.
 * @returns The request.
 */
export function deletePortMapping(
  service: IgdService,
  mapping: Pick<MappingRequest, "protocol" | "externalPort">,
): IgdAction {
  return action(service, "DeletePortMapping", [
    ["NewRemoteHost", ""],
    ["NewExternalPort", mapping.externalPort],
    ["NewProtocol", mapping.protocol.toUpperCase()],
  ]);
}

/**
 * The action that asks for the address outside.
 *
 * @param service The gateway's service.
 * @returns The request.
 */
export function getExternalAddress(service: IgdService): IgdAction {
  return action(service, "GetExternalIPAddress", []);
}

/**
 * Reads the answer to {@linkcode getExternalAddress}.
 *
 * @param xml The envelope.
 * @returns A literal address, or `null` when the gateway has none.
 */
export function parseExternalAddress(xml: string): string | null {
  const address = elementText(xml, "NewExternalIPAddress") ?? "";
  return parseIp(address) === null ? null : address;
}

/**
 * Fails if an action has failed.
 *
 * @param status HTTP status.
 * @param xml The envelope.
 * @throws {PortMapError} With the number of the gateway's error as `code`, when it told one.
 */
export function checkOutcome(status: number, xml: string): void {
  if (status === 200) return;
  const code = Number(elementText(xml, "errorCode"));
  if (!Number.isSafeInteger(code) || code <= 0) throw new PortMapError(`it answered with HTTP status ${status}`);
  const words = (elementText(xml, "errorDescription") ?? "").replace(/[^\x20-\x7e]/g, "?").slice(
    0,
    MAX_GATEWAY_MESSAGE,
  );
  throw new PortMapError(`it refused with error ${code}${words === "" ? "" : ` (${words})`}`, { code });
}

function action(service: IgdService, name: string, args: readonly (readonly [string, string | number])[]): IgdAction {
  const inner = args.map(([key, value]) => `<${key}>${value}</${key}>`).join("");
  return {
    headers: { "content-type": 'text/xml; charset="utf-8"', soapaction: `"${service.type}#${name}"` },
    body: '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
      's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
      `<u:${name} xmlns:u="${service.type}">${inner}</u:${name}></s:Body></s:Envelope>\r\n`,
  };
}

/** The text of the first element of a name, whatever its prefix; `null` when there is none. Takes linear time. */
function elementText(xml: string, name: string): string | null {
  const found = new RegExp(`<(?:[\\w.-]{1,32}:)?${name}(?:\\s[^<>]*)?>([^<]*)<`).exec(xml)?.[1];
  return found === undefined ? null : found.trim().replaceAll("&amp;", "&");
}
