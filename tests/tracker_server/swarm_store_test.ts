import { assert, assertEquals } from "@std/assert";
import { MAX_TRACKED_PER_NETWORK, MAX_TRACKED_PER_SWARM } from "../../src/base/defences.ts";
import { InfoHash, InfoHashV2 } from "../../src/base/info_hash.ts";
import { InfoHashes } from "../../src/base/info_hashes.ts";
import {
  type AnnounceAnswer,
  type AnnounceQuery,
  SwarmStore,
  type SwarmStoreOptions,
} from "../../src/tracker_server/swarm_store.ts";

const MINUTE = 60_000;
const HASH = new InfoHash(new Uint8Array(20));
const OTHER = new InfoHash(new Uint8Array(20).fill(1));

function storeOf(more: Partial<SwarmStoreOptions> = {}): SwarmStore {
  return new SwarmStore({ interval: 30 * MINUTE, random: () => 0, ...more });
}

function query(port: number, more: Partial<AnnounceQuery> = {}): AnnounceQuery {
  return {
    infoHash: HASH,
    peerId: new Uint8Array(20).fill(port),
    address: { host: "10.0.0.1", port },
    left: 100,
    event: "",
    numwant: null,
    ...more,
  };
}

function tell(store: SwarmStore, announce: AnnounceQuery, now = 0): AnnounceAnswer {
  const answer = store.announce(announce, now);
  assert("peers" in answer, "refusal" in answer ? answer.refusal : "");
  return answer;
}

function refusal(store: SwarmStore, announce: AnnounceQuery, now = 0): string | null {
  const answer = store.announce(announce, now);
  return "refusal" in answer ? answer.refusal : null;
}

const ports = (answer: AnnounceAnswer) => answer.peers.map((peer) => peer.address.port).sort();

Deno.test("SwarmStore tells peers of each other, nobody of itself, and counts", () => {
  const store = storeOf();
  assertEquals(ports(tell(store, query(1))), []);
  assertEquals(ports(tell(store, query(2, { left: 0 }))), [1]);
  const third = tell(store, query(3));
  assertEquals([third.seeders, third.leechers, ...ports(third)], [1, 2, 1, 2]);
  assertEquals(ports(tell(store, query(1))), [2, 3]);
  assertEquals(store.peerCount, 3);
});

Deno.test("SwarmStore gives a peer that came under two addresses neither of them", () => {
  const store = storeOf();
  const peerId = new Uint8Array(20).fill(9);
  tell(store, query(1, { peerId }));
  assertEquals(ports(tell(store, query(1, { peerId, address: { host: "2001:db8::1", port: 1 } }))), []);
  assertEquals(ports(tell(store, query(2))).length, 2);
});

Deno.test("SwarmStore gives seeds no seeds, but a few when there is nobody else: aria2 has nothing, and says it has all", () => {
  const store = storeOf();
  for (let port = 1; port <= 20; port++) tell(store, query(port, { left: 0 }));
  const few = tell(store, query(1, { left: 0 })).peers;
  assertEquals([few.length, few.every(({ seed }) => seed)], [10, true]);
  assertEquals(tell(store, query(1, { left: 0, numwant: 3 })).peers.length, 3);
  assertEquals(tell(store, query(1, { left: 0, numwant: 0 })).peers.length, 0);
  for (let port = 31; port <= 40; port++) tell(store, query(port));
  assertEquals(ports(tell(store, query(1, { left: 0 }))), [31, 32, 33, 34, 35, 36, 37, 38, 39, 40]);
});

Deno.test("SwarmStore keeps swarms apart", () => {
  const store = storeOf();
  tell(store, query(1));
  assertEquals(ports(tell(store, query(2, { infoHash: OTHER }))), []);
  assertEquals(store.torrentCount, 2);
});

Deno.test("SwarmStore gives as many peers as asked for: 50 when it is not said, 200 at most", () => {
  const store = storeOf();
  for (let i = 1; i <= 300; i++) tell(store, query(i, { numwant: 0, address: { host: `10.0.${i >> 6}.1`, port: i } }));
  const given = (numwant: number | null) => tell(store, query(1000, { numwant })).peers.length;
  assertEquals([0, 7, null, 200, 100_000].map(given), [0, 7, 50, 200, 200]);
});

Deno.test("SwarmStore forgets a peer that stopped, and a swarm without peers", () => {
  const store = storeOf();
  tell(store, query(1));
  tell(store, query(2));
  const answer = tell(store, query(1, { event: "stopped" }));
  assertEquals([answer.seeders, answer.leechers, answer.peers.length], [0, 1, 0]);
  tell(store, query(1, { event: "stopped" }));
  tell(store, query(2, { event: "stopped" }));
  assertEquals([store.peerCount, store.torrentCount], [0, 0]);
});

Deno.test("SwarmStore forgets a peer that is two and a half intervals late, by itself and by expire()", () => {
  const store = storeOf();
  tell(store, query(1), 0);
  assertEquals(ports(tell(store, query(2), 75 * MINUTE)), [1]);
  assertEquals(ports(tell(store, query(2), 75 * MINUTE + 1)), []);
  store.expire(150 * MINUTE + 1);
  assertEquals(store.peerCount, 1);
  store.expire(150 * MINUTE + 2);
  assertEquals([store.peerCount, store.torrentCount], [0, 0]);
});

Deno.test("SwarmStore counts a completed download once", () => {
  const store = storeOf();
  tell(store, query(1, { event: "started" }));
  for (const left of [1, 1, 0, 0]) tell(store, query(1, { event: "completed", left }));
  tell(store, query(2, { event: "started", left: 0 }));
  tell(store, query(2, { event: "completed", left: 0 }));
  assertEquals(store.scrape(HASH), { complete: 2, incomplete: 0, downloaded: 1, downloaders: 0 });
});

Deno.test("SwarmStore.scrape() tells downloaders from partial seeds, and knows nothing of other torrents", () => {
  const store = storeOf();
  tell(store, query(1));
  tell(store, query(2, { event: "paused" }));
  tell(store, query(3, { event: "paused", left: 0 }));
  assertEquals(store.scrape(HASH), { complete: 1, incomplete: 2, downloaded: 0, downloaders: 1 });
  assertEquals(store.scrape(OTHER), { complete: 0, incomplete: 0, downloaded: 0, downloaders: 0 });
});

Deno.test("SwarmStore tells who wants no more of those who do, and of a few others only when there are no such", () => {
  const store = storeOf();
  tell(store, query(1));
  for (let port = 2; port < 30; port++) tell(store, query(port, { event: "paused" }));
  for (let port = 30; port < 60; port++) tell(store, query(port, { left: 0 }));
  const anybody = tell(store, query(100));
  assertEquals([anybody.seeders, anybody.leechers, anybody.peers.length], [30, 30, 50]);
  for (const more of [{ left: 0 }, { event: "paused" }]) {
    const { peers } = tell(store, query(100, more));
    assertEquals([peers.length, peers.filter(({ downloading }) => downloading).length], [10, 1]);
  }
});

Deno.test("SwarmStore forgets a few late peers with each announce, and not the one that announces", () => {
  const store = storeOf();
  for (let port = 1; port <= 50; port++) tell(store, query(port, { event: "completed" }));
  assertEquals(tell(store, query(1), 80 * MINUTE).leechers, 42);
  assertEquals(store.expire(80 * MINUTE, 10), true);
  assertEquals(store.expire(80 * MINUTE, 100), false);
  assertEquals([store.peerCount, store.scrape(HASH).downloaded], [1, 50]);
});

Deno.test("SwarmStore serves only the torrents that it is told to", () => {
  const store = storeOf({ allow: [HASH] });
  assertEquals(refusal(store, query(1)), null);
  assertEquals(refusal(store, query(1, { infoHash: OTHER })), "this tracker does not serve that torrent");
});

Deno.test("SwarmStore refuses more torrents and peers than it has room for, but none that it knows", () => {
  const store = storeOf({ maxTorrents: 1, maxPeers: 2 });
  assertEquals(refusal(store, query(1)), null);
  assertEquals(refusal(store, query(2, { infoHash: OTHER })), "this tracker is full");
  assertEquals(refusal(store, query(2)), null);
  assertEquals(refusal(store, query(3)), "this tracker is full");
  assertEquals(refusal(store, query(1)), null);
  assertEquals(refusal(store, query(3), 90 * MINUTE), null, "there is room again when the others are gone");
  assertEquals(store.peerCount, 1);
});

/** Announces from one host with increasing ports, until an announce is refused. */
function fill(store: SwarmStore, host: string, { swarms }: { readonly swarms: boolean }): [count: number, why: string] {
  for (let count = 0; count < 5_000; count++) {
    const infoHash = swarms ? new InfoHash(new Uint8Array(20).fill(7).fill(count, 5, 10).fill(count >> 8, 0, 5)) : HASH;
    const why = refusal(store, query(1, { infoHash, address: { host, port: 1 + count } }));
    if (why !== null) return [count, why];
  }
  return [5_000, ""];
}

Deno.test("SwarmStore has only so much room for one address, in a torrent and in all", () => {
  const store = storeOf();
  const full = [MAX_TRACKED_PER_SWARM, "too many peers of this torrent from your address"];
  assertEquals(fill(store, "192.0.2.1", { swarms: false }), full);
  assertEquals(fill(store, "192.0.2.2", { swarms: false }), full, "another address has room of its own");
  const [count, why] = fill(store, "192.0.2.1", { swarms: true });
  assertEquals([count, why], [MAX_TRACKED_PER_NETWORK - MAX_TRACKED_PER_SWARM, "too many peers from your address"]);
  // A known peer may go on announcing, and makes room when it stops.
  const known = query(1, { address: { host: "192.0.2.1", port: 1 } });
  assertEquals(refusal(store, known), null);
  assertEquals(refusal(store, { ...known, event: "stopped" }), null);
  assertEquals(refusal(store, query(1, { address: { host: "192.0.2.1", port: 60_000 } })), null);
});

Deno.test("SwarmStore takes an IPv6 /64 for one address, and sets no limits to its own machine", () => {
  const store = storeOf();
  const refused = Array.from({ length: MAX_TRACKED_PER_SWARM + 5 }, (_, i) => {
    return refusal(store, query(1, { address: { host: `2001:db8::${(i + 1).toString(16)}`, port: 7 } }));
  });
  assertEquals(refused.filter((why) => why !== null).length, 5);
  assertEquals(refusal(store, query(1, { address: { host: "2001:db8:0:1::1", port: 7 } })), null);
  assertEquals(store.networkCount, 2);
  assertEquals(fill(store, "127.0.0.1", { swarms: false }), [5_000, ""]);
  assertEquals(fill(store, "::1", { swarms: true }), [5_000, ""]);
});

Deno.test("SwarmStore counts addresses down again when peers go or are forgotten", () => {
  const store = storeOf();
  const of = (host: string) => query(1, { address: { host, port: 1 } });
  for (const host of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) tell(store, of(host));
  tell(store, of("192.0.2.3"));
  assertEquals(store.networkCount, 3);
  tell(store, { ...of("192.0.2.1"), event: "stopped" });
  assertEquals(store.networkCount, 2);
  store.expire(90 * MINUTE);
  assertEquals([store.networkCount, store.peerCount], [0, 0]);
});

Deno.test("SwarmStore.allow() adds to the torrents that are served", () => {
  const store = storeOf({ allow: [] });
  assertEquals(refusal(store, query(1)), "this tracker does not serve that torrent");
  store.allow(HASH);
  assertEquals(refusal(store, query(1)), null);
  assertEquals(refusal(store, query(1, { infoHash: OTHER })), "this tracker does not serve that torrent");
});

Deno.test("SwarmStore brings peers of a hybrid together, whichever info-hash they announce, once it knows of both", () => {
  const v2 = new InfoHashV2(new Uint8Array(32).fill(1));
  const both = new InfoHashes(HASH, v2);
  for (const allow of [undefined, [], [both]]) {
    const store = storeOf({ ...(allow && { allow }) });
    if (allow === undefined) {
      tell(store, query(1));
      assertEquals(ports(tell(store, query(2, { infoHash: OTHER }))), [], "nobody has said that they are one");
      for (const infoHash of [HASH, OTHER]) tell(store, query(1, { infoHash, event: "stopped" }));
      for (const infoHash of [HASH, OTHER]) tell(store, query(2, { infoHash, event: "stopped" }));
    }
    store.allow(both);
    tell(store, query(1));
    assertEquals(ports(tell(store, query(2, { infoHash: v2.truncated, left: 0 }))), [1]);
    tell(store, query(2, { left: 0 }));
    assertEquals(ports(tell(store, query(1))), [2], "a peer that announces both is one peer");
    const counts = { complete: 1, incomplete: 1, downloaded: 0, downloaders: 1 };
    assertEquals([store.scrape(HASH), store.scrape(v2.truncated)], [counts, counts]);
    tell(store, query(1, { infoHash: OTHER, event: "stopped" }));
    assertEquals([store.peerCount, store.torrentCount], [1, 1]);
  }
});
