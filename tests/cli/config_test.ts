import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { MAX_CONFIG } from "../../src/base/defences.ts";
import { configPath } from "../../src/cli/config_file.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import { fc } from "../support/property.ts";
import { FakeTerminal } from "../ui/fake_terminal.ts";
import { assertClean, World } from "./fake_engine.ts";

const PATH = "/home/test/.config/shoal/config.toml";

/** Adds a torrent with a config file, and returns the options of the session and the torrent. */
async function settings(config: string, ...args: string[]) {
  const world = new World();
  world.config = config;
  const { code } = await world.start(...args);
  const [torrent] = world.session.added;
  if (args[0] === "seed") world.terminal.leave();
  else torrent!.finish();
  assertEquals(await code, args[0] === "seed" ? 130 : 0, world.terminal.stderr.text);
  assertClean(world);
  return { session: world.session.options!, torrent: torrent!.options, stderr: world.terminal.stderr.text };
}

/** Runs with a config file that must be refused, and returns the error line without its prefix. */
async function refusal(config: World["config"], ...args: string[]): Promise<string> {
  const world = new World();
  world.config = config;
  assertEquals(await world.run(...(args.length === 0 ? ["a.torrent", "-q"] : args)), 2, world.terminal.stderr.text);
  assertEquals([world.terminal.stdout.text, world.session.added], ["", []]);
  assertEquals(world.terminal.stderr.lines.length, 1, world.terminal.stderr.text);
  return world.terminal.stderr.text.trim().replace("shoal: error: ", "");
}

Deno.test("configPath() follows the XDG rules, and Windows' own", () => {
  const path = (env: Record<string, string>, isWindows = false) => configPath(new FakeTerminal({ env, isWindows }));
  assertEquals(path({ XDG_CONFIG_HOME: "/etc/me", HOME: "/home/x" }), "/etc/me/shoal/config.toml");
  assertEquals(path({ XDG_CONFIG_HOME: "relative", HOME: "/home/x" }), "/home/x/.config/shoal/config.toml");
  assertEquals(path({}), null);
  assertEquals(path({ APPDATA: "C:\\Roaming" }, true), "C:\\Roaming\\shoal\\config.toml");
  assertEquals(path({}, true), null);
});

Deno.test("any long option is a key of the config file, and its value goes the way of the command line's", async () => {
  const config = `
# a comment
max-peers = 7
cache = "8M"
output = "~/Downloads"
no-lsd = true
pex = false
dht-bootstrap = "10.0.0.9:5"
peer = ["10.0.0.1:1", "[::1]:2"]
sequential = true
quiet = true
blocklist = "~/level1"
`;
  const { session, torrent, stderr } = await settings(config, "a.torrent");
  assertEquals([session.maxPeers, session.cacheBytes, torrent.folder], [7, 8 * 1024 ** 2, "/home/test/Downloads"]);
  const dht = { bootstrap: [{ host: "10.0.0.9", port: 5 }] };
  assertEquals(session.discovery, { lsd: false, pex: false, portMap: true, dht });
  assertEquals(torrent.peers, [{ host: "10.0.0.1", port: 1 }, { host: "::1", port: 2 }]);
  assertEquals([torrent.sequential, session.blocklist, stderr], [true, "/home/test/level1", ""]);
});

Deno.test("a key above all tables is not taken for an option that means something else", async () => {
  const world = new World();
  world.config = 'output = "~/Downloads"\n';
  assertEquals(await world.run("info", "a.torrent"), 0);
  assertEquals([...world.written.keys()], []);
  const own = new World();
  own.config = '[info]\noutput = "~/found.torrent"\n';
  assertEquals(await own.run("info", "a.torrent"), 0);
  assertEquals([...own.written.keys()], ["/home/test/found.torrent"]);
});

Deno.test("the command line wins over the config file, which it can also take back", async () => {
  const config = 'quiet = true\nmax-peers = 7\npeer = ["10.0.0.1:1"]\nsequential = true\nno-dht = true\nlsd = true\n';
  const args = ["--max-peers", "9", "--peer", "10.0.0.2:2", "--no-sequential", "--dht", "--no-lsd"];
  const { session, torrent } = await settings(config, "a.torrent", ...args);
  assertEquals([session.maxPeers, torrent.peers], [9, [{ host: "10.0.0.2", port: 2 }]]);
  assertEquals([torrent.sequential, session.discovery], [undefined, { lsd: false, pex: true, portMap: true, dht: {} }]);
});

Deno.test("a switch that was undone is as one that wasn't given", async () => {
  for (const [config, args] of [["[create]\ndate = true", ["--no-date"]], ["", ["--date", "--no-date"]]] as const) {
    const world = new World();
    world.config = config;
    const asked: unknown[] = [];
    world.create = (_, { createdAt, private: isPrivate }) => {
      asked.push(createdAt, isPrivate);
      return Promise.reject(new Error("enough"));
    };
    await world.run("create", "x", "--no-private", ...args);
    assertEquals(asked, [undefined, undefined]);
  }
});

Deno.test("a table is for one command, and knows better than what stands above all tables", async () => {
  const config = `
quiet = true
max-peers = 7
peer = ["10.0.0.1:1"]
no-dht = true
[seed]
max-peers = 8
peer = []
dht = true
trust = true
[download]
check = true
[create]
tracker = ["http://a.test/announce"]
[tracker]
max-peers = 5
`;
  const download = await settings(config, "a.torrent");
  assertEquals([download.session.maxPeers, download.torrent.peers?.length, download.torrent.check], [7, 1, true]);
  assertEquals([download.session.discovery?.dht, download.torrent.trust], [undefined, undefined]);
  const seed = await settings(config, "seed", "a.torrent", ".");
  assertEquals([seed.session.maxPeers, seed.torrent.peers, seed.torrent.trust], [8, [], true]);
  assertEquals([seed.session.discovery?.dht, seed.torrent.check], [{}, undefined]);
});

Deno.test("--verbose says which config file was read, and what came from it", async () => {
  const read = await settings("max-peers = 7\njson = false\n[download]\nquiet = true\n", "a.torrent", "-v");
  assertStringIncludes(read.stderr, `shoal: max-peers, download.quiet from ${PATH}\n`);
  const overruled = await settings("max-peers = 7\nverbose = 1", "a.torrent", "-q", "--max-peers", "1");
  assertStringIncludes(overruled.stderr, `shoal: verbose from ${PATH}\n`);
});

Deno.test("a config file with something wrong in it is told with place, reason and what to do", async () => {
  const cases: [string, string][] = [
    ["max-peer = 7", "unknown key (max-peer): there is no such option; did you mean max-peers?"],
    ["frobnicate = 7", "unknown key (frobnicate): there is no such option"],
    [
      "[download]\ntrust = true",
      "bad setting (download.trust): it is an option of `seed`; put it into the table [seed]",
    ],
    ["piece-length = 7", "bad setting (piece-length): it is an option of `create`; put it into the table [create]"],
    ["interval = 60", "bad setting (interval): it is an option of `tracker`; put it into the table [tracker]"],
    ["[downlaod]\nx = 1", "unknown table (downlaod): no command of that name has options; did you mean download?"],
    ["seed-ratio = [1, 2]", "bad setting (seed-ratio): it takes one value, not a list"],
    ["max-peers = true", "bad setting (max-peers): text or a number was expected, found true"],
    ["max-peers = 1979-05-27", "bad setting (max-peers): text or a number was expected, found a date"],
    ["max-peers = nan", "bad setting (max-peers): text or a number was expected, found NaN"],
    ["peer = [['a:1']]", "bad setting (peer): text or a number was expected, found a list"],
    ['dht = "yes"', 'bad setting (dht): true or false was expected, found "yes"'],
    ["verbose = 10", "bad setting (verbose): true, false or a number from 0 to 9 was expected, found 10"],
    ["dht = true\nno-dht = true", "bad setting (no-dht): dht sets the same; keep one of them"],
    ["list = true", "bad setting (list): it asks for something once, and belongs on the command line"],
    ["[seed]\nhelp = true", "bad setting (seed.help): it asks for something once, and belongs on the command line"],
    ["max-peers = 0", "bad value (max-peers = 0): a whole number from 1 to 10000 was expected"],
    ['cache = "9K"', "bad value (cache = 9K): at least 1M is needed"],
    ['files = "0"', "cannot choose files (files = 0): files are numbered from 1 on, got 0"],
    ['files = "9"', 'cannot choose files (files = 9): there is no file 9: those of "a" are 1 to 2'],
    ['encryption = "on"', "bad value (encryption = on): off, prefer or require was expected"],
    [
      "a = 1\na = 2",
      "cannot use the config file (line 2, column 1): trying to redefine an already defined table or value",
    ],
    ["__proto__ = 1", "unknown key (__proto__): there is no such option"],
    ["[[download]]\nx = 1", "bad setting (download): options of `download` belong into a table [download]"],
  ];
  for (const [config, line] of cases) {
    const [, what, where, rest] = /^(.*?) \((.*?)\): (.*)$/s.exec(line)!;
    assertEquals(await refusal(config), `${what} (${PATH}, ${where}): ${rest}`);
  }
});

Deno.test("the config file is checked whole, whatever the command uses of it", async () => {
  const cases: [string, string][] = [
    ['max-peers = "abc"', "bad value (max-peers = abc): a whole number from 1 to 10000 was expected"],
    ['[seed]\nmax-peers = "abc"', "bad value (seed.max-peers = abc): a whole number from 1 to 10000 was expected"],
    ['[create]\ntracker = ["http://t.test/", "x"]', 'bad value (create.tracker = x): "x" is no URL of these kinds: '],
    ["[demo]\nsize = [1, 2]", "bad value (demo.size = 1): "],
    ['[tracker]\nport = "x"', "bad value (tracker.port = x): a whole number from 0 to 65535 was expected"],
    ['[download]\nfiles = ["1", "5-3"]', "cannot choose files (download.files = 5-3): the range 5-3 runs backwards"],
    ["[download]\ndht = true\nno-dht = true", "bad setting (download.no-dht): download.dht sets the same; keep one"],
    ['[download]\noutput = ["a", "b"]', "bad setting (download.output): it takes one value, not a list"],
    ["[download]\nstream = 99999", "bad value (download.stream = 99999): "],
    ['exec = "mv"', "unknown key (exec): there is no such option"],
    ["[seed]\nfrobnicate = 1", "unknown key (seed.frobnicate): there is no such option"],
  ];
  // One that has no table of its own in the file, and one whose command line sets the same.
  for (const args of [["verify", "a.torrent", "."], ["info", "a.torrent"], ["a.torrent", "--max-peers", "3", "-q"]]) {
    for (const [config, line] of cases) {
      const [, what, where, rest] = /^(.*?) \((.*?)\): (.*)$/s.exec(line)!;
      assertStringIncludes(await refusal(config, ...args), `${what} (${PATH}, ${where}): ${rest}`, args.join(" "));
    }
  }
});

Deno.test("a config file that can't be read, or is no text, is told; one that isn't there is no error", async () => {
  const denied = new FileError("denied", { what: "cannot open", path: PATH });
  assertMatch(await refusal(denied), /^cannot use the config file \(.*config\.toml\): permission denied$/);
  assertStringIncludes(await refusal("#".repeat(MAX_CONFIG + 1)), `it is larger than ${MAX_CONFIG} bytes`);
  assertStringIncludes(await refusal(new Uint8Array([0x61, 0xff])), "it is not text in UTF-8");
  assertMatch(await refusal("a = \n"), /config\.toml, line 1, column 5\): ./);
  assertStringIncludes(await refusal(`max-peers = ${"[".repeat(100)}`), "nested");
  await settings("\ufeffquiet = true", "a.torrent");
  await settings("", "a.torrent", "-q");
});

Deno.test("the config file is read by commands that have options, and by nothing else", async () => {
  const reads = async (...args: string[]) => {
    const world = new World();
    world.config = "nonsense";
    await world.run(...args);
    return world.configReads;
  };
  for (
    const args of [["--version"], ["-h"], ["download", "--help"], ["help"], ["help", "seed"], ["completions", "bash"], [
      "x",
      "--frob",
    ], []]
  ) {
    assertEquals(await reads(...args), 0, args.join(" "));
  }
  for (
    const args of [["a.torrent"], ["info", "a.torrent"], ["verify", "a.torrent", "."], ["tracker"], ["create", "x"]]
  ) {
    assertEquals(await reads(...args), 1, args.join(" "));
  }
});

Deno.test("whatever stands in the config file, it is taken, or refused in one line that names it", async () => {
  const key = fc.oneof(
    fc.constantFrom("max-peers", "peer", "dht", "no-dht", "json", "output", "files", "timeout"),
    fc.string(),
  );
  const scalar = fc.oneof(fc.boolean(), fc.integer(), fc.double(), fc.string());
  const value = fc.oneof(scalar, fc.array(scalar), fc.dictionary(key, scalar, { maxKeys: 3 }));
  const { stringify } = await import("smol-toml");
  const toml = fc.oneof(fc.dictionary(key, value, { maxKeys: 4 }).map((values) => stringify(values)), fc.string());
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(toml, async (config) => {
      const world = new World();
      world.config = config;
      const code = await world.run("missing.torrent");
      const { text, lines } = world.terminal.stderr;
      assertEquals([code, lines.length, world.terminal.stdout.text], [2, 1, ""], text);
      if (text.includes("cannot read the torrent (missing.torrent)")) taken++;
      else assertStringIncludes(text, PATH);
    }),
    { numRuns: 100 },
  );
  assert(taken > 5, "nothing was taken");
});

Deno.test("SHOAL_LOG stands for the -v that the command line doesn't have, and comes before the config file", async () => {
  const told = async (level: string | undefined, config: string | null, ...args: string[]) => {
    const world = new World(level === undefined ? {} : { env: { SHOAL_LOG: level } });
    if (config !== null) world.config = config;
    const { code } = await world.start("a.torrent", "--json", ...args);
    world.session.emit({ event: "dht", infohash: null, status: "error", message: "no way" });
    world.session.added[0]!.finish();
    assertEquals(await code, 0);
    return world.terminal.stdout.text.includes("no way");
  };
  assertEquals(await told(undefined, null), false);
  assertEquals(await told("info", null), true);
  assertEquals(await told("2", null), true);
  assertEquals(await told("warn", null, "-v"), true);
  assertEquals(await told("0", "verbose = true"), false);
  const world = new World({ env: { SHOAL_LOG: "loud" } });
  assertEquals(await world.run("a.torrent"), 2);
  assertStringIncludes(world.terminal.stderr.text, "bad value (SHOAL_LOG=loud): expected warn, info, debug");
});
