import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { type Encodable, encode } from "../../src/bencode/mod.ts";
import { findFailure, parseAnnounceReply } from "../../src/tracker/announce_reply.ts";
import { parseScrapeReply } from "../../src/tracker/scrape.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { TrackerError } from "../../src/tracker/errors.ts";
import { fc } from "../support/property.ts";

const parse = (reply: { readonly [key: string]: Encodable }) => parseAnnounceReply(encode(reply));

Deno.test("parseAnnounceReply() reads everything that a tracker may say", () => {
  const reply = parse({
    interval: 1800,
    "min interval": 60,
    "tracker id": Uint8Array.of(1, 255),
    complete: 5,
    incomplete: 6,
    "external ip": Uint8Array.of(1, 2, 3, 4),
    "warning message": "be nice",
    peers: Uint8Array.of(10, 0, 0, 1, 0x1a, 0xe1),
    peers6: concatBytes([Uint8Array.of(0x20, 1, 0xd, 0xb8), new Uint8Array(11), Uint8Array.of(1, 0x1a, 0xe2)]),
  });
  assertEquals(reply, {
    interval: 1_800_000,
    minInterval: 60_000,
    trackerId: Uint8Array.of(1, 255),
    seeders: 5,
    leechers: 6,
    externalIp: "1.2.3.4",
    warning: "be nice",
    peers: [{ host: "10.0.0.1", port: 6881 }, { host: "2001:db8::1", port: 6882 }],
  });
});

Deno.test("parseAnnounceReply() takes an answer that says nothing", () => {
  assertEquals(parse({}), {
    interval: null,
    minInterval: null,
    trackerId: null,
    seeders: null,
    leechers: null,
    externalIp: null,
    warning: "",
    peers: [],
  });
});

Deno.test("parseAnnounceReply() passes over values that make no sense", () => {
  const reply = parse({
    interval: 0,
    "min interval": -5,
    "tracker id": new Uint8Array(513),
    complete: -1,
    incomplete: "many",
    "external ip": "1.2.3.4",
    peers: 7,
    peers6: [],
  });
  assertEquals(reply, parse({}));
});

Deno.test("parseAnnounceReply() reads peers in the long form and skips bad ones", () => {
  const peers = [
    { ip: "10.0.0.1", port: 1, "peer id": "x".repeat(20) },
    { ip: "2001:DB8::0:1", port: 65535 },
    { ip: "peer.example", port: 2 },
    { ip: "10.0.0.1", port: 0 },
    { ip: "10.0.0.1", port: 65536 },
    { ip: "10.0.0.1" },
    { port: 3 },
    "10.0.0.1:4",
    { ip: "10.0.0.1", port: 1 },
  ];
  assertEquals(parse({ peers }).peers, [{ host: "10.0.0.1", port: 1 }, { host: "2001:db8::1", port: 65535 }]);
});

Deno.test("parseAnnounceReply() leaves out port 0, doubles and a broken tail of a compact list", () => {
  const peers = Uint8Array.of(1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 0, 9, 2, 2, 2, 2, 0, 9, 3, 3, 3);
  assertEquals(parse({ peers }).peers, [{ host: "2.2.2.2", port: 9 }]);
});

Deno.test("parseAnnounceReply() takes no more than 2,000 peers", () => {
  const compact = concatBytes(Array.from({ length: 3000 }, (_, i) => Uint8Array.of(1, 1, i >> 8, i & 255, 0, 1)));
  assertEquals(parse({ peers: compact }).peers.length, 2000);
  const listed = Array.from({ length: 3000 }, (_, i) => ({ ip: "10.0.0.1", port: i + 1 }));
  assertEquals(parse({ peers: listed }).peers.length, 2000);
});

Deno.test("parseAnnounceReply() looks at no more than 2,000 entries of a list, good or bad", () => {
  const good = { ip: "1.2.3.4", port: 1 };
  assertEquals(parse({ peers: [...new Array(1999).fill({}), good] }).peers.length, 1);
  assertEquals(parse({ peers: [...new Array(2000).fill({}), good] }).peers.length, 0);
});

Deno.test("parseAnnounceReply() throws the reason for a failure, as one printable line", () => {
  const reason = (text: string) => assertThrows(() => parse({ "failure reason": text, interval: 5 }), TrackerError);
  assertEquals(reason("not registered").why, "not registered");
  assertEquals(reason("a\u001b[31m\r\nb\u202e").why, "a [31m b");
  assertEquals(reason("").why, "no reason given");
  assertEquals(reason("x".repeat(1000)).why.length, 303);
  assertEquals([reason("no").kind, reason("no").retryIn], ["network", null]);
});

for (
  const [value, expected] of [
    ["5", 300_000],
    [5, 300_000],
    ["never", Infinity],
    ["soon", null],
    ["-1", null],
    [0, null],
    ["99999999999", null],
  ] as const
) {
  Deno.test(`parseAnnounceReply() understands "retry in" ${JSON.stringify(value)}`, () => {
    const error = assertThrows(() => parse({ "failure reason": "no", "retry in": value }), TrackerError);
    assertEquals(error.retryIn, expected);
  });
}

for (
  const body of [
    "",
    "<!DOCTYPE html><html>\n<body>Log in",
    "le",
    "i5e",
    "d8:interval",
    "d8:intervali5ex",
    "\nde",
    "\ufeffde",
  ]
) {
  Deno.test(`parseAnnounceReply() says that ${JSON.stringify(body)} is not the answer of a tracker`, () => {
    const error = assertThrows(() => parseAnnounceReply(utf8(body)), TrackerError);
    assertStringIncludes(error.why, body === "" ? "the answer is empty" : "the answer is not that of a tracker but ");
  });
}

Deno.test("parseAnnounceReply() says what kind of thing stands in place of an answer, and shows none of it", () => {
  const kinds: [string, string][] = [
    ["<html>\n<title>secret</title>", "a web page"],
    ['\ufeff <!DOCTYPE html PUBLIC "secret">', "a web page"],
    ['<?xml version="1.0"?><secret/>', "XML"],
    ['{ "secret": 1 }', "JSON"],
    ["secret", "text"],
    ["secret\0", "binary data"],
  ];
  for (const [body, kind] of kinds) {
    const error = assertThrows(() => parseAnnounceReply(utf8(body)), TrackerError);
    assertEquals(error.why, `the answer is not that of a tracker but ${kind}`);
  }
});

Deno.test("parseAnnounceReply() throws nothing but TrackerError, whatever the bytes", () => {
  const bytes = fc.oneof(fc.uint8Array(), fc.string().map((text) => utf8(`d5:peers${text}e`)));
  fc.assert(fc.property(bytes, (body) => {
    try {
      const reply = parseAnnounceReply(body);
      assert(reply.peers.every((peer) => peer.port > 0 && peer.port < 65536));
    } catch (error) {
      assertInstanceOf(error, TrackerError);
    }
  }));
});

for (const behind of ["\n", "\r\n", " ", "\0", "e", "<!-- 0.02 s -->", "de"]) {
  Deno.test(`an answer of a tracker may have ${JSON.stringify(behind)} behind it, as with other clients`, () => {
    assertEquals(parseAnnounceReply(utf8(`d8:intervali1800e5:peers6:abcdefe${behind}`)).peers.length, 1);
    const failing = utf8(`d14:failure reason2:noe${behind}`);
    assertEquals(assertThrows(() => parseAnnounceReply(failing), TrackerError).why, "no");
    assertEquals(findFailure(failing)?.why, "no");
    const infoHash = new InfoHash(utf8("A".repeat(20)));
    const scrape = utf8(`d5:filesd20:${"A".repeat(20)}d8:completei5e10:incompletei6eeee${behind}`);
    assertEquals(parseScrapeReply(scrape, infoHash), { seeders: 5, leechers: 6 });
  });
}

Deno.test("parseAnnounceReply() takes numbers with zeros in front, and what stands deep in keys that it doesn't know", () => {
  const reply = parseAnnounceReply(
    utf8(`d8:completei-0e8:intervali01800e5:peers06:abcdef1:x${"l".repeat(40)}${"e".repeat(41)}`),
  );
  assertEquals([reply.interval, reply.seeders, reply.peers.length], [1_800_000, 0, 1]);
});

Deno.test("parseAnnounceReply() takes a failure reason that is no text for none, as other clients do", () => {
  assertEquals(parse({ "failure reason": 5, peers: utf8("abcdef") }).peers.length, 1);
});

Deno.test("findFailure() finds the reason if there is one", () => {
  assertEquals(findFailure(utf8("d14:failure reason2:noe"))?.why, "no");
  assertEquals(findFailure(utf8("d8:intervali5ee")), null);
  assertEquals(findFailure(utf8("Not Found")), null);
});
