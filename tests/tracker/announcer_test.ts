import { assertEquals, assertNotEquals } from "@std/assert";
import type { PeerAddress } from "../../src/base/address.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { MAX_TRACKERS_AT_ONCE } from "../../src/base/defences.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { AnnounceProgress } from "../../src/tracker/announce_request.ts";
import { Announcer, type AnnouncerOptions, type TrackerReport } from "../../src/tracker/announcer.ts";
import { type Call, type Reaction, ScriptedTrackers } from "../support/scripted_trackers.ts";
import { settle } from "../support/virtual_clock.ts";

const OK = { reply: { interval: 1800, complete: 1, incomplete: 2, peers: Uint8Array.of(10, 0, 0, 1, 0, 9) } } as const;
const EMPTY: Reaction = { reply: { interval: 1800, complete: 0, incomplete: 1, peers: new Uint8Array() } };
/** A reply with no peer but ourselves: 6881 is our port. */
const ALONE: Reaction = { reply: { interval: 1800, peers: Uint8Array.of(10, 0, 0, 7, 6881 >> 8, 6881 & 255) } };
const DOWN: Reaction = { fails: "connection refused" };
const MINUTE = 60_000;

/**
 * An announcer on scripted trackers. The seed decides how tiers are shuffled, so tests that depend on the order use one
 * tracker per tier.
 */
class Bench {
  readonly peers: [string, PeerAddress[]][] = [];
  readonly reports: TrackerReport[] = [];
  progress: AnnounceProgress = { uploaded: 0, downloaded: 0, left: 100 };
  wanted = 50;
  readonly announcer: Announcer;
  readonly world: ScriptedTrackers;

  constructor(tiers: string[][], script: ScriptedTrackers["script"], more: Partial<AnnouncerOptions> = {}) {
    this.world = new ScriptedTrackers(script);
    // Host names without a dot resolve to the local network.
    const resolve = (name: string) => Promise.resolve(name.includes(".") ? ["9.9.9.8"] : ["10.0.0.7"]);
    Object.assign(this.world, { net: { resolve } });
    this.announcer = new Announcer({
      platform: this.world,
      tiers,
      infoHash: new InfoHash(new Uint8Array(20).fill(65)),
      peerId: utf8("-SH0100-abcdefghijkl"),
      port: 6881,
      progress: () => this.progress,
      onPeers: (peers, url) => this.peers.push([url, peers]),
      onReport: (report) => this.reports.push(report),
      wantedPeers: () => this.wanted,
      ...more,
    });
  }

  get errors(): string[] {
    return this.reports.filter((report) => report.status === "error").map((report) =>
      `${report.url} ${report.message}`
    );
  }
}

Deno.test("Announcer.start() has sent the first announce when it returns", () => {
  const bench = new Bench([["http://a/x"]], () => OK, { bind: "10.1.1.1", timeout: 7000 });
  bench.announcer.start();
  bench.announcer.start();
  assertEquals(bench.world.log, ["a/x started"]);
  const { request, parameters } = bench.world.calls[0]!;
  assertEquals([request.timeout, request.maxBytes, request.bind], [7000, 2 ** 20, "10.1.1.1"]);
  assertEquals([parameters.get("left"), parameters.get("numwant"), parameters.get("port")], ["100", "50", "6881"]);
  assertEquals(/^[0-9a-f]{8}$/.test(parameters.get("key")!), true);
});

Deno.test("Announcer hands on peers and counts", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  bench.announcer.start();
  await settle();
  assertEquals(bench.peers, [["http://a/x", [{ host: "10.0.0.1", port: 9 }]]]);
  const report = { url: "http://a/x", status: "ok", seeders: 1, leechers: 2, peers: 1, message: "" } as const;
  assertEquals(bench.reports, [report]);
});

Deno.test("Announcer shows warnings", async () => {
  const bench = new Bench([["http://a/x"]], () => ({ reply: { "warning message": "update your client" } }));
  bench.announcer.start();
  await settle();
  assertEquals(bench.reports[0]?.status, "warning");
  assertEquals(bench.reports[0]?.message, "update your client");
  assertEquals(bench.peers, []);
});

Deno.test("Announcer says started once, then nothing special, at the tracker's interval, with the same key", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  bench.announcer.start();
  await bench.world.play(60 * MINUTE);
  assertEquals(bench.world.log, ["a/x started", "a/x -", "a/x -"]);
  assertEquals(bench.world.calls.map((call) => call.at), [0, 30 * MINUTE, 60 * MINUTE]);
  assertEquals(new Set(bench.world.calls.map((call) => call.parameters.get("key"))).size, 1);
});

Deno.test("Announcer sends back the latest tracker id, to the tracker that gave it", async () => {
  let turn = 0;
  const bench = new Bench([["http://a/x"], ["http://b/x"]], (call) => {
    if (call.tracker === "http://b/x") return OK;
    turn++;
    const { reply } = OK;
    return turn === 4 ? DOWN : { reply: turn === 1 ? { ...reply, "tracker id": Uint8Array.of(0, 65) } : reply };
  });
  bench.announcer.start();
  await bench.world.play(90 * MINUTE);
  const ids = bench.world.calls.map((call) => `${call.tracker} ${call.parameters.get("trackerid") ?? "none"}`);
  const a = "http://a/x %00A";
  assertEquals(ids, ["http://a/x none", a, a, a, "http://b/x none"]);
});

Deno.test("Announcer asks for as many peers as are wanted, 200 at most", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  const asked: (string | undefined)[] = [];
  bench.announcer.start();
  for (const wanted of [1000, 0, -3, 7]) {
    bench.wanted = wanted;
    await bench.world.play(30 * MINUTE);
    asked.push(bench.world.calls.at(-1)?.parameters.get("numwant"));
  }
  assertEquals(asked, ["200", "0", "0", "7"]);
});

Deno.test("Announcer gives the turn to the next when one is silent for 10 s, and uses what it answers after all", async () => {
  const late: Reaction = { ...OK, delay: 25_000 };
  const bench = new Bench([["http://a/x"], ["http://b/x"], ["http://c/x"]], ({ tracker }) => {
    return tracker === "http://a/x" ? late : OK;
  });
  bench.announcer.start();
  await bench.world.play(9_999);
  assertEquals(bench.world.log, ["a/x started"]);
  await bench.world.play(1);
  assertEquals(bench.world.log, ["a/x started", "b/x started"]);
  await bench.world.play(20_000);
  assertEquals(bench.peers.map(([url]) => url), ["http://b/x", "http://a/x"]);
  // The tracker that has answered gets the next announces.
  bench.world.script = () => OK;
  await bench.world.play(31 * MINUTE);
  assertEquals(bench.world.log.slice(2), ["a/x -"]);
  await bench.announcer.stop();
  assertEquals(bench.world.log.slice(3), ["a/x stopped", "b/x stopped"]);
});

for (const [what, answer] of [["knows no peers", EMPTY], ["names only ourselves", ALONE]] as const) {
  Deno.test(`Announcer asks on after a tracker that ${what}, and asks that one by its own interval`, async () => {
    const bench = new Bench([["http://a/x"], ["http://b/x"], ["http://c/x"]], ({ tracker }) => {
      return tracker === "http://a/x" ? answer : { reply: { ...OK.reply, interval: 3600 } };
    });
    bench.announcer.start();
    await settle();
    assertEquals(bench.world.log, ["a/x started", "b/x started"]);
    await bench.world.play(60 * MINUTE);
    assertEquals(bench.world.log.slice(2), ["a/x -", "a/x -", "b/x -"]);
    // With peers of its own the first tracker is enough.
    bench.world.script = () => OK;
    await bench.world.play(60 * MINUTE);
    assertEquals(bench.world.log.slice(5), ["a/x -", "a/x -"]);
  });
}

for (const all of [false, true]) {
  Deno.test(`Announcer asks on when nothing comes from the peers that a tracker names ${all ? "of many" : "first"}`, async () => {
    let received: number | null = 0;
    const reactions: Record<string, Reaction[]> = {
      "http://a/x": [],
      "http://b/x": all ? [DOWN] : [],
      "http://c/x": [],
    };
    const script = ({ tracker }: Call) => reactions[tracker]?.shift() ?? OK;
    const options = { received: () => received, askAll: () => all };
    const bench = new Bench(Object.keys(reactions).map((url) => [url]), script, options);
    bench.announcer.start();
    await bench.world.play(4_999);
    assertEquals(bench.world.log, all ? ["a/x started", "b/x started", "c/x started"] : ["a/x started"]);
    await bench.world.play(7_000);
    if (all) assertEquals(bench.world.log.slice(3), ["b/x started"]); // failed before, and is retried in time
    else assertEquals(bench.world.log.slice(1), ["b/x started", "c/x started"]);
    received = 1;
    const before = bench.world.log.length;
    await bench.world.play(29 * MINUTE);
    assertEquals(bench.world.log.length, before);
    await bench.announcer.stop();
    assertEquals(bench.world.log.slice(before), ["a/x stopped", "b/x stopped", "c/x stopped"]);
  });
}

for (const [received, what] of [[[0, 1], "something came"], [[0, null], "nothing more is wanted"]] as const) {
  Deno.test(`Announcer asks nobody else when the first names peers and ${what}`, async () => {
    let now: number | null = received[0];
    const bench = new Bench([["http://a/x"], ["http://b/x"]], () => OK, { received: () => now });
    bench.announcer.start();
    await settle();
    now = received[1];
    await bench.world.play(20 * MINUTE);
    assertEquals(bench.world.log, ["a/x started"]);
    await bench.announcer.stop();
  });
}

Deno.test("Announcer asks nobody else when the first has no peers but none were wanted", async () => {
  const bench = new Bench([["http://a/x"], ["http://b/x"]], () => EMPTY);
  bench.wanted = 0;
  bench.announcer.start();
  await bench.world.play(60 * MINUTE);
  assertEquals(bench.world.log, ["a/x started", "a/x -", "a/x -"]);
});

Deno.test("Announcer asks all trackers that have no order at once, each by its own interval, and so many at a time", async () => {
  const urls = Array.from({ length: 90 }, (_, i) => `http://t${i}/x`);
  const bench = new Bench(urls.map((url) => [url]), ({ tracker }) => {
    if (tracker === "http://t1/x") return OK;
    return tracker === "http://t2/x" ? DOWN : "hang";
  }, { askAll: () => true });
  bench.announcer.start();
  await settle();
  // Two slots became free at once.
  assertEquals(bench.world.calls.length, MAX_TRACKERS_AT_ONCE + 2);
  await bench.world.play(1_999);
  assertEquals(bench.world.calls.length, MAX_TRACKERS_AT_ONCE + 2);
  await bench.world.play(1);
  assertEquals(bench.world.calls.length, 2 * MAX_TRACKERS_AT_ONCE + 2);
  await bench.world.play(100_000);
  assertEquals(new Set(bench.world.calls.map(({ tracker }) => tracker)).size, 90);
  await bench.world.play(60 * MINUTE);
  const times = bench.world.calls.filter(({ tracker }) => tracker === "http://t1/x").map(({ at }) => at / MINUTE);
  assertEquals(times, [0, 30, 60]);
});

Deno.test("Announcer keeps to the order again when the torrent of a link turns out to have one", async () => {
  let all = true;
  const bench = new Bench([["http://a/x"], ["http://b/x"]], () => OK, { askAll: () => all });
  bench.announcer.start();
  await settle();
  assertEquals(bench.world.log, ["a/x started", "b/x started"]);
  all = false;
  await bench.world.play(30 * MINUTE);
  assertEquals(bench.world.log.slice(2), ["a/x -"]);
});

Deno.test("Announcer.completed() goes to all trackers that know us, and to none that hears of us later", async () => {
  const bench = new Bench([["http://a/x"], ["http://b/x"], ["http://c/x"]], ({ tracker }) => {
    return tracker === "http://a/x" ? EMPTY : OK;
  });
  bench.announcer.start();
  await settle();
  bench.announcer.completed();
  await settle();
  assertEquals(bench.world.log.slice(2), ["a/x completed", "b/x completed"]);
  bench.world.script = ({ tracker }) => tracker === "http://c/x" ? OK : DOWN;
  await bench.world.play(30 * MINUTE);
  assertEquals(bench.world.log.slice(4), ["a/x -", "b/x -", "c/x started"]);
});

Deno.test("Announcer falls through a tier, then to the next, and begins at the top the next time", async () => {
  const up = new Set(["http://c/x"]);
  const bench = new Bench([["http://a/x"], ["http://b/x"], ["http://c/x"]], (call) => up.has(call.tracker) ? OK : DOWN);
  bench.announcer.start();
  await settle();
  assertEquals(bench.world.log, ["a/x started", "b/x started", "c/x started"]);
  assertEquals(bench.errors, ["http://a/x connection refused", "http://b/x connection refused"]);
  up.add("http://b/x");
  await bench.world.play(60 * MINUTE);
  assertEquals(bench.world.log.slice(3), ["a/x started", "b/x started", "a/x started", "b/x -"]);
});

Deno.test("Announcer asks the tracker of a tier first that worked last", async () => {
  const urls = ["http://a/x", "http://b/x", "http://c/x"];
  const bench = new Bench([urls], () => OK);
  bench.announcer.start();
  const first = bench.world.calls[0]!.tracker;
  bench.world.script = (call) => call.tracker === first ? DOWN : OK;
  await bench.world.play(30 * MINUTE);
  const second = bench.world.calls.at(-1)!.tracker;
  bench.world.script = () => OK;
  await bench.world.play(30 * MINUTE);
  assertNotEquals(first, second);
  assertEquals(bench.world.calls.map((call) => call.tracker), [first, first, second, second]);
});

Deno.test("Announcer backs off when every tracker fails, and goes on when one is there again", async () => {
  const bench = new Bench([["http://a/x"]], () => DOWN);
  bench.announcer.start();
  await bench.world.play(4 * 60 * MINUTE);
  const times = bench.world.calls.map((call) => call.at);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  for (const [i, gap] of gaps.entries()) {
    const longest = Math.min(10_000 * 2 ** i, 30 * MINUTE);
    assertEquals(gap >= longest / 2 && gap <= longest, true, `gap ${i} is ${gap}`);
  }
  assertEquals(new Set(bench.world.log), new Set(["a/x started"]));
  bench.world.script = () => OK;
  await bench.world.play(60 * MINUTE);
  bench.world.script = () => DOWN;
  const before = bench.world.calls.length;
  await bench.world.play(31 * MINUTE);
  assertEquals(bench.world.log.slice(before)[0], "a/x -");
  const retry = bench.world.calls[before + 1]!.at - bench.world.calls[before]!.at;
  assertEquals(retry <= 10_000, true, "the back-off starts small again");
});

Deno.test("Announcer takes rubbish, errors of HTTP and failure reasons for failures", async () => {
  const reactions: Record<string, Reaction> = {
    "http://a/x": { status: 200, body: "<html>hello" },
    "http://b/x": { status: 404, body: "not here" },
    "http://c/x": { status: 403, body: "d14:failure reason10:wrong passe" },
    "http://d/x": { reply: { "failure reason": "unregistered torrent" } },
  };
  const bench = new Bench(Object.keys(reactions).map((url) => [url]), (call) => reactions[call.tracker]!);
  bench.announcer.start();
  await settle();
  assertEquals(bench.errors, [
    "http://a/x the answer is not that of a tracker but a web page",
    "http://b/x the server answered with HTTP status 404",
    "http://c/x wrong pass",
    "http://d/x unregistered torrent",
  ]);
});

Deno.test("Announcer leaves a tracker alone for as long as it asks", async () => {
  const busy: Reaction = { reply: { "failure reason": "busy", "retry in": "40" } };
  const bench = new Bench([["http://a/x"], ["http://b/x"]], (call) => call.tracker === "http://a/x" ? busy : OK);
  bench.announcer.start();
  await bench.world.play(60 * MINUTE);
  assertEquals(bench.world.log, ["a/x started", "b/x started", "b/x -", "a/x started", "b/x -"]);
});

Deno.test("Announcer waits for the soonest tracker when all want to be left alone", async () => {
  const retry: Record<string, string> = { "http://a/x": "50", "http://b/x": "45", "http://c/x": "never" };
  const bench = new Bench(
    [["http://a/x"], ["http://b/x"], ["http://c/x"]],
    (call) => ({ reply: { "failure reason": "no", "retry in": retry[call.tracker]! } }),
  );
  bench.announcer.start();
  await bench.world.play(45 * MINUTE - 1);
  assertEquals(bench.world.log, ["a/x started", "b/x started", "c/x started"]);
  await bench.world.play(1);
  assertEquals(bench.world.log.slice(3), ["b/x started"]);
});

Deno.test("Announcer goes to sleep for good when the only tracker says never", async () => {
  const bench = new Bench([["http://a/x"]], () => ({ reply: { "failure reason": "no", "retry in": "never" } }));
  bench.announcer.start();
  await settle();
  assertEquals(bench.world.pending, 0);
  bench.announcer.completed();
  bench.announcer.needPeers();
  bench.announcer.start();
  await bench.announcer.stop();
  assertEquals(bench.world.log, ["a/x started"]);
});

Deno.test("Announcer names trackers that it can't use once, and only when no other works", async () => {
  const bench = new Bench([["udp://u:1/x"], ["nonsense"], ["wss://w/x"], ["http://a/x"]], () => OK);
  bench.announcer.start();
  await settle();
  assertEquals(bench.errors, []);
  bench.world.script = () => DOWN;
  await bench.world.play(60 * MINUTE);
  assertEquals(bench.errors.filter((error) => !error.startsWith("http://a")), [
    "udp://u:1/x UDP is switched off",
    "nonsense not a valid URL",
    'wss://w/x trackers of the kind "wss" are not supported',
  ]);
});

Deno.test("Announcer with nothing that it can use says so and starts no timer", () => {
  const bench = new Bench([["udp://u:1/x"]], () => OK);
  bench.announcer.start();
  assertEquals(bench.errors, ["udp://u:1/x UDP is switched off"]);
  assertEquals([bench.world.calls.length, bench.world.pending], [0, 0]);
});

Deno.test("Announcer.completed() announces at once, and only once", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  bench.announcer.start();
  await bench.world.play(10 * MINUTE);
  bench.progress = { uploaded: 0, downloaded: 100, left: 0 };
  bench.announcer.completed();
  bench.announcer.completed();
  await bench.world.play(30 * MINUTE);
  assertEquals(bench.world.log, ["a/x started", "a/x completed", "a/x -"]);
  assertEquals(bench.world.calls.map((call) => call.at / MINUTE), [0, 10, 40]);
  assertEquals(bench.world.calls.map((call) => call.parameters.get("left")), ["100", "0", "0"]);
});

Deno.test("Announcer.completed() while an announce is under way comes right after it", async () => {
  const bench = new Bench([["http://a/x"]], () => ({ ...OK, delay: 500 }));
  bench.announcer.start();
  await bench.world.play(100);
  bench.announcer.completed();
  await bench.world.play(2000);
  assertEquals(bench.world.log, ["a/x started", "a/x completed"]);
  assertEquals(bench.world.calls[1]!.at, 500);
});

Deno.test("Announcer.completed() before start() follows the first announce", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  bench.announcer.completed();
  bench.announcer.start();
  await settle();
  assertEquals(bench.world.log, ["a/x started", "a/x completed"]);
});

Deno.test("Announcer.completed() is told from inside a callback too", async () => {
  const bench: Bench = new Bench([["http://a/x"]], () => OK, { onPeers: () => bench.announcer.completed() });
  bench.announcer.start();
  await settle();
  assertEquals(bench.world.log, ["a/x started", "a/x completed"]);
});

Deno.test("Announcer.completed() is repeated until a tracker has taken it", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  bench.announcer.start();
  await settle();
  bench.world.script = () => DOWN;
  bench.announcer.completed();
  await bench.world.play(12_000);
  bench.world.script = () => OK;
  await bench.world.play(60_000);
  assertEquals([...new Set(bench.world.log)], ["a/x started", "a/x completed"]);
  const taken = bench.world.calls.length;
  await bench.world.play(30 * MINUTE);
  assertEquals(bench.world.log.slice(taken), ["a/x -"]);
});

Deno.test("Announcer tells a tracker with every announce that we are a partial seed", async () => {
  const bench = new Bench([["http://a/x"]], () => OK);
  bench.progress = { uploaded: 0, downloaded: 50, left: 50, partialSeed: true };
  bench.announcer.start();
  await bench.world.play(60 * MINUTE);
  assertEquals(bench.world.log, ["a/x paused", "a/x paused", "a/x paused"]);
  await bench.announcer.stop();
  assertEquals(bench.world.log.at(-1), "a/x stopped");
});

Deno.test("Announcer.needPeers() brings the next announce forward to the min interval", async () => {
  const bench = new Bench([["http://a/x"]], () => ({ reply: { interval: 1800, "min interval": 300 } }));
  bench.announcer.start();
  bench.announcer.needPeers();
  await bench.world.play(MINUTE);
  bench.announcer.needPeers();
  bench.announcer.needPeers();
  await bench.world.play(9 * MINUTE);
  assertEquals(bench.world.calls.map((call) => call.at / MINUTE), [0, 5]);
  await bench.world.play(2 * MINUTE);
  bench.announcer.needPeers();
  assertEquals(bench.world.calls.map((call) => call.at / MINUTE), [0, 5, 12]);
});

Deno.test("Announcer.needPeers() does not cut the back-off short, before and after a success", async () => {
  const bench = new Bench([["http://a/x"]], () => DOWN);
  bench.announcer.start();
  await settle();
  bench.announcer.needPeers();
  await bench.world.play(4999);
  assertEquals(bench.world.calls.length, 1);
  bench.world.script = () => OK;
  await bench.world.play(5001);
  bench.world.script = () => DOWN;
  await bench.world.play(bench.world.calls[1]!.at + 30 * MINUTE - bench.world.now());
  assertEquals(bench.world.calls.length, 3);
  bench.announcer.needPeers();
  await bench.world.play(4999);
  assertEquals(bench.world.calls.length, 3);
});

Deno.test("Announcer starts no timer that is too long for the system", async () => {
  const bench = new Bench(
    [["http://a/x"]],
    () => ({ reply: { "failure reason": "no", "retry in": "999999999" } }),
  );
  const waits: number[] = [];
  const after = bench.world.after.bind(bench.world);
  bench.world.after = (milliseconds, run) => {
    waits.push(milliseconds);
    return after(milliseconds, run);
  };
  bench.announcer.start();
  await bench.world.play(60 * 24 * 60 * MINUTE);
  assertEquals(waits.length > 0 && waits.every((wait) => wait < 2 ** 31), true, `${waits}`);
  assertEquals(bench.world.calls.length, 1);
});

Deno.test("Announcer asks for the counts that an answer lacks, once for each, where there is a scrape URL (BEP 48)", async () => {
  const hash = new Uint8Array(20).fill(65);
  const files = (counts: { complete: number; incomplete: number }) => ({ files: new Map([[hash, counts]]) });
  const bench = new Bench([["http://a/x/announce.php?k=1"]], (call) => {
    if (!call.tracker.includes("scrape")) return { reply: { interval: 1800, peers: Uint8Array.of(10, 0, 0, 1, 0, 9) } };
    return { reply: files({ complete: 4, incomplete: 5 }), delay: 100 };
  });
  bench.announcer.start();
  await bench.world.play(99);
  assertEquals([bench.peers.length, bench.reports.length], [1, 0]);
  await bench.world.play(1);
  assertEquals(bench.reports.map(({ status, seeders, leechers }) => [status, seeders, leechers]), [["ok", 4, 5]]);
  const scrape = bench.world.calls[1]!;
  assertEquals(scrape.tracker, "http://a/x/scrape.php");
  assertEquals([...scrape.parameters], [["k", "1"], ["info_hash", "A".repeat(20)]]);
});

Deno.test("Announcer reports an announce that went well although the scrape after it did not", async () => {
  for (const failing of [DOWN, { status: 404, body: "" }, { reply: {} }, { reply: { files: 5 } }] as Reaction[]) {
    const bench = new Bench(
      [["http://a/announce"]],
      (call) => call.tracker.includes("scrape") ? failing : { reply: {} },
    );
    bench.announcer.start();
    await settle();
    assertEquals(bench.reports.map(({ status, seeders, message }) => [status, seeders, message]), [["ok", null, ""]]);
    await bench.announcer.stop();
    assertEquals(bench.world.pending, 0);
  }
});

Deno.test("Announcer announces a port that a gateway maps once it is known, within seconds, but not to who is near", async () => {
  let mapped = 6881;
  const near = (host: string) => host.startsWith("10.");
  const bench = new Bench(
    [["http://9.9.9.9/x"], ["http://10.0.0.9/x"], ["http://name.example/x"], ["http://nas/x"]],
    () => OK,
    {
      askAll: () => true,
      portFor: (host) => near(host) ? 6881 : mapped,
    },
  );
  bench.announcer.start();
  await settle();
  const ports = () =>
    bench.world.calls.map(({ tracker, parameters }) => `${tracker.slice(7, -2)} ${parameters.get("port")}`);
  assertEquals(ports().toSorted(), ["10.0.0.9 6881", "9.9.9.9 6881", "name.example 6881", "nas 6881"]);
  const from = bench.world.calls.length;
  mapped = 50_000;
  bench.announcer.moved();
  await bench.world.play(4_999);
  assertEquals(bench.world.calls.length, from);
  await bench.world.play(1);
  assertEquals(ports().slice(from).toSorted(), ["10.0.0.9 6881", "9.9.9.9 50000", "name.example 50000", "nas 6881"]);
  // One announce is enough.
  await bench.world.play(27 * MINUTE);
  assertEquals(bench.world.calls.length, from + 4);
});

Deno.test("Announcer.moved() while it announces is told after that, once before the tracker's minimal interval is over", async () => {
  let mapped = 6881;
  const bench = new Bench([["http://9.9.9.9/x"]], () => ({ reply: { ...OK.reply, "min interval": 300 }, delay: 500 }), {
    portFor: () => mapped,
  });
  bench.announcer.start();
  await bench.world.play(100);
  mapped = 7000;
  bench.announcer.moved();
  await bench.world.play(MINUTE);
  // A router that changes its mapping all the time must not cause announces all the time.
  for (const port of [7001, 7002, 7003]) {
    mapped = port;
    bench.announcer.moved();
    await bench.world.play(MINUTE);
  }
  await bench.world.play(3 * MINUTE);
  mapped = 7004;
  bench.announcer.moved();
  await bench.world.play(1_000);
  assertEquals(bench.world.calls.map(({ at, parameters }) => [at, parameters.get("port")]), [
    [0, "6881"],
    [5_500, "7000"],
    [306_000, "7003"],
    [420_100, "7004"],
  ]);
  bench.world.script = () => OK;
  await bench.announcer.stop();
});
