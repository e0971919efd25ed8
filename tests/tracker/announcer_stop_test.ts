import { assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { Announcer, type AnnouncerOptions } from "../../src/tracker/announcer.ts";
import { type Reaction, ScriptedTrackers } from "../support/scripted_trackers.ts";
import { settle } from "../support/virtual_clock.ts";

const OK: Reaction = { reply: { interval: 1800, peers: Uint8Array.of(10, 0, 0, 1, 0, 9) } };
const DOWN: Reaction = { fails: "connection refused" };
const HANG: Reaction = "hang whatever the signal says";
const slow = (delay: number): Reaction => ({ reply: { interval: 1800 }, delay });

function announcerOn(world: ScriptedTrackers, tiers: string[][], more: Partial<AnnouncerOptions> = {}): Announcer {
  return new Announcer({
    platform: world,
    tiers,
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("-SH0100-abcdefghijkl"),
    port: 6881,
    progress: () => ({ uploaded: 1, downloaded: 2, left: 3 }),
    onPeers: () => {},
    onReport: () => {},
    wantedPeers: () => 50,
    ...more,
  });
}

/** Returns the milliseconds on the virtual clock until a promise settles, or `null` if that takes more than 10 s. */
async function settlesAfter(world: ScriptedTrackers, work: Promise<void>): Promise<number | null> {
  const before = world.now();
  let at: number | null = null;
  void work.then(() => at = world.now() - before);
  for (let i = 0; i < 1000 && at === null; i++) await world.play(10);
  return at;
}

Deno.test("Announcer.stop() tells the tracker, leaves no timer behind, and says it once", async () => {
  const world = new ScriptedTrackers(() => OK);
  const announcer = announcerOn(world, [["http://a/x"]]);
  announcer.start();
  await settle();
  const stopping = announcer.stop();
  assertEquals(announcer.stop(), stopping);
  assertEquals(await settlesAfter(world, stopping), 0);
  assertEquals(world.log, ["a/x started", "a/x stopped"]);
  assertEquals(world.calls[1]!.parameters.get("numwant"), "0");
  assertEquals(world.pending, 0);
  announcer.start();
  announcer.completed();
  announcer.needPeers();
  await world.play(3_600_000);
  assertEquals(world.calls.length, 2);
});

Deno.test("Announcer.stop() before start(), or when no tracker knows us, sends nothing", async () => {
  const world = new ScriptedTrackers(() => DOWN);
  const unstarted = announcerOn(world, [["http://a/x"]]);
  assertEquals(await settlesAfter(world, unstarted.stop()), 0);
  unstarted.start();
  const failed = announcerOn(world, [["http://a/x"]]);
  failed.start();
  await settle();
  assertEquals(await settlesAfter(world, failed.stop()), 0);
  assertEquals([world.log, world.pending], [["a/x started"], 0]);
});

Deno.test("Announcer.stop() tells every tracker that knows us, all at the same time", async () => {
  const world = new ScriptedTrackers(() => OK);
  const announcer = announcerOn(world, [["http://a/x"], ["http://b/x"], ["http://c/x"]]);
  announcer.start();
  await settle();
  world.script = (call) => call.tracker === "http://a/x" ? DOWN : OK;
  await world.play(1_800_000);
  world.script = (call) => call.tracker === "http://a/x" ? slow(900) : slow(700);
  const from = world.calls.length;
  assertEquals(await settlesAfter(world, announcer.stop()), 900);
  assertEquals(world.log.slice(from), ["a/x stopped", "b/x stopped"]);
  assertEquals(new Set(world.calls.slice(from).map((call) => call.at)).size, 1);
});

Deno.test("Announcer.stop() says nothing to a tracker that never wants to hear from us again", async () => {
  const world = new ScriptedTrackers(() => OK);
  const announcer = announcerOn(world, [["http://a/x"]]);
  announcer.start();
  await settle();
  world.script = () => ({ reply: { "failure reason": "gone", "retry in": "never" } });
  await world.play(1_800_000);
  assertEquals(await settlesAfter(world, announcer.stop()), 0);
  assertEquals(world.log, ["a/x started", "a/x -"]);
});

Deno.test("Announcer.stop() settles at its deadline when the tracker hangs, 2 s unless told otherwise", async () => {
  for (const deadline of [undefined, 300]) {
    const world = new ScriptedTrackers((call) => call.event === "stopped" ? HANG : OK);
    const announcer = announcerOn(world, [["http://a/x"]]);
    announcer.start();
    await settle();
    assertEquals(await settlesAfter(world, announcer.stop(deadline)), deadline ?? 2000);
    assertEquals(world.calls.at(-1)!.request.signal?.aborted, true);
    assertEquals(world.pending, 0);
  }
});

Deno.test("Announcer.stop() settles at its deadline when everything hangs, even what is under way", async () => {
  const world = new ScriptedTrackers(() => HANG);
  const announcer = announcerOn(world, [["http://a/x"], ["http://b/x"]]);
  announcer.start();
  await world.play(5000);
  assertEquals(await settlesAfter(world, announcer.stop()), 2000);
  assertEquals(world.log, ["a/x started", "a/x stopped"]);
  assertEquals(world.calls.map((call) => call.at), [0, 6000], "it is told while there is time for it to answer");
  assertEquals(world.calls.map((call) => call.request.signal?.aborted), [true, true]);
  assertEquals(world.pending, 0);
});

Deno.test("Announcer.stop() does not overtake an announce that is under way", async () => {
  const world = new ScriptedTrackers((call) => call.event === "started" ? slow(800) : OK);
  const announcer = announcerOn(world, [["http://a/x"], ["http://b/x"]]);
  announcer.start();
  await world.play(100);
  assertEquals(await settlesAfter(world, announcer.stop()), 700);
  assertEquals(world.log, ["a/x started", "a/x stopped"]);
  assertEquals(world.calls[1]!.at, 800);
});

Deno.test("Announcer.stop() goes to no other tracker when the announce under way fails", async () => {
  const world = new ScriptedTrackers(() => ({ fails: "connection refused", delay: 500 }));
  const announcer = announcerOn(world, [["http://a/x"], ["http://b/x"]]);
  announcer.start();
  assertEquals(await settlesAfter(world, announcer.stop()), 500);
  assertEquals([world.log, world.pending], [["a/x started"], 0]);
});

Deno.test("Announcer.stop() right after completed() lets the tracker know both", async () => {
  const world = new ScriptedTrackers(() => slow(300));
  const announcer = announcerOn(world, [["http://a/x"]]);
  announcer.start();
  await world.play(1000);
  announcer.completed();
  assertEquals(await settlesAfter(world, announcer.stop()), 600);
  assertEquals(world.log, ["a/x started", "a/x completed", "a/x stopped"]);
});

Deno.test("Announcer.stop() right after completed(), with started under way, lets the tracker know all three", async () => {
  const world = new ScriptedTrackers(() => slow(200));
  const announcer = announcerOn(world, [["http://a/x"]]);
  announcer.start();
  announcer.completed();
  assertEquals(await settlesAfter(world, announcer.stop()), 600);
  assertEquals(world.log, ["a/x started", "a/x completed", "a/x stopped"]);
});

Deno.test("Announcer.stop() lets no callback come after it", async () => {
  const world = new ScriptedTrackers(() => slow(100));
  let told = 0;
  const count = () => void told++;
  const announcer = announcerOn(world, [["http://a/x"]], { onPeers: count, onReport: count });
  announcer.start();
  assertEquals(await settlesAfter(world, announcer.stop()), 200);
  assertEquals(told, 0);
});

Deno.test("Announcer.stop() may be called from a callback", async () => {
  const world = new ScriptedTrackers(() => OK);
  let stopping: Promise<void> | undefined;
  const announcer: Announcer = announcerOn(world, [["http://a/x"]], { onReport: () => stopping = announcer.stop() });
  announcer.start();
  await settle();
  assertEquals(await settlesAfter(world, stopping!), 0);
  assertEquals([world.log, world.pending], [["a/x started", "a/x stopped"], 0]);
});

Deno.test("Announcer.stop() waits for all that are being asked at once, and no longer than for one", async () => {
  const world = new ScriptedTrackers(({ tracker }) => tracker === "http://a/x" ? OK : HANG);
  const urls = ["http://a/x", "http://b/x", "http://c/x"];
  const announcer = announcerOn(world, urls.map((url) => [url]), { askAll: () => true });
  announcer.start();
  await world.play(5000);
  assertEquals(await settlesAfter(world, announcer.stop()), 2000);
  assertEquals(world.log.slice(3), ["a/x stopped", "b/x stopped", "c/x stopped"]);
  assertEquals(world.pending, 0);
});
