/**
 * Fuzzes answers of gateways, including forged ones.
 *
 * @module
 */

import { parseIp } from "../../../src/base/address.ts";
import { fromUtf8Lossy, utf8 } from "../../../src/base/bytes.ts";
import { PortMapError } from "../../../src/nat/errors.ts";
import { checkOutcome, parseDescription, parseExternalAddress } from "../../../src/nat/igd.ts";
import { parseNatPmpReply } from "../../../src/nat/nat_pmp.ts";
import { encodePcpMap, parsePcpReply } from "../../../src/nat/pcp.ts";
import { parseSearchReply } from "../../../src/nat/ssdp.ts";
import { attempt, hold, type Target } from "../target.ts";

const HOST = "192.168.1.1";
const LOCATION = `http://${HOST}:5000/d.xml`;
const TYPES = ["WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1", "Layer3Forwarding:1"];
const URLS = [
  "/ctl",
  "ctl?a=1&amp;b",
  `http://${HOST}/c`,
  "http://192.168.1.2/",
  "file:///x",
  "//[::1]/",
  "http://",
  "",
];

/** Target for `parseNatPmpReply()` and `parsePcpReply()`, which both get every input. */
export const gatewayReplyTarget: Target = {
  name: "gateway-reply",
  weight: 1,
  tokens: ["\0\x80", "\0\x81", "\0\x82", "\x02\x81", "\xff\xff"],
  generate(dice, draft) {
    if (dice.oneIn(2)) {
      const reply = dice.bytes(dice.pick([8, 12, 16]));
      reply[0] = 0;
      reply[1] = dice.pick([128, 129, 130]);
      if (!dice.oneIn(4)) reply.fill(0, 2, 4);
      return draft.raw(reply);
    }
    const request = {
      protocol: "tcp",
      internalPort: dice.below(65_536),
      externalPort: 1,
      lifetime: dice.below(2),
    } as const;
    const reply = encodePcpMap(request, { nonce: dice.bytes(12), client: "10.0.0.1" });
    reply[1] = 0x81;
    if (dice.oneIn(4)) reply[3] = dice.below(20);
    draft.raw(reply);
  },
  run(input) {
    const old = attempt(PortMapError, () => parseNatPmpReply(input));
    const reply = attempt(PortMapError, () => parsePcpReply(input));
    if (!(old instanceof PortMapError)) {
      if (old.kind === "address") hold(parseIp(old.address) !== null, "an address that is none");
      else hold(old.lifetime >= 0 && old.externalPort < 65_536, "a mapping that can't be");
    }
    if (!(reply instanceof PortMapError)) {
      hold(parseIp(reply.externalAddress) !== null, "an address that is none");
      hold(reply.nonce.length === 12 && reply.lifetime >= 0, "a mapping that can't be");
    }
    return old instanceof PortMapError && reply instanceof PortMapError ? reply : null;
  },
};

/** Target for UPnP. An input is parsed as an answer to a search, as a description, and as the outcome of an action. */
export const upnpTarget: Target = {
  name: "upnp",
  weight: 1,
  tokens: [
    ...["HTTP/1.1 200 OK\r\n", "LOCATION: ", "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n", LOCATION],
    ...[
      "<service>",
      "</service>",
      "<serviceType>",
      "<controlURL>",
      "<URLBase>",
      "<errorCode>",
      "<NewExternalIPAddress>",
      "<",
    ],
  ],
  generate(dice, draft) {
    const service = () =>
      `<service><serviceType>urn:schemas-upnp-org:service:${dice.pick(TYPES)}</serviceType>` +
      `<controlURL>${dice.pick(URLS)}</controlURL></service>`;
    const base = dice.oneIn(3) ? `<URLBase>${dice.pick(URLS)}</URLBase>` : "";
    draft.raw(utf8(dice.pick([
      base + service() + service(),
      `HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\nLOCATION: ${
        dice.pick([LOCATION, ...URLS])
      }\r\n\r\n`,
      `<errorCode>${dice.below(1000)}</errorCode><errorDescription>x</errorDescription>`,
      `<NewExternalIPAddress>${dice.below(300)}.1.2.3</NewExternalIPAddress>`,
    ])));
  },
  run(input) {
    const text = fromUtf8Lossy(input);
    const place = parseSearchReply(input, HOST);
    hold(place === null || (place.hostname === HOST && place.protocol === "http:"), "a place elsewhere");
    const address = parseExternalAddress(text);
    hold(address === null || parseIp(address) !== null, "an address that is none");
    const outcome = attempt(PortMapError, () => checkOutcome(500, text));
    hold(outcome instanceof PortMapError, "a failure that is none");
    hold(/^[\x20-\x7e]*$/.test(outcome.why), "words that can't be printed");
    const service = attempt(PortMapError, () => parseDescription(text, LOCATION));
    if (service instanceof PortMapError) return place === null && address === null ? service : null;
    hold(new URL(service.controlUrl).hostname === HOST, "a service elsewhere");
    return null;
  },
};
