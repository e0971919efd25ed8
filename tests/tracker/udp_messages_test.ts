import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { concatBytes, fromUtf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { TrackerError } from "../../src/tracker/errors.ts";
import {
  encodeAnnounce,
  encodeConnect,
  parseConnectReply,
  parseReplyHeader,
  parseUdpAnnounceReply,
  parseUdpUrl,
} from "../../src/tracker/udp_messages.ts";
import { fc } from "../support/property.ts";

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const count = fc.oneof(fc.maxSafeNat(), fc.constant(Infinity));

Deno.test("encodeConnect() is the 16 bytes of BEP 15", () => {
  const expected = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];
  assertEquals([...encodeConnect(0xdeadbeef)], expected);
});

Deno.test("encodeAnnounce() puts everything where BEP 15 and 41 have it", () => {
  const announces = fc.record({
    hash: bytesOf(20),
    peerId: bytesOf(20),
    port: fc.integer({ min: 1, max: 65_535 }),
    uploaded: count,
    downloaded: count,
    left: count,
    event: fc.constantFrom(null, "started", "completed", "stopped", "paused"),
    numwant: fc.integer({ min: 0, max: 200 }),
    key: uint32,
    urlData: fc.string({ maxLength: 700 }),
    connectionId: bytesOf(8),
    transactionId: uint32,
  });
  fc.assert(fc.property(announces, (announce) => {
    const { hash, uploaded, downloaded, left, key, connectionId, transactionId, ...rest } = announce;
    const bytes = encodeAnnounce({
      ...rest,
      infoHash: new InfoHash(hash),
      progress: { uploaded, downloaded, left },
      key: key.toString(16).padStart(8, "0"),
    }, { connectionId, transactionId });
    const view = new DataView(bytes.buffer);
    assertEquals(bytes.subarray(0, 8), connectionId);
    assertEquals([view.getUint32(8), view.getUint32(12)], [1, transactionId]);
    assertEquals(bytes.subarray(16, 56), concatBytes([hash, rest.peerId]));
    const int64 = (value: number) => value === Infinity ? 2n ** 63n - 1n : BigInt(value);
    assertEquals([56, 64, 72].map((at) => view.getBigInt64(at)), [downloaded, left, uploaded].map(int64));
    const event = { none: 0, completed: 1, started: 2, stopped: 3, paused: 0 }[rest.event ?? "none"];
    assertEquals([80, 84, 88, 92].map((at) => view.getUint32(at)), [event, 0, key, rest.numwant]);
    assertEquals(view.getUint16(96), rest.port);
    assertEquals(urlDataOf(bytes.subarray(98)), rest.urlData.toWellFormed());
  }));
});

/** Returns the URL data in options as a tracker reads them (BEP 41). */
function urlDataOf(options: Uint8Array): string | null {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < options.length && options[at] !== 0;) {
    assertEquals(options[at], 2);
    const length = options[at + 1]!;
    parts.push(options.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return fromUtf8(concatBytes(parts));
}

Deno.test("parseUdpAnnounceReply() reads what a tracker writes, for either family", () => {
  const replies = fc.record({
    interval: fc.integer({ min: -5, max: 2 ** 31 - 1 }),
    leechers: fc.integer({ min: -5, max: 2 ** 31 - 1 }),
    seeders: fc.integer({ min: -5, max: 2 ** 31 - 1 }),
    hosts: fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 24 }), { maxLength: 30 }),
    port: fc.integer({ min: 1, max: 65_535 }),
    family: fc.constantFrom(4 as const, 6 as const),
    tail: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(fc.property(replies, ({ interval, leechers, seeders, hosts, port, family, tail }) => {
    const size = family === 4 ? 6 : 18;
    const bytes = new Uint8Array(20 + hosts.length * size + tail);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 1);
    for (const [i, value] of [interval, leechers, seeders].entries()) view.setInt32(8 + 4 * i, value);
    for (const [i, host] of hosts.entries()) {
      bytes[20 + i * size] = 32;
      view.setUint32(20 + i * size + size - 6, host | (family === 4 ? 32 << 24 : 0));
      view.setUint16(20 + i * size + size - 2, port);
    }
    const reply = parseUdpAnnounceReply(bytes, family);
    assertEquals(reply.interval, interval > 0 ? interval * 1000 : null);
    assertEquals([reply.leechers, reply.seeders], [leechers, seeders].map((value) => value >= 0 ? value : null));
    assertEquals(reply.peers.map((peer) => peer.port), hosts.map(() => port));
    assertEquals(reply.peers.every(({ host }) => host.includes(":") === (family === 6)), true);
  }));
});

Deno.test("parseUdpAnnounceReply() gives each peer once, and no more than 2,000", () => {
  const bytes = new Uint8Array(20 + 6 * 4000);
  bytes[3] = 1;
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < 4000; i++) view.setUint32(20 + 6 * i, 0x0a000000 + (i >> 1)), view.setUint16(24 + 6 * i, 9);
  assertEquals(parseUdpAnnounceReply(bytes, 4).peers.length, 1000);
});

Deno.test("What reads answers of UDP trackers throws TrackerError and nothing else", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(4), (bytes, action) => {
    if (bytes.length >= 4) bytes.set([0, 0, 0, action]);
    assertEquals(parseReplyHeader(bytes) === null, bytes.length < 8);
    for (const read of [() => parseConnectReply(bytes), () => parseUdpAnnounceReply(bytes, 6)]) {
      try {
        read();
      } catch (error) {
        assertInstanceOf(error, TrackerError);
      }
    }
  }));
  assertThrows(() => parseConnectReply(new Uint8Array(0)), TrackerError);
});

Deno.test("parseUdpUrl() finds host, port, path and query, or what is wrong", () => {
  assertEquals(parseUdpUrl("udp://[2001:db8::1]:6969/announce?a=b#c"), {
    host: "2001:db8::1",
    port: 6969,
    urlData: "/announce?a=b",
  });
  assertEquals(parseUdpUrl("udp://tracker.example:80"), { host: "tracker.example", port: 80, urlData: "" });
  for (const url of ["udp:", "udp:///announce", "http://a:1", "nonsense", "udp://a:99999/"]) {
    assertEquals(parseUdpUrl(url), { fault: "not a valid URL" });
  }
  for (const url of ["udp://a/", "udp://a:0/"]) {
    assertEquals(parseUdpUrl(url), { fault: "a UDP tracker needs a port in its URL" });
  }
});
