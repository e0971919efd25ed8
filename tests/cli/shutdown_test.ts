import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, World } from "./fake_engine.ts";

Deno.test("Ctrl-C stops in good order with exit code 130", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent");
  world.terminal.leave();
  assertEquals(await code, 130);
  assertEquals([world.session.stops, world.terminal.exited], [1, null]);
  assertStringIncludes(world.terminal.stdout.text, "a: stopped at 50.0%");
  assertEquals(world.terminal.stderr.text, "shoal: stopping; press Ctrl-C again to leave at once\n");
  assertClean(world);
});

Deno.test("Ctrl-C leaves within three seconds even if stopping never ends", async () => {
  const world = new World();
  world.session.stuck = true;
  const { code } = await world.start("a.torrent", "-q");
  world.terminal.leave();
  await world.clock.play(3000);
  assertEquals(await code, 130);
  assertClean(world);
});

Deno.test("Ctrl-C leaves within three seconds even if nobody reads what is written", async () => {
  for (const [output, args] of [["stdout", ["--json"]], ["stdout", []], ["stderr", []]] as const) {
    const world = new World();
    const { code } = await world.start("a.torrent", ...args);
    world.terminal[output].block();
    world.terminal.leave();
    await world.clock.play(2800);
    assertEquals(world.terminal.exited, null);
    await world.clock.play(200);
    assertEquals(world.terminal.exited, output === "stdout" ? 130 : null);
    world.terminal[output].release();
    assertEquals(await code, 130);
    assertClean(world);
  }
});

Deno.test("Ctrl-C again leaves at once", async () => {
  const world = new World();
  world.session.stuck = true;
  const { code } = await world.start("a.torrent", "-q");
  world.terminal.leave();
  world.terminal.leave(); // as `timeout -s INT` sends it
  await world.clock.play(300);
  assertEquals(world.terminal.exited, null);
  world.terminal.leave();
  await settle();
  assertEquals(world.terminal.exited, 130);
  await world.clock.play(3000);
  await code;
});

Deno.test("Ctrl-C again in the live table takes the table away, unless the terminal takes nothing", async () => {
  for (const blocked of [false, true]) {
    const world = new World({ isTerminal: true, env: { TERM: "xterm", NO_COLOR: "1" } });
    world.session.stuck = true;
    const { code } = await world.start("a.torrent");
    if (blocked) world.terminal.stdout.block();
    world.terminal.leave();
    await world.clock.play(300);
    world.terminal.leave();
    await world.clock.play(99);
    assertEquals(world.terminal.exited, blocked ? null : 130);
    await world.clock.play(1);
    assertEquals(world.terminal.exited, 130);
    assertMatch(world.terminal.stdout.text.split("\x1b[J").at(-1)!, /(^|\n)a\n {2}stopped at 50\.0% [^]*\n[^\n]*$/);
    await world.clock.play(3000);
    world.terminal.stdout.release();
    await code;
  }
});

Deno.test("a signal that comes twice is one request, and a window closes only once", async () => {
  const world = new World();
  world.session.stuck = true;
  const { code } = await world.start("a.torrent", "-q");
  // As `timeout` sends it: to the program, then to its process group.
  world.terminal.leave("terminate");
  world.terminal.leave("terminate");
  // As the system sends it, and a little later the shell.
  world.terminal.leave("hangup");
  await world.clock.play(1000);
  world.terminal.leave("hangup");
  world.terminal.leave("terminate");
  assertEquals(world.terminal.exited, null);
  await world.clock.play(2000);
  assertEquals(await code, 130);
  assertClean(world);
});

Deno.test("Ctrl-C after the work, while trackers are told, lets that end and the exit code be", async () => {
  const world = new World();
  world.session.stuck = true;
  const { code } = await world.start("a.torrent", "-q");
  world.session.added[0]!.finish();
  await settle();
  assertEquals(world.session.stops, 1);
  world.terminal.leave();
  await settle();
  assertEquals(world.terminal.exited, null);
  await world.clock.play(2800);
  assertEquals([await code, world.terminal.exited], [0, null]);
  assertClean(world);
});

Deno.test("Ctrl-C while only output is left to be read ends the program at once", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent");
  const flushing = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  world.terminal.stdout.flush = () => {
    flushing.resolve();
    return release.promise;
  };
  world.session.added[0]!.finish();
  await flushing.promise;
  world.terminal.leave();
  assertEquals(world.terminal.exited, 130);
  release.resolve();
  await code;
  assertClean(world);
});

Deno.test("Ctrl-C while a torrent is being fetched leaves without waiting for it", async () => {
  const world = new World();
  const asked = Promise.withResolvers<void>();
  world.answer = () => {
    asked.resolve();
    return new Promise(() => {}); // a server that never answers
  };
  const code = world.run("http://slow.test/a.torrent");
  await asked.promise;
  world.terminal.leave();
  assertEquals(await code, 130);
  assertEquals([world.session.options, world.terminal.exited], [null, null]);
  assertClean(world);
});

Deno.test("a reader that goes away ends a download in good order with 130, and one that is done with 0", async () => {
  for (const done of [false, true]) {
    const world = new World();
    const { code } = await world.start("a.torrent");
    if (done) {
      world.session.added[0]!.finish();
      await settle();
    }
    world.terminal.stdout.lose("unread");
    assertEquals(await code, done ? 0 : 130);
    assertEquals([world.session.stops, world.terminal.exited], [1, null]);
    const note = "shoal: stopping, since nobody reads standard output any more\n";
    if (!done) assertEquals(world.terminal.stderr.text, note);
    assertClean(world);
  }
});

Deno.test("Ctrl-C after the reader has gone away is the first, not another", async () => {
  const world = new World();
  world.session.stuck = true;
  const { code } = await world.start("a.torrent", "-q");
  world.terminal.stdout.lose("unread"); // `tee` gets Ctrl-C, too, and exits first
  await world.clock.play(500);
  world.terminal.leave();
  assertEquals(world.terminal.exited, null);
  await world.clock.play(3000);
  assertEquals(await code, 130);
  assertClean(world);
});

Deno.test("an output that fails, as on a full disk, ends a download in good order with 4", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--json");
  const failure = { what: "cannot write", where: "standard output", why: "no space left" };
  world.terminal.stdout.failure = new ShoalError("storage", failure);
  world.terminal.stdout.lose("failed");
  assertEquals(await code, 4);
  assertEquals([world.session.stops, world.terminal.exited], [1, null]);
  assertEquals(world.terminal.stderr.text, "shoal: error: cannot write (standard output): no space left\n");
  assertClean(world);
});
