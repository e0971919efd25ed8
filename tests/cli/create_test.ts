import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import type { CreateOptions, LinkOut } from "../../src/session/create_torrent.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, metaOf, World } from "./fake_engine.ts";

function worldOf(options: ConstructorParameters<typeof World>[0] = {}): World & {
  asked: CreateOptions | null;
  linksOut: LinkOut[];
} {
  const world = Object.assign(new World(options), { asked: null as CreateOptions | null, linksOut: [] as LinkOut[] });
  world.create = async (path, settings) => {
    world.asked = settings;
    const name = settings.name ?? path;
    await settings.onFound?.({ name, safeName: name, size: 20_000, files: 2, linksOut: world.linksOut });
    settings.onProgress?.(1, 20_000);
    return { bytes: utf8(`torrent of ${path}`), meta: { ...metaOf("a"), name }, skipped: [], files: [] };
  };
  return world;
}

Deno.test("create writes NAME.torrent, and tells name, size, pieces, info-hash and magnet", async () => {
  const world = worldOf();
  assertEquals(await world.run("create", "a"), 0);
  assertEquals(world.terminal.stderr.text, "");
  assertEquals([...world.written], [["a.torrent", utf8("torrent of a")]]);
  const { lines } = world.terminal.stdout;
  assertEquals(lines.slice(0, -1), [
    "a.torrent",
    "  name         a",
    "  size         19.5 KiB (20,000 bytes) in 2 files",
    "  pieces       2 of 16 KiB",
    `  info-hash    ${"61".repeat(20)}`,
  ]);
  assertMatch(lines.at(-1)!, /^ {2}magnet {7}magnet:\?xt=urn:btih:6161/);
  assertClean(world);
});

Deno.test("create hands over what was asked for", async () => {
  const world = worldOf();
  const words =
    "-t http://a/,udp://b:1 --tracker wss://c --web-seed http://w/ --web-seed https://x/ --piece-length 1M --v1 " +
    "--private --comment c --source s --date --name n --exclude *.tmp --exclude x/y -o out.torrent -q";
  assertEquals(await world.run("create", "a", ...words.split(" ")), 0, world.terminal.stderr.text);
  const { trackers, webSeeds, pieceLength, comment, source, createdAt, name, exclude, createdBy } = world.asked!;
  assertEquals([trackers, webSeeds], [[["http://a/", "udp://b:1"], ["wss://c"]], ["http://w/", "https://x/"]]);
  assertEquals([pieceLength, comment, source, name], [1 << 20, "c", "s", "n"]);
  assertEquals([world.asked!.private, exclude], [true, ["*.tmp", "x/y"]]);
  assertEquals(createdAt, Math.floor(world.clock.wallClock() / 1000));
  assertMatch(createdBy!, /^shoal \d/);
  assertEquals([...world.written.keys()], ["out.torrent"]);
  assertEquals(world.terminal.stdout.text, "");
  for (const version of ["v1", "v2", "hybrid"] as const) {
    const other = worldOf();
    assertEquals(await other.run("create", "a", `--${version}`), 0, other.terminal.stderr.text);
    assertEquals(other.asked!.version, version);
  }
  assertEquals(world.asked!.version, "v1");
  const plain = worldOf();
  assertEquals(await plain.run("create", "a"), 0);
  assertEquals([plain.asked!.createdAt, plain.asked!.private, plain.asked!.trackers], [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("create and share warn when a link leads out of the folder, before they hash", async () => {
  const link = (i: number) => ({ path: `l\x1b${i}`, target: `/home/me/.ssh/${i}` });
  const lines = (count: number) =>
    Array.from(
      { length: count },
      (_, i) =>
        `shoal: warning: a symbolic link leads out of the folder ("l\\u001b${i}"): the torrent contains /home/me/.ssh/${i}`,
    );
  for (const flags of [[], ["-q"], ["--json"]]) {
    const world = worldOf();
    world.linksOut = [link(0)];
    assertEquals(await world.run("create", "a", ...flags), 0);
    assertEquals(world.terminal.stderr.lines, lines(1));
  }
  const many = worldOf();
  many.linksOut = Array.from({ length: 12 }, (_, i) => link(i));
  assertEquals(await many.run("create", "a"), 0);
  assertEquals(many.terminal.stderr.lines, [...lines(10), "shoal: warning: 2 more links lead out of the folder"]);
});

Deno.test("create warns of a private torrent without a tracker", async () => {
  const line = "shoal: warning: a private torrent without a tracker finds no peers; name one with --tracker";
  for (const [args, lines] of [[["--private"], [line]], [["--private", "-t", "http://t.test/"], []], [[], []]]) {
    const world = worldOf();
    assertEquals(await world.run("create", "a", ...args!), 0);
    assertEquals(world.terminal.stderr.lines, lines!);
  }
});

Deno.test("create -q leaves out the warnings that are not about links", async () => {
  const world = worldOf();
  const { create } = world;
  world.create = async (path, options) => ({ ...await create(path, options), skipped: ["pipe"] });
  assertEquals(await world.run("create", "a", "--private", "-q"), 0);
  assertEquals([world.terminal.stdout.text, world.terminal.stderr.text], ["", ""]);
});

Deno.test("create --json prints one object", async () => {
  const world = worldOf();
  assertEquals(await world.run("create", "a", "--json", "-o", "x.torrent"), 0);
  const [object, ...rest] = world.events;
  assertEquals(rest, []);
  assertEquals([object!["torrent"], object!["infohash"], object!["size"]], ["x.torrent", "61".repeat(20), 20_000]);
});

Deno.test("create -o - writes the torrent to standard output and nothing else", async () => {
  const world = worldOf();
  assertEquals(await world.run("create", "a", "-o", "-"), 0);
  assertEquals([world.terminal.stdout.text, world.terminal.stderr.text], ["torrent of a", ""]);
  assertEquals(world.written.size, 0);
});

Deno.test("create says what it left out", async () => {
  const world = worldOf();
  world.create = () => Promise.resolve({ bytes: utf8("x"), meta: metaOf("a"), skipped: ["sub/p\x1bipe"], files: [] });
  assertEquals(await world.run("create", "a"), 0);
  assertEquals(
    world.terminal.stderr.text,
    'shoal: warning: left out ("sub/p\\u001bipe"): it is neither a file nor a folder\n',
  );
});

Deno.test("create refuses wrong options, each by name, and asks for nothing", async () => {
  const cases: [args: string, code: number, words: string][] = [
    ["create", 2, "<path> is needed"],
    ["create a --v2 --hybrid", 2, "too many versions (--v2 --hybrid): a torrent has one version"],
    ["create a --v1 --v2", 2, "too many versions (--v1 --v2)"],
    ["create a -t tracker.test", 2, 'bad value (--tracker tracker.test): "tracker.test" is no URL'],
    ["create a -t http://a/,,http://b/", 2, "bad value (--tracker http://a/,,http://b/)"],
    ["create a -t ftp://a/", 2, "http, https, udp, ws, wss"],
    ["create a --web-seed udp://a:1", 2, "bad value (--web-seed udp://a:1)"],
    ["create a --piece-length 8K", 2, "a power of two from 16K to 256M"],
    ["create a --piece-length 48K", 2, "a power of two"],
    ["create a --piece-length 512M", 2, "a power of two"],
    ["create a --name x/y", 2, "bad value (--name x/y)"],
    ["create a --name ..", 2, "bad value (--name ..)"],
    ["create a -o - --json", 2, "--json wants standard output for itself"],
    [
      "create a -o taken.torrent",
      4,
      "(taken.torrent): there is a file of that name already; remove it, or choose another",
    ],
    ["create a -o folder", 4, "it is a folder"],
    ["create a -o missing/x.torrent", 4, "(missing/x.torrent): there is no such folder"],
  ];
  for (const [args, code, words] of cases) {
    const world = worldOf();
    assertEquals(await world.run(...args.split(" ")), code, args);
    assertEquals(world.terminal.stderr.lines.length, 1);
    assertStringIncludes(world.terminal.stderr.text, words);
    assertEquals([world.asked, world.written.size], [null, 0], args);
    assertEquals(world.terminal.stdout.lines.length, args.includes("--json") ? 1 : 0, args);
    assertClean(world);
  }
  const terminal = worldOf({ isTerminal: true });
  assertEquals(await terminal.run("create", "a", "-o", "-"), 2);
  assertStringIncludes(terminal.terminal.stderr.text, "a torrent is not text");
});

Deno.test("create finds out that NAME.torrent is there before it hashes", async () => {
  const world = worldOf();
  assertEquals(await world.run("create", "taken"), 4);
  assertStringIncludes(world.terminal.stderr.text, "(taken.torrent): there is a file of that name already");
  assertEquals(world.written.size, 0);
});

Deno.test("create names a file that can't be read, without the hints of a download", async () => {
  const world = worldOf();
  world.create = () => Promise.reject(new FileError("denied", { what: "cannot open", path: "a/secret" }));
  assertEquals(await world.run("create", "a"), 4);
  assertEquals(world.terminal.stderr.text, "shoal: error: cannot open (a/secret): permission denied\n");
  assertClean(world);
});

Deno.test("create draws a bar on a terminal, and leaves at once when it is interrupted", async () => {
  const world = worldOf({ isTerminal: true, env: { TERM: "xterm" } });
  let signal: AbortSignal | undefined;
  world.create = async (_, options) => {
    await options.onFound?.({ name: "photos", safeName: "photos", size: 100, files: 1, linksOut: [] });
    options.onProgress?.(0.462, 1000);
    signal = options.signal;
    return await new Promise<never>(() => {});
  };
  const code = world.run("create", "photos");
  while (signal === undefined) await settle();
  await world.clock.play(300);
  assertStringIncludes(world.terminal.stdout.text, "hashing");
  assertStringIncludes(world.terminal.stdout.text, "46.2%");
  world.terminal.leave();
  assertEquals(await code, 130);
  assert(signal.aborted);
  assertEquals([world.terminal.stderr.text, world.written.size], ["", 0]);
  assertClean(world);
});
