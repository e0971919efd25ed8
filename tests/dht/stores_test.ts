import { assert, assertEquals, assertLess, assertNotEquals } from "@std/assert";
import { formatIp } from "../../src/base/address.ts";
import { toHex } from "../../src/base/bytes.ts";
import { MAX_DHT_PEERS_PER_TORRENT, MAX_DHT_TORRENTS, MAX_DHT_TORRENTS_PER_HOST } from "../../src/base/defences.ts";
import { ExternalAddressVotes } from "../../src/dht/external_address_votes.ts";
import { BloomFilter } from "../../src/dht/bloom_filter.ts";
import { factsOf, isPlausible } from "../../src/dht/hosts.ts";
import { PEER_LIFETIME_MS, PeerStore } from "../../src/dht/peer_store.ts";
import { TokenBucket, TokenBuckets } from "../../src/base/token_bucket.ts";
import { SECRET_MS, TokenKeeper } from "../../src/dht/tokens.ts";
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

Deno.test("TokenKeeper accepts its tokens for 5 to 10 minutes, from the same address, for the same torrent", () => {
  const owner = { ip: Uint8Array.of(1, 2, 3, 4), infoHash: HASH };
  for (const issuedAt of [0, SECRET_MS - 1]) {
    const keeper = new TokenKeeper(platform, 0);
    const token = keeper.issue(owner, issuedAt);
    assert(keeper.accepts(token, owner, issuedAt));
    assertEquals(keeper.accepts(token, { ...owner, ip: Uint8Array.of(1, 2, 3, 5) }, issuedAt), false);
    assertEquals(keeper.accepts(token, { ...owner, infoHash: idOf("ab") }, issuedAt), false);
    assertEquals(keeper.accepts(token.subarray(1), owner, issuedAt), false);
    assert(keeper.accepts(token, owner, SECRET_MS));
    assert(keeper.accepts(token, owner, 2 * SECRET_MS - 1));
    assertEquals(keeper.accepts(token, owner, 2 * SECRET_MS), false);
  }
});

Deno.test("TokenKeeper forgets both secrets after a long silence", () => {
  const keeper = new TokenKeeper(platform, 0);
  const owner = { ip: Uint8Array.of(1, 2, 3, 4), infoHash: HASH };
  const token = keeper.issue(owner, 0);
  assertEquals(keeper.accepts(token, owner, 10 * SECRET_MS), false);
});

Deno.test("two keepers give different tokens", () => {
  const owner = { ip: Uint8Array.of(1, 2, 3, 4), infoHash: HASH };
  const [a, b] = [new TokenKeeper(platform, 0), new TokenKeeper(platform, 0)];
  assertNotEquals(toHex(a.issue(owner, 0)), toHex(b.issue(owner, 0)));
});

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

Deno.test("BloomFilter agrees with BEP 33", () => {
  const filter = new BloomFilter();
  for (let i = 0; i <= 255; i++) filter.add(Uint8Array.of(192, 0, 2, i), platform.digest);
  const other = new BloomFilter();
  for (let i = 0; i <= 0x3e7; i++) {
    const ip = new Uint8Array(16);
    ip.set([0x20, 0x01, 0x0d, 0xb8]);
    ip.set([i >> 8, i & 255], 14);
    other.add(ip, platform.digest);
  }
  filter.join(other.bytes);
  const expected = "f6c3f5eaa07ffd91bde89f777f26fb2bff37bdb8fb2bbaa2fd3ddde7bacfff75ee7ccbae" +
    "fe5eedb1fbfaff67f6abff5e43ddbca3fd9b9ffdf4ffd3e9dff12d1bdf59db53dbe9fa5b" +
    "7ff3b8fdfcde1afb8bedd7be2f3ee71ebbbfe93bcdeefe148246c2bc5dbff7e7efdcf24f" +
    "d8dc7adffd8fffdfddfff7a4bbeedf5cb95ce81fc7fcff1ff4ffffdfe5f7fdcbb7fd79b3" +
    "fa1fc77bfe07fff905b7b7ffc7fefeffe0b8370bb0cd3f5b7f2bd93feb4386cfdd6f7fd5" +
    "bfaf2e9ebffffeecd67adbf7c67f17efd5d75eba6ffeba7fff47a91eb1bfbb53e8abfb57" +
    "62abe8ff237279bfefbfeef5ffc5febfdfe5adffadfee1fb737ffffbfd9f6aeffeee76b6fd8f72ef";
  assertEquals(toHex(filter.bytes), expected);
  assertLess(Math.abs(filter.estimate - 1224.9308), 0.0001);
  assertEquals(new BloomFilter().estimate, 0);
});

Deno.test("TokenBucket lets a burst through, then so many a second", () => {
  const limit = new TokenBucket({ perSecond: 4, burst: 3 }, 0);
  assertEquals([1, 2, 3, 4].map(() => limit.take(0)), [true, true, true, false]);
  assertEquals(limit.wait(0), 250);
  assertEquals([limit.take(249), limit.take(250), limit.take(251)], [false, true, false]);
  assertEquals([1, 2, 3, 4].map(() => limit.take(60_000)), [true, true, true, false]);
});

Deno.test("TokenBuckets counts everybody apart, and remembers only so many", () => {
  const limits = new TokenBuckets({ perSecond: 1, burst: 1, capacity: 2 });
  assertEquals([limits.take("a", 0), limits.take("a", 0), limits.take("b", 0)], [true, false, true]);
  limits.take("a", 0);
  limits.take("c", 0); // b was quiet longest, and is forgotten
  assertEquals([limits.take("a", 0), limits.take("b", 0)], [false, true]);
});

Deno.test("ExternalAddressVotes believes a majority of networks, not a crowd in one of them", () => {
  const votes = new ExternalAddressVotes();
  for (let i = 1; i <= 50; i++) assertEquals(votes.add("6.6.6.6", factsOf(`9.9.9.${i}`)!), false);
  for (let i = 1; i <= 4; i++) assertEquals(votes.add("5.5.5.5", factsOf(`8.8.${i}.1`)!), false);
  assertEquals(votes.decided, null);
  assertEquals(votes.add("5.5.5.5", factsOf("8.8.5.1")!), true);
  assertEquals(votes.add("5.5.5.5", factsOf("8.8.6.1")!), false);
  assertEquals(votes.decided, "5.5.5.5");
  // After a change of our address, as many votes are needed for the new address.
  let changedAfter = 0;
  for (let i = 10; votes.decided !== "7.7.7.7"; i++, changedAfter++) votes.add("7.7.7.7", factsOf(`8.8.${i}.1`)!);
  assert(changedAfter > 5 && changedAfter <= 24, `${changedAfter}`);
});

Deno.test("factsOf() knows who is local, and isPlausible() lets only them tell of others who are", () => {
  const kinds = (hosts: string[]) => hosts.map((host) => factsOf(host)!.kind);
  assertEquals(
    new Set(kinds(["10.1.1.1", "127.0.0.1", "100.64.0.1", "::1", "fe80::1", "fc00::1"])),
    new Set(["local"]),
  );
  assertEquals(new Set(kinds(["0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])), new Set(["unusable"]));
  assertEquals(new Set(kinds(["8.8.8.8", "172.15.0.1", "100.128.0.1", "2001:db8::1"])), new Set(["public"]));
  assertEquals(factsOf("example.org"), null);
  const [local, open] = [factsOf("10.0.0.1")!, factsOf("8.8.8.8")!];
  assertEquals([isPlausible(local, open), isPlausible(local, local), isPlausible(open, local)], [false, true, true]);
  assertEquals(isPlausible(factsOf("224.0.0.1")!, local), false);
  assertEquals(factsOf("2001:db8::1")!.site, factsOf("2001:db8::2")!.site);
  assertNotEquals(factsOf("2001:db8::1")!.site, factsOf("2001:db8:0:1::1")!.site);
});

Deno.test("factsOf() has room for any address", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), (ip) => {
      assertEquals(new Uint8Array(factsOf(formatIp(ip))!.bytes), new Uint8Array(ip));
    }),
    { numRuns: 300 },
  );
});
