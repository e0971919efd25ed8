import { assertEquals, assertGreater, assertLess } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { type LookupOptions, LookupPace, type LookupReport, TorrentAnnouncer } from "../../src/dht/mod.ts";
import { PEER_LIFETIME_MS } from "../../src/dht/peer_store.ts";
import { ANNOUNCE_MS, MIN_LOOKUP_INTERVAL_MS, SEED_ANNOUNCE_MS } from "../../src/dht/torrent_announcer.ts";
import type { NodeContact } from "../../src/dht/compact.ts";
import { at, idOf, TestPlatform } from "./support.ts";

const REPORT: LookupReport = { asked: 40, answered: 0, hops: 3, peers: 0, announced: 8, swarm: null, closest: [] };

/** A DHT whose lookups have the results that the test sets. */
class Lab {
  readonly platform = new TestPlatform();
  readonly lookups: { readonly time: number; readonly options: LookupOptions }[] = [];
  readonly peers: PeerAddress[] = [];
  result: { peers: number; answered: number } = { peers: 0, answered: 30 };
  /** Milliseconds that a lookup takes. */
  duration = 5000;
  #joined: (() => void)[] = [];
  isJoined = true;
  isSeed = false;
  closest: readonly NodeContact[] = [];
  readonly announcer = new TorrentAnnouncer({
    platform: this.platform,
    pace: new LookupPace(this.platform),
    infoHash: new InfoHash(idOf("aa")),
    announce: () => ({ port: 6881, impliedPort: false, seed: this.isSeed }),
    onPeers: (peers) => this.peers.push(...peers),
    dht: {
      onJoined: (listener) => {
        this.#joined.push(listener);
        if (this.isJoined) listener();
        return () => this.#joined = this.#joined.filter((other) => other !== listener);
      },
      lookup: (_infoHash, options) => {
        this.lookups.push({ time: this.platform.now(), options });
        return new Promise((resolve) => {
          const report = { ...REPORT, closest: this.closest, ...this.result };
          this.platform.after(this.duration, () => resolve(report));
          options.signal!.addEventListener("abort", () => resolve({ ...report, answered: 0, peers: 0 }));
        });
      },
    },
  });

  join(): void {
    this.isJoined = true;
    this.#joined.forEach((listener) => listener());
  }

  get listeners(): number {
    return this.#joined.length;
  }

  /** Milliseconds between the starts of lookups. */
  get pauses(): number[] {
    return this.lookups.slice(1).map(({ time }, i) => time - this.lookups[i]!.time);
  }
}

Deno.test("TorrentAnnouncer announces every quarter of an hour or so", async () => {
  const lab = new Lab();
  lab.result = { peers: 50, answered: 30 };
  lab.announcer.start();
  await lab.platform.play(10 * ANNOUNCE_MS);
  assertGreater(lab.lookups.length, 8);
  for (const pause of lab.pauses) {
    assertGreater(pause, 0.89 * ANNOUNCE_MS);
    assertLess(pause, 1.2 * ANNOUNCE_MS);
  }
  assertEquals(lab.lookups[0]!.options.announce, { port: 6881, impliedPort: false, seed: false });
});

Deno.test("TorrentAnnouncer announces a seed before it is forgotten, and not much sooner", async () => {
  const lab = new Lab();
  lab.isSeed = true;
  lab.announcer.start();
  await lab.platform.play(10 * SEED_ANNOUNCE_MS);
  assertGreater(lab.lookups.length, 8);
  for (const pause of lab.pauses) {
    assertGreater(pause, 0.89 * SEED_ANNOUNCE_MS);
    assertLess(pause, PEER_LIFETIME_MS);
  }
});

Deno.test("TorrentAnnouncer begins with the closest nodes of the last lookup, but without them every fourth time", async () => {
  const lab = new Lab();
  lab.closest = [
    { id: idOf("ab"), address: at("1.2.3.4:5") },
    { id: idOf("ac"), address: { host: "2001:db8::1", port: 6 } },
  ];
  lab.announcer.start();
  await lab.platform.play(10 * ANNOUNCE_MS);
  const near = lab.lookups.map(({ options }) => options.near);
  assertEquals(near.slice(0, 9).map((nodes) => nodes?.length ?? 0), [0, 2, 2, 2, 0, 2, 2, 2, 0]);
  assertEquals(near[1], lab.closest);
});

Deno.test("LookupPace spreads the lookups of thousands of seeds, so that each has its turn before it is forgotten", async () => {
  const platform = new TestPlatform();
  const pace = new LookupPace(platform);
  const begun: { readonly torrent: number; readonly time: number }[] = [];
  const announcers = Array.from({ length: 2000 }, (_, torrent) =>
    new TorrentAnnouncer({
      platform,
      pace,
      infoHash: new InfoHash(idOf("aa")),
      announce: () => ({ port: 6881, impliedPort: false, seed: true }),
      onPeers: () => {},
      dht: {
        onJoined: (listener) => {
          listener();
          return () => {};
        },
        lookup: () => {
          begun.push({ torrent, time: platform.now() });
          return Promise.resolve({ ...REPORT, answered: 30 });
        },
      },
    }));
  for (const announcer of announcers) announcer.start();
  const hours = 2;
  await platform.play(hours * 3_600_000);
  const perMinute = new Array<number>(hours * 60).fill(0);
  const last = new Map<number, number>();
  for (const { torrent, time } of begun) {
    perMinute[Math.floor(time / 60_000)]!++;
    assertLess(time - (last.get(torrent) ?? 0), PEER_LIFETIME_MS);
    last.set(torrent, time);
  }
  assertEquals(last.size, 2000);
  assertLess(Math.max(...perMinute), 2000 / 22 + 25);
  for (const announcer of announcers) announcer.stop();
  assertEquals(platform.pending <= 1, true);
});

Deno.test("LookupPace lets a few begin at once, in the order in which they came, and none that waits no more", () => {
  const platform = new TestPlatform();
  const pace = new LookupPace(platform);
  pace.join();
  const begun: number[] = [];
  const ends = Array.from({ length: 30 }, (_, i) => pace.wait(() => begun.push(i)));
  assertEquals(begun.length, 20);
  ends[21]!();
  platform.advance(10_000);
  assertEquals(begun.at(-1), 20);
  platform.advance(10_000);
  assertEquals(begun.at(-1), 22);
  platform.advance(3_600_000);
  assertEquals(begun, Array.from({ length: 30 }, (_, i) => i).filter((i) => i !== 21));
  assertEquals(platform.pending, 0);
});

Deno.test("TorrentAnnouncer waits for the DHT to join, and begins anew when it joins again", async () => {
  const lab = new Lab();
  lab.isJoined = false;
  lab.announcer.start();
  await lab.platform.play(ANNOUNCE_MS);
  assertEquals(lab.lookups.length, 0);
  lab.join();
  await lab.platform.play(10_000);
  assertEquals(lab.lookups.length, 1);
  lab.join();
  await lab.platform.play(1);
  assertEquals(lab.lookups.length, 2);
});

Deno.test("TorrentAnnouncer looks sooner when peers are needed, and ever more seldom when that is in vain", async () => {
  const lab = new Lab();
  lab.announcer.start();
  await lab.platform.play(5000);
  for (let i = 0; i < 4 * ANNOUNCE_MS / 10_000; i++) {
    lab.announcer.needPeers();
    await lab.platform.play(10_000);
  }
  const minutes = lab.pauses.map((pause) => Math.round(pause / MIN_LOOKUP_INTERVAL_MS));
  assertEquals(minutes.slice(0, 4), [1, 2, 4, 8]);
});

Deno.test("TorrentAnnouncer tries again soon when nobody answers", async () => {
  const lab = new Lab();
  lab.result = { peers: 0, answered: 0 };
  lab.duration = 0;
  lab.announcer.start();
  await lab.platform.play(75_000);
  assertEquals(lab.pauses, [10_000, 20_000, 40_000]);
});

Deno.test("TorrentAnnouncer says nothing any more once it is stopped", async () => {
  const lab = new Lab();
  lab.announcer.start();
  await lab.platform.play(1000);
  const { options } = lab.lookups[0]!;
  lab.announcer.stop();
  assertEquals([options.signal!.aborted, lab.listeners], [true, 0]);
  options.onPeers([at("1.2.3.4:5")]);
  lab.announcer.needPeers();
  await lab.platform.play(10 * ANNOUNCE_MS);
  assertEquals([lab.peers, lab.lookups.length, lab.platform.pending], [[], 1, 0]);
});

Deno.test("TorrentAnnouncer goes on after a stop, though not at once after the last lookup, whose answer is of no account", async () => {
  const lab = new Lab();
  lab.result = { peers: 5, answered: 30 };
  lab.announcer.start();
  await lab.platform.play(1000);
  lab.announcer.stop();
  lab.announcer.start();
  lab.announcer.start();
  assertEquals(lab.listeners, 1);
  await lab.platform.play(MIN_LOOKUP_INTERVAL_MS - 1001);
  assertEquals([lab.lookups.length, lab.announcer.status().last], [1, null]);
  await lab.platform.play(1);
  assertEquals(lab.lookups.length, 2);
  await lab.platform.play(lab.duration);
  lab.announcer.stop();
  assertEquals(lab.platform.pending, 0);
  await lab.platform.play(2 * ANNOUNCE_MS);
  assertEquals(lab.lookups.length, 2);
  lab.announcer.start();
  await lab.platform.play(0);
  assertEquals(lab.lookups.length, 3, "after a long pause at once");
});

Deno.test("TorrentAnnouncer.status() says how the last lookup went and when the next is", async () => {
  const lab = new Lab();
  const nothing = { last: null, answeredAgo: null, nextIn: null };
  assertEquals(lab.announcer.status(), { state: "stopped", ...nothing });
  lab.isJoined = false;
  lab.announcer.start();
  assertEquals(lab.announcer.status(), { state: "joining", ...nothing });
  lab.join();
  await lab.platform.play(1000);
  assertEquals(lab.announcer.status(), { state: "asking", ...nothing });
  lab.result = { peers: 3, answered: 30 };
  await lab.platform.play(lab.duration);
  const { nextIn, ...status } = lab.announcer.status();
  const last = { answered: 30, peers: 0, announced: 8 };
  assertEquals(status, { state: "waiting", last, answeredAgo: 1000 });
  assertGreater(nextIn, 0.89 * ANNOUNCE_MS - 1000);
});
