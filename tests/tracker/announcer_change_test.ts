import { assert, assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import type { AnnounceProgress } from "../../src/tracker/announce_request.ts";
import { Announcer, type AnnouncerOptions, FAREWELL_MS } from "../../src/tracker/announcer.ts";
import { fc, tries } from "../support/property.ts";
import { type Call, type Reaction, ScriptedTrackers } from "../support/scripted_trackers.ts";
import { settle } from "../support/virtual_clock.ts";

const OK = { reply: { interval: 1800, complete: 1, incomplete: 2, peers: Uint8Array.of(10, 0, 0, 1, 0, 9) } } as const;
const DOWN: Reaction = { fails: "connection refused" };
const HANG: Reaction = "hang whatever the signal says";
const MINUTE = 60_000;
const [A, B, C] = ["http://a/x", "http://b/x", "http://c/x"] as const;

/** An announcer on scripted trackers that return peers. */
class Bench {
  progress: AnnounceProgress = { uploaded: 0, downloaded: 0, left: 100 };
  /** Reaction to the next announces to one tracker. */
  last: Reaction | null = null;
  /** Number of calls of onPeers and onReport. */
  told = 0;
  readonly world: ScriptedTrackers;
  readonly announcer: Announcer;

  constructor(
    tiers: readonly (readonly string[])[],
    script: ScriptedTrackers["script"] = () => OK,
    more: Partial<AnnouncerOptions> & { readonly seed?: number } = {},
  ) {
    this.world = new ScriptedTrackers(script, { seed: more.seed ?? 1 });
    this.announcer = new Announcer({
      platform: this.world,
      tiers,
      infoHash: new InfoHash(new Uint8Array(20)),
      peerId: utf8("-SH0100-abcdefghijkl"),
      port: 6881,
      progress: () => this.progress,
      onPeers: () => void this.told++,
      onReport: () => void this.told++,
      wantedPeers: () => 50,
      ...more,
    });
  }

  /** Lets time pass and returns the announces in that time. */
  async play(milliseconds: number): Promise<string[]> {
    const from = this.world.calls.length;
    if (milliseconds === 0) await settle();
    else await this.world.play(milliseconds);
    return this.world.log.slice(from);
  }

  /** Runs `act` and returns the announces that follow at once. */
  async log(act: () => void): Promise<string[]> {
    const from = this.world.calls.length;
    act();
    await settle();
    return this.world.log.slice(from);
  }

  sums(call: number): (string | undefined)[] {
    const { parameters } = this.world.calls.at(call)!;
    return ["uploaded", "downloaded", "left"].map((name) => parameters.get(name));
  }
}

Deno.test("Announcer.setTiers() tells those that are gone that we leave, and new ones that we start; the others notice nothing", async () => {
  const bench = new Bench([[A], [B]], ({ tracker }) => {
    if (tracker === A) return { reply: { ...OK.reply, "tracker id": Uint8Array.of(65) } };
    return tracker === B ? DOWN : OK;
  });
  assertEquals(await bench.log(() => bench.announcer.start()), ["a/x started"]);
  assertEquals(await bench.play(10 * MINUTE), []);
  assertEquals(await bench.log(() => bench.announcer.setTiers([[A], [C, ` ${A} `, ""], [C], []])), ["c/x started"]);
  assertEquals(bench.announcer.tiers, [[A], [C]]);
  assertEquals(await bench.log(() => bench.announcer.setTiers([[A], [C]])), []);
  // The first tracker is announced to as before, and the other is a fallback from now on.
  assertEquals(await bench.play(20 * MINUTE), ["a/x -"]);
  assertEquals([bench.world.calls.at(-1)!.at, bench.world.calls.at(-1)!.parameters.get("trackerid")], [
    30 * MINUTE,
    "A",
  ]);
  assertEquals(await bench.log(() => bench.announcer.setTiers([[B], [C]])), ["a/x stopped", "b/x started"]);
  assertEquals(await bench.log(() => bench.announcer.setTiers([])), ["c/x stopped"]);
  assertEquals([bench.announcer.tiers, bench.world.pending], [[], 0]);
  assertEquals(await bench.play(60 * MINUTE), []);
  assertEquals(await bench.log(() => bench.announcer.setTiers([[A]])), ["a/x started"]);
  await bench.announcer.stop();
  assertEquals([bench.world.log.at(-1), bench.world.pending], ["a/x stopped", 0]);
});

Deno.test("Announcer.setTiers() before start() sends nothing, and those that it names are asked in their order", async () => {
  const bench = new Bench([[A]]);
  bench.announcer.setTiers([[B], [C]]);
  assertEquals(await bench.log(() => bench.announcer.start()), ["b/x started"]);
  assertEquals(await bench.play(60 * MINUTE), ["b/x -", "b/x -"]);
});

Deno.test("Announcer.addTiers() asks more trackers at once, once, and known ones not at all", async () => {
  const bench = new Bench([[A]]);
  bench.announcer.addTiers([[B], [A]]);
  assertEquals(await bench.log(() => bench.announcer.start()), ["b/x started", "a/x started"]);
  assertEquals(await bench.log(() => bench.announcer.addTiers([[A, C]])), ["c/x started"]);
  assertEquals(bench.announcer.tiers, [[A], [B], [C]]);
  assertEquals(await bench.play(60 * MINUTE), ["a/x -", "a/x -"]);
});

Deno.test("Announcer.addTiers() announces to the user's trackers at each interval, and holds up no others for them", async () => {
  const bench = new Bench([[A], [B]], ({ tracker }) => tracker === C ? { ...OK, delay: 9 * MINUTE } : OK);
  bench.announcer.addTiers([[C]], { always: true });
  assertEquals((await bench.log(() => bench.announcer.start())).toSorted(), ["a/x started", "c/x started"]);
  await bench.play(2 * MINUTE);
  bench.world.script = () => OK;
  assertEquals((await bench.play(60 * MINUTE)).filter((line) => line.startsWith("a")), ["a/x -", "a/x -"]);
  const asked = bench.world.log.filter((line) => line.startsWith("c"));
  assert(asked.length >= 2, bench.world.log.join(", "));
  assertEquals(bench.world.log.filter((line) => line.startsWith("b")), []);
  const waits = bench.announcer.status().map(({ state }) => state);
  assertEquals(waits, ["waiting", "idle", "waiting"]);
  await bench.announcer.stop();
});

Deno.test("Announcer.addTiers() lets the torrent's own trackers have their turn while the user's name peers", async () => {
  const bench = new Bench([[A], [B]], ({ tracker }) => tracker === A ? DOWN : OK);
  bench.announcer.addTiers([[C], [A]], { always: true });
  const first = await bench.log(() => bench.announcer.start());
  assertEquals(first.toSorted(), ["a/x started", "b/x started", "c/x started"]);
  await bench.announcer.stop();
});

Deno.test("Announcer.setTiers() keeps to one tracker at a time for a private torrent (BEP 27)", async () => {
  const bench = new Bench([[A]], () => OK, { isPrivate: () => true });
  bench.announcer.start();
  await settle();
  assertEquals(await bench.log(() => bench.announcer.addTiers([[B]])), []);
  assertEquals(await bench.play(60 * MINUTE), ["a/x -", "a/x -"]);
  assertEquals(await bench.log(() => bench.announcer.setTiers([[B], [C]])), ["a/x stopped", "b/x started"]);
});

Deno.test("Announcer.setTiers() lets a tracker that comes back hear of it after it heard that we left, or was given time for it", async () => {
  for (const [slow, wait] of [[{ ...OK, delay: 700 }, 700], [HANG, FAREWELL_MS]] as const) {
    const bench = new Bench([[A], [B]]);
    bench.announcer.start();
    await settle();
    bench.world.script = ({ event }) => event === "stopped" ? slow : OK;
    assertEquals(await bench.log(() => bench.announcer.setTiers([[B]])), ["a/x stopped", "b/x started"]);
    assertEquals(await bench.log(() => bench.announcer.setTiers([[A], [B]])), []);
    assertEquals(await bench.play(wait - 1), []);
    assertEquals(await bench.play(1), ["a/x started"]);
  }
});

Deno.test("Announcer.setTiers() names what it can't use, and forgets it with the tier", async () => {
  const bench = new Bench([["wss://w/x"]]);
  const reports: string[] = [];
  bench.announcer.start();
  const message = 'trackers of the kind "wss" are not supported';
  const states = () => bench.announcer.status().map(({ url, tier, state, message }) => [url, tier, state, message]);
  assertEquals(states(), [["wss://w/x", 0, "idle", message]]);
  bench.announcer.setTiers([["http://a/x"], ["wss://w/x"]]);
  await settle();
  assertEquals(states(), [["http://a/x", 0, "waiting", ""], ["wss://w/x", 1, "idle", message]]);
  bench.announcer.setTiers([["http://a/x"]]);
  assertEquals([states().length, reports], [1, []]);
});

Deno.test("Announcer.pause() tells everybody who knows us, hands on nothing more, and start() goes on as somebody new", async () => {
  const bench = new Bench([[A], [B]], ({ tracker }) => ({ ...tracker === A ? { fails: "no" } : OK, delay: 100 }));
  bench.announcer.start();
  await bench.play(250);
  const told = bench.told;
  assertEquals(await bench.log(() => bench.announcer.pause()), ["b/x stopped"]);
  assertEquals(await bench.log(() => bench.announcer.pause()), []);
  assertEquals(await bench.play(60 * MINUTE), []);
  assertEquals([bench.told, bench.world.pending], [told, 0]);
  bench.announcer.completed();
  bench.announcer.needPeers();
  bench.announcer.moved();
  bench.world.script = () => OK;
  // Failed trackers are tried again, and the completion that no tracker has been told yet is announced.
  assertEquals(await bench.log(() => bench.announcer.start()), ["a/x started", "a/x completed"]);
  assertEquals(await bench.play(30 * MINUTE), ["a/x -"]);
  await bench.announcer.stop();
  assertEquals([bench.world.log.at(-1), bench.world.pending], ["a/x stopped", 0]);
  assertEquals(await bench.log(() => bench.announcer.start()), []);
});

Deno.test("Announcer.start() after a pause waits for each tracker to hear of the pause, or to be given up, and for no other", async () => {
  const bench = new Bench([[A], [B], [C]], () => OK, { askAll: () => true });
  bench.announcer.start();
  await settle();
  bench.world.script = ({ tracker, event }) =>
    event !== "stopped" || tracker === C ? OK : tracker === A ? { ...OK, delay: 900 } : HANG;
  assertEquals(await bench.log(() => bench.announcer.pause()), ["a/x stopped", "b/x stopped", "c/x stopped"]);
  assertEquals(await bench.log(() => bench.announcer.start()), ["c/x started"]);
  assertEquals(await bench.play(899), []);
  assertEquals(await bench.play(1), ["a/x started"]);
  assertEquals(await bench.play(FAREWELL_MS - 901), []);
  assertEquals(await bench.play(1), ["b/x started"]);
  assertEquals(await bench.play(20 * MINUTE), []);
});

Deno.test("Announcer.pause() lets an announce that is under way finish first, and takes nothing from it", async () => {
  const bench = new Bench([[A]], ({ event }) => ({ ...OK, delay: event === "started" ? 500 : 50 }));
  bench.announcer.start();
  await bench.play(100);
  assertEquals(await bench.log(() => bench.announcer.pause()), []);
  assertEquals(await bench.log(() => bench.announcer.start()), []);
  assertEquals(await bench.play(399), []);
  assertEquals(await bench.play(1), ["a/x stopped"]);
  assertEquals(await bench.play(49), []);
  assertEquals([await bench.play(1), bench.told], [["a/x started"], 0]);
  await bench.play(500);
  assertEquals(bench.told, 2);
});

Deno.test("Announcer: what a tracker answers after it was left is of no account", async () => {
  // The tracker answers although the request is aborted.
  const late: ((value: Reaction) => void)[] = [];
  const bench = new Bench([[A]]);
  const { request } = bench.world.http;
  Object.assign(bench.world.http, {
    request: (wanted: Parameters<typeof request>[0]) => {
      const { signal: _, ...rest } = wanted;
      const answer = request(rest);
      if (bench.world.calls.length > 1) return answer;
      return new Promise((resolve) => late.push(() => resolve(answer)));
    },
  });
  bench.announcer.start();
  await bench.play(100);
  bench.announcer.pause();
  assertEquals(await bench.play(FAREWELL_MS), ["a/x stopped"]);
  assertEquals(await bench.log(() => late.forEach((answer) => answer(OK))), []);
  assertEquals(bench.told, 0);
  assertEquals(await bench.log(() => bench.announcer.start()), ["a/x started"]);
});

Deno.test("Announcer.stop() right after a pause waits for its farewells, and no longer than it may", async () => {
  for (const [delay, deadline, expected] of [[500, 2000, 500], [1500, 300, 300]] as const) {
    const bench = new Bench([[A], [B]], ({ event }) => event === "stopped" ? { ...OK, delay } : OK);
    bench.announcer.start();
    await settle();
    bench.announcer.setTiers([[B]]);
    await settle();
    bench.announcer.pause();
    const before = bench.world.now();
    let took = -1;
    void bench.announcer.stop(deadline).then(() => took = bench.world.now() - before);
    assertEquals(await bench.play(3000), []);
    assertEquals([took, bench.world.pending], [expected, 0]);
  }
});

Deno.test("Announcer.stop() gives up what a pause has not told in time, and what was under way before it", async () => {
  const bench = new Bench([[A], [B]], ({ tracker, event }) => {
    return tracker === A ? { ...OK, delay: 1900 } : event === "stopped" ? HANG : OK;
  }, { askAll: () => true });
  bench.announcer.start();
  await bench.play(100);
  bench.announcer.pause();
  void bench.announcer.stop(300);
  assertEquals(await bench.play(300), []);
  assertEquals(bench.world.log, ["a/x started", "b/x started", "b/x stopped"]);
  const isGivenUp = bench.world.calls.map(({ request }) => request.signal!.aborted);
  assertEquals([isGivenUp[0], isGivenUp[2]], [true, true]);
});

Deno.test("Announcer tells every tracker what came and went since it told it that we start (BEP 3)", async () => {
  const bench = new Bench([[A]]);
  bench.progress = { uploaded: 5, downloaded: 10, left: 100 };
  bench.world.script = () => DOWN;
  bench.announcer.start();
  await settle();
  assertEquals(bench.sums(0), ["0", "0", "100"]);
  bench.world.script = () => OK;
  bench.progress = { uploaded: 25, downloaded: 40, left: 70 };
  await bench.play(20_000);
  assertEquals(bench.sums(1), ["20", "30", "70"]);
  bench.announcer.addTiers([[B]]);
  bench.progress = { uploaded: 26, downloaded: 42, left: 68 };
  await bench.play(30 * MINUTE);
  assertEquals(bench.world.log.slice(-2), ["b/x started", "a/x -"]);
  assertEquals([bench.sums(-2), bench.sums(-1)], [["0", "0", "70"], ["21", "32", "68"]]);
  bench.announcer.pause();
  await settle();
  assertEquals([bench.sums(-2), bench.sums(-1)], [["21", "32", "68"], ["1", "2", "68"]]);
  bench.progress = { uploaded: 30, downloaded: 50, left: 60 };
  bench.announcer.start();
  await settle();
  assertEquals(bench.sums(-1), ["0", "0", "60"]);
});

Deno.test("Announcer.completed() is for one download: not for a seed, not after a pause, not a second time, not for new trackers", async () => {
  const seed = new Bench([[A]]);
  seed.progress = { uploaded: 0, downloaded: 0, left: 0 };
  seed.announcer.start();
  await settle();
  // A check finds a wrong piece, which is downloaded again.
  seed.progress = { uploaded: 0, downloaded: 0, left: 10 };
  assertEquals(await seed.log(() => seed.announcer.completed()), []);
  const bench = new Bench([[A]]);
  bench.announcer.start();
  await settle();
  assertEquals(await bench.log(() => bench.announcer.completed()), ["a/x completed"]);
  assertEquals(await bench.log(() => bench.announcer.completed()), []);
  bench.announcer.pause();
  await settle();
  assertEquals(await bench.log(() => bench.announcer.start()), ["a/x started"]);
  assertEquals(await bench.log(() => bench.announcer.completed()), []);
  assertEquals(await bench.log(() => bench.announcer.setTiers([[B]])), ["a/x stopped", "b/x started"]);
});

Deno.test("Announcer: a part that is all we want is no completion, and what makes it whole later is one", async () => {
  const bench = new Bench([[A]]);
  bench.announcer.start();
  bench.progress = { uploaded: 0, downloaded: 60, left: 40, partialSeed: true };
  await bench.play(30 * MINUTE);
  bench.progress = { uploaded: 0, downloaded: 60, left: 40 };
  await bench.play(30 * MINUTE);
  bench.progress = { uploaded: 0, downloaded: 100, left: 0 };
  bench.announcer.completed();
  await bench.play(30 * MINUTE);
  assertEquals(bench.world.log, ["a/x started", "a/x paused", "a/x -", "a/x completed", "a/x -"]);
});

Deno.test("Announcer.status() says what each tracker answered last, and when it is asked next, without secrets", async () => {
  const url = `http://c/x?passkey=${"0123456789abcdef".repeat(2)}`;
  const bench = new Bench([[A], [B], [url]], ({ tracker }) => {
    if (tracker === C) return { reply: { "failure reason": `unknown passkey ${"0123456789abcdef".repeat(2)}` } };
    return tracker === A ? { reply: { interval: 900, "warning message": "hm", peers: new Uint8Array() } } : OK;
  });
  const brief = () => bench.announcer.status().map(({ state, status, nextIn }) => [state, status, nextIn]);
  assertEquals(brief(), [["idle", null, null], ["idle", null, null], ["idle", null, null]]);
  bench.announcer.start();
  assertEquals(brief(), [["announcing", null, null], ["idle", null, null], ["idle", null, null]]);
  await bench.play(MINUTE);
  assertEquals(brief(), [
    ["waiting", "warning", 14 * MINUTE],
    ["waiting", "ok", 29 * MINUTE],
    ["idle", null, null],
  ]);
  bench.world.script = ({ tracker, event }) => event === "stopped" ? HANG : tracker === C ? bench.last! : DOWN;
  bench.last = { reply: { "failure reason": `unknown passkey ${"0123456789abcdef".repeat(2)}` } };
  await bench.play(29 * MINUTE);
  const [a, , c] = bench.announcer.status();
  assertEquals([a!.status, a!.message, a!.failures >= 2, a!.seeders], ["error", "connection refused", true, null]);
  assert(c!.nextIn !== null && c!.nextIn <= 10_000 && c!.answeredAgo === 0 && c!.tier === 2, JSON.stringify(c));
  assert(!JSON.stringify(c).includes("456789abcdef") && c!.message.startsWith("unknown passkey"), JSON.stringify(c));
  bench.announcer.pause();
  assertEquals(brief().map(([state]) => state), ["leaving", "leaving", "idle"]);
  await bench.play(FAREWELL_MS);
  assertEquals(brief().map(([state, status, nextIn]) => [state, status !== null, nextIn]), [
    ["idle", true, null],
    ["idle", true, null],
    ["idle", true, null],
  ]);
  const [, b] = bench.announcer.status();
  assertEquals([b!.seeders, b!.leechers], [1, 2], "what it said when it last said something");
});

Deno.test("Announcer with nothing to do holds one timer, and is not busy when peers are needed all the time", async () => {
  let looked = 0;
  const bench = new Bench([[A], [B], [C]], () => OK, { askAll: () => ++looked > 0 });
  bench.announcer.start();
  await bench.play(5 * MINUTE);
  looked = 0;
  for (let second = 0; second < 100; second++) {
    bench.announcer.needPeers();
    await bench.world.play(1000);
  }
  assertEquals([looked, bench.world.pending], [5, 1]);
});

/** An action of a user or a torrent, which may come at any time. */
const deed = fc.oneof(
  { weight: 3, arbitrary: fc.nat(4000).map((milliseconds) => ({ what: "wait", milliseconds }) as const) },
  { weight: 1, arbitrary: fc.constant({ what: "wait", milliseconds: 31 * MINUTE } as const) },
  fc.constantFrom(
    ...["pause", "start", "completed", "needPeers", "moved"].map((what) => ({ what }) as { what: "pause" }),
  ),
  fc.array(fc.subarray([A, B, C], { minLength: 1 }), { maxLength: 3 }).map((tiers) =>
    ({ what: "setTiers", tiers }) as const
  ),
);

/** A tracker's way of answering; the delay may be longer than the time that a `stopped` announce gets. */
const manner = fc.record({
  delay: fc.constantFrom(0, 30, 900, 1900, 12_000),
  fails: fc.boolean(),
  hangs: fc.boolean(),
});

Deno.test("Announcer: whatever is done when, no tracker hears that we start before it heard that we left, and none is forgotten", async () => {
  const property = fc.asyncProperty(
    fc.array(deed, { minLength: 3, maxLength: 25 }),
    fc.array(manner, { minLength: 1, maxLength: 8 }),
    fc.boolean(),
    fc.nat(),
    async (deeds, manners, all, seed) => {
      /** Announces to each tracker, and whether each is over. */
      const told = new Map<string, { readonly event: string; over: boolean; ok: boolean }[]>();
      let isAtWork = false;
      let tiers: readonly string[] = [A, B];
      const script = ({ tracker, event, request }: Call): Reaction => {
        const calls = told.get(tracker) ?? [];
        told.set(tracker, calls);
        const before = calls.at(-1);
        assert(calls.every(({ over }) => over), `${tracker} ${event} while it is told something else`);
        if (event === "started") assert(!before || before.event === "stopped" || !before.ok);
        else if (event === "stopped") assert(before && before.event !== "stopped", "stopped once, and not at first");
        else assert(before?.event !== "stopped" && calls.some(({ event, ok }) => ok && event === "started"));
        if (event !== "stopped" && event !== "completed") {
          assert(isAtWork && tiers.includes(tracker), `${tracker} ${event}`);
        }
        const call = { event, over: false, ok: false };
        calls.push(call);
        const { delay, fails, hangs } = manners[(told.size + calls.length * 3) % manners.length]!;
        const end = (ok: boolean) => Object.assign(call, { over: true, ok });
        request.signal!.addEventListener("abort", () => end(call.ok));
        if (hangs) return "hang";
        if (delay === 0) end(!fails);
        else bench.world.after(delay, () => call.over || end(!fails));
        return { ...fails ? DOWN : OK, ...delay > 0 && { delay } };
      };
      const bench: Bench = new Bench([[A], [B]], script, { askAll: () => all, seed });
      for (const deed of deeds) {
        if (deed.what === "wait") await bench.world.play(deed.milliseconds);
        else if (deed.what === "setTiers") {
          tiers = deed.tiers.flat();
          bench.announcer.setTiers(deed.tiers);
        } else {
          if ((deed.what as string) === "start") isAtWork = true;
          if (deed.what === "pause") isAtWork = false;
          bench.announcer[deed.what]();
        }
        await settle();
      }
      isAtWork = false;
      const before = bench.world.now();
      let took = Infinity;
      void bench.announcer.stop().then(() => took = bench.world.now() - before);
      await bench.world.play(2 * FAREWELL_MS);
      assert(took <= FAREWELL_MS, `${took} ms for the farewell`);
      for (const [tracker, calls] of told) {
        const last = calls.findLastIndex(({ event }) => event === "stopped");
        assert(!calls.slice(last + 1).some(({ ok }) => ok), `${tracker} knows us for ever`);
        assert(calls.filter(({ event, ok }) => event === "completed" && ok).length <= 1, `${tracker} completed twice`);
      }
      await bench.world.play(13_000); // scripted trackers finish their answers
      assertEquals(bench.world.pending, 0);
    },
  );
  await fc.assert(property, { numRuns: tries(150) });
});
