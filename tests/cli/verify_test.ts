import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { FileError } from "../../src/platform/file_errors.ts";
import type { Verification, VerifiedFile } from "../../src/session/verify_torrent.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, World } from "./fake_engine.ts";

function file(path: string, parts: Partial<VerifiedFile> = {}): VerifiedFile {
  return { path, length: 100, pieces: 2, valid: 2, verdict: "right", ...parts };
}

const RIGHT: Verification = { pieces: 2, valid: 2, bytes: 20_000, files: [file("a/sub/a\x1b.txt"), file("a/b.txt")] };
const BAD: Verification = {
  pieces: 1200,
  valid: 1100,
  bytes: 20_000,
  files: [
    file("a/right"),
    file("a/missing", { verdict: "missing", valid: 0 }),
    file("a/sh\nort", { verdict: "short", pieces: 1000, valid: 950 }),
    file("a/long", { verdict: "long" }),
    file("a/wrong", { verdict: "wrong", pieces: 1, valid: 0 }),
    file("a/unproven", { verdict: "unproven", valid: 1 }),
  ],
};

function worldOf(result: Verification, options: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(options);
  world.verify = (_, { onProgress }) => {
    onProgress?.(0.5, 10_000);
    onProgress?.(1, 20_000);
    return Promise.resolve(result);
  };
  return world;
}

Deno.test("verify says that all is right, in one line", async () => {
  const world = worldOf(RIGHT);
  assertEquals(await world.run("verify", "a.torrent", "dir"), 0);
  assertEquals(world.terminal.stderr.text, "");
  assertEquals(world.terminal.stdout.lines.length, 1);
  assertMatch(
    world.terminal.stdout.text,
    /^a: 19\.5 KiB in 2 files, all 2 pieces are right, checked in \d+ms(?: \(.*\/s\))?\n$/,
  );
  assertClean(world);
});

Deno.test("verify hands over the torrent and the folder", async () => {
  const world = new World();
  let got: readonly unknown[] = [];
  world.verify = (meta, { folder, platform, signal }) => {
    got = [meta.name, folder, platform === undefined, signal?.aborted];
    return Promise.resolve(RIGHT);
  };
  assertEquals(await world.run("verify", "x/b.torrent", "some dir"), 0);
  assertEquals(got, ["b", "some dir", false, false]);
});

Deno.test("verify names the files that are not right, and why, with exit code 3", async () => {
  const world = worldOf(BAD);
  assertEquals(await world.run("verify", "a.torrent", "dir"), 3);
  assertEquals(world.terminal.stdout.lines, [
    "a: 1,100 of 1,200 pieces are right, 5 of 6 files are not",
    "  missing   a/missing",
    "  short     a/sh ort: it ends too early; 50 of 1,000 pieces bad",
    "  long      a/long: it goes on after its end; its pieces are right",
    "  wrong     a/wrong: 1 of 1 piece bad",
    "  unproven  a/unproven: its ends share pieces with files that are not whole; 1 of 2 pieces bad",
  ]);
  assertEquals(
    world.terminal.stderr.text,
    "shoal: error: the data does not match the torrent (a in dir): 100 of 1,200 pieces missing or wrong, in 5 of 6 files; " +
      "`shoal download` gets what is missing\n",
  );
  assertClean(world);
});

Deno.test("verify names a limited number of files, and --json all of them", async () => {
  const files = Array.from({ length: 100 }, (_, i) => file(`a/${i}`, { verdict: "wrong", valid: 0 }));
  const result = { pieces: 200, valid: 0, bytes: 1, files };
  const world = worldOf(result);
  assertEquals(await world.run("verify", "a.torrent", "dir"), 3);
  assertEquals(world.terminal.stdout.lines.length, 22);
  assertEquals(world.terminal.stdout.lines.at(-1), "  ... and 80 more files; --json names them all");
  const json = worldOf(result);
  assertEquals(await json.run("verify", "a.torrent", "dir", "--json"), 3);
  assertEquals((json.events.at(-1)!["files"] as unknown[]).length, 100);
});

Deno.test("verify tells a wrong folder, and a file that is only too long, in words of their own", async () => {
  const missing = { verdict: "missing", valid: 0 } as const;
  const nothing = worldOf({ pieces: 2, valid: 0, bytes: 0, files: [file("a/1", missing), file("a/2", missing)] });
  assertEquals(await nothing.run("verify", "a.torrent", "dir", "-q"), 3);
  assertStringIncludes(
    nothing.terminal.stderr.text,
    "(a in dir): none of its files is there; choose the folder that holds it",
  );
  const long = worldOf({ ...RIGHT, files: [file("a/1", { verdict: "long" }), file("a/2")] });
  assertEquals(await long.run("verify", "a.torrent", "dir", "-q"), 3);
  assertStringIncludes(
    long.terminal.stderr.text,
    "all pieces are right, but 1 of 2 files is too long or missing",
  );
});

Deno.test("verify -q says nothing but the error", async () => {
  const right = worldOf(RIGHT, { isTerminal: true });
  assertEquals(await right.run("verify", "a.torrent", "dir", "-q"), 0);
  assertEquals([right.terminal.stdout.text, right.terminal.stderr.text], ["", ""]);
  const bad = worldOf(BAD);
  assertEquals(await bad.run("verify", "a.torrent", "dir", "--quiet"), 3);
  assertEquals(bad.terminal.stdout.text, "");
  assertEquals(bad.terminal.stderr.lines.length, 1);
});

Deno.test("verify --json prints how far it has come and one object in the end", async () => {
  const world = worldOf(BAD);
  assertEquals(await world.run("verify", "a.torrent", "dir", "--json"), 3);
  const infohash = "61".repeat(20);
  const time = new Date(world.clock.wallClock()).toISOString();
  assertEquals(world.events, [
    { event: "checking", time, infohash, progress: 0.5 },
    { event: "checking", time, infohash, progress: 1 },
    {
      event: "verified",
      time,
      infohash,
      name: "a",
      pieces: 1200,
      valid: 1100,
      bytes: 20_000,
      files: BAD.files.map(({ path, length, pieces, valid, verdict }) => ({ path, length, pieces, valid, verdict })),
    },
  ]);
  assertEquals(world.terminal.stderr.lines.length, 1);
});

Deno.test("verify of a folder that is not there is exit code 4, without the hints of a download", async () => {
  for (const fault of ["missing", "denied"] as const) {
    const world = new World();
    world.verify = () => Promise.reject(new FileError(fault, { what: "cannot find", path: "/none" }));
    assertEquals(await world.run("verify", "a.torrent", "/none"), 4);
    assertMatch(world.terminal.stderr.text, /^shoal: error: cannot find \(\/none\): [^;]*\n$/);
    assertEquals(world.terminal.stdout.text, "");
    assertClean(world);
  }
});

Deno.test("verify draws a bar on a terminal, and takes it away in the end", async () => {
  const world = new World({ isTerminal: true, env: { TERM: "xterm" } });
  const done = Promise.withResolvers<Verification>();
  let report: (fraction: number, bytes: number) => void = () => {};
  world.verify = (_, { onProgress }) => {
    report = onProgress!;
    return done.promise;
  };
  const code = world.run("verify", "a.torrent", "dir");
  while (!world.terminal.stdout.text.includes("checking")) await settle();
  report(0.462, 1000);
  await world.clock.play(1000);
  assertStringIncludes(world.terminal.stdout.text, "46.2%");
  assertLess(world.terminal.stdout.writes, 15, "at most ten frames a second");
  done.resolve(RIGHT);
  assertEquals(await code, 0);
  assertMatch(world.terminal.stdout.lines.at(-1)!, /all 2 pieces are right, checked in \d/);
  assertClean(world);
});

Deno.test("verify prints a line every few seconds where there is no terminal", async () => {
  const world = new World();
  const done = Promise.withResolvers<Verification>();
  let report: ((fraction: number, bytes: number) => void) | null = null;
  world.verify = (_, { onProgress }) => {
    report = onProgress!;
    return done.promise;
  };
  const code = world.run("verify", "a.torrent", "dir");
  while (report === null) await settle();
  (report as (fraction: number, bytes: number) => void)(0.25, 50 * 1024 * 1024);
  await world.clock.play(10_000);
  assertEquals(world.terminal.stdout.lines, [
    "a: checking (25.0%), 10 MiB/s, ETA 15s",
    "a: checking (25.0%), 5 MiB/s, ETA 30s",
  ]);
  done.resolve(RIGHT);
  assertEquals(await code, 0);
});

Deno.test("verify leaves at once with exit code 130 when it is interrupted", async () => {
  for (const isTerminal of [true, false]) {
    const world = new World({ isTerminal, env: { TERM: "xterm" } });
    let signal: AbortSignal | undefined;
    world.verify = (_, options) => {
      signal = options.signal;
      return new Promise(() => {});
    };
    const code = world.run("verify", "a.torrent", "dir");
    while (signal === undefined) await settle();
    world.terminal.leave();
    assertEquals(await code, 130);
    assert(signal.aborted);
    assertEquals(world.terminal.stderr.text, "");
    assertClean(world);
  }
});
