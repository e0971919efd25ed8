import { assert, assertEquals, assertLess } from "@std/assert";
import { toHex } from "../../src/base/bytes.ts";
import { MAX_DHT_SUBNET_IN_BUCKET, MAX_DHT_SUBNET_IN_TABLE } from "../../src/base/defences.ts";
import { factsOf } from "../../src/dht/hosts.ts";
import { compareDistance, idForAddress, idSharing } from "../../src/dht/node_id.ts";
import { K, QUESTIONABLE_MS, RoutingTable } from "../../src/dht/routing_table.ts";
import { fc } from "../support/property.ts";
import { at, idOf, TestPlatform } from "./support.ts";

const SELF = idOf("00");
const clock = new TestPlatform();
/** Returns an id in a bucket. */
const inBucket = (bits: number) => idSharing(SELF, bits, clock.randomBytes(20));
const random = () => clock.randomBytes(20);
/** Returns an address on a private network, where any id is valid and neighbours don't matter. */
const local = (i: number) => at(`10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}:1`);
/** Returns an address in a network of its own. */
const open = (i: number) => at(`${20 + (i >> 8)}.${i & 255}.1.1:1`);

function ids(table: RoutingTable): string[] {
  return [...table].map(({ id }) => toHex(id)).toSorted();
}

Deno.test("RoutingTable splits the bucket of our own id only", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i < 100; i++) table.answered({ id: inBucket(0), address: local(i), at: 0 });
  assertEquals(table.size, K);
  for (let i = 100; i < 200; i++) table.answered({ id: inBucket(1), address: local(i), at: 0 });
  assertEquals(table.size, 2 * K);
  for (let i = 200; i < 205; i++) table.answered({ id: inBucket(150), address: local(i), at: 0 });
  assertEquals(table.size, 2 * K + 5);
});

Deno.test("RoutingTable doesn't take ourselves, nor hosts that can't be", () => {
  const table = new RoutingTable(SELF, 0);
  table.answered({ id: SELF, address: local(1), at: 0 });
  for (const address of ["0.0.0.1:1", "224.0.0.1:1", "255.255.255.255:1"]) {
    table.answered({ id: random(), address: at(address), at: 0 });
    assertEquals(table.isWelcome({ id: random(), address: at(address) }), false);
  }
  assertEquals(table.size, 0);
});

Deno.test("RoutingTable keeps one node of a public address, two of a network in a bucket, any number of local ones", () => {
  const table = new RoutingTable(SELF, 0);
  for (let port = 1; port < 5; port++) table.answered({ id: inBucket(0), address: at(`8.8.8.8:${port}`), at: 0 });
  assertEquals(table.size, 1);
  assertEquals(table.isWelcome({ id: inBucket(0), address: at("8.8.8.8:9") }), false);
  for (let i = 1; i < 6; i++) table.answered({ id: inBucket(0), address: at(`9.9.9.${i}:1`), at: 0 });
  assertEquals(table.size, 1 + MAX_DHT_SUBNET_IN_BUCKET);
  for (let port = 1; port < 5; port++) table.answered({ id: inBucket(0), address: at(`127.0.0.1:${port}`), at: 0 });
  assertEquals(table.size, 1 + MAX_DHT_SUBNET_IN_BUCKET + 4);
});

Deno.test("RoutingTable lets nobody take another's id, and follows a node that begins anew", () => {
  const table = new RoutingTable(SELF, 0);
  const [a, b] = [random(), random()];
  table.answered({ id: a, address: local(1), at: 0 });
  table.answered({ id: a, address: local(2), at: 0 });
  assertEquals([...table].map(({ address }) => address), [local(1)]);
  table.answered({ id: b, address: local(1), at: 0 });
  assertEquals(ids(table), [toHex(b)]);
});

Deno.test("RoutingTable prefers nodes whose ids fit their addresses (BEP 42)", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i < K; i++) table.answered({ id: inBucket(0), address: open(i), at: 0 });
  // Splits the table, so that our own id isn't in the first bucket any more.
  table.answered({ id: inBucket(1), address: local(1), at: 0 });
  let newcomers = 0;
  for (let i = 100; newcomers < K; i++) {
    const id = idForAddress(factsOf(open(i).host)!.bytes, random());
    if (id[0]! < 0x80) continue;
    newcomers++;
    assert(table.isWelcome({ id, address: open(i) }));
    table.answered({ id, address: open(i), at: 1 });
  }
  assertEquals([...table].map(({ hasValidId }) => hasValidId), new Array(K + 1).fill(true));
  assertEquals(table.isWelcome({ id: inBucket(0), address: open(99) }), false);
});

Deno.test("RoutingTable replaces a node that leaves two queries unanswered by the latest that wanted its place", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i <= K + 2; i++) table.answered({ id: inBucket(0), address: local(i), at: i });
  table.failed(local(3));
  assert([...table].some(({ address }) => address.host === local(3).host));
  table.failed(local(3));
  const hosts = [...table].map(({ address }) => address.host);
  assertEquals(hosts.includes(local(3).host), false);
  assertEquals(hosts.includes(local(K + 2).host), true);
  assertEquals(hosts.length, K);
});

Deno.test("RoutingTable keeps bad nodes as long as nobody wants their place, and forgives them", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i < K; i++) table.answered({ id: inBucket(0), address: local(i), at: 0 });
  for (let i = 0; i < K; i++) for (let time = 0; time < 3; time++) table.failed(local(i));
  assertEquals([table.size, table.goodCount(0), table.closest(SELF, K).length], [K, 0, 0]);
  assert(table.questionable(QUESTIONABLE_MS) !== null, "they are tried again");
  const [id] = [inBucket(0)];
  table.answered({ id, address: local(99), at: 1 });
  assertEquals([table.size, ids(table)], [K, [toHex(id)]]);
});

Deno.test("RoutingTable has questionable nodes pinged, the one that was silent for longest first, once a minute", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i < 4; i++) table.answered({ id: inBucket(0), address: local(i), at: i * 1000 });
  assertEquals(table.questionable(QUESTIONABLE_MS - 1), null);
  const now = QUESTIONABLE_MS + 1000;
  assertEquals(
    [table.questionable(now), table.questionable(now), table.questionable(now)].map((node) => node?.address),
    [
      local(0),
      local(1),
      undefined,
    ],
  );
  table.answered({ id: [...table][0]!.id, address: local(0), at: now });
  assertEquals(table.questionable(now + 60_000)?.address, local(1));
  assertEquals(table.goodCount(now + 60_000), 1);
});

Deno.test("RoutingTable asks to ping who stands in the way of a newcomer (BEP 5)", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i < K; i++) table.answered({ id: inBucket(0), address: local(i), at: i });
  table.answered({ id: inBucket(1), address: local(50), at: 0 });
  const fresh = { id: inBucket(0), address: local(60), at: 10 };
  assertEquals(table.answered(fresh), null);
  const later = { id: inBucket(0), address: local(61), at: QUESTIONABLE_MS + 1 };
  assertEquals(table.answered(later)?.address, local(0));
});

Deno.test("a query keeps a node good, but brings nobody in", () => {
  const table = new RoutingTable(SELF, 0);
  const id = random();
  assert(table.isWelcome({ id, address: local(1) }));
  table.asked({ id, address: local(1) }, 0);
  assertEquals(table.size, 0);
  table.answered({ id, address: local(1), at: 0 });
  table.asked({ id, address: local(1) }, QUESTIONABLE_MS);
  assertEquals(table.goodCount(QUESTIONABLE_MS + 1), 1);
  table.asked({ id: random(), address: local(1) }, 2 * QUESTIONABLE_MS);
  assertEquals(table.goodCount(2 * QUESTIONABLE_MS + 1), 0, "somebody with another id isn't it");
});

Deno.test("RoutingTable names buckets that are stale or hollow", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i <= K; i++) table.answered({ id: inBucket(i < 3 ? 0 : 1), address: local(i), at: 0 });
  assertEquals(table.incompleteBuckets(), [0]);
  assertEquals(table.stale(QUESTIONABLE_MS - 1), null);
  assertEquals([table.stale(QUESTIONABLE_MS), table.stale(QUESTIONABLE_MS), table.stale(QUESTIONABLE_MS)], [
    0,
    1,
    null,
  ]);
});

Deno.test("closest() gives what sorting all nodes would give", () => {
  const node = fc.record({ bits: fc.nat(20), host: fc.nat(2000) });
  fc.assert(
    fc.property(
      fc.array(node, { maxLength: 200 }),
      fc.nat(30),
      fc.integer({ min: 1, max: 20 }),
      (nodes, bits, count) => {
        const table = new RoutingTable(SELF, 0);
        for (const { bits, host } of nodes) table.answered({ id: inBucket(bits), address: local(host), at: 0 });
        const target = inBucket(bits);
        const sorted = [...table].toSorted((a, b) => compareDistance(a.id, b.id, target)).slice(0, count);
        assertEquals(table.closest(target, count).map(({ id }) => toHex(id)), sorted.map(({ id }) => toHex(id)));
      },
    ),
  );
});

Deno.test("RoutingTable stays small and whole, whatever happens", () => {
  const step = fc.record({
    what: fc.constantFrom("answered", "failed", "asked"),
    bits: fc.nat(12),
    host: fc.nat(60),
    isLocal: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new RoutingTable(SELF, 0);
      for (const [now, { what, bits, host, isLocal }] of steps.entries()) {
        const address = isLocal ? local(host) : at(`8.${host % 3}.1.${host}:1`);
        if (what === "answered") table.answered({ id: inBucket(bits), address, at: now });
        else if (what === "failed") table.failed(address);
        else table.asked({ id: inBucket(bits), address }, now);
        const nodes = [...table];
        assert(nodes.length <= table.size);
        assertEquals(new Set(nodes.map(({ id }) => toHex(id))).size, nodes.length);
        assertEquals(new Set(nodes.map(({ address }) => address.host)).size, nodes.length);
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("somebody who makes ids ever closer to ours gets the deep buckets, not the others", () => {
  const table = new RoutingTable(SELF, 0);
  for (let i = 0; i < 200; i++) table.answered({ id: random(), address: open(i), at: 0 });
  const before = table.size;
  for (let i = 0; i < 5000; i++) {
    table.answered({ id: inBucket(8 + i % 150), address: at(`66.6.${i >> 8}.${i & 255}:1`), at: 1 });
  }
  const sybils = [...table].filter(({ address }) => address.host.startsWith("66.6.")).length;
  assertEquals(table.size - before, sybils);
  assertLess(sybils, 20 * MAX_DHT_SUBNET_IN_TABLE + 1);
});
