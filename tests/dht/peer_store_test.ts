import { assert, assertEquals } from "@std/assert";
import { MAX_DHT_PEERS_PER_TORRENT, MAX_DHT_TORRENTS, MAX_DHT_TORRENTS_PER_HOST } from "../../src/base/defences.ts";
import { factsOf } from "../../src/dht/hosts.ts";
import { PEER_LIFETIME_MS, PeerStore } from "../../src/dht/peer_store.ts";
import { fc } from "../support/property.ts";
import { at, idOf, TestPlatform } from "./support.ts";

const platform = new TestPlatform();
const HASH = idOf("aa");

function announce(
  store: PeerStore,
  address: string,
  options: { hash?: Uint8Array; now?: number; seed?: boolean } = {},
) {
  const { hash = HASH, now = 0, seed = false } = options;
  const peer = at(address);
  return store.add({ infoHash: hash, address: peer, host: factsOf(peer.host)!, seed }, now);
}

const all = { limit: 1000, noSeed: false };
const publicHost = (i: number) => `1.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
const hashOf = (i: number) => idOf([i >> 8, i & 255].map((byte) => byte.toString(16).padStart(2, "0")).join(""));

Deno.test("PeerStore keeps one peer of a public address, the latest, and several of a local one", () => {
  const store = new PeerStore(platform);
  announce(store, "1.2.3.4:1");
  announce(store, "1.2.3.4:2");
  announce(store, "10.0.0.1:1");
  announce(store, "10.0.0.1:2");
  const peers = store.sample(HASH, { now: 0, ...all }).map(({ host, port }) => `${host}:${port}`).toSorted();
  assertEquals(peers, ["1.2.3.4:2", "10.0.0.1:1", "10.0.0.1:2"]);
});

Deno.test("PeerStore forgets peers after half an hour", () => {
  const store = new PeerStore(platform);
  announce(store, "1.2.3.4:1");
  announce(store, "1.2.3.5:1", { now: 1000 });
  announce(store, "1.2.3.4:1", { now: 2000 });
  assertEquals(store.sample(HASH, { now: PEER_LIFETIME_MS + 1000, ...all }), [at("1.2.3.4:1")]);
  store.expire(PEER_LIFETIME_MS + 1999);
  assertEquals([store.torrentCount, store.peerCount], [1, 1]);
  store.expire(PEER_LIFETIME_MS + 2000);
  assertEquals([store.torrentCount, store.peerCount], [0, 0]);
});

Deno.test("PeerStore gives seeds last to whoever has no use for them, and filters of both kinds", () => {
  const store = new PeerStore(platform);
  for (let i = 0; i < 20; i++) announce(store, `${publicHost(i)}:1`, { seed: i >= 5 });
  const few = store.sample(HASH, { now: 0, limit: 5, noSeed: true });
  assertEquals(few.map(({ host }) => host).toSorted(), Array.from({ length: 5 }, (_, i) => publicHost(i)));
  assertEquals(store.sample(HASH, { now: 0, limit: 8, noSeed: true }).length, 8);
  const filters = store.filters(HASH, 0)!;
  assertEquals([Math.round(filters.seeds.estimate), Math.round(filters.peers.estimate)], [15, 5]);
  assertEquals(store.filters(idOf("bb"), 0), null);
});

Deno.test("PeerStore holds no more than it may, and drops the oldest", () => {
  const store = new PeerStore(platform);
  for (let i = 0; i < MAX_DHT_PEERS_PER_TORRENT + 10; i++) announce(store, `${publicHost(i)}:1`);
  assertEquals(store.peerCount, MAX_DHT_PEERS_PER_TORRENT);
  assertEquals(store.sample(HASH, { now: 0, ...all }).some(({ host }) => host === publicHost(0)), false);
  for (let i = 0; i < MAX_DHT_TORRENTS + 5; i++) announce(store, `${publicHost(i)}:1`, { hash: hashOf(i) });
  assertEquals(store.torrentCount, MAX_DHT_TORRENTS);
  assertEquals(store.sample(HASH, { now: 0, ...all }), []);
});

Deno.test("PeerStore drops whole torrents when there are too many peers", () => {
  const store = new PeerStore(platform, { maxPeers: 100 });
  for (let i = 0; i <= 100; i++) announce(store, `${publicHost(i)}:1`, { hash: hashOf(Math.floor(i / 40)) });
  assertEquals(store.peerCount, 61);
  assertEquals(store.sample(hashOf(0), { now: 0, ...all }), []);
});

Deno.test("PeerStore lets nobody announce torrents without end, until the old ones are forgotten", () => {
  const store = new PeerStore(platform);
  for (let i = 0; i < MAX_DHT_TORRENTS_PER_HOST; i++) assert(announce(store, "1.2.3.4:1", { hash: hashOf(i) }));
  assertEquals(announce(store, "1.2.3.4:1", { hash: hashOf(9999) }), false);
  assert(announce(store, "1.2.3.4:2", { hash: hashOf(0) }), "one that is known");
  assert(announce(store, "1.2.3.5:1", { hash: hashOf(9999) }), "somebody else");
  assert(announce(store, "1.2.3.4:1", { hash: hashOf(9998), now: PEER_LIFETIME_MS }), "half an hour later");
});

Deno.test("PeerStore counts right, whatever is announced and forgotten", () => {
  const step = fc.record({ host: fc.nat(5), hash: fc.nat(3), wait: fc.nat(PEER_LIFETIME_MS) });
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const store = new PeerStore(platform);
    let now = 0;
    for (const { host, hash, wait } of steps) {
      now += wait;
      announce(store, `${publicHost(host)}:1`, { hash: hashOf(hash), now });
      store.expire(now);
      let count = 0;
      for (let i = 0; i < 4; i++) count += store.sample(hashOf(i), { now, ...all }).length;
      assertEquals(store.peerCount, count);
      assertEquals(store.sampleHashes(10).length, 20 * store.torrentCount);
    }
  }));
});
