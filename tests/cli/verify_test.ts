import { assert, assertEquals, assertLess, assertMatch, assertStringIncludes } from "@std/assert";
import { FileError } from "../../src/platform/file_errors.ts";
import type { Verification, VerifiedFile } from "../../src/session/verify_torrent.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, failure, World } from "./fake_engine.ts";

function file(path: string, parts: Partial<VerifiedFile> = {}): VerifiedFile {
  return { path, length: 100, pieces: 2, valid: 2, verdict: "right", ...parts };
}

const RIGHT: Verification = {
  pieces: 2,
  valid: 2,
  bytes: 20_000,
  files: [file("a/sub/a\x1b.txt"), file("a/b.txt")],
  searched: null,
};
const BAD: Verification = {
  pieces: 1200,
  valid: 1100,
  bytes: 20_000,
  searched: null,
  files: [
    file("a/right"),
    file("a/missing", { verdict: "missing", valid: 0 }),
    file("a/sh\nort", { verdict: "short", pieces: 1000, valid: 950 }),
    file("a/long", { verdict: "long" }),
    file("a/wrong", { verdict: "wrong", pieces: 1, valid: 0 }),
    file("a/unproven", { verdict: "unproven", valid: 1 }),
    file("a/unfinished", { verdict: "unfinished", pieces: 3, valid: 1 }),
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
    "a: 1,100 of 1,200 pieces are right, 6 of 7 files are not",
    "  missing     a/missing",
    "  short       a/sh ort: it ends too early; 50 of 1,000 pieces are bad",
    "  long        a/long: it goes on after its end; its pieces are right",
    "  wrong       a/wrong: its only piece is bad",
    "  unproven    a/unproven: its ends share pieces with files that are not whole; 1 of 2 pieces is bad",
    "  unfinished  a/unfinished: it has its .part name; 2 of 3 pieces are missing",
  ]);
  assertEquals(
    world.terminal.stderr.text,
    "shoal: error: the data does not match the torrent (a in dir): 100 of 1,200 pieces are missing or wrong, in 6 of 7 files; " +
      "`shoal download` gets what is missing\n",
  );
  assertClean(world);
});

Deno.test("verify names a limited number of files, and --json all of them", async () => {
  const files = Array.from({ length: 100 }, (_, i) => file(`a/${i}`, { verdict: "wrong", valid: 0 }));
  const result = { pieces: 200, valid: 0, bytes: 1, files, searched: null };
  const world = worldOf(result);
  assertEquals(await world.run("verify", "a.torrent", "dir"), 3);
  assertEquals(world.terminal.stdout.lines.length, 22);
  assertEquals(world.terminal.stdout.lines.at(-1), "  ... and 80 more files; --json names them all");
  const json = worldOf(result);
  assertEquals(await json.run("verify", "a.torrent", "dir", "--json"), 3);
  assertEquals((json.events.at(-1)!["files"] as unknown[]).length, 100);
});

Deno.test("verify says in whole sentences what is wrong, whatever the numbers", async () => {
  const missing = { verdict: "missing", valid: 0 } as const;
  const wrong = { verdict: "wrong", pieces: 1, valid: 0 } as const;
  const gone = (holds: readonly string[]) => ({
    valid: 0,
    files: [file("a/1", missing)],
    searched: { path: "/x", holds },
  });
  const help = "; choose the folder that holds it, or the data itself";
  const get = "; `shoal download` gets what is missing";
  const other = "; it may be another version of the data, or the wrong folder";
  const cases: [result: Partial<Verification>, error: string, line: string][] = [
    [gone([]), `none of its files is in /x, which is empty${help}`, "a: none of its 2 pieces is right"],
    [gone(["b"]), `none of its files is in /x, which holds "b"${help}`, "a: none of its 2 pieces is right"],
    [gone(["b", "c", "d"]), `none of its files is in /x, which holds "b", "c" and "d"${help}`, "a: none of"],
    [gone([..."bcdefgh"]), `/x, which holds "b", "c", "d", "e", "f" and 2 more${help}`, "a: none of its 2 pieces"],
    [
      { files: [file("a/1", { verdict: "long" }), file("a/2")] },
      `all pieces are right, but 1 of 2 files is too long${get}`,
      "a: all 2 pieces are right, 1 of 2 files is not",
    ],
    [
      { files: [file("a/1", { verdict: "unfinished" }), file("a/2", { verdict: "missing" })] },
      `all pieces are right, but 2 of 2 files are unfinished or missing${get}`,
      "a: all 2 pieces are right, 2 of 2 files are not",
    ],
    [
      { pieces: 1, valid: 0, files: [file("a", wrong)] },
      `its only file is there, but its only piece is not right${other}`,
      "a: its only piece is not right",
    ],
    [
      { pieces: 5, valid: 0, files: [file("a/1", wrong), file("a/2", missing)] },
      `1 of 2 files is there, but none of its 5 pieces is right${other}`,
      "a: none of its 5 pieces is right, 2 of 2 files are not",
    ],
    [
      { pieces: 2, valid: 1, files: [file("a", { verdict: "wrong", valid: 1 })] },
      `1 of 2 pieces is missing or wrong, in its only file${get}`,
      "a: 1 of 2 pieces is right",
    ],
  ];
  for (const [parts, error, line] of cases) {
    const world = worldOf({ ...RIGHT, ...parts });
    assertEquals(await world.run("verify", "a.torrent", "dir"), 3);
    assertStringIncludes(world.terminal.stderr.text, error);
    assertStringIncludes(world.terminal.stdout.lines[0]!, line);
  }
});

Deno.test("verify --files checks what is chosen, and counts nothing else", async () => {
  const world = worldOf({ ...RIGHT, files: [file("a/b.txt", { length: 1000 })] });
  const { verify } = world;
  let chosen: readonly number[] = [];
  world.verify = (meta, options) => {
    chosen = [...options.files!];
    return verify(meta, options);
  };
  assertEquals(await world.run("verify", "a.torrent", "dir", "--files", "b.*"), 0);
  assertEquals(chosen, [2]);
  assertMatch(world.terminal.stdout.text, /^a: 1000 B in 1 chosen file, all 2 pieces are right, checked in /);
  const json = worldOf({ ...RIGHT, files: [file("a/b.txt", { length: 1000 })] });
  assertEquals(await json.run("verify", "a.torrent", "dir", "--files", "2", "--json"), 0);
  assertEquals(json.events.at(-1)!["bytes"], 1000);
  const line = await failure(["verify", "a.torrent", "dir", "--files", "*.avi"], 2);
  assertEquals(line, 'cannot choose files (--files *.avi): no file of "a" matches');
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
