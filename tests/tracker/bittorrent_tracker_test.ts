/**
 * Our client and our tracker against another implementation, npm's `bittorrent-tracker`, over loopback, HTTP and UDP.
 */
import { assertEquals } from "@std/assert";
// @ts-types="../support/bittorrent_tracker.d.ts"
import Client, { Server } from "bittorrent-tracker";
import { formatAddress } from "../../src/base/address.ts";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { denoHttp } from "../../src/platform/deno_http.ts";
import { denoNetwork } from "../../src/platform/deno_net.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { Announcer, type TrackerReport } from "../../src/tracker/announcer.ts";
import { TrackerServer, type TrackerServerOptions } from "../../src/tracker_server/server.ts";
import { TrackerWay } from "../support/udp_world.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

class World extends VirtualClock {
  readonly http = denoHttp;
  readonly net = denoNetwork;
  readonly digest = denoPlatform.digest;
}

const PROTOCOLS = ["http", "udp"] as const;
type Protocol = typeof PROTOCOLS[number];

const HASH = new InfoHash(Uint8Array.from({ length: 20 }, (_, i) => 255 - i * 12));

/** An announcer that keeps peers and reports, and lets a test wait for the next report. */
class Listener {
  readonly peers: string[] = [];
  readonly announcer: Announcer;
  readonly #udp: TrackerWay;
  #reports: TrackerReport[] = [];
  #wake = () => {};

  constructor(url: string, { port, left }: { readonly port: number; readonly left: number }) {
    const platform = new World({ seed: port });
    this.#udp = new TrackerWay(platform);
    this.announcer = new Announcer({
      platform,
      udp: this.#udp.udp,
      tiers: [[url]],
      infoHash: HASH,
      peerId: utf8(`-SH0100-${String(port).padStart(12, "0")}`),
      port,
      progress: () => ({ uploaded: 0, downloaded: 0, left }),
      onPeers: (peers) => this.peers.push(...peers.map(formatAddress)),
      onReport: (report) => {
        this.#reports.push(report);
        this.#wake();
      },
      wantedPeers: () => 50,
    });
  }

  async stop(): Promise<void> {
    await this.announcer.stop();
    this.#udp.close();
  }

  async report(): Promise<TrackerReport> {
    while (this.#reports.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#reports.shift()!;
  }
}

interface ForeignTracker {
  readonly url: string;
  /** Announces to the tracker, as `event address`. */
  readonly events: string[];
}

async function withForeignTracker(protocol: Protocol, use: (tracker: ForeignTracker) => Promise<void>): Promise<void> {
  const faults: Error[] = [];
  const events: string[] = [];
  const server = new Server({
    http: protocol === "http",
    udp: protocol === "udp",
    ws: false,
    stats: false,
    filter: (infoHash, _, done) => done(infoHash === HASH.hex ? null : new Error("not on the list")),
  });
  server.on("error", (error) => faults.push(error)).on("warning", (error) => faults.push(error));
  for (const event of ["start", "complete", "update", "stop"] as const) {
    server.on(event, (address) => events.push(`${event} ${address}`));
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = (server.udp ?? server.http).address();
  try {
    await use({ url: `${protocol}://127.0.0.1:${port}/announce`, events });
  } finally {
    await new Promise<void>((resolve) => server.close(resolve));
  }
  assertEquals(faults, []);
}

for (const protocol of PROTOCOLS) {
  Deno.test(`Announcer and bittorrent-tracker's server understand each other over ${protocol}`, async () => {
    await withForeignTracker(protocol, async ({ url, events }) => {
      const seed = new Listener(url, { port: 6001, left: 0 });
      seed.announcer.start();
      const first = await seed.report();
      assertEquals([first.status, first.message, first.seeders, first.leechers], ["ok", "", 1, 0]);
      const leech = new Listener(url, { port: 6002, left: 100 });
      leech.announcer.start();
      const second = await leech.report();
      assertEquals([second.status, second.seeders, second.leechers], ["ok", 1, 1]);
      assertEquals(leech.peers.includes("127.0.0.1:6001"), true);
      leech.announcer.completed();
      assertEquals((await leech.report()).status, "ok");
      await Promise.all([leech.stop(), seed.stop()]);
      assertEquals(events.slice(0, 3), ["start 127.0.0.1:6001", "start 127.0.0.1:6002", "complete 127.0.0.1:6002"]);
      assertEquals(events.slice(3).sort(), ["stop 127.0.0.1:6001", "stop 127.0.0.1:6002"]);
    });
  });

  Deno.test(`Announcer tells bittorrent-tracker's server of pauses and removals over ${protocol} in their order`, async () => {
    await withForeignTracker(protocol, async ({ url, events }) => {
      const peer = new Listener(url, { port: 6001, left: 100 });
      peer.announcer.start();
      assertEquals((await peer.report()).leechers, 1);
      for (let i = 0; i < 3; i++) {
        peer.announcer.pause();
        peer.announcer.start();
      }
      assertEquals((await peer.report()).leechers, 1);
      peer.announcer.setTiers([]);
      peer.announcer.setTiers([[url]]);
      assertEquals((await peer.report()).leechers, 1);
      await peer.stop();
      const expected = ["start", "stop", "start", "stop", "start", "stop"];
      assertEquals(events, expected.map((event) => `${event} 127.0.0.1:6001`));
    });
  });

  Deno.test({
    name: `TrackerServer and bittorrent-tracker's client understand each other over ${protocol}`,
    // On Deno 2.4, that client can't send anything over UDP, and reports no error.
    ignore: protocol === "udp" && /^2\.[0-4]\./.test(Deno.version.deno),
    fn: async () => {
      const { tracker, url } = startTracker(protocol, { allow: [HASH] });
      const seed = new Listener(url, { port: 6001, left: 0 });
      seed.announcer.start();
      assertEquals((await seed.report()).status, "ok");
      const client = new Client({
        infoHash: HASH.hex,
        peerId: toHex(utf8("-XX0000-abcdefghijkl")),
        announce: [url],
        port: 6003,
        wrtc: false,
      });
      const faults: Error[] = [];
      client.on("error", (error) => faults.push(error)).on("warning", (error) => faults.push(error));
      try {
        const peer = new Promise<string>((resolve) => client.once("peer", resolve));
        const swarm = new Promise((resolve) =>
          client.once("update", ({ complete, incomplete }) => resolve([complete, incomplete]))
        );
        client.start({ left: 100 });
        assertEquals([await peer, await swarm], ["127.0.0.1:6001", [1, 1]]);
        const updated = new Promise((resolve) => client.once("update", ({ complete }) => resolve(complete)));
        client.complete({ left: 0, downloaded: 100 });
        assertEquals(await updated, 2);
        const scraped = new Promise((resolve) => {
          client.once("scrape", ({ complete, incomplete, downloaded }) => resolve([complete, incomplete, downloaded]));
        });
        client.scrape();
        assertEquals(await scraped, [2, 0, 1]);
        const stopped = new Promise((resolve) => client.once("update", ({ complete }) => resolve(complete)));
        client.stop({ left: 0 });
        assertEquals(await stopped, 1);
      } finally {
        await new Promise<void>((resolve) => client.destroy(resolve));
        await seed.stop();
        await tracker.close();
      }
      assertEquals(faults, []);
    },
  });

  Deno.test(`Announcer and TrackerServer understand each other over ${protocol}`, async () => {
    const { tracker, url } = startTracker(protocol, { interval: 60 });
    const listeners = [1, 2, 3].map((n) => new Listener(url, { port: 6000 + n, left: n === 1 ? 0 : 100 }));
    for (const [i, listener] of listeners.entries()) {
      listener.announcer.start();
      const { status, seeders, leechers, peers } = await listener.report();
      assertEquals({ status, seeders, leechers, peers }, { status: "ok", seeders: 1, leechers: i, peers: i });
    }
    assertEquals(listeners[2]!.peers.sort(), ["127.0.0.1:6001", "127.0.0.1:6002"]);
    await Promise.all(listeners.map((listener) => listener.stop()));
    assertEquals(tracker.peerCount, 0);
    await tracker.close();
  });
}

function startTracker(
  protocol: Protocol,
  options: Partial<TrackerServerOptions>,
): { readonly tracker: TrackerServer; readonly url: string } {
  const world = new World();
  const tracker = TrackerServer.start(world, { host: "127.0.0.1", port: 0, udp: world, ...options });
  return { tracker, url: protocol === "udp" ? tracker.udpUrl! : tracker.url };
}
