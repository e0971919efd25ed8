import { assert, assertEquals, assertGreater, assertLess, assertLessOrEqual } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { formatAddress } from "../../src/base/address.ts";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { DHT_ANSWER_BURST, DHT_ANSWERS_PER_HOST } from "../../src/base/defences.ts";
import { KrpcError } from "../../src/dht/errors.ts";
import { factsOf } from "../../src/dht/hosts.ts";
import {
  type Arguments,
  decodeMessage,
  encodeQuery,
  encodeResponse,
  type Message,
  type QueryMethod,
} from "../../src/dht/krpc_messages.ts";
import { Dht, type DhtOptions, type LookupReport } from "../../src/dht/mod.ts";
import { isIdOf } from "../../src/dht/node_id.ts";
import { decodeSavedTable } from "../../src/dht/saved_table.ts";
import { DatagramNetwork } from "../simulation/dht/network.ts";
import { settle } from "../support/virtual_clock.ts";
import { at, idOf, TestPlatform } from "./support.ts";

const HASH = new InfoHash(idOf("aa"));

/** DHT nodes on one network. */
class Lab {
  readonly platform = new TestPlatform();
  readonly network = new DatagramNetwork(this.platform);
  readonly warnings: string[] = [];
  /** Queries that were sent, by the host that sent them. */
  readonly queries = new Map<string, number>();

  /** Starts a node, with an address of one or of both families. */
  node(address: PeerAddress, options: Partial<DhtOptions> & { readonly second?: PeerAddress } = {}): Dht {
    const { second, ...more } = options;
    const addresses = second ? [address, second] : [address];
    const own = (to: PeerAddress) => addresses.find(({ host }) => host.includes(":") === to.host.includes(":"))!;
    const dht = new Dht({
      platform: this.platform,
      families: addresses.map(({ host }) => host.includes(":") ? 6 : 4),
      bootstrap: [],
      onWarning: (text) => this.warnings.push(text),
      send: (bytes, to) => {
        const { host } = own(to);
        if (decodeMessage(bytes).type === "query") this.queries.set(host, (this.queries.get(host) ?? 0) + 1);
        this.network.send(own(to), to, bytes);
      },
      ...more,
    });
    for (const each of addresses) {
      this.network.addAt(each);
      this.network.listen(each, (bytes, from) => dht.receive(bytes, from));
    }
    dht.start();
    return dht;
  }

  /** Starts nodes that bootstrap from the first of them. */
  async crowd(addresses: readonly PeerAddress[]): Promise<Dht[]> {
    const nodes: Dht[] = [];
    for (const address of addresses) {
      nodes.push(this.node(address, { bootstrap: nodes.length === 0 ? [] : [addresses[0]!] }));
      await this.network.pass(2000);
    }
    await this.network.pass(20_000);
    return nodes;
  }

  /** Sends raw bytes from an address and returns the answers to that address. */
  async probe(from: PeerAddress, to: PeerAddress, datagrams: readonly Bytes[]): Promise<Message[]> {
    const answers: Message[] = [];
    this.network.addAt(from);
    this.network.listen(from, (bytes) => answers.push(decodeMessage(bytes)));
    for (const bytes of datagrams) this.network.send(from, to, bytes);
    await this.network.pass(1000);
    return answers.filter(({ type }) => type !== "query");
  }

  async lookup(
    dht: Dht,
    options: Partial<Parameters<Dht["lookup"]>[1]> = {},
  ): Promise<LookupReport & { readonly found: string[] }> {
    const found: string[] = [];
    let report: LookupReport | null = null;
    void dht.lookup(HASH, { onPeers: (peers) => found.push(...peers.map(formatAddress)), ...options })
      .then((result) => report = result);
    for (let waited = 0; report === null; waited++) {
      assertLess(waited, 100, "the lookup doesn't end");
      await this.network.pass(500);
    }
    return { ...report as LookupReport, found };
  }
}

function query(method: QueryMethod, given: Partial<Arguments> = {}, readOnly = false): Bytes {
  return encodeQuery({ transaction: utf8("aa"), method, arguments: { id: idOf("66"), ...given }, readOnly });
}

const announce = { port: 5000, impliedPort: false, seed: false };

for (
  const [where, address] of [
    ["one machine", (i: number) => at(`127.0.0.1:${7000 + i}`)],
    ["one private network", (i: number) => at(`10.99.0.${i + 1}`)],
    ["the internet", (i: number) => at(`${20 + i}.1.2.3`)],
  ] as const
) {
  Deno.test(`nodes on ${where} find each other, and what each announces`, async () => {
    const lab = new Lab();
    const addresses = Array.from({ length: 12 }, (_, i) => address(i));
    const nodes = await lab.crowd(addresses);
    for (const dht of nodes) {
      assert(dht.isJoined);
      assertGreater(dht.nodes[4], 6);
    }
    const report = await lab.lookup(nodes[3]!, { announce });
    assertGreater(report.announced, 6);
    const { found } = await lab.lookup(nodes[9]!);
    assertEquals(found, [`${addresses[3]!.host}:5000`]);
    nodes.forEach((dht) => dht.stop());
    await settle();
    lab.platform.advance(60_000);
    assertEquals(lab.platform.pending, 0, "a stopped node leaves no timer");
  });
}

Deno.test("two nodes alone find each other's peers", async () => {
  const lab = new Lab();
  const [a, b] = await lab.crowd([at("10.0.0.1"), at("10.0.0.2")]);
  await lab.lookup(a!, { announce });
  assertEquals((await lab.lookup(b!)).found, ["10.0.0.1:5000"], "what others told us we know ourselves");
});

Deno.test("the port that an announce implies is that of the datagram", async () => {
  const lab = new Lab();
  const [a, b] = await lab.crowd([at("10.0.0.1:1111"), at("10.0.0.2:2222")]);
  await lab.lookup(a!, { announce: { ...announce, impliedPort: true } });
  assertEquals((await lab.lookup(b!)).found, ["10.0.0.1:1111"]);
});

Deno.test("a scrape counts seeds and others across nodes (BEP 33)", async () => {
  const lab = new Lab();
  const nodes = await lab.crowd(Array.from({ length: 10 }, (_, i) => at(`${20 + i}.1.2.3`)));
  for (const [i, dht] of nodes.entries()) await lab.lookup(dht, { announce: { ...announce, seed: i < 3 } });
  const { swarm } = await lab.lookup(nodes[0]!, { scrape: true });
  assertEquals([Math.round(swarm!.seeds), Math.round(swarm!.peers)], [3, 7]);
});

Deno.test("nodes learn their address from others and take an id that fits it (BEP 42)", async () => {
  const lab = new Lab();
  const told: string[] = [];
  const first = at("20.1.2.3");
  const nodes = await lab.crowd([first, ...Array.from({ length: 9 }, (_, i) => at(`${21 + i}.1.2.3`))]);
  const late = lab.node(at("77.1.2.3"), { bootstrap: [first], onExternalAddress: (host) => told.push(host) });
  await lab.network.pass(30_000);
  assertEquals(told, ["77.1.2.3"]);
  assertEquals(late.externalAddress, { 4: "77.1.2.3", 6: null });
  const { id, nodes: known } = decodeSavedTable(late.save())[4];
  assert(isIdOf(id!, factsOf("77.1.2.3")!));
  assertGreater(known.length, 5, "the nodes that it knew are kept");
  for (const [i, dht] of nodes.entries()) {
    assert(isIdOf(decodeSavedTable(dht.save())[4].id!, factsOf(`${20 + i}.1.2.3`)!), `${i}`);
  }
});

Deno.test("a table that was saved is enough to begin with", async () => {
  const lab = new Lab();
  const nodes = await lab.crowd(Array.from({ length: 10 }, (_, i) => at(`10.0.0.${i + 1}`)));
  const saved = nodes[9]!.save();
  nodes[9]!.stop();
  const again = lab.node(at("10.0.0.10"), { saved });
  await lab.network.pass(20_000);
  assert(again.isJoined);
  assertGreater(again.nodes[4], 6);
  assertEquals(decodeSavedTable(again.save())[4].id, decodeSavedTable(saved)[4].id);
  const offline = lab.node(at("10.0.0.77"), { saved, send: () => {} });
  await lab.network.pass(60_000);
  assertEquals(decodeSavedTable(offline.save()), decodeSavedTable(saved), "who was offline keeps what it had");
});

Deno.test("a saved table that is broken is said and passed over", () => {
  const lab = new Lab();
  lab.node(at("10.0.0.1"), { saved: utf8("d7:versioni2ee") }).stop();
  assertEquals(lab.warnings, ["The saved DHT table cannot be used: not a saved DHT table: version 2 is not known"]);
});

Deno.test("nodes to begin with may have names; one that nobody knows is said once, and asked for again", async () => {
  const lab = new Lab();
  await lab.crowd([at("10.0.0.1"), at("10.0.0.2")]);
  const bootstrap = [{ host: "router.example", port: 6881 }];
  const dht = lab.node(at("10.0.0.3"), { bootstrap });
  await lab.network.pass(60_000);
  assertEquals(lab.warnings, ["No DHT bootstrap node could be resolved: router.example"]);
  assertEquals(dht.isJoined, false);
  lab.platform.names.set("router.example", ["2001:db8::1", "10.0.0.1"]);
  await lab.network.pass(120_000);
  assert(dht.isJoined);
});

Deno.test("PORT messages and nodes of torrents bring us in, too", async () => {
  const lab = new Lab();
  await lab.crowd([at("10.0.0.1"), at("10.0.0.2")]);
  const [a, b] = [lab.node(at("10.0.0.3")), lab.node(at("10.0.0.4"))];
  a.addNode(at("10.0.0.1"));
  assertEquals([await b.addHost(at("10.0.0.2")), await b.addHost({ host: "nobody.example", port: 1 })], [true, false]);
  await lab.network.pass(20_000);
  assertEquals([a.isJoined, b.isJoined], [true, true]);
});

Deno.test("a read-only node answers nobody, and nobody takes it in (BEP 43)", async () => {
  const lab = new Lab();
  const nodes = await lab.crowd([at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")]);
  await lab.lookup(nodes[1]!, { announce });
  const shy = lab.node(at("10.0.0.4"), { readOnly: true, bootstrap: [at("10.0.0.1")] });
  await lab.network.pass(20_000);
  assert(shy.isJoined);
  assertEquals((await lab.lookup(shy)).found, ["10.0.0.2:5000"]);
  for (const dht of nodes) assertEquals(dht.nodes[4], 2);
  assertEquals(await lab.probe(at("10.0.0.9"), at("10.0.0.4"), [query("ping"), query("find_node")]), []);
});

Deno.test("who asks read-only is answered, but not pinged", async () => {
  const lab = new Lab();
  await lab.crowd([at("10.0.0.1"), at("10.0.0.2")]);
  const before = lab.queries.get("10.0.0.1")!;
  assertEquals((await lab.probe(at("10.0.0.8"), at("10.0.0.1"), [query("ping", {}, true)])).length, 1);
  assertEquals(lab.queries.get("10.0.0.1"), before);
  await lab.probe(at("10.0.0.9"), at("10.0.0.1"), [query("ping")]);
  assertEquals(lab.queries.get("10.0.0.1"), before + 1);
});

Deno.test("both families live behind one socket, and one helps the other to its first nodes (BEP 32)", async () => {
  const lab = new Lab();
  const six = (i: number) => ({ host: `2001:db8:${i}::1`, port: 6881 });
  const first = lab.node(at("20.1.1.1"), { second: six(1) });
  const others = [];
  for (let i = 2; i < 9; i++) {
    others.push(
      lab.node(at(`2${i}.1.1.1`), { second: six(i), bootstrap: [at("20.1.1.1"), ...(i === 2 ? [six(1)] : [])] }),
    );
    await lab.network.pass(3000);
  }
  await lab.network.pass(60_000);
  for (const dht of [first, ...others]) {
    assertGreater(dht.nodes[4], 4);
    assertGreater(dht.nodes[6], 4, "it began with a node of the other family only");
  }
  await lab.lookup(others[2]!, { announce });
  const { found } = await lab.lookup(others[5]!);
  assertEquals(found.toSorted(), ["24.1.1.1:5000", "[2001:db8:4::1]:5000"]);
});

Deno.test("a query that lacks something is refused, garbage isn't answered, and floods aren't either", async () => {
  const lab = new Lab();
  lab.node(at("20.1.1.1"));
  const to = at("20.1.1.1");
  const [refused] = await lab.probe(at("30.1.1.1"), to, [query("get_peers")]);
  assertEquals(refused?.type === "error" && refused.code, 203);
  assertEquals(
    await lab.probe(at("31.1.1.1"), to, [utf8("d1:t2:aae"), utf8("dxe"), new Uint8Array(5000).fill(0x64)]),
    [],
  );
  const flood = await lab.probe(at("32.1.1.1"), to, new Array(500).fill(query("ping")));
  assertLessOrEqual(flood.length, DHT_ANSWER_BURST + 2 * DHT_ANSWERS_PER_HOST);
  assertGreater(flood.length, DHT_ANSWER_BURST / 2);
  assertEquals((await lab.probe(at("33.1.1.1"), to, [query("ping")])).length, 1, "others are answered all the same");
});

Deno.test("answers to nothing, to somebody else, or of a node about our address change nothing", async () => {
  const lab = new Lab();
  const [dht] = await lab.crowd([at("20.1.1.1"), at("21.1.1.1")]);
  const before = dht!.save();
  const lie = encodeResponse({ transaction: utf8("aaaa"), values: { id: idOf("77") }, ip: at("6.6.6.6") });
  await lab.probe(at("40.1.1.1"), at("20.1.1.1"), new Array(100).fill(lie));
  assertEquals(dht!.save(), before);
  assertEquals(dht!.externalAddress[4], null);
});

Deno.test("a lookup that begins with the closest nodes of the last one asks fewer, and finds the same", async () => {
  const lab = new Lab();
  const nodes = await lab.crowd(Array.from({ length: 60 }, (_, i) => at(`${20 + i}.1.2.3`)));
  const first = await lab.lookup(nodes[3]!, { announce });
  const again = await lab.lookup(nodes[3]!, { announce, near: first.closest });
  const names = ({ closest }: LookupReport) => closest.map(({ address }) => formatAddress(address));
  assertEquals(names(again), names(first));
  assertLess(again.asked, first.asked);
  assertEquals([again.announced, again.found], [first.announced, ["23.1.2.3:5000"]]);
  // Closest nodes that have gone offline since hold nothing up.
  const gone = first.closest.map(({ id }, i) => ({ id, address: at(`9.9.9.${i}`) }));
  assertEquals(names(await lab.lookup(nodes[3]!, { near: gone })), names(first));
});

Deno.test("a lookup ends when it is told to, and when the DHT stops", async () => {
  const lab = new Lab();
  const nodes = await lab.crowd([at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")]);
  const end = new AbortController();
  const [told, stopped] = [
    nodes[2]!.lookup(HASH, { onPeers: () => {}, signal: end.signal }),
    nodes[2]!.lookup(HASH, { onPeers: () => {} }),
  ];
  end.abort();
  assertEquals((await told).asked, 0);
  nodes[2]!.stop();
  assertEquals((await stopped).asked, 0);
  assertEquals((await nodes[2]!.lookup(HASH, { onPeers: () => {} })).asked, 0);
});

Deno.test("a node whose whole neighbourhood was away comes back by itself", async () => {
  const lab = new Lab();
  const addresses = Array.from({ length: 10 }, (_, i) => at(`10.0.0.${i + 1}`));
  const nodes = await lab.crowd(addresses);
  const last = nodes[9]!;
  addresses.slice(0, 9).forEach((address) => lab.network.listen(address, null));
  await lab.network.pass(60 * 60_000);
  assertEquals(last.nodes[4], 0);
  for (const [i, address] of addresses.slice(0, 9).entries()) {
    lab.network.listen(address, (bytes, from) => nodes[i]!.receive(bytes, from));
  }
  await lab.network.pass(20 * 60_000);
  assertGreater(last.nodes[4], 6);
});

Deno.test("hundreds of lookups at once wait for their turn, and all of them end", async () => {
  const lab = new Lab();
  const nodes = await lab.crowd(Array.from({ length: 10 }, (_, i) => at(`10.0.0.${i + 1}`)));
  const before = lab.queries.get("10.0.0.1")!;
  let ended = 0;
  for (let i = 0; i < 200; i++) {
    void nodes[0]!.lookup(new InfoHash(lab.platform.randomBytes(20)), { onPeers: () => {} }).then(() => ended++);
  }
  await lab.network.pass(1000);
  assertLessOrEqual(lab.queries.get("10.0.0.1")! - before, 210, "100 at once, then 100 a second");
  await lab.network.pass(60_000);
  assertEquals(ended, 200);
});

Deno.test("decodeMessage() of what a node sends never fails", async () => {
  const lab = new Lab();
  const seen = new Set<string>();
  const spy = (bytes: Bytes) => {
    try {
      const message = decodeMessage(bytes);
      seen.add(message.type === "query" ? message.method : message.type);
    } catch (error) {
      assert(error instanceof KrpcError === false, `${error}`);
      throw error;
    }
  };
  const [first] = await lab.crowd([at("10.0.0.1"), at("10.0.0.2"), at("10.0.0.3")]);
  lab.network.listen(at("10.0.0.2"), spy);
  await lab.lookup(first!, { announce, scrape: true });
  await lab.network.pass(40 * 60_000);
  assertEquals([...seen].toSorted(), ["find_node", "get_peers", "ping", "response"]);
});
