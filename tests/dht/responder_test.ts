import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import type { AddressFamily, PeerAddress } from "../../src/base/address.ts";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { MAX_DHT_REPLY } from "../../src/base/defences.ts";
import { type Arguments, decodeMessage, type Message } from "../../src/dht/krpc_messages.ts";
import { BloomFilter } from "../../src/dht/bloom_filter.ts";
import { Responder } from "../../src/dht/responder.ts";
import { fc } from "../support/property.ts";
import { at, idOf, TestPlatform } from "./support.ts";

const SELF = idOf("55");
const ASKER = idOf("66");
const HASH = idOf("aa");
const T = utf8("aa");

class Lab {
  readonly platform = new TestPlatform();
  readonly responder: Responder;

  constructor(family: AddressFamily = 4) {
    this.responder = new Responder({
      platform: this.platform,
      family,
      id: () => SELF,
      closest: (of, _target, count) =>
        Array.from({ length: count }, (_, i) => ({
          id: idOf("77"),
          address: { host: of === 4 ? `1.1.1.${i + 1}` : `2001:db8::${i + 1}`, port: 1 },
        })),
    });
  }

  ask(
    method: string,
    given: Partial<Arguments>,
    from: PeerAddress = at("9.9.9.9:999"),
    transaction: Bytes = T,
  ): Message {
    const query = { type: "query", transaction, method, arguments: { id: ASKER, ...given }, readOnly: false } as const;
    const answer = this.responder.answer(query, from)!;
    assertLessOrEqual(answer.length, MAX_DHT_REPLY);
    const message = decodeMessage(answer);
    assertEquals(message.transaction, transaction);
    if (message.type === "response") assertEquals([message.values.id, message.ip], [SELF, from]);
    return message;
  }

  values(method: string, given: Partial<Arguments>, from?: PeerAddress) {
    const message = this.ask(method, given, from);
    if (message.type !== "response") throw new Error(`${message.type} for ${method}`);
    return message.values;
  }

  announce(from: PeerAddress, more: Partial<Arguments> = {}): Message {
    const { token } = this.values("get_peers", { infoHash: HASH }, from);
    return this.ask("announce_peer", { infoHash: HASH, port: 7777, token, ...more }, from);
  }

  refusal(method: string, given: Partial<Arguments>, from?: PeerAddress): number {
    const message = this.ask(method, given, from);
    return message.type === "error" ? message.code : 0;
  }
}

Deno.test("a ping is answered with id and address", () => {
  new Lab().values("ping", {});
});

Deno.test("find_node brings nodes of the asker's family, or of those it wants (BEP 32)", () => {
  const families = (lab: Lab, want?: ("n4" | "n6")[]) => {
    const { nodes, nodes6 } = lab.values(
      "find_node",
      { target: HASH, want },
      lab === six ? { host: "2001:db8::9", port: 9 } : undefined,
    );
    return [nodes?.length, nodes6?.length];
  };
  const [four, six] = [new Lab(4), new Lab(6)];
  assertEquals(families(four), [8, undefined]);
  assertEquals(families(six), [undefined, 8]);
  assertEquals(families(four, ["n4", "n6"]), [8, 8]);
  assertEquals(families(four, ["n6"]), [undefined, 8]);
  assertEquals(families(four, []), [undefined, undefined]);
});

Deno.test("who announces with the token that it got is given to others", () => {
  const lab = new Lab();
  assertEquals(lab.values("get_peers", { infoHash: HASH }).peers, undefined);
  assertEquals(lab.announce(at("3.3.3.3:1000")).type, "response");
  assertEquals(lab.announce(at("4.4.4.4:1000"), { impliedPort: true }).type, "response");
  const { peers, nodes, token } = lab.values("get_peers", { infoHash: HASH });
  assertEquals(peers!.map(({ host, port }) => `${host}:${port}`).toSorted(), ["3.3.3.3:7777", "4.4.4.4:1000"]);
  assert(nodes!.length === 8 && token !== undefined, "nodes and a token come with peers");
});

Deno.test("a token is good for its owner, its torrent and its time only", () => {
  const lab = new Lab();
  const { token } = lab.values("get_peers", { infoHash: HASH }, at("3.3.3.3:1000"));
  const announce = { infoHash: HASH, port: 1, token };
  assertEquals(lab.refusal("announce_peer", announce, at("3.3.3.4:1000")), 203, "somebody else's");
  assertEquals(lab.refusal("announce_peer", { ...announce, infoHash: idOf("ab") }, at("3.3.3.3:1000")), 203);
  assertEquals(lab.refusal("announce_peer", { ...announce, token: utf8("aoeusnth") }, at("3.3.3.3:1000")), 203);
  assertEquals(lab.refusal("announce_peer", announce, at("3.3.3.3:2000")), 0, "a NAT may change the port");
  lab.platform.advance(11 * 60_000);
  assertEquals(lab.refusal("announce_peer", announce, at("3.3.3.3:1000")), 203, "an old one");
});

Deno.test("queries that nobody knows are refused, unless they have a target (BEP 51)", () => {
  const lab = new Lab();
  assertEquals(lab.refusal("vote", {}), 204);
  assertEquals(lab.values("put_something", { target: HASH }).nodes!.length, 8);
});

Deno.test("a scrape brings filters of seeds and others (BEP 33)", () => {
  const lab = new Lab();
  assertEquals(lab.values("get_peers", { infoHash: HASH, scrape: true }).seedFilter, undefined);
  lab.announce(at("3.3.3.3:1"), { seed: true });
  for (let i = 0; i < 60; i++) lab.announce(at(`4.4.4.${i}:1`));
  const { seedFilter, peerFilter, peers } = lab.values("get_peers", {
    infoHash: HASH,
    scrape: true,
    want: ["n4", "n6"],
  });
  const seeds = new BloomFilter();
  seeds.add(Uint8Array.of(3, 3, 3, 3), lab.platform.digest);
  assertEquals(seedFilter, seeds.bytes);
  const others = new BloomFilter();
  others.join(peerFilter!);
  assertEquals(Math.round(others.estimate / 10), 6);
  assert(peers!.length > 0);
});

Deno.test("samples stay the same for five minutes (BEP 51)", () => {
  const lab = new Lab();
  for (let i = 0; i < 50; i++) {
    const infoHash = idOf("aa", i);
    const { token } = lab.values("get_peers", { infoHash });
    lab.ask("announce_peer", { infoHash, port: 1, token });
  }
  const ask = () => lab.values("sample_infohashes", { target: HASH });
  const first = ask();
  assertEquals([first.samples!.length, first.sampleCount, first.interval, first.nodes!.length], [400, 50, 300, 8]);
  lab.platform.advance(299_000);
  assertEquals([ask().samples, ask().interval], [first.samples, 1]);
  lab.platform.advance(1000);
  assertEquals(String(ask().samples) === String(first.samples), false);
});

Deno.test("no answer is longer than a packet should be", () => {
  const asked = fc.record({
    method: fc.constantFrom("ping", "find_node", "get_peers", "sample_infohashes", "other"),
    scrape: fc.boolean(),
    noSeed: fc.boolean(),
    want: fc.constantFrom(undefined, ["n4"], ["n6"], ["n4", "n6"]) as fc.Arbitrary<Arguments["want"]>,
    transaction: fc.uint8Array({ minLength: 1, maxLength: 64 }).map((bytes) => new Uint8Array(bytes)),
  });
  for (const family of [4, 6] as const) {
    const lab = new Lab(family);
    const host = (i: number) => family === 4 ? `4.4.${i >> 8}.${i & 255}` : `2001:db8:1:${(i + 1).toString(16)}::1`;
    for (let i = 0; i < 400; i++) lab.announce({ host: host(i), port: 1 });
    fc.assert(fc.property(asked, ({ method, transaction, ...given }) => {
      const from = { host: host(9999), port: 1 };
      lab.ask(method, { target: HASH, infoHash: HASH, ...given }, from, transaction);
    }));
    const { peers } = lab.values("get_peers", { infoHash: HASH }, { host: host(9999), port: 1 });
    assert(peers!.length >= (family === 4 ? 50 : 20), `${peers!.length} peers`);
  }
});

Deno.test("nobody is answered at an address that can't be", () => {
  const query = { type: "query", transaction: T, method: "ping", arguments: { id: ASKER }, readOnly: false } as const;
  for (const host of ["0.0.0.0", "224.0.0.251", "255.255.255.255"]) {
    assertEquals(new Lab().responder.answer(query, { host, port: 1 }), null);
  }
});
