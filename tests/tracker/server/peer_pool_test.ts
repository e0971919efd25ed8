import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type KnownPeer, PeerPool } from "../../../src/tracker/server/peer_pool.ts";
import { VirtualClock } from "../../support/virtual_clock.ts";

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
      assertEquals(pool.get(name), model.get(name));
      assertEquals([pool.seeders, pool.leechers], [
        peers.filter((peer) => peer.seed).length,
        peers.filter((peer) => !peer.seed).length,
      ]);
      const sample = pool.sample(100, { withSeeds: true, accept: () => true, random: () => clock.random() });
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
      withSeeds: true,
      accept: (peer) => peer.address.port !== 4,
      random: () => clock.random(),
    });
    assertEquals(new Set(sample).size, 3);
    for (const peer of sample) drawn[peer.address.port]!++;
  }
  assertEquals(drawn[4], 0);
  for (const count of drawn.toSpliced(4, 1)) assertEquals(Math.abs(count - 15_000 / 9) < 200, true, `${drawn}`);
});

Deno.test("PeerPool.sample() leaves seeds out when asked to", () => {
  const pool = new PeerPool();
  pool.put("a", peer(1, { seed: true }));
  pool.put("b", peer(2));
  const sample = pool.sample(9, { withSeeds: false, accept: () => true, random: () => 0 });
  assertEquals(sample.map((peer) => peer.address.port), [2]);
});

Deno.test("PeerPool.expire() forgets those that were not seen since, and no other", () => {
  const pool = new PeerPool();
  pool.put("a", peer(1, { seen: 10 }));
  pool.put("b", peer(2, { seen: 20, seed: true }));
  pool.put("c", peer(3, { seen: 30 }));
  pool.put("a", peer(1, { seen: 40 }));
  assertEquals(pool.expire(30), 1);
  assertEquals([pool.get("a")?.seen, pool.get("b"), pool.get("c")?.seen, pool.seeders], [40, undefined, 30, 0]);
});

Deno.test("PeerPool.countDownloaders() leaves out partial seeds", () => {
  const pool = new PeerPool();
  pool.put("a", peer(1));
  pool.put("b", peer(2, { downloading: false }));
  pool.put("c", peer(3, { seed: true, downloading: false }));
  assertEquals([pool.leechers, pool.countDownloaders()], [2, 1]);
});
