import {
  assert,
  assertEquals,
  assertFalse,
  assertLess,
  assertMatch,
  assertObjectMatch,
  assertStringIncludes,
} from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { VERSION } from "../../src/base/version.ts";
import { fileLines, fileList, infoLines } from "../../src/cli/info_text.ts";
import { describe, type Metainfo, parseFileChoice, parseMetainfo } from "../../src/metainfo/mod.ts";
import { checkLines } from "../support/schemas.ts";
import { A, B, C, hybrid, leaf, LIST, v2 } from "../support/v2_torrents.ts";
import { assertClean, failure, metaOf, World } from "./fake_engine.ts";

Deno.test("run() prints version and help, and help on standard error when there is nothing to do", async () => {
  for (const flag of ["--version", "-V"]) {
    const world = new World();
    assertEquals(await world.run(flag), 0);
    assertEquals(world.terminal.stdout.text, `shoal ${VERSION}\n`);
  }
  for (
    const args of [
      ["--help"],
      ["-h"],
      ["download", "--help"],
      ["dl", "-h"],
      ["seed", "--help"],
      ["info", "-h"],
      [
        "verify",
        "-h",
      ],
      ["tracker", "--help"],
      ["demo", "-h"],
      ["create", "-h"],
      ["share", "-h"],
    ]
  ) {
    const world = new World();
    assertEquals(await world.run(...args), 0);
    assertMatch(world.terminal.stdout.text, /^Usage: shoal /);
    assertEquals(world.terminal.stderr.text, "");
    for (const line of world.terminal.stdout.lines) assertLess(line.length, 101);
    assertFalse(/\(default[^)]*\)\s+\(default/.test(world.terminal.stdout.text), "two defaults of one option");
  }
  const world = new World();
  assertEquals(await world.run(), 2);
  assertEquals(world.terminal.stdout.text, "");
  assertStringIncludes(world.terminal.stderr.text, "--help");
});

Deno.test("help shows the same as --help", async () => {
  for (const [args, same] of [[["help"], ["--help"]], [["help", "dl"], ["download", "--help"]]] as const) {
    const [world, other] = [new World(), new World()];
    assertEquals([await world.run(...args), await other.run(...same)], [0, 0]);
    assertEquals(world.terminal.stdout.text, other.terminal.stdout.text);
    assertMatch(world.terminal.stdout.text, /^Usage: shoal /);
  }
});

Deno.test("a file whose name resembles a command is taken for a file", async () => {
  const world = new World();
  world.written.set("sead", new Uint8Array(0));
  assertStringIncludes(await failure(["sead"], 2, world), "cannot read the torrent (sead)");
});

Deno.test("verify needs a torrent file: what a link stands for is known only to peers", async () => {
  const magnet = `magnet:?xt=urn:btih:${"a".repeat(40)}`;
  for (const source of [magnet, "A".repeat(40), "b".repeat(32)]) {
    assertStringIncludes(await failure(["verify", source, "."], 2), `a .torrent file is needed (${source}): `);
  }
});

Deno.test("a magnet link that names no torrent is told with exit code 3", async () => {
  assertStringIncludes(await failure(["magnet:?dn=x"], 3), "not a magnet link (magnet:?dn=x): it names no torrent");
  assertStringIncludes(await failure(["info", "magnet:?xt=urn:btih:12"], 3), '"12" is no info-hash');
});

Deno.test("a wrong command line is told in one line with exit code 2", async () => {
  const cases: [string[], string][] = [
    [["a.torrent", "--sed"], "unknown option (--sed): there is no such option; did you mean --seed?"],
    [["a.torrent", "--frob"], "unknown option (--frob): there is no such option; `shoal --help` shows what there is"],
    [
      ["a.torrent", "-o"],
      "missing value (-o, --output <dir>): the option needs a value; `shoal --help` shows what there is",
    ],
    [["download"], "missing argument (source): <source> is needed; `shoal --help` shows what there is"],
    [["seed", "a.torrent"], "missing argument (dir): <dir> is needed; `shoal --help` shows what there is"],
    [["info", "a", "b"], "too many arguments (info): 1 expected, 2 found; `shoal --help` shows what there is"],
    [["a.torrent", "-p", "x"], "bad value (--port x): a whole number from 0 to 65535 was expected"],
    [["a.torrent", "--cache", "9K"], "bad value (--cache 9K): at least 1M is needed"],
    [["a.torrent", "--encryption", "on"], "bad value (--encryption on): off, prefer or require was expected"],
    [["a.torrent", "--max-peers", "0"], "bad value (--max-peers 0): a whole number from 1 to 10000 was expected"],
    [["downlaod", "a.torrent"], "unknown command (downlaod): there is no such command; did you mean download?"],
    [
      ["seeed", "a.torrent", "data", "--trust"],
      "unknown command (seeed): there is no such command; did you mean seed?",
    ],
    [["Verfy"], "unknown command (Verfy): there is no such command; did you mean verify?"],
    [["help", "creat"], "unknown command (creat): there is no such command; did you mean create?"],
    [
      ["help", "frobnicate"],
      "unknown command (frobnicate): there is no such command; `shoal --help` lists the commands",
    ],
    [["help", "seed", "x"], "too many arguments (help): 1 expected, 2 found; `shoal --help` shows what there is"],
    [
      ["frobnicate"],
      "cannot read the torrent (frobnicate): there is no such file or command; `shoal --help` lists the commands",
    ],
    [
      ["a.torrent", "--exec", "mv"],
      "cannot run a program (--exec): Shoal has no permission to run programs; `--on-complete URL` posts the completed " +
      "event to a server, which can run one",
    ],
    [
      ["a.torrent", "--on-complete", "notify-send done"],
      "bad value (--on-complete notify-send done): an http or https URL was expected; Shoal has no permission to run " +
      "programs",
    ],
    [["a.torrent", "--files", "0"], "cannot choose files (--files 0): files are numbered from 1 on, got 0"],
    [["a.torrent", "--files", "1-3"], 'cannot choose files (--files 1-3): there is no file 3: those of "a" are 1 to 2'],
    [["a.torrent", "--list", "--files", "*.avi"], 'cannot choose files (--files *.avi): no file of "a" matches'],
    [["ftp://x/a.torrent"], "cannot fetch the torrent (ftp://x/a.torrent): only http and https URLs can be fetched"],
    [["-"], "cannot read the torrent (standard input): it is a terminal, not a torrent"],
  ];
  for (const [args, line] of cases) assertEquals(await failure(args, 2), line);
});

Deno.test("with --json, every failure of any command is an error event on standard output as well", async () => {
  const cases: [args: string[], code: number, event: Record<string, string>][] = [
    [["a.torrent", "--frob"], 2, {
      code: "usage",
      message: "unknown option: there is no such option",
      where: "--frob",
    }],
    [["download"], 2, { code: "usage", message: "missing argument: <source> is needed", where: "source" }],
    [["info", "a", "b"], 2, { code: "usage", message: "too many arguments: 1 expected, 2 found", where: "info" }],
    [["a.torrent", "-p", "x"], 2, { code: "usage", where: "--port x" }],
    [["seed", "missing.torrent", "."], 2, { code: "usage", where: "missing.torrent" }],
    [["verify", "notes.txt", "."], 3, { code: "torrent", where: "notes.txt" }],
    [["info", "secret"], 4, { code: "storage", where: "secret" }],
    [["create", "a", "-o", "x.torrent"], 1, { code: "unexpected", message: "there is no data here", where: "" }],
    [["tracker", "--port", "x"], 2, { code: "usage", where: "--port x" }],
  ];
  for (const [args, code, expected] of cases) {
    const world = new World();
    assertEquals(await world.run(...args, "--json"), code, world.terminal.stderr.text);
    assertEquals(checkLines("events", world.terminal.stdout.lines), new Set(["error"]), args.join(" "));
    assertEquals(world.events.length, 1);
    assertObjectMatch(world.events[0]!, { ...expected, time: "2026-01-01T00:00:00.000Z" });
    assertMatch(world.terminal.stderr.text, /^shoal: error: [^\n]*\n$/);
  }
  const operand = new World();
  assertEquals(await operand.run("info", "secret", "--", "--json"), 2);
  assertEquals(operand.terminal.stdout.text, "");
  const configured = new World();
  configured.config = "json = true";
  assertEquals(await configured.run("info", "secret"), 4);
  assertEquals(configured.events.map(({ code }) => code), ["storage"]);
  const undone = new World();
  undone.config = "json = true";
  assertEquals(await undone.run("info", "secret", "--no-json"), 4);
  assertEquals(undone.terminal.stdout.text, "");
});

Deno.test("a source that is no torrent, or cannot be read, gives the code of its kind", async () => {
  const cases: [string, number, string][] = [
    ["notes.txt", 3, "not a torrent (notes.txt): it is something else"],
    ["missing.torrent", 2, "cannot read the torrent (missing.torrent): there is no such file"],
    ["secret", 4, "cannot read the torrent (secret): permission denied"],
    ["folder", 2, "cannot read the torrent (folder): it is a folder"],
    ["http://x.test/a.torrent", 6, "cannot fetch the torrent (http://x.test/a.torrent): connection refused"],
  ];
  for (const [source, code, line] of cases) {
    assertEquals(await failure(["download", source], code), line);
    assertEquals(await failure(["info", source], code), line);
  }
});

Deno.test("download goes on with the good sources, names every bad one at once, and exits with the code of the first", async () => {
  const world = new World();
  const sources = ["notes.txt", "a.torrent", "missing.torrent", "b.torrent", "magnet:?dn=x"];
  const { code } = await world.start(...sources, "--json");
  const lines = [
    "shoal: error: not a torrent (notes.txt): it is something else",
    "shoal: error: cannot read the torrent (missing.torrent): there is no such file",
    'shoal: error: not a magnet link (magnet:?dn=x): it names no torrent; a link to a torrent has "xt=urn:btih:" and ' +
    "the info-hash in it",
  ];
  assertEquals(world.terminal.stderr.lines, lines);
  assertEquals(world.session.added.map(({ meta }) => meta.name), ["a", "b"]);
  for (const torrent of world.session.added) torrent.finish();
  assertEquals(await code, 3);
  assertEquals(world.terminal.stderr.lines, lines, "an error is told twice");
  const told = world.events.filter(({ event }) => event === "error");
  assertEquals(told.map(({ code, where }) => [code, where]), [
    ["torrent", "notes.txt"],
    ["usage", "missing.torrent"],
    ["torrent", "magnet:?dn=x"],
  ]);
  assertClean(world);
});

Deno.test("download exits with the code of a bad source, not with that of a torrent that fails later", async () => {
  const world = new World();
  const { code } = await world.start("missing.torrent", "a.torrent", "-q");
  world.session.added[0]!.fail(new ShoalError("storage", { what: "cannot write", where: "a", why: "full" }));
  assertEquals(await code, 2);
  assertEquals(world.terminal.stderr.lines.length, 2);
});

Deno.test("download starts nothing if all sources are bad", async () => {
  const world = new World();
  assertEquals(await world.run("notes.txt", "missing.torrent"), 3);
  assertEquals([world.session.options, world.terminal.stderr.lines.length], [null, 2]);
  assertClean(world);
});

Deno.test("--files that selects nothing of one torrent leaves the others alone", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "c.torrent", "-q", "--files", "a/b.txt");
  assertEquals(world.session.added.map(({ meta }) => meta.name), ["a"]);
  world.session.added[0]!.finish();
  assertEquals(await code, 2);
  const line = 'shoal: error: cannot choose files (--files a/b.txt): no file of "c" matches';
  assertEquals(world.terminal.stderr.lines, [line]);

  const listed = new World();
  assertEquals(await listed.run("notes.txt", "c.torrent", "a.torrent", "--list", "--files", "a/b.txt"), 3);
  assertEquals(listed.terminal.stdout.lines.slice(-1), ["   2    1000 B    b.txt"]);
  assertEquals(listed.terminal.stderr.lines.length, 2);
  assertEquals(listed.terminal.stderr.lines[1], line);

  const json = new World();
  assertEquals(await json.run("notes.txt", "c.torrent", "a.torrent", "--list", "--json", "--files", "a/b.txt"), 3);
  assertEquals(json.events.map(({ event, code, where }) => [event, code, where]), [
    ["error", "torrent", "notes.txt"],
    ["error", "usage", "--files a/b.txt"],
    [undefined, undefined, undefined],
  ]);
  assertEquals(json.terminal.stderr.lines.length, 2);
});

Deno.test("run() tells a bug from a mistake, and shows the stack with -v only", async () => {
  for (const verbose of [false, true]) {
    const world = new World();
    world.session.startError = new TypeError("x is undefined");
    assertEquals(await world.run("a.torrent", ...(verbose ? ["-v"] : [])), 1);
    assertMatch(world.terminal.stderr.text, /^shoal: error: unexpected failure: x is undefined/);
    assertEquals(/\n\s+at /.test(world.terminal.stderr.text), verbose);
  }
});

Deno.test("run() tells when standard output could not be written", async () => {
  const world = new World();
  world.terminal.stdout.failure = new ShoalError("storage", {
    what: "cannot write",
    where: "standard output",
    why: "full",
  });
  assertEquals(await world.run("info", "a.torrent"), 4);
  assertEquals(world.terminal.stderr.text, "shoal: error: cannot write (standard output): full\n");
});

Deno.test("info shows everything to people, and nothing that does harm", async () => {
  const world = new World();
  assertEquals(await world.run("info", "x/b.torrent"), 0);
  assertEquals(world.terminal.stdout.lines, [
    "b",
    "  size         19.5 KiB (20,000 bytes) in 2 files",
    "  pieces       2 of 16 KiB",
    `  info-hash    ${"62".repeat(20)}`,
    "  private      yes: peers come from its trackers only",
    "  trackers     1: http://one.test/announce",
    "               2: udp://two.test:1",
    "  created      1970-01-01T00:00:00.000Z by maker 1.0",
    "  comment      line one line two \ufffd[2J",
    `  magnet       magnet:?xt=urn:btih:${
      "62".repeat(20)
    }&dn=b&tr=http%3A%2F%2Fone.test%2Fannounce&tr=udp%3A%2F%2Ftwo.test%3A1`,
    "",
    "   #      SIZE  FILE",
    "      19.5 KiB  b/",
    "      18.6 KiB    sub/",
    "   1  18.6 KiB      a\ufffd.txt",
    "   2    1000 B    b.txt",
  ]);
});

Deno.test("infoLines() and fileList() show v2 and hybrid torrents, with the numbers of their files", () => {
  const tree = { a: leaf(A), c: leaf(C), d: { b: leaf(B) } };
  const only = parseMetainfo(v2(tree));
  const lines = [...infoLines(describe(only))];
  assertEquals(lines.slice(1, 5).map((line) => line.trim().replace(/ +/g, " ")), [
    "size 167 KiB (170,536 bytes) in 3 files",
    "pieces 7 of 32 KiB",
    "version v2 only (BEP 52)",
    `info-hash v2 ${only.infoHashV2}`,
  ]);
  assertEquals(lines.slice(-5).map((line) => line.trim().split(/ +/)[0]), ["167", "1", "2", "4.88", "3"]);
  const list = (meta: Metainfo, choice: string) => {
    const choices = [parseFileChoice(choice, "--files")];
    const [line] = fileList(meta, { choices, json: true });
    const { files } = JSON.parse(line!) as { files: { number: number | null; path: string; selected: boolean }[] };
    return files.map(({ number, path, selected }) => [number, path, selected]);
  };
  assertEquals(list(only, "2-3"), [[1, "top/a", false], [2, "top/c", true], [3, "top/d/b", true]]);
  const both = parseMetainfo(hybrid(LIST));
  assertEquals(list(both, "2"), [[1, "top/a", false], [null, "top/.pad/31072", false], [2, "top/d/b", true]]);
  const told = [...infoLines(describe(both))].map((line) => line.trim().replace(/ +/g, " "));
  assertEquals(told.slice(3, 6), [
    "version v1 and v2 in one (BEP 52)",
    `info-hash ${both.infoHashV1}`,
    `info-hash v2 ${both.infoHashV2}`,
  ]);
});

Deno.test("info --json is one object with the contract's fields", async () => {
  const world = new World({ stdin: utf8("torrent c") });
  assertEquals(await world.run("info", "--json", "-"), 0);
  assertEquals(world.terminal.stdout.lines.length, 1);
  assertEquals(Object.keys(JSON.parse(world.terminal.stdout.text)), [
    ...["name", "infohash", "infohash_v2", "version", "piece_length", "pieces", "size", "private", "files", "trackers"],
    ...["web_seeds", "nodes", "comment", "created_by", "created_at", "magnet"],
  ]);
});

Deno.test("info takes a torrent from a URL, within limits", async () => {
  const world = new World();
  world.answer = () => ({ status: 200, text: "torrent web" });
  assertEquals(await world.run("info", "https://x.test/web.torrent"), 0);
  assertEquals(world.terminal.stdout.lines[0], "web");
  assert(world.requests[0]!.maxBytes > 0 && world.requests[0]!.timeout > 0);
  const missing = new World();
  missing.answer = () => ({ status: 404, text: "torrent x" });
  assertStringIncludes(await failure(["info", "http://x.test/a"], 6, missing), "the server answers with status 404");
});

Deno.test("peers that are asked for metadata are told of, unless it is kept already or silence is wanted", async () => {
  const magnet = `magnet:?xt=urn:btih:${"a".repeat(40)}`;
  for (const args of [["info", magnet], ["download", "--list", magnet]]) {
    for (const isKept of [false, true]) {
      const said: string[] = [];
      for (const flags of [[], ["--quiet"], ["--json"]]) {
        const world = new World();
        const metadata = Promise.withResolvers<Metainfo>();
        const { session } = world;
        const add = session.add.bind(session);
        session.add = async (source, options) => {
          const torrent = await add(source, options);
          if (isKept) metadata.resolve(torrent.meta);
          return Object.assign(torrent, { metadata: metadata.promise });
        };
        const { code } = await world.start(...args, ...flags);
        await world.clock.play(1000);
        metadata.resolve(session.added[0]!.meta);
        assertEquals(await code, 0);
        said.push(world.terminal.stderr.text);
        assertStringIncludes(world.terminal.stdout.text, "Remote");
        assertEquals(world.clock.pending, 0);
      }
      assertEquals(said, [isKept ? "" : "asking peers for the metadata\n", "", ""]);
    }
  }
});

Deno.test("a magnet link whose metadata doesn't come says why while it waits, and in the end", async () => {
  const world = new World();
  const { session } = world;
  const add = session.add.bind(session);
  session.add = async (source, options) => {
    const torrent = await add(source, options);
    torrent.state = { state: "metadata", waiting: "t.test has not answered, asked again in 9 s" };
    return Object.assign(torrent, { metadata: new Promise<never>(() => {}) });
  };
  const { code } = await world.start("info", `magnet:?xt=urn:btih:${"a".repeat(40)}`, "--timeout", "20s");
  await world.clock.play(20_000);
  assertEquals(await code, 5);
  const waiting = "t.test has not answered, asked again in 9 s";
  assertEquals(world.terminal.stderr.lines.slice(0, 2), ["asking peers for the metadata", waiting]);
  assertStringIncludes(world.terminal.stderr.lines[2]!, `no peer sent the metadata within 20s; ${waiting};`);
  assertEquals([world.terminal.stderr.lines.length, world.clock.pending], [3, 0]);
});

Deno.test("info -o saves what a magnet link stands for, and replaces no file", async () => {
  const magnet = `magnet:?xt=urn:btih:${"a".repeat(40)}`;
  const world = new World();
  assertEquals(await world.run("info", magnet, "-o", "found.torrent", "-t", "http://t.test/"), 0);
  assertEquals(world.terminal.stderr.lines, ["shoal: saved as found.torrent"]);
  const { metadataOnly, trackers } = world.session.added[0]!.options;
  assertEquals([metadataOnly, trackers], [true, [["http://t.test/"]]]);
  const text = new TextDecoder("latin1").decode(world.written.get("found.torrent"));
  assertStringIncludes(text, "8:announce24:http://one.test/announce");
  assertStringIncludes(world.terminal.stdout.text, "Remote");
  const cases: [string[], number, string][] = [
    [["taken.torrent"], 4, "there is a file of that name already"],
    [["missing/x.torrent"], 4, "there is no such folder"],
    [["-", "--json"], 2, "--json wants standard output for itself"],
  ];
  for (const [args, code, why] of cases) {
    assertStringIncludes(await failure(["info", magnet, "-o", ...args], code), why);
  }
  const inFile = new World();
  inFile.written.set("file", new Uint8Array(1));
  const line = await failure(["info", magnet, "-o", "file/x.torrent"], 4, inFile);
  assertEquals(line, "cannot write the torrent (file/x.torrent): a part of the path is a file, not a folder");
  const piped = new World();
  assertEquals(await piped.run("info", magnet, "-q", "-o", "-"), 0);
  assertEquals([piped.terminal.stdout.text.startsWith("d8:announce"), piped.terminal.stderr.text], [true, ""]);
});

Deno.test("metaOf() gives different torrents different info-hashes", () => {
  assertEquals(metaOf("a").infoHash.equals(metaOf("b").infoHash), false);
});

Deno.test("download --files and --sequential are what the torrent is added with", async () => {
  const choices: [string[], number[] | undefined][] = [
    [["--files", "2"], [2]],
    [["--files", "1", "--files", "b*"], [0, 2]],
    [["--files", "sub/*"], [0]],
    [[], undefined],
  ];
  for (const [args, expected] of choices) {
    const world = new World();
    const { code } = await world.start("a.torrent", "--quiet", ...args);
    const { files, sequential } = world.session.added[0]!.options;
    assertEquals([files, sequential], [expected && new Set(expected), undefined]);
    world.session.added[0]!.finish();
    assertEquals(await code, 0);
  }
  const world = new World();
  const { code } = await world.start("a.torrent", "--quiet", "--sequential");
  assertEquals(world.session.added[0]!.options.sequential, true);
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
});

Deno.test("download --list prints files with their numbers, the chosen ones only, and downloads nothing", async () => {
  const list = async (...args: string[]) => {
    const world = new World();
    assertEquals(await world.run("a.torrent", "--list", ...args), 0);
    assertEquals([world.session.added, world.terminal.stderr.text], [[], ""]);
    return world.terminal.stdout.lines;
  };
  const head = "   #      SIZE  FILE";
  const folder = "      19.5 KiB  a/";
  const lines = [head, folder, "      18.6 KiB    sub/", "   1  18.6 KiB      a\ufffd.txt", "   2    1000 B    b.txt"];
  assertEquals(await list(), lines);
  assertEquals((await list("--files", "b.txt")).slice(2), ["   2    1000 B    b.txt"]);
  const [line, ...rest] = await list("--json", "--files", "2");
  assertEquals(rest, []);
  const { name, files } = JSON.parse(line!);
  assertEquals(name, "a");
  assertEquals(files, [
    { number: 1, path: "a/sub/a\x1b.txt", length: 19000, pad: false, selected: false },
    { number: null, path: "a/pad", length: 10, pad: true, selected: false },
    { number: 2, path: "a/b.txt", length: 1000, pad: false, selected: true },
  ]);
});

Deno.test("fileLines() lets folders that stand very deep share a line, with the sums of what is in them", () => {
  const meta = metaOf("t");
  const deep = ["t", ...Array.from({ length: 30 }, (_, i) => `d${i}`)];
  const at = (path: readonly string[], length: number) => ({ ...meta.files[0]!, path, length });
  const lines = [
    ...fileLines(describe({ ...meta, files: [at([...deep, "a"], 1), at(["t", "b"], 2), at([...deep, "c"], 4)] })),
  ];
  const folders = lines.filter((line) => line.endsWith("/"));
  assertEquals(folders.length, 17 + 16);
  assertEquals(folders[0]!.trim(), "7 B  t/");
  assertEquals(folders[16]!.trim(), `5 B  ${"  ".repeat(16)}${deep.slice(16).join("/")}/`);
  assertEquals(folders[32], folders[16]);
  assertMatch(lines.at(-1)!, /^ +3 +4 B {36}c$/);
});
