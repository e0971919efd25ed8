/**
 * Messages of the UPnP Internet Gateway Device protocol over HTTP: the device description, and the actions of the
 * services `WANIPConnection` and `WANPPPConnection` (IGD:1 and IGD:2).
 *
 * Only a few elements are needed. Their names are fixed and their content is plain text, so they are extracted with a
 * regular expression instead of an XML parser.
 *
 * @module
 */

import { parseIp } from "../base/address.ts";
import { MAX_GATEWAY_MESSAGE, MAX_GATEWAY_SERVICES } from "../base/defences.ts";
import { PortMapError } from "./errors.ts";
import type { MappingRequest } from "./gateway.ts";

/** Service types that map ports, best first. */
const SERVICES = [
  "urn:schemas-upnp-org:service:WANIPConnection:2",
  "urn:schemas-upnp-org:service:WANIPConnection:1",
  "urn:schemas-upnp-org:service:WANPPPConnection:1",
];

/** Error codes of the service that the client handles (WANIPConnection:2, section 2.5). */
export const IGD_ERROR = {
  /** The external port is mapped for another host. */
  conflict: 718,
  /** The gateway supports permanent mappings only. */
  onlyPermanent: 725,
  /** There is no such mapping. */
  noSuchEntry: 714,
} as const;

/** A service that maps ports. */
export interface IgdService {
  /** Service type. */
  readonly type: string;
  /** URL to which actions are posted. */
  readonly controlUrl: string;
}

/** An action as an HTTP `POST` request. */
export interface IgdAction {
  /** Header fields. */
  readonly headers: Readonly<Record<string, string>>;
  /** SOAP envelope. */
  readonly body: string;
}

/**
 * Finds the service that maps ports in a device description.
 *
 * @returns The best service.
 * @throws {PortMapError} If there is no such service, or its control URL is on another host.
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

/** Creates the action that maps a port or renews a mapping. */
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

/** Creates the action that removes a mapping. */
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

/** Creates the action that asks for the external address. */
export function getExternalAddress(service: IgdService): IgdAction {
  return action(service, "GetExternalIPAddress", []);
}

/**
 * Decodes the answer to {@linkcode getExternalAddress}.
 *
 * @returns A literal IP address, or `null` if the gateway has none.
 */
export function parseExternalAddress(xml: string): string | null {
  const address = elementText(xml, "NewExternalIPAddress") ?? "";
  return parseIp(address) === null ? null : address;
}

/**
 * Throws if an action has failed.
 *
 * @throws {PortMapError} If the status is not 200. `code` is the gateway's error code, if the envelope has one.
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

/** Returns the text of the first element with a name, with any prefix, or `null`. Takes linear time. */
function elementText(xml: string, name: string): string | null {
  const found = new RegExp(`<(?:[\\w.-]{1,32}:)?${name}(?:\\s[^<>]*)?>([^<]*)<`).exec(xml)?.[1];
  return found === undefined ? null : found.trim().replaceAll("&amp;", "&");
}
