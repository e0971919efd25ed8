import { parseNetworks } from "../../src/base/ip_ranges.ts";
import { Trust } from "../../src/tracker_server/address_trust.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { concatBytes, fromUtf8, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { ConnectionIds } from "../../src/tracker_server/connection_ids.ts";
import { SwarmStore, type SwarmStoreOptions } from "../../src/tracker_server/swarm_store.ts";
import {
  encodeConnectReply,
  encodeUdpAnnounceReply,
  encodeUdpError,
  encodeUdpScrapeReply,
  parseUdpRequest,
} from "../../src/tracker_server/udp_requests.ts";
import { UdpServer } from "../../src/tracker_server/udp_server.ts";
import { TrackerError } from "../../src/tracker/errors.ts";
import {
  encodeAnnounce,
  encodeConnect,
  parseConnectReply,
  parseReplyHeader,
  parseUdpAnnounceReply,
} from "../../src/tracker/udp_messages.ts";
import { fc } from "../support/property.ts";
import { UdpWorld } from "../support/udp_world.ts";
import { settle } from "../support/virtual_clock.ts";

const HASH = new InfoHash(new Uint8Array(20).fill(7));
const A = { host: "10.0.0.1", port: 1111 };
const B = { host: "10.0.0.2", port: 2222 };
const SIX = { host: "2001:db8::6", port: 666 };

interface Announced {
  readonly id: Uint8Array;
  readonly port?: number;
  readonly left?: number;
  readonly event?: "started" | "completed" | "stopped" | null;
  readonly numwant?: number;
}

function announceOf({ id, port = 6881, left = 9, event = "started", numwant = 50 }: Announced): Uint8Array {
  return encodeAnnounce({
    infoHash: HASH,
    peerId: utf8(`-XX0000-${String(port).padStart(12, "0")}`),
    port,
    progress: { uploaded: 0, downloaded: 0, left },
    event,
    numwant,
    key: "00000001",
    urlData: "/announce",
  }, { connectionId: id, transactionId: 5 });
}

/** A server on a socket in memory. */
class Bench {
  readonly world = new UdpWorld();
  readonly answered: string[] = [];
  /** Addresses whose requests exceed the limit. */
  readonly tooOften = new Set<string>();
  readonly store: SwarmStore;
  readonly server: UdpServer;

  constructor(options: Partial<SwarmStoreOptions> = {}) {
    this.store = new SwarmStore({ interval: 60_000, random: () => this.world.random(), ...options });
    const platform = {
      now: () => this.world.now(),
      randomBytes: (length: number) => this.world.randomBytes(length),
      digest: (algorithm: "sha1" | "sha256") => denoPlatform.digest(algorithm),
      net: this.world.net,
    };
    this.server = new UdpServer(platform, {
      host: "::",
      port: 0,
      interval: 60,
      store: this.store,
      admits: (host) => !this.tooOften.has(host),
      answered: (kind) => this.answered.push(kind),
    });
  }

  /** Returns the answer to a datagram, sent to the right address. */
  async ask(bytes: Uint8Array, from = A): Promise<Uint8Array | null> {
    const { world } = this;
    const before = world.sent.length;
    world.sockets[0]!.deliver(bytes, from);
    await settle();
    const answers = world.sent.slice(before);
    assertEquals(answers.length <= 1, true);
    return answers[0]?.bytes ?? null;
  }

  async connect(from = A): Promise<Uint8Array> {
    return parseConnectReply((await this.ask(encodeConnect(1), from))!);
  }
}

Deno.test("UdpServer gives peers of the asker's family to whoever has a connection id", async () => {
  const bench = new Bench();
  const reply = await bench.ask(announceOf({ id: await bench.connect() }));
  assertEquals(parseReplyHeader(reply!), { action: 1, transactionId: 5 });
  await bench.ask(announceOf({ id: await bench.connect(SIX), port: 6882, left: 0 }), SIX);
  const toB = parseUdpAnnounceReply((await bench.ask(announceOf({ id: await bench.connect(B), port: 6883 }), B))!, 4);
  assertEquals([toB.peers, toB.seeders, toB.leechers, toB.interval], [[{ host: A.host, port: 6881 }], 1, 2, 60_000]);
  const other = { host: "2001:db8::7", port: 5 };
  const id = await bench.connect(other);
  const toSix = parseUdpAnnounceReply((await bench.ask(announceOf({ id, port: 7000 }), other))!, 6);
  assertEquals(toSix.peers, [{ host: SIX.host, port: 6882 }]);
  assertEquals(bench.answered.filter((kind) => kind === "announce").length, 4);
  bench.server.close();
});

Deno.test("UdpServer hears of completed and stopped, and counts them", async () => {
  const bench = new Bench();
  const id = await bench.connect();
  await bench.ask(announceOf({ id }));
  await bench.ask(announceOf({ id, left: 0, event: "completed" }));
  const { complete, downloaded } = bench.store.scrape(HASH);
  assertEquals([complete, downloaded], [1, 1]);
  const gone = await bench.ask(announceOf({ id, left: 0, event: "stopped" }));
  assertEquals(parseUdpAnnounceReply(gone!, 4).peers, []);
  assertEquals(bench.store.peerCount, 0);
  bench.server.close();
});

Deno.test("parseUdpRequest() believes the address in an announce only from who is trusted", () => {
  const bytes = announceOf({ id: new Uint8Array(8) });
  const hostFor = (from: string, trusted: string) => {
    const parsed = parseNetworks(trusted);
    assert("networks" in parsed);
    const request = parseUdpRequest(bytes, { host: from, port: 1 }, new Trust({ clients: parsed.networks }));
    assert(request?.kind === "announce");
    return request.query.address.host;
  };
  assertEquals(hostFor("127.0.0.1", "127.0.0.1"), "127.0.0.1");
  bytes.set([198, 51, 100, 1], 84);
  assertEquals([hostFor("127.0.0.1", "127.0.0.1"), hostFor("127.0.0.1", "10.0.0.1")], ["198.51.100.1", "127.0.0.1"]);
  bytes.set([224, 0, 0, 1], 84);
  assertEquals(hostFor("127.0.0.1", "127.0.0.1"), "127.0.0.1");
});

Deno.test("UdpServer hears of partial seeds, which are incomplete but want nothing more", async () => {
  const bench = new Bench();
  const id = await bench.connect();
  const paused = announceOf({ id, left: 5 });
  new DataView(paused.buffer, paused.byteOffset).setUint32(80, 4);
  const reply = parseUdpAnnounceReply((await bench.ask(paused))!, 4);
  assertEquals([reply.seeders, reply.leechers], [0, 1]);
  assertEquals(bench.store.scrape(HASH), { complete: 0, incomplete: 1, downloaded: 0, downloaders: 0 });
  await bench.ask(announceOf({ id, left: 5 }));
  assertEquals(bench.store.scrape(HASH).downloaders, 1);
  bench.server.close();
});

Deno.test("UdpServer answers a scrape in the order of the request", async () => {
  const bench = new Bench();
  const id = await bench.connect();
  await bench.ask(announceOf({ id, left: 0 }));
  const head = concatBytes([id, Uint8Array.of(0, 0, 0, 2, 0, 0, 0, 9)]);
  const reply = await bench.ask(concatBytes([head, new Uint8Array(20), HASH.bytes]));
  assertEquals([...reply!], [
    0,
    0,
    0,
    2,
    0,
    0,
    0,
    9,
    ...new Array<number>(12).fill(0),
    0,
    0,
    0,
    1,
    ...new Array<number>(8).fill(0),
  ]);
  const why = async (hashes: number) => {
    const refusal = await bench.ask(concatBytes([head, new Uint8Array(20 * hashes)]));
    return fromUtf8(refusal!.subarray(8));
  };
  assertEquals(await why(0), "info_hash is missing");
  assertEquals(await why(75), "at most 74 torrents can be asked for at once");
  assertEquals((await bench.ask(concatBytes([head, new Uint8Array(20 * 74)])))!.length, 8 + 12 * 74);
  bench.server.close();
});

Deno.test("UdpServer answers nobody who has no connection id of ours, or one of another address, or an old one", async () => {
  const bench = new Bench();
  const id = await bench.connect();
  assertEquals(await bench.ask(announceOf({ id: new Uint8Array(8) })), null);
  assertEquals(await bench.ask(announceOf({ id }), B), null);
  assertEquals(bench.store.peerCount, 0);
  assertEquals(await bench.ask(announceOf({ id }), { host: A.host, port: 9999 }) !== null, true, "NATs change ports");
  bench.world.advance(120_000);
  assertEquals(await bench.ask(announceOf({ id })) !== null, true);
  bench.world.advance(120_000);
  assertEquals(await bench.ask(announceOf({ id })), null);
  bench.server.close();
});

Deno.test("UdpServer never answers with more than it was asked with, before it knows the asker", async () => {
  const bench = new Bench();
  for (const length of [0, 1, 15, 16, 17, 97, 98, 500]) {
    const bytes = new Uint8Array(length);
    assertEquals(await bench.ask(bytes), null);
  }
  const junk = encodeConnect(1);
  junk[7]! ^= 1;
  assertEquals(await bench.ask(junk), null);
  assertEquals((await bench.ask(encodeConnect(1)))!.length, 16);
  bench.server.close();
});

Deno.test("UdpServer says why it refuses", async () => {
  const bench = new Bench({ allow: [new InfoHash(new Uint8Array(20))] });
  const id = await bench.connect();
  const why = async (bytes: Uint8Array) => fromUtf8((await bench.ask(bytes))!.subarray(8));
  assertEquals(await why(announceOf({ id })), "this tracker does not serve that torrent");
  assertEquals(await why(announceOf({ id }).subarray(0, 97)), "an announce has at least 98 bytes");
  assertEquals(await why(announceOf({ id, port: 0 })), "port must be 1 to 65535");
  const unknown = announceOf({ id });
  unknown[11] = 9;
  assertEquals(await why(unknown), "only announce and scrape are understood");
  assertEquals(bench.answered, ["connect", ...new Array<string>(4).fill("refused")]);
  bench.server.close();
});

Deno.test("UdpServer refuses whoever asks too often, but never a connect, which anybody can send in another's name", async () => {
  const bench = new Bench();
  const id = await bench.connect();
  bench.tooOften.add(A.host);
  const reply = await bench.ask(announceOf({ id }));
  assertEquals(new TextDecoder().decode(reply!.subarray(8)), "too many requests from your address");
  assertEquals(bench.answered, ["connect", "refused"]);
  assertEquals((await bench.connect()).length, 8);
  assertEquals(parseReplyHeader((await bench.ask(announceOf({ id: await bench.connect(B) }), B))!)!.action, 1);
  bench.server.close();
});

Deno.test("UdpServer keeps its answers to what fits a packet", async () => {
  const bench = new Bench();
  const add = (host: string, i: number) =>
    bench.store.announce({
      infoHash: HASH,
      peerId: utf8(`peer${String(i).padStart(16, "0")}`),
      address: { host, port: 1000 + i },
      left: 1,
      event: "",
      numwant: 0,
    }, 0);
  for (let i = 0; i < 300; i++) add(`10.9.${i & 7}.9`, i), add(`2001:db8:${i & 7}::99`, i);
  const [four, six] = [await bench.connect(), await bench.connect(SIX)];
  const numwant = 2 ** 31 - 1;
  assertEquals((await bench.ask(announceOf({ id: four, numwant })))!.length, 20 + 6 * 200);
  assertEquals((await bench.ask(announceOf({ id: six, numwant }), SIX))!.length, 20 + 18 * 70);
  bench.server.close();
});

Deno.test("ConnectionIds can't be foretold: another secret gives other ids", () => {
  const world = new UdpWorld();
  const platform = {
    randomBytes: (length: number) => world.randomBytes(length),
    digest: (algorithm: "sha1" | "sha256") => denoPlatform.digest(algorithm),
  };
  const [one, two] = [new ConnectionIds(platform), new ConnectionIds(platform)];
  const id = one.issue("10.0.0.1", 0);
  assertEquals([id.length, one.accepts(id, { host: "10.0.0.1", now: 119_000 })], [8, true]);
  assertEquals(two.accepts(id, { host: "10.0.0.1", now: 0 }), false);
});

Deno.test("parseUdpRequest() reads what our client writes, and never throws", () => {
  const announces = fc.record({
    left: fc.maxSafeNat(),
    port: fc.integer({ min: 1, max: 65_535 }),
    event: fc.constantFrom(null, "started", "completed", "stopped"),
    numwant: fc.integer({ min: 0, max: 1000 }),
    id: fc.uint8Array({ minLength: 8, maxLength: 8 }),
  });
  fc.assert(fc.property(announces, (announce) => {
    const request = parseUdpRequest(announceOf(announce), SIX);
    if (request?.kind !== "announce") throw new Error("no announce");
    const { query, connectionId, transactionId } = request;
    assertEquals([connectionId, transactionId], [announce.id, 5]);
    assertEquals([query.left, query.event, query.numwant], [announce.left, announce.event ?? "", announce.numwant]);
    assertEquals([query.address, query.family], [{ host: SIX.host, port: announce.port }, 6]);
  }));
  assertEquals(parseUdpRequest(encodeConnect(77), A), { kind: "connect", transactionId: 77 });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => void parseUdpRequest(bytes, A)));
});

Deno.test("What UdpServer writes is what our client reads", () => {
  const uint31 = fc.integer({ min: 0, max: 2 ** 31 - 1 });
  fc.assert(fc.property(uint31, uint31, uint31, fc.string(), (interval, seeders, leechers, why) => {
    const reply = encodeUdpAnnounceReply({ seeders, leechers, peers: [] }, { transactionId: 3, interval });
    const read = parseUdpAnnounceReply(reply, 4);
    assertEquals([read.seeders, read.leechers], [seeders, leechers]);
    assertEquals(read.interval, interval > 0 ? interval * 1000 : null);
    const error = encodeUdpError(4, why);
    assertEquals(parseReplyHeader(error), { action: 3, transactionId: 4 });
    assertThrows(() => parseUdpAnnounceReply(error, 4), TrackerError);
  }));
  assertEquals(parseConnectReply(encodeConnectReply(1, new Uint8Array(8).fill(3))), new Uint8Array(8).fill(3));
  const counts = { complete: 1, downloaded: 2, incomplete: 3, downloaders: 3 };
  assertEquals([...encodeUdpScrapeReply(1, [counts])].slice(8), [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
});
