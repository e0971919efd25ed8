import { assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { CompletionCalls } from "../../src/cli/on_complete.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { CompletedEvent } from "../../src/session/session_events.ts";
import { serve } from "../support/http.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, metaOf, World } from "./fake_engine.ts";

const URL_TEXT = "http://user:secret@hook.test/done?x=1";
const WHERE = "http://hook.test/done?x=1";

function completed(name: string): CompletedEvent {
  const { hex } = metaOf(name).infoHash;
  return {
    event: "completed",
    infohash: hex,
    name,
    seconds: 2,
    bytes: 20_000,
    rate: 10_000,
    downloading: 1,
    paths: [`/data/${name}`],
  };
}

/** Downloads one torrent and emits that it is complete. */
async function start(world: World, ...args: string[]) {
  const { code } = await world.start("a.torrent", "--json", "--on-complete", URL_TEXT, ...args);
  world.session.emit(completed("a"));
  return { code, finish: () => world.session.added[0]!.finish() };
}

function warnings(world: World): string[] {
  return world.events.filter(({ event }) => event === "warning").map(({ message, where }) => `${message} (${where})`);
}

Deno.test("--on-complete posts the completed event as --json prints it, once for each torrent", async () => {
  const world = new World();
  world.answer = () => ({ status: 204, text: "" });
  const { code, finish } = await start(world, "b.torrent");
  world.session.emit(completed("b"));
  world.session.added[1]!.finish();
  finish();
  assertEquals(await code, 0);
  const printed = world.events.filter(({ event }) => event === "completed");
  assertEquals(world.requests.map(({ body }) => JSON.parse(body!)), printed);
  assertEquals(Object.keys(printed[0]!), ["event", "time", "infohash", "name", "seconds", "bytes", "rate", "paths"]);
  const [{ url, method, headers }] = world.requests as [typeof world.requests[number]];
  assertEquals([url, method, headers], [URL_TEXT, "POST", { "content-type": "application/json" }]);
  assertEquals(warnings(world), []);
  assertClean(world);
});

Deno.test("--on-complete that failed is told even with --quiet", async () => {
  const world = new World();
  world.answer = () => ({ status: 404, text: "" });
  const { code } = await world.start("a.torrent", "-q", "--on-complete", URL_TEXT);
  world.session.emit({ event: "warning", infohash: null, message: "the UDP port is taken", where: "UDP" });
  world.session.emit(completed("a"));
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
  const line = `shoal: warning: the completed event did not arrive: the server answers with status 404 (${WHERE})`;
  assertEquals([world.terminal.stdout.text, world.terminal.stderr.lines], ["", [line]]);
});

Deno.test("--on-complete tries again after a while when the server can't be had, and the end waits for it", async () => {
  const world = new World();
  const statuses = [503, 429, 200];
  world.answer = () => ({ status: statuses[world.requests.length - 1]!, text: "" });
  const { code, finish } = await start(world);
  finish();
  await settle();
  assertEquals([world.requests.length, world.session.stops], [1, 0]);
  await world.clock.play(1_000);
  assertEquals(world.requests.length, 2);
  await world.clock.play(4_000);
  assertEquals(await code, 0);
  assertEquals([world.requests.length, warnings(world)], [3, []]);
  assertClean(world);
});

Deno.test("--on-complete warns of a call that came to nothing, and the exit code stays as it is", async () => {
  const world = new World(); // connections are refused
  const { code, finish } = await start(world);
  finish();
  await settle();
  await world.clock.play(10_000);
  assertEquals(await code, 0);
  assertEquals(warnings(world), [`the completed event did not arrive: connection refused (${WHERE})`]);
  assertEquals(world.events.at(-1)!["event"], "stopped");
  assertEquals([world.requests.length, world.terminal.stderr.text], [3, ""]);
  assertClean(world);
});

Deno.test("--on-complete gives up at once when the server says that it makes no sense", async () => {
  for (const [status, words] of [[404, "status 404"], [302, "status 302, a redirect that would lose"]] as const) {
    const world = new World();
    world.answer = () => ({ status, text: "" });
    const { code, finish } = await start(world, "--seed");
    await settle();
    assertStringIncludes(warnings(world)[0]!, words);
    finish();
    world.terminal.leave();
    assertEquals([await code, world.requests.length], [130, 1]);
    assertClean(world);
  }
});

Deno.test("--on-complete gives up after five attempts while others are downloaded", async () => {
  const world = new World();
  world.answer = () => ({ status: 500, text: "" });
  const { code, finish } = await start(world, "b.torrent");
  for (const pause of [1_000, 4_000, 15_000, 60_000]) await world.clock.play(pause);
  assertEquals(warnings(world), [`the completed event did not arrive: the server answers with status 500 (${WHERE})`]);
  assertEquals(world.requests.length, 5);
  finish();
  world.session.added[1]!.finish();
  assertEquals(await code, 0);
});

Deno.test("Ctrl-C doesn't wait for --on-complete", async () => {
  const world = new World();
  const { code, finish } = await start(world);
  finish();
  await settle();
  world.terminal.leave();
  assertEquals(await code, 130);
  assertEquals(warnings(world), []);
  await settle();
  assertClean(world);
});

Deno.test("--on-complete wants an http or https URL", async () => {
  for (const url of ["ftp://x/", "x", "file:///etc/passwd", "javascript:1"]) {
    const world = new World();
    assertEquals(await world.run("a.torrent", "--on-complete", url), 2);
    assertStringIncludes(world.terminal.stderr.text, `bad value (--on-complete ${url}): an http or https URL`);
  }
});

Deno.test("CompletionCalls reaches a real server, redirected only where the post isn't lost", async () => {
  const seen: unknown[] = [];
  await using server = serve((request) => {
    const { pathname } = new URL(request.url);
    const [method, type] = [request.method, request.headers.get("content-type")];
    if (pathname === "/moved") return new Response(null, { status: 308, headers: { location: "/done" } });
    if (pathname === "/other") return new Response(null, { status: 302, headers: { location: "/done" } });
    seen.push(request.json().then((body) => [method, type, body.event]));
    return new Response("thanks");
  });
  const failures: string[] = [];
  const signal = new AbortController().signal;
  const startedAt = performance.now();
  for (const path of ["/done", "/moved", "/other"]) {
    const calls = new CompletionCalls(`${server.url.replace("//", "//me:pw@")}${path}`, {
      platform: denoPlatform,
      signal,
      onFailure: (_, why) => failures.push(why),
    });
    calls.tell(completed("a"));
    await calls.settled();
  }
  const arrived = ["POST", "application/json", "completed"];
  assertEquals(await Promise.all(seen), [arrived, arrived]);
  assertEquals(server.requests, ["/done", "/moved", "/done", "/other"]);
  const words = "the server answers with status 302, a redirect that would lose what is posted";
  assertEquals(failures, [`the completed event did not arrive: ${words}`]);
  assertLess(performance.now() - startedAt, 900);
});
