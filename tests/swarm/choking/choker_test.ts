import { assert, assertEquals } from "@std/assert";
import { Choker, type ChokerPeer } from "../../../src/swarm/choking/choker.ts";
import { seededRandom } from "../../support/random.ts";

interface Fake extends ChokerPeer {
  name: string;
  sent: number;
  interested: boolean;
  amChoking: boolean;
  snubbed: boolean;
  unchokedAt: number;
}

function fakes(count: number): Fake[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `p${i}`,
    sent: i * 1000,
    interested: true,
    amChoking: true,
    snubbed: false,
    unchokedAt: -Infinity,
    connectedAt: i,
    optimistic: false,
  }));
}

/** Runs a round and unchokes or chokes peers as the torrent does. */
function round(choker: Choker<Fake>, peers: Fake[], options: { now: number; seeding?: boolean; slots?: number }) {
  const served = choker.round(peers, { seeding: false, slots: 3, worth: (peer) => peer.sent, ...options });
  for (const peer of peers) {
    if (served.has(peer) && peer.amChoking) peer.unchokedAt = options.now;
    peer.amChoking = !served.has(peer);
  }
  return served;
}

Deno.test("Choker.round() serves those that send most, and one more by chance", () => {
  const peers = fakes(10);
  const served = round(new Choker(seededRandom(1)), peers, { now: 0 });
  assertEquals(served.size, 4);
  for (const name of ["p7", "p8", "p9"]) assert([...served].some((peer) => peer.name === name), name);
  assertEquals([...served].filter((peer) => peer.optimistic).length, 1);
});

Deno.test("Choker.round() never serves who isn't interested, and puts who snubs us last", () => {
  const peers = fakes(6);
  peers[5]!.interested = false;
  peers[4]!.snubbed = true;
  const served = round(new Choker(seededRandom(2)), peers, { now: 0 });
  assert(!served.has(peers[5]!));
  assertEquals(peers.slice(1, 4).every((peer) => served.has(peer) && !peer.optimistic), true);
});

Deno.test("Choker.round() keeps an optimistic unchoke for 30 s, then gives others a chance", () => {
  const choker = new Choker<Fake>(seededRandom(3));
  const peers = fakes(20);
  const tried = new Set<string>();
  let last = "";
  for (let now = 0; now < 3_000_000; now += 10_000) {
    round(choker, peers, { now });
    const name = peers.find((peer) => peer.optimistic)!.name;
    if (now % 30_000 !== 0) assertEquals(name, last, `changed after ${now % 30_000} ms`);
    tried.add(last = name);
  }
  assertEquals(tried.size, 17, "every peer without a regular slot had its turn");
});

Deno.test("Choker.round() replaces an optimistic peer that has earned a regular slot", () => {
  const choker = new Choker<Fake>(seededRandom(4));
  const peers = fakes(8);
  round(choker, peers, { now: 0 });
  const lucky = peers.find((peer) => peer.optimistic)!;
  lucky.sent = 1e9;
  const served = round(choker, peers, { now: 10_000 });
  assert(served.has(lucky) && !lucky.optimistic);
  assertEquals(served.size, 4);
});

Deno.test("Choker.round() lets everybody have a turn while seeding", () => {
  const choker = new Choker<Fake>(seededRandom(5));
  const peers = fakes(12);
  const served = new Set<string>();
  for (let now = 0; now < 200_000; now += 10_000) {
    const now3 = round(choker, peers, { now, seeding: true });
    assert(now3.size <= 4);
    for (const peer of now3) served.add(peer.name);
  }
  assertEquals(served.size, 12);
});

Deno.test("Choker.round() serves nobody when nobody wants anything", () => {
  const peers = fakes(3);
  for (const peer of peers) peer.interested = false;
  assertEquals(round(new Choker(seededRandom(6)), peers, { now: 0 }).size, 0);
});

Deno.test("Choker.round() gives everybody about the same time while seeding", () => {
  for (const count of [5, 6, 8]) {
    const choker = new Choker<Fake>(seededRandom(count));
    const peers = fakes(count);
    const served = new Map<string, number>();
    for (let now = 0; now < 3_600_000; now += 10_000) {
      for (const peer of round(choker, peers, { now, seeding: true })) {
        served.set(peer.name, (served.get(peer.name) ?? 0) + 1);
      }
    }
    const times = peers.map((peer) => served.get(peer.name) ?? 0);
    assert(Math.min(...times) > 0.7 * Math.max(...times), `${count} peers: ${times}`);
  }
});
