import { assertEquals, assertThrows } from "@std/assert";
import { parseIp } from "../../src/base/address.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { PortMapError } from "../../src/nat/errors.ts";
import type { MappingRequest } from "../../src/nat/gateway.ts";
import {
  addPortMapping,
  checkOutcome,
  deletePortMapping,
  parseDescription,
  parseExternalAddress,
} from "../../src/nat/igd.ts";
import { encodeAddressRequest, encodeMappingRequest, parseNatPmpReply } from "../../src/nat/nat_pmp.ts";
import { answersRequest, encodePcpMap, parsePcpReply } from "../../src/nat/pcp.ts";
import { encodeSearch, parseSearchReply } from "../../src/nat/ssdp.ts";
import { fc } from "../support/property.ts";

const PORTS = fc.integer({ min: 0, max: 65_535 });
const SECONDS = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const PROTOCOL = fc.constantFrom("tcp" as const, "udp" as const);
const REQUEST: MappingRequest = { protocol: "udp", internalPort: 0x1ae1, externalPort: 0x1ae2, lifetime: 7200 };

Deno.test("encodeMappingRequest() writes what RFC 6886 section 3.3 draws", () => {
  assertEquals(encodeAddressRequest(), Uint8Array.of(0, 0));
  const bytes = [0, 1, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2, 0, 0, 0x1c, 0x20];
  assertEquals(encodeMappingRequest(REQUEST), Uint8Array.from(bytes));
  const removal = encodeMappingRequest({ ...REQUEST, protocol: "tcp", lifetime: 0 });
  assertEquals(removal, Uint8Array.of(0, 2, 0, 0, 0x1a, 0xe1, 0, 0, 0, 0, 0, 0));
});

Deno.test("parseNatPmpReply() reads answers, whatever the numbers", () => {
  fc.assert(fc.property(PROTOCOL, PORTS, PORTS, SECONDS, (protocol, internalPort, externalPort, lifetime) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint8(1, protocol === "udp" ? 129 : 130);
    view.setUint16(8, internalPort);
    view.setUint16(10, externalPort);
    view.setUint32(12, lifetime);
    assertEquals(parseNatPmpReply(bytes), { kind: "mapping", protocol, internalPort, externalPort, lifetime });
  }));
  const address = Uint8Array.of(0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 9);
  assertEquals(parseNatPmpReply(address), { kind: "address", address: "203.0.113.9" });
});

Deno.test("parseNatPmpReply() and parsePcpReply() throw nothing but PortMapError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    for (const parse of [parseNatPmpReply, parsePcpReply]) {
      try {
        parse(bytes);
      } catch (error) {
        if (!(error instanceof PortMapError)) throw error;
      }
    }
  }));
});

Deno.test("parseNatPmpReply() tells a refusal from nonsense", () => {
  const refusal = assertThrows(() => parseNatPmpReply(Uint8Array.of(0, 130, 0, 2, 0, 0, 0, 1)), PortMapError);
  assertEquals([refusal.code, refusal.why], [2, "the gateway says that port mapping is not allowed"]);
  for (const bytes of [[], [0], [0, 130, 0, 0, 0, 0, 0, 1], [2, 130, 0, 0, 0, 0, 0, 1], [0, 2, 0, 0, 0, 0, 0, 1]]) {
    assertEquals(assertThrows(() => parseNatPmpReply(Uint8Array.from(bytes)), PortMapError).code, null);
  }
});

Deno.test("encodePcpMap() writes what RFC 6887 sections 7.1 and 11.1 draw", () => {
  const nonce = Uint8Array.from({ length: 12 }, (_, i) => i + 1);
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
  assertEquals(
    encodePcpMap(REQUEST, { nonce, client: "192.168.1.5" }),
    Uint8Array.from([
      ...[2, 1, 0, 0, 0, 0, 0x1c, 0x20, ...mapped, 192, 168, 1, 5],
      ...[...nonce, 17, 0, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2, ...mapped, 0, 0, 0, 0],
    ]),
  );
  assertThrows(() => encodePcpMap(REQUEST, { nonce, client: "::1" }), RangeError);
});

Deno.test("parsePcpReply() reads the answer to any request, and knows whose it is", () => {
  const nonces = fc.uint8Array({ minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(PROTOCOL, PORTS, PORTS, SECONDS, nonces, (protocol, internalPort, externalPort, lifetime, raw) => {
      const nonce = Uint8Array.from(raw);
      const request = { protocol, internalPort, externalPort: lifetime === 0 ? 0 : externalPort, lifetime };
      const bytes = encodePcpMap(request, { nonce, client: "10.0.0.2" });
      bytes[1] = 0x81;
      bytes.set(parseIp("203.0.113.9")!, 56);
      const reply = parsePcpReply(bytes);
      assertEquals(reply, { ...request, nonce, externalAddress: "203.0.113.9" });
      assertEquals(answersRequest(reply, { request, nonce }), true);
      const other = Uint8Array.from(nonce, (byte, i) => i === 11 ? byte ^ 1 : byte);
      assertEquals(answersRequest(reply, { request, nonce: other }), false);
      assertEquals(answersRequest(reply, { request: { ...request, internalPort: internalPort ^ 1 }, nonce }), false);
    }),
  );
});

Deno.test("parseSearchReply() takes a gateway's own address and no other", () => {
  const target = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
  const reply = (location: string, st = target) =>
    utf8(`HTTP/1.1 200 OK\r\ncache-control: max-age=1\r\nst: ${st}\r\nLOCATION:${location}\r\n\r\n`);
  const from = "192.168.1.1";
  assertEquals(parseSearchReply(reply("http://192.168.1.1:5000/d.xml"), from)?.href, "http://192.168.1.1:5000/d.xml");
  for (const bad of ["http://192.168.1.2/", "https://192.168.1.1/", "http://192.168.1.1@8.8.8.8/", "", "/d.xml"]) {
    assertEquals(parseSearchReply(reply(bad), from), null, bad);
  }
  assertEquals(parseSearchReply(reply("http://192.168.1.1/", "urn:schemas-upnp-org:device:MediaServer:1"), from), null);
  assertEquals(parseSearchReply(encodeSearch(target), from), null);
});

Deno.test("parseDescription() prefers the newest service, and finds its place by any rule that there is", () => {
  const service = (type: string, url: string) =>
    `<service>\n<serviceType> urn:schemas-upnp-org:service:${type} </serviceType><controlURL>${url}</controlURL></service>`;
  const location = "http://192.168.1.1:5000/a/d.xml";
  const both = service("WANPPPConnection:1", "/ppp") + service("WANIPConnection:1", "ip") + service("X:1", "/x");
  assertEquals(parseDescription(both, location).controlUrl, "http://192.168.1.1:5000/a/ip");
  const based = `<URLBase>http://192.168.1.1:80/b/</URLBase>${service("WANIPConnection:2", "c?x=1&amp;y")}`;
  assertEquals(parseDescription(based, location).controlUrl, "http://192.168.1.1/b/c?x=1&y");
  for (const bad of ["", "<service>", service("X:1", "/x"), service("WANIPConnection:1", "http://192.168.1.9/")]) {
    assertThrows(() => parseDescription(bad, location), PortMapError);
  }
});

Deno.test("an action names its service, its ports and our address", () => {
  const service = { type: "urn:schemas-upnp-org:service:WANIPConnection:1", controlUrl: "http://192.168.1.1/c" };
  const { headers, body } = addPortMapping(service, { ...REQUEST, client: "192.168.1.5" });
  assertEquals(headers.soapaction, `"${service.type}#AddPortMapping"`);
  const order = [...body.matchAll(/<(New\w+)>([^<]*)</g)].map(([, name, value]) => `${name}=${value}`);
  assertEquals(order, [
    ...["NewRemoteHost=", "NewExternalPort=6882", "NewProtocol=UDP", "NewInternalPort=6881"],
    ...["NewInternalClient=192.168.1.5", "NewEnabled=1", "NewPortMappingDescription=Shoal", "NewLeaseDuration=7200"],
  ]);
  assertEquals([...deletePortMapping(service, REQUEST).body.matchAll(/<New/g)].length, 3);
});

Deno.test("checkOutcome() gives the gateway's number and its words, made printable", () => {
  const fault =
    "<s:Fault><detail><UPnPError><errorCode>718</errorCode><errorDescription>Con\x1b[31mflict</errorDescription>";
  const error = assertThrows(() => checkOutcome(500, fault), PortMapError);
  assertEquals([error.code, error.why], [718, "it refused with error 718 (Con?[31mflict)"]);
  assertEquals(assertThrows(() => checkOutcome(404, "<html>"), PortMapError).code, null);
  checkOutcome(200, "");
});

Deno.test("parseExternalAddress() takes an address, and nothing else", () => {
  assertEquals(parseExternalAddress("<a:NewExternalIPAddress> 1.2.3.4 </a:NewExternalIPAddress>"), "1.2.3.4");
  for (
    const bad of ["", "<NewExternalIPAddress></NewExternalIPAddress>", "<NewExternalIPAddress>x</NewExternalIPAddress>"]
  ) {
    assertEquals(parseExternalAddress(bad), null);
  }
});
