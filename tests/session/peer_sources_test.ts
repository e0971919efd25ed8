import { assertEquals } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash, InfoHashV2 } from "../../src/base/info_hash.ts";
import { InfoHashes } from "../../src/base/info_hashes.ts";
import type { LocalDiscovery, LocalSearch } from "../../src/lsd/local_discovery.ts";
import type { Platform } from "../../src/platform/platform.ts";
import type { DhtService, DhtTorrent } from "../../src/session/dht_service.ts";
import { PeerSources } from "../../src/session/peer_sources.ts";
import { TrackerWay } from "../support/udp_world.ts";
import { type Call, type Reaction, ScriptedTrackers } from "../support/scripted_trackers.ts";
import { settle } from "../support/virtual_clock.ts";

const V1 = new InfoHash(new Uint8Array(20));
const V2 = new InfoHashV2(new Uint8Array(32).fill(2));
const OK: Reaction = { reply: { interval: 1800, peers: Uint8Array.of(10, 0, 0, 1, 0, 9) } };
const NO: Reaction = { reply: { "failure reason": "unknown torrent" } };
const AT: PeerAddress = { host: "10.0.0.2", port: 2 };
const DHT_STATUS = { state: "waiting", last: null, answeredAgo: null, nextIn: 5 } as const;

/** The peer sources of a torrent: scripted trackers, and a DHT and local discovery that record their calls. */
class Lab {
  readonly world: ScriptedTrackers;
  readonly found: string[] = [];
  isPrivate = false;
  left = 100;
  /** Calls to the DHT and to local discovery. */
  readonly log: string[] = [];
  /** What the DHT announces last, and all that it announces. */
  dht: DhtTorrent | null = null;
  readonly inDht: DhtTorrent[] = [];
  neighbours: LocalSearch | null = null;
  /** Searches for local peers by info-hash. */
  readonly searches = new Map<string, LocalSearch>();
  /** Info-hashes under which peers were found. */
  readonly under: string[] = [];
  readonly sources: PeerSources;

  constructor(script: ScriptedTrackers["script"] = () => OK, infoHashes = new InfoHashes(V1, null)) {
    this.world = new ScriptedTrackers(script);
    const platform = this.world as unknown as Platform;
    const log = (what: string) => void this.log.push(what);
    this.sources = new PeerSources({
      platform,
      infoHashes,
      peerId: utf8("-SH0100-abcdefghijkl"),
      port: 6881,
      portFor: () => 6881,
      udp: new TrackerWay(platform).udp,
      trackers: [["http://a/x"]],
      askAllTrackers: () => false,
      isPrivate: () => this.isPrivate,
      dht: {
        health: { nodes: 12, secondsSinceStart: 3 },
        announcer: (torrent: DhtTorrent) => {
          this.dht = torrent;
          this.inDht.push(torrent);
          log("dht made");
          return {
            start: () => log("dht start"),
            stop: () => log("dht stop"),
            needPeers: () => log("dht needPeers"),
            status: () => DHT_STATUS,
          };
        },
      } as unknown as DhtService,
      local: {
        add: (infoHash: InfoHash, search: LocalSearch) => {
          this.neighbours = search;
          this.searches.set(infoHash.hex, search);
          log("lsd add");
        },
        remove: (infoHash: InfoHash) => {
          this.searches.delete(infoHash.hex);
          log("lsd remove");
        },
        nextIn: () => 7,
      } as unknown as LocalDiscovery,
      progress: () => ({ uploaded: 0, downloaded: 0, left: this.left }),
      wantedPeers: () => 50,
      received: () => 1,
      onPeers: (addresses, source, infoHash) => {
        this.found.push(`${source} ${addresses.map(({ host }) => host).join()}`);
        this.under.push(`${source} ${infoHash}`);
      },
      onReport: () => {},
    });
  }

  /** Runs `act`, and returns what the trackers, the DHT and local discovery saw of it. */
  async does(act: () => void): Promise<string[]> {
    const from = this.world.log.length;
    this.log.length = 0;
    act();
    await settle();
    return [...this.world.log.slice(from), ...this.log];
  }
}

const START = ["a/x started", "lsd add", "dht made", "dht start"];

Deno.test("PeerSources find peers from start() on, not in a pause, and no more after stop()", async () => {
  const lab = new Lab();
  const { sources } = lab;
  assertEquals([sources.trackers, sources.status().active], [[["http://a/x"]], false]);
  assertEquals(await lab.does(() => sources.start()), START);
  lab.dht!.onPeers([AT]);
  lab.neighbours!.onPeer(AT);
  const all = ["tracker 10.0.0.1", "dht 10.0.0.2", "lsd 10.0.0.2"];
  assertEquals(lab.found, all);
  assertEquals(await lab.does(() => sources.pause()), ["a/x stopped", "dht stop", "lsd remove"]);
  lab.dht!.onPeers([AT]);
  lab.neighbours!.onPeer(AT);
  sources.needPeers();
  assertEquals([lab.found, sources.status().active], [all, false]);
  assertEquals(await lab.does(() => sources.start()), []);
  assertEquals(await lab.does(() => sources.resume()), ["a/x started", "lsd add", "dht start"]);
  assertEquals(await lab.does(() => sources.needPeers()), ["dht needPeers"]);
  assertEquals(await lab.does(() => void sources.stop()), ["a/x stopped", "dht stop", "lsd remove"]);
  assertEquals(await lab.does(() => sources.resume()), []);
  assertEquals(await lab.does(() => sources.setTrackers([["http://b/x"]])), []);
  assertEquals([lab.world.pending, sources.status().active], [0, false]);
});

Deno.test("PeerSources that another torrent goes on for tell no tracker that they leave, unless they start again", async () => {
  const lab = new Lab();
  const { sources } = lab;
  await lab.does(() => sources.start());
  sources.handOver();
  assertEquals(await lab.does(() => sources.pause()), ["dht stop", "lsd remove"]);
  assertEquals(await lab.does(() => sources.resume()), ["a/x started", "lsd add", "dht start"]);
  assertEquals(await lab.does(() => sources.pause()), ["a/x stopped", "dht stop", "lsd remove"]);
  await lab.does(() => sources.resume());
  sources.handOver();
  assertEquals(await lab.does(() => void sources.stop()), ["dht stop", "lsd remove"]);
  assertEquals(lab.world.pending, 0);
});

Deno.test("PeerSources that are paused before they start begin when the pause is over", async () => {
  const lab = new Lab();
  lab.sources.pause();
  assertEquals(await lab.does(() => lab.sources.start()), []);
  lab.sources.setTrackers([["http://b/x"]]);
  assertEquals(await lab.does(() => lab.sources.resume()), ["b/x started", ...START.slice(1)]);
});

Deno.test("PeerSources of a private torrent ask trackers alone, be it that it turns out to be one (BEP 27)", async () => {
  const born = new Lab();
  born.isPrivate = true;
  assertEquals(await born.does(() => born.sources.start()), ["a/x started"]);
  const found = new Lab();
  await found.does(() => found.sources.start());
  assertEquals(await found.does(() => found.sources.keepPrivate()), ["dht stop", "lsd remove"]);
  found.dht!.onPeers([AT]);
  found.neighbours!.onPeer(AT);
  found.sources.pause();
  await settle();
  assertEquals(await found.does(() => found.sources.resume()), ["a/x started"]);
  assertEquals(found.found, ["tracker 10.0.0.1", "tracker 10.0.0.1"]);
  for (const { sources } of [born, found]) assertEquals([sources.status().dht, sources.status().lsd], [null, null]);
});

Deno.test("PeerSources.resume() lets a tracker hear of it after it heard of the pause, however often that is done", async () => {
  const lab = new Lab(({ event }) => event === "stopped" ? { reply: { interval: 1 }, delay: 400 } : OK);
  lab.sources.start();
  await settle();
  for (let i = 0; i < 5; i++) {
    lab.sources.pause();
    lab.sources.resume();
    await lab.world.play(10);
  }
  assertEquals(lab.world.log, ["a/x started", "a/x stopped"]);
  await lab.world.play(400);
  assertEquals(lab.world.log, ["a/x started", "a/x stopped", "a/x started"]);
});

Deno.test("PeerSources.status() says how it goes with each of them", async () => {
  const lab = new Lab();
  lab.sources.start();
  await settle();
  lab.neighbours!.onPeer(AT);
  const { active, trackers: [tracker], dht, lsd } = lab.sources.status();
  assertEquals([active, tracker!.state, tracker!.nextIn, tracker!.peers], [true, "waiting", 1_800_000, 1]);
  assertEquals([dht, lsd], [DHT_STATUS, { heard: 1, nextIn: 7 }]);
  const shown = lab.sources.sources();
  assertEquals([shown.trackers[0]!.secondsUntilNext, shown.trackers[0]!.others], [1_800, true]);
  assertEquals(shown.lsd, { heard: 1, secondsUntilNext: 0.007 });
  const times = { secondsSinceStart: 3, secondsSinceAnswer: null, secondsUntilNext: 0.005 };
  assertEquals(shown.dht, { state: "waiting", nodes: 12, last: null, ...times });
});

/** The two info-hashes by which peers know a hybrid torrent. */
const BOTH = [V1.hex, V2.truncated.hex];
const hashesOf = (lab: Lab, event: string) =>
  lab.world.calls.filter((call) => call.event === event).map(({ parameters }) =>
    parameters.get("info_hash")!.replaceAll("%", "").toLowerCase()
  );

Deno.test("PeerSources announce a torrent under both info-hashes, and tell under which a peer was found", async () => {
  const lab = new Lab(() => OK, new InfoHashes(V1, V2));
  const { sources } = lab;
  await lab.does(() => sources.start());
  assertEquals(hashesOf(lab, "started"), BOTH);
  assertEquals(lab.inDht.map(({ infoHash }) => infoHash.hex), BOTH);
  assertEquals([...lab.searches.keys()], BOTH);
  for (const { onPeers } of lab.inDht) onPeers([AT]);
  for (const { onPeer } of lab.searches.values()) onPeer(AT);
  assertEquals(lab.under, ["tracker", "dht", "lsd"].flatMap((source) => BOTH.map((hash) => `${source} ${hash}`)));
  assertEquals(sources.status().trackers.map(({ url, status }) => `${url} ${status}`), ["http://a/x ok"]);
  assertEquals(await lab.does(() => sources.setTrackers([["http://b/x"]])), [
    "a/x stopped",
    "b/x started",
    "a/x stopped",
    "b/x started",
  ]);
  await lab.does(() => sources.completed());
  assertEquals(hashesOf(lab, "completed"), BOTH);
  assertEquals((await lab.does(() => sources.pause())).sort(), [
    "b/x stopped",
    "b/x stopped",
    "dht stop",
    "dht stop",
    "lsd remove",
    "lsd remove",
  ]);
  assertEquals([...lab.searches], []);
});

Deno.test("PeerSources announce an info-hash that comes with the metadata, now or after the pause", async () => {
  for (const paused of [false, true]) {
    const lab = new Lab();
    lab.sources.start();
    if (paused) lab.sources.pause();
    await settle();
    const before = [...hashesOf(lab, "started")];
    lab.sources.addInfoHash(V2.truncated);
    await settle();
    const now = hashesOf(lab, "started");
    assertEquals([before, now], paused ? [before, before] : [[BOTH[0]!], BOTH]);
    lab.sources.resume();
    await settle();
    assertEquals(hashesOf(lab, "started").slice(-1), [BOTH[1]!]);
    assertEquals(lab.inDht.map(({ infoHash }) => infoHash.hex), BOTH);
    assertEquals([...lab.searches.keys()], BOTH);
    await lab.sources.stop();
  }
});

Deno.test("PeerSources show a tracker as working if it works for one of two info-hashes", async () => {
  const knowsOnlyV1 = (call: Call): Reaction => call.parameters.get("info_hash")!.startsWith("%00") ? OK : NO;
  const knowsOnlyV2 = (call: Call): Reaction => call.parameters.get("info_hash")!.startsWith("%02") ? OK : NO;
  for (const [script, status] of [[knowsOnlyV1, "ok"], [knowsOnlyV2, "ok"], [() => NO, "error"]] as const) {
    const lab = new Lab(script, new InfoHashes(V1, V2));
    await lab.does(() => lab.sources.start());
    assertEquals(lab.sources.status().trackers.map((row) => row.status), [status]);
    await lab.sources.stop();
  }
});
