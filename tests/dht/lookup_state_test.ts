import { assert, assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { formatAddress } from "../../src/base/address.ts";
import { type Bytes, toHex } from "../../src/base/bytes.ts";
import { MAX_DHT_ASKED, MAX_DHT_CANDIDATES_PER_HOST } from "../../src/base/defences.ts";
import { factsOf } from "../../src/dht/hosts.ts";
import { ALPHA, type LookupNode, LookupState, type ReportedNode } from "../../src/dht/lookup_state.ts";
import { compareDistance, idForAddress, idSharing } from "../../src/dht/node_id.ts";
import { K } from "../../src/dht/routing_table.ts";
import { fc } from "../support/property.ts";
import { at, idOf, TestPlatform } from "./support.ts";

const SELF = idOf("ff");
const TARGET = idOf("00");
const clock = new TestPlatform();
const random = () => clock.randomBytes(20);
/** A node on a private network, where any id is valid (BEP 42). */
const local = (i: number): ReportedNode => ({
  id: idOf((i + 1).toString(16).padStart(4, "0")),
  address: at(`10.0.${i >> 8}.${i & 255}`),
});
const fitting = (host: string): ReportedNode => ({
  id: idForAddress(factsOf(host)!.bytes, random()),
  address: at(host),
});
const nothing = { nodes: [], token: null };

function take(lookup: LookupState, count = Infinity): LookupNode[] {
  const taken: LookupNode[] = [];
  while (taken.length < count) {
    const next = lookup.next();
    if (next === null) break;
    taken.push(next);
  }
  return taken;
}

function lookupOf(nodes: readonly ReportedNode[]): LookupState {
  const lookup = new LookupState(TARGET, { self: SELF });
  nodes.forEach((node) => lookup.start(node));
  return lookup;
}

const hosts = (candidates: readonly LookupNode[]) => candidates.map(({ address }) => address.host);

Deno.test("LookupState asks the closest first, four at a time", () => {
  const lookup = lookupOf([local(5), local(1), local(3), local(2), local(4)]);
  const asked = take(lookup);
  assertEquals(hosts(asked), [1, 2, 3, 4].map((i) => local(i).address.host));
  assertEquals(asked.length, ALPHA);
  lookup.answered(asked[0]!, { id: asked[0]!.id!, ...nothing });
  assertEquals(hosts(take(lookup)), [local(5).address.host]);
});

Deno.test("LookupState asks more when answers are slow, and counts late answers", () => {
  const lookup = lookupOf(Array.from({ length: 10 }, (_, i) => local(i)));
  const asked = take(lookup);
  lookup.slow(asked[0]!);
  lookup.slow(asked[0]!);
  const more = take(lookup);
  assertEquals(more.length, 1);
  lookup.answered(asked[0]!, { id: asked[0]!.id!, nodes: [], token: Uint8Array.of(1) });
  assertEquals(lookup.closest()[0]!.address, asked[0]!.address);
});

Deno.test("LookupState ends as soon as the eight closest have answered, whoever else is still asked", () => {
  const lookup = lookupOf([local(100), local(101)]);
  const far = take(lookup);
  lookup.answered(far[0]!, { id: far[0]!.id!, nodes: Array.from({ length: K }, (_, i) => local(i)), token: null });
  while (!lookup.finished) {
    const [next] = take(lookup, 1);
    assert(next, "somebody is waited for who doesn't matter");
    lookup.answered(next, { id: next.id!, ...nothing });
  }
  assertEquals(lookup.askedCount, K + 2);
  assertEquals(hosts(lookup.closest()), Array.from({ length: K }, (_, i) => local(i).address.host));
});

Deno.test("LookupState waits for slow answers only when it has too few others", () => {
  const few = lookupOf([local(1)]);
  const [only] = take(few);
  few.slow(only!);
  assertEquals(few.finished, false);
  few.failed(only!);
  assertEquals(few.finished, true);
  const many = lookupOf(Array.from({ length: 9 }, (_, i) => local(i)));
  for (let round = 0; !many.finished; round++) {
    for (const candidate of take(many)) {
      if (candidate.address.host === local(0).address.host) many.slow(candidate);
      else many.answered(candidate, { id: candidate.id!, ...nothing });
    }
    assertLess(round, 20);
  }
  assertEquals(many.closest().length, K);
});

Deno.test("LookupState begins with addresses whose ids nobody knows", () => {
  const lookup = lookupOf([{ id: null, address: at("10.0.0.1") }]);
  const [first] = take(lookup);
  lookup.answered(first!, { id: idOf("77"), nodes: [local(3)], token: null });
  const [second] = take(lookup);
  assertEquals([second!.address, second!.hops], [local(3).address, 1]);
});

Deno.test("LookupState goes by the id that a node has, not by what others say of it", () => {
  const lookup = lookupOf([{ id: idOf("0000"), address: at("10.0.0.1") }, local(5)]);
  const asked = take(lookup);
  lookup.answered(asked[0]!, { id: idOf("ee"), ...nothing });
  lookup.answered(asked[1]!, { id: asked[1]!.id!, ...nothing });
  assertEquals(hosts(lookup.closest()), [local(5).address.host, "10.0.0.1"]);
});

Deno.test("LookupState isn't kept from a node by those who tell lies about where it is", () => {
  const honest = fitting("8.8.8.8");
  const lookup = lookupOf([{ id: idOf("ee"), address: honest.address }]);
  lookup.start(honest);
  assertEquals(
    toHex(take(lookup)[0]!.id!),
    toHex(compareDistance(honest.id!, idOf("ee"), TARGET) < 0 ? honest.id! : idOf("ee")),
  );
});

Deno.test("LookupState doesn't ask ourselves, those who can't be, local nodes that strangers tell of, or one twice", () => {
  const lookup = lookupOf([fitting("8.8.8.8")]);
  const [first] = take(lookup);
  const own = { id: first!.id!, address: first!.address };
  const nodes = [
    own,
    { id: SELF, address: at("9.9.9.9") },
    { id: random(), address: at("224.0.0.1") },
    { id: random(), address: at("127.0.0.1") },
    { id: random(), address: at("192.168.0.1") },
  ];
  lookup.answered(first!, { id: first!.id!, nodes, token: null });
  assertEquals([lookup.next(), lookup.finished], [null, true]);
});

Deno.test("LookupState is kept busy by no address that pretends to be many nodes", () => {
  const lookup = lookupOf(Array.from({ length: 50 }, (_, i) => ({ id: random(), address: at(`8.8.8.8:${i + 1}`) })));
  let asked = 0;
  for (let next = lookup.next(); next; next = lookup.next(), asked++) {
    lookup.answered(next, { id: next.id!, ...nothing });
  }
  assertEquals(asked, MAX_DHT_CANDIDATES_PER_HOST);
  assertEquals(lookup.closest().length, 1);
});

Deno.test("LookupState ends, whatever hostile nodes answer", () => {
  const lookup = lookupOf([fitting("8.8.8.8")]);
  for (let next = lookup.next(); next; next = lookup.next()) {
    // Each node returns twenty nodes that are closer still.
    const nodes = Array.from(
      { length: 20 },
      () => fitting(`${1 + clock.randomBytes(1)[0]! % 9}.${clock.randomBytes(3).join(".")}`),
    );
    lookup.answered(next, { id: next.id!, nodes, token: null });
  }
  assert(lookup.finished);
  assertLessOrEqual(lookup.askedCount, MAX_DHT_ASKED);
});

Deno.test("LookupState isn't kept from the honest by ids that were made for the purpose (BEP 42)", () => {
  const honest = Array.from({ length: 20 }, (_, i) => fitting(`${30 + i}.1.1.1`));
  const lookup = lookupOf(honest);
  const surround = (i: number) => ({ id: idSharing(TARGET, 60, random()), address: at(`${100 + i}.1.1.1`) });
  const answers = new Map<string, Bytes>();
  for (let next = lookup.next(); next; next = lookup.next()) {
    const nodes = Array.from({ length: 20 }, (_, i) => surround(i + 20 * (answers.size % 5)));
    answers.set(formatAddress(next.address), next.id!);
    lookup.answered(next, { id: next.id!, nodes, token: Uint8Array.of(1) });
  }
  assert(lookup.finished);
  const closest = honest.toSorted((a, b) => compareDistance(a.id!, b.id!, TARGET)).slice(0, K);
  const found = new Set(hosts(lookup.closest()));
  for (const node of closest) assert(found.has(node.address.host), "the closest honest nodes get the announce");
  assertLessOrEqual(found.size, 2 * K);
});

Deno.test("LookupState finds the closest nodes of a network where everybody knows their own part, however many are dead", () => {
  const seeds = fc.record({
    size: fc.integer({ min: 1, max: 120 }),
    seed: fc.nat(),
    dead: fc.double({ min: 0, max: 0.5, noNaN: true }),
  });
  fc.assert(
    fc.property(seeds, ({ size, seed, dead }) => {
      const chance = new TestPlatform({ seed });
      const nodes = Array.from({ length: size }, (_, i) => ({
        id: chance.randomBytes(20),
        address: at(`10.0.${i >> 8}.${i & 255}`),
        isDead: i > 0 && chance.random() < dead,
      }));
      const byHost = new Map(nodes.map((node) => [node.address.host, node]));
      const near = (id: Bytes, count: number) =>
        nodes.toSorted((a, b) => compareDistance(a.id, b.id, id)).slice(0, count);
      const lookup = lookupOf([nodes[0]!]);
      for (let next = lookup.next(); next; next = lookup.next()) {
        const node = byHost.get(next.address.host)!;
        if (node.isDead) lookup.failed(next);
        else lookup.answered(next, { id: node.id, nodes: near(TARGET, 2 * size), token: null });
      }
      assert(lookup.finished);
      const expected = near(TARGET, size).filter(({ isDead }) => !isDead).slice(0, K);
      assertEquals(hosts(lookup.closest()), expected.map(({ address }) => address.host));
    }),
    { numRuns: 40 },
  );
});
