import { assertEquals } from "@std/assert";
import { type KnownPeer, type PeerKind, PeerPool, Pools } from "../../src/tracker_server/peer_pool.ts";
import { fc } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const ALL: readonly PeerKind[] = ["downloading", "partial", "seed"];

function peer(port: number, more: Partial<KnownPeer> = {}): KnownPeer {
  const address = { host: "10.0.0.1", port };
  return { address, peerId: `${port}`, seed: false, downloading: true, counted: false, seen: 0, ...more };
}

Deno.test("PeerPool agrees with a plain map, whatever is put in and taken out", () => {
  const step = fc.record({ key: fc.nat(9), seed: fc.boolean(), put: fc.boolean() });
  fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), fc.integer(), (steps, seed) => {
    const clock = new VirtualClock({ seed });
    const pool = new PeerPool();
    const model = new Map<string, KnownPeer>();
    for (const { key, seed, put } of steps) {
      const name = `${key}`;
      if (put) {
        pool.put(name, peer(key, { seed }));
        model.set(name, peer(key, { seed }));
      } else {
        assertEquals(pool.remove(name), model.delete(name));
      }
      const peers = [...model.values()];
      assertEquals(pool.size, model.size);
      assertEquals(pool.get(name)?.seed, model.get(name)?.seed);
      assertEquals(pool.get(name)?.peerId, model.get(name)?.peerId);
      assertEquals([pool.seeders, pool.leechers], [
        peers.filter((peer) => peer.seed).length,
        peers.filter((peer) => !peer.seed).length,
      ]);
      const sample = pool.sample(100, { kinds: ALL, accept: () => true, random: () => clock.random() });
      const ports = (list: KnownPeer[]) => list.map((peer) => peer.address.port).sort();
      assertEquals(ports(sample), ports(peers));
    }
  }));
});

Deno.test("PeerPool.sample() draws every peer equally often, each once", () => {
  const clock = new VirtualClock({ seed: 3 });
  const pool = new PeerPool();
  for (let port = 0; port < 10; port++) pool.put(`${port}`, peer(port, { seed: port >= 5 }));
  const drawn = new Array<number>(10).fill(0);
  for (let i = 0; i < 5000; i++) {
    const sample = pool.sample(3, {
      kinds: ALL,
      accept: (peer) => peer.address.port !== 4,
      random: () => clock.random(),
    });
    assertEquals(new Set(sample).size, 3);
    for (const peer of sample) drawn[peer.address.port]!++;
  }
  assertEquals(drawn[4], 0);
  for (const count of drawn.toSpliced(4, 1)) assertEquals(Math.abs(count - 15_000 / 9) < 200, true, `${drawn}`);
});

Deno.test("PeerPool.sample() gives the kinds and the family that are asked for", () => {
  const pool = new PeerPool();
  pool.put("a", peer(1, { seed: true, downloading: false }));
  pool.put("b", peer(2));
  pool.put("c", peer(3, { address: { host: "2001:db8::1", port: 3 } }));
  pool.put("d", peer(4, { downloading: false }));
  const ports = (kinds: readonly PeerKind[], family?: 4 | 6) =>
    pool.sample(9, { kinds, family, accept: () => true, random: () => 0 }).map((peer) => peer.address.port).sort();
  assertEquals(ports(ALL), [1, 2, 3, 4]);
  assertEquals([ports(["downloading"]), ports(["partial"]), ports(["seed"])], [[2, 3], [4], [1]]);
  assertEquals([ports(ALL, 4), ports(ALL, 6), ports(["seed"], 6)], [[1, 2, 4], [3], []]);
  assertEquals([pool.seeders, pool.leechers, pool.downloaders], [1, 3, 2]);
  pool.put("b", peer(2, { downloading: false }));
  pool.put("d", peer(4, { seed: true, downloading: false }));
  assertEquals([pool.seeders, pool.leechers, pool.downloaders], [2, 2, 1]);
});

Deno.test("PeerPool.sample() looks at few peers more than it gives, however many there are and whatever they are", () => {
  const clock = new VirtualClock({ seed: 5 });
  const pool = new PeerPool();
  for (let port = 0; port < 20_000; port++) {
    pool.put(`${port}`, peer(port, { seed: port % 3 === 0, downloading: port % 3 === 1 }));
  }
  let looks = 0;
  const draw = (kinds: readonly PeerKind[], options: { readonly family?: 4 | 6; readonly ok: boolean }) => {
    looks = 0;
    const accept = () => {
      looks++;
      return options.ok;
    };
    return pool.sample(50, { kinds, family: options.family, accept, random: () => clock.random() }).length;
  };
  for (const kinds of [ALL, ...ALL.map((kind) => [kind])]) {
    assertEquals([draw(kinds, { ok: true }), looks], [50, 50]);
    assertEquals([draw(kinds, { ok: true, family: 6 }), looks], [0, 0]);
    assertEquals([draw(kinds, { ok: false }), looks], [0, 66], "somebody who is here under many addresses");
  }
});

Deno.test("Pools.expire() forgets those that were not seen since, no more than it may, and tells of empty pools", () => {
  const pools = new Pools();
  const [one, two] = [new PeerPool(pools, "one"), new PeerPool(pools, "two")];
  one.put("a", peer(1, { seen: 10 }));
  two.put("b", peer(2, { seen: 20, seed: true }));
  one.put("c", peer(3, { seen: 30 }));
  one.put("a", peer(1, { seen: 40 }));
  const empty: string[] = [];
  const expire = (before: number, most = Infinity) =>
    pools.expire(before, { most, emptied: ({ name }) => void empty.push(name) });
  assertEquals([expire(30, 0), pools.peers, pools.seeds], [true, 3, 1]);
  assertEquals([expire(30, 1), pools.peers, pools.seeds, ...empty], [false, 2, 0, "two"]);
  assertEquals([one.get("a")?.seen, two.get("b"), one.get("c")?.seen], [40, undefined, 30]);
  one.touch("c", 50);
  assertEquals([expire(50), one.get("a"), one.get("c")?.seen, pools.peers], [false, undefined, 50, 1]);
  assertEquals([expire(51), pools.peers, pools.quota.size, ...empty], [false, 0, 0, "two", "one"]);
});
