import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { settle } from "../support/virtual_clock.ts";
import { assertClean, failure, metaOf, World } from "./fake_engine.ts";

const NO_ROOM = new ShoalError("storage", {
  what: "cannot write",
  where: "a",
  why: "no space left",
  hint: "free some",
});

function failed(name: string): SessionEvent {
  const infohash = metaOf(name).infoHash.hex;
  return { event: "error", infohash, code: "storage", message: "cannot write: no space left", where: name };
}

Deno.test("download hands its options to session and torrent", async () => {
  const world = new World({ env: { XDG_STATE_HOME: "/state" } });
  const options = ["-o", "out", "-p", "0", "--bind", "10.0.0.5", "--max-peers", "7", "--cache", "8M", "--check", "-q"];
  const ignored = ["--no-dht", "--no-pex", "--no-lsd", "--no-utp", "--no-port-map"];
  const peers = ["--peer", "[::1]:5", "--peer", "two.test:6", "--blocklist", "level1.gz"];
  const limits = ["--max-down", "500K", "--max-up", "0"];
  const { code } = await world.start("dl", "a.torrent", ...options, ...ignored, ...peers, ...limits);
  const { platform: _, ...session } = world.session.options!;
  assertEquals(session, {
    stateFolder: "/state/shoal",
    oneOff: true,
    portable: false,
    port: 0,
    bind: "10.0.0.5",
    blocklist: "level1.gz",
    maxPeers: 7,
    maxDown: 500 << 10,
    maxUp: null,
    cacheBytes: 8 << 20,
    discovery: { lsd: false, pex: false, portMap: false },
  });
  assertEquals(world.session.added[0]!.options, {
    folder: "out",
    check: true,
    peers: [{ host: "::1", port: 5 }, { host: "10.0.0.1", port: 6 }, { host: "::2", port: 6 }],
  });
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
  assertEquals(world.terminal.stdout.text + world.terminal.stderr.text, "");
  assertClean(world);
});

Deno.test("download --tracker names more trackers, each a tier", async () => {
  const world = new World();
  const trackers = ["-t", "http://a.test/announce", "--tracker", "udp://b.test:1,http://c.test/"];
  const { code } = await world.start("a.torrent", "-q", ...trackers);
  const tiers = [["http://a.test/announce"], ["udp://b.test:1", "http://c.test/"]];
  assertEquals(world.session.added[0]!.options, { folder: ".", peers: [], trackers: tiers });
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
  const wrong = new World();
  assertEquals(await wrong.run("a.torrent", "-t", "wss://t.test/"), 2);
  assertStringIncludes(wrong.terminal.stderr.text, "(--tracker wss://t.test/): ");
});

Deno.test("download --incomplete names a folder for unfinished data, and the move at the end is no reason to give up", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "-o", "out", "--incomplete", "inc", "--timeout", "10s", "-q");
  const [torrent] = world.session.added;
  assertEquals(torrent!.options, { folder: "out", incomplete: "inc", peers: [] });
  torrent!.state = { state: "downloading", progress: 1 };
  await world.clock.play(60_000);
  assertEquals(world.session.stops, 0);
  torrent!.finish();
  assertEquals(await code, 0);
  assertClean(world);
});

Deno.test("download starts the DHT from the nodes that it is given", async () => {
  const world = new World({ env: {} });
  const nodes = ["--dht-bootstrap", "10.0.0.1:6881", "--dht-bootstrap", "router.test:25401"];
  const { code } = await world.start("a.torrent", "-q", ...nodes);
  const bootstrap = [{ host: "10.0.0.1", port: 6881 }, { host: "router.test", port: 25401 }];
  assertEquals(world.session.options!.discovery, {
    dht: { bootstrap },
    lsd: true,
    pex: true,
    portMap: true,
  });
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
});

Deno.test("download leaves the session's own defaults alone", async () => {
  const world = new World({ env: {} });
  const { code } = await world.start("a.torrent", "-q");
  const { platform: _, ...session } = world.session.options!;
  const discovery = { dht: {}, lsd: true, pex: true, portMap: true };
  assertEquals(session, { stateFolder: null, oneOff: true, portable: false, discovery });
  assertEquals(world.session.added[0]!.options, { folder: ".", peers: [] });
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
});

Deno.test("download takes several torrents at once, each one once, and ends when all are done", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "b.torrent", "x/a.torrent", "-q");
  assertEquals(world.session.added.map(({ meta }) => meta.name), ["a", "b"]);
  world.session.added[0]!.finish();
  await settle();
  assertEquals(world.session.stops, 0);
  world.session.added[1]!.finish();
  assertEquals(await code, 0);
  assertEquals(world.session.stops, 1);
});

Deno.test("download goes on with the others when one torrent fails, and exits with its code", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "b.torrent");
  world.session.emit(failed("a"));
  world.session.added[0]!.fail(NO_ROOM);
  await settle();
  assertEquals(world.session.stops, 0);
  // It is said at once, and not again when the others are done.
  const line = "shoal: error: cannot write (a): no space left; free some\n";
  assertEquals(world.terminal.stderr.text, line);
  world.session.added[1]!.finish();
  assertEquals(await code, 4);
  assertEquals(world.terminal.stderr.text, line);
  assertClean(world);
});

Deno.test("download shows a failure in the picture on the terminal, and writes its error line below the last one", async () => {
  const world = new World({ isTerminal: true, env: { TERM: "xterm", NO_COLOR: "1" } });
  const { code } = await world.start("a.torrent", "b.torrent");
  world.session.emit(failed("a"));
  world.session.added[0]!.fail(NO_ROOM);
  await world.clock.play(1_000);
  assertStringIncludes(world.terminal.stdout.text, "warning: a: failed: cannot write: no space left (a)");
  assertEquals(world.terminal.stderr.text, "");
  world.session.added[1]!.finish();
  assertEquals(await code, 4);
  assertEquals(world.terminal.stderr.text, "shoal: error: cannot write (a): no space left; free some\n");
});

Deno.test("download names the torrent of each error line, and writes it at once to a file beside the picture", async () => {
  const world = new World({ isTerminal: true, env: { TERM: "xterm", NO_COLOR: "1" } });
  Object.assign(world.terminal.stderr, { isTerminal: false });
  const { code } = await world.start("alpha/a.torrent", "b.torrent", "c.torrent", "-o", "/x");
  const cannot = (path: string) => new FileError("missing", { what: "cannot make the folder", path });
  world.session.added[0]!.state = { name: "alpha.mkv" };
  world.session.added[1]!.state = { name: "beta.mkv" };
  world.session.added[0]!.fail(cannot("/x"));
  world.session.added[1]!.fail(cannot("/x/beta.mkv"));
  await settle();
  const lines = [
    "shoal: error: alpha.mkv: cannot make the folder (/x): there is no such file or folder",
    "shoal: error: cannot make the folder (/x/beta.mkv): there is no such file or folder",
  ];
  assertEquals(world.terminal.stderr.lines, lines);
  world.session.added[2]!.finish();
  assertEquals(await code, 4);
  assertEquals(world.terminal.stderr.lines, lines);
});

Deno.test("--json prints events and nothing else on standard output, each failure once", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--json");
  world.session.emit(failed("a"));
  world.session.added[0]!.fail(NO_ROOM);
  assertEquals(await code, 4);
  assertEquals(world.events.map(({ event }) => event), ["added", "error", "stopped"]);
  assertEquals(world.terminal.stderr.lines.length, 1);

  const early = new World();
  early.session.startError = new ShoalError("network", { what: "cannot listen", where: "0.0.0.0:1", why: "in use" });
  assertEquals(await early.run("a.torrent", "--json"), 6);
  assertEquals(early.events.map(({ event, code }) => [event, code]), [["error", "network"]]);
  assertEquals(early.terminal.stderr.text, "shoal: error: cannot listen (0.0.0.0:1): in use\n");

  const refused = new World();
  refused.session.addError = NO_ROOM;
  assertEquals(await refused.run("a.torrent", "--json"), 4);
  assertEquals(refused.events.map(({ event, code }) => [event, code]), [["error", "storage"]]);

  for (const at of ["startError", "addError"] as const) {
    const bug = new World();
    bug.session[at] = new TypeError("x is undefined");
    assertEquals(await bug.run("a.torrent", "--json"), 1);
    assertEquals(bug.events.map(({ event, code, message }) => [event, code, message]), [
      ["error", "unexpected", "x is undefined"],
    ]);
    assertEquals(bug.terminal.stderr.lines.length, 1);
  }
});

for (const env of [{ TERM: "dumb" }, { TERM: "" }, {}]) {
  Deno.test(`a terminal with ${JSON.stringify(env)} gets plain lines`, () => plainLines(env));
}

async function plainLines(env: Readonly<Record<string, string>>): Promise<void> {
  const world = new World({ isTerminal: true, env });
  const { code } = await world.start("a.torrent");
  await world.clock.play(5000);
  world.session.added[0]!.finish();
  assertEquals(await code, 0);
  assertFalse(world.terminal.stdout.text.includes("\x1b"));
  assertStringIncludes(world.terminal.stdout.text, "a: 50.0% (1.9 / 3.73 GiB), 11.4 MiB/s down");
}

Deno.test("--timeout gives up when nothing has arrived for so long, and says what the tracker said", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--timeout", "10s", "-q");
  const torrent = world.session.added[0]!;
  await world.clock.play(9_000);
  torrent.state = { downloaded: 3_000_000_000 };
  await world.clock.play(9_000);
  const infohash = torrent.meta.infoHash.hex;
  const [url, message] = ["http://t.test/", "connection refused"];
  world.session.emit({
    ...{ event: "tracker", infohash, url, status: "error", message },
    ...{ seeders: null, leechers: null, peers: 0 },
  });
  assertEquals(world.session.stops, 0);
  await world.clock.play(2_000);
  assertEquals(await code, 5);
  assertEquals(
    world.terminal.stderr.text,
    "shoal: error: gave up (a): no peer was found for 10s; the tracker http://t.test/ failed: connection refused; " +
      "the same command goes on from there\n",
  );
  assertClean(world);
});

Deno.test("--timeout says why nothing arrives, in the words of the torrent", async () => {
  const one = new World();
  const single = await one.start("a.torrent", "--timeout", "10s", "-q");
  one.session.added[0]!.state = { waiting: "8 peers, all choke us", peerCount: 8 };
  await one.clock.play(11_000);
  assertEquals(await single.code, 5);
  const hint = "; the same command goes on from there\n";
  assertEquals(
    one.terminal.stderr.text,
    `shoal: error: gave up (a): nothing arrived for 10s; 8 peers, all choke us${hint}`,
  );
  const two = new World();
  const several = await two.start("a.torrent", "b.torrent", "--timeout", "10s", "-q");
  two.session.added[1]!.state = { waiting: "t.test has not answered, asked again in 5 s" };
  await two.clock.play(11_000);
  assertEquals(await several.code, 5);
  assertStringIncludes(
    two.terminal.stderr.text,
    `nothing arrived for 10s; b: t.test has not answered, asked again in 5 s${hint}`,
  );
});

Deno.test("--timeout takes the progress of a check for something, and does not end seeding", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--timeout", "2s", "--seed-time", "60s", "-q");
  const torrent = world.session.added[0]!;
  for (let i = 0; i < 10; i++) {
    torrent.state = { state: "checking", progress: i / 10 };
    await world.clock.play(1_500);
  }
  torrent.state = { state: "seeding", progress: 1 };
  torrent.finish();
  await world.clock.play(59_000);
  assertEquals([world.session.stops, torrent.stopped], [0, false]);
  await world.clock.play(2_000);
  assertEquals(await code, 0);
  assert(torrent.stopped);
  assertClean(world);
});

Deno.test("--timeout and --seed-time don't count the time in which the program was suspended", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--timeout", "60s", "--seed-time", "60s", "-q");
  const torrent = world.session.added[0]!;
  await world.clock.play(30_000);
  world.clock.jump(3_600_000);
  await world.clock.play(20_000);
  assertEquals(world.session.stops, 0, "it gave up for what it could not have seen");
  torrent.state = { state: "seeding", progress: 1 };
  torrent.finish();
  await world.clock.play(30_000);
  world.clock.jump(3_600_000);
  await world.clock.play(20_000);
  assertEquals([world.session.stops, torrent.stopped], [0, false]);
  await world.clock.play(20_000);
  assertEquals(await code, 0);
});

Deno.test("--seed-ratio seeds until enough has been given back for what is wanted, however little of it was fetched now", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--seed-ratio", "1.5", "-q");
  const torrent = world.session.added[0]!;
  torrent.state = { state: "seeding", size: 1000, verified: 1000, downloaded: 48, uploaded: 1499 };
  torrent.finish();
  await world.clock.play(60_000);
  assertFalse(torrent.stopped);
  torrent.state = { state: "seeding", size: 1000, verified: 1000, downloaded: 48, uploaded: 1500 };
  await world.clock.play(1_000);
  assertEquals(await code, 0);
  assert(torrent.stopped);
});

Deno.test("--seed goes on until interrupted", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--seed", "-q");
  world.session.added[0]!.finish();
  await world.clock.play(3_600_000);
  assertEquals(world.session.stops, 0);
  world.terminal.leave();
  assertEquals(await code, 130);
});

Deno.test("--stream says where the files are, and goes on until interrupted", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--stream", "9000", "--bind", "10.0.0.5", "--json");
  while (world.events.length < 2) await settle();
  const { infoHash: { hex } } = metaOf("a");
  assertEquals(world.events[1], {
    event: "stream",
    time: "2026-01-01T00:00:00.000Z",
    infohash: hex,
    name: "a",
    url: `http://127.0.0.1:9000/${hex}/`,
    largest: `http://127.0.0.1:9000/${hex}/a/sub/a%1B.txt`,
    files: 2,
  });
  world.session.added[0]!.finish();
  await world.clock.play(3_600_000);
  assertEquals([world.session.stops, world.servers.size], [0, 1]);
  world.terminal.leave();
  assertEquals(await code, 130);
  assertClean(world);
});

Deno.test("--stream takes port 8000, or any other one when that is taken, but no other than it is told", async () => {
  for (const [taken, port] of [[0, 8000], [8000, 40_000]] as const) {
    const world = new World();
    world.taken.add(taken === 0 ? 1 : taken);
    const { code } = await world.start("a.torrent", "--stream");
    const said = () => world.terminal.stderr.text;
    while (!said().includes("http")) await settle();
    assertEquals(said(), `shoal: 2 files at http://127.0.0.1:${port}/${metaOf("a").infoHash.hex}/\n`);
    world.terminal.leave();
    assertEquals(await code, 130);
    assertClean(world);
  }
  const world = new World();
  world.taken.add(9000);
  assertEquals(await world.run("a.torrent", "--stream", "9000"), 6);
  assertClean(world);
  const wrong = new World();
  assertEquals(await wrong.run("--stream", "a.torrent"), 2);
  assertStringIncludes(wrong.terminal.stderr.text, "what is to be downloaded goes before --stream");
});

Deno.test("--stream ends with --seed-time when both are asked for", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "--stream", "--seed-time", "1m", "-q");
  world.session.added[0]!.finish();
  await world.clock.play(62_000);
  assertEquals(await code, 0);
  assertClean(world);
});

Deno.test("seed adds what is there without writing, and serves until interrupted", async () => {
  for (const trust of [false, true]) {
    const world = new World();
    const { code } = await world.start("seed", "a.torrent", "data", "-q", ...(trust ? ["--trust"] : []));
    const expected = { folder: "data", peers: [], seedOnly: true, ...(trust && { trust: true }) };
    assertEquals(world.session.added[0]!.options, expected);
    world.session.added[0]!.finish();
    await world.clock.play(60_000);
    world.terminal.leave();
    assertEquals(await code, 130);
    assertClean(world);
  }
});

Deno.test("seed goes on with the good sources, and announces to the trackers that are named", async () => {
  const world = new World();
  const { code } = await world.start(
    "seed",
    "missing.torrent",
    "a.torrent",
    "b.torrent",
    "data",
    "-t",
    "http://t.test/",
  );
  assertEquals(world.terminal.stderr.lines, [
    "shoal: error: cannot read the torrent (missing.torrent): there is no such file",
  ]);
  assertEquals(world.session.added.map(({ meta }) => meta.name), ["a", "b"]);
  assertEquals(world.session.added.map(({ options }) => options.trackers), Array(2).fill([["http://t.test/"]]));
  for (const torrent of world.session.added) {
    torrent.fail(new ShoalError("storage", { what: "w", where: "x", why: "y" }));
  }
  assertEquals(await code, 2);
  assertClean(world);
});

Deno.test("seed takes several torrents and links before the folder, each torrent once", async () => {
  const world = new World();
  const link = `magnet:?xt=urn:btih:${metaOf("b").infoHash.hex}`;
  const { code } = await world.start("seed", "a.torrent", "b.torrent", link, "data", "--trust");
  assertEquals(world.session.added.map(({ meta }) => meta.name), ["a", "b"]);
  for (const { options } of world.session.added) {
    assertEquals(options, { folder: "data", peers: [], seedOnly: true, trust: true });
  }
  assertEquals(world.session.merged.length, 1);
  assertStringIncludes(world.terminal.stderr.text, "2 sources are the same torrent");
  // One that fails doesn't end the other.
  world.session.added[0]!.fail(new ShoalError("torrent", { what: "there is nothing to seed", where: "a", why: "w" }));
  await world.clock.play(1000);
  assertFalse(world.session.added[1]!.stopped);
  world.terminal.leave();
  assertEquals(await code, 130);
  assertStringIncludes(world.terminal.stderr.text, "there is nothing to seed (a): w");
  assertClean(world);
});

Deno.test("seed notices that the folder was forgotten", async () => {
  const link = `magnet:?xt=urn:btih:${"a".repeat(40)}`;
  for (const last of ["taken.torrent", link, "https://x.test/b.torrent"]) {
    const line = await failure(["seed", "a.torrent", last], 2);
    assertEquals(
      line,
      `missing argument (dir): ${last} is a torrent, and the folder with the data is needed behind it`,
    );
  }
});

Deno.test("seed gives no advice about an output folder, which only download has", async () => {
  for (
    const [command, advice] of [["seed", ""], [
      "download",
      "; choose another folder with -o, or change who may write there",
    ]]
  ) {
    const world = new World();
    const { code } = await world.start(command!, "a.torrent", ...(command === "seed" ? ["data"] : []));
    world.session.added[0]!.fail(new FileError("denied", { what: "cannot open", path: "/data/a" }));
    assertEquals(await code, 4);
    assertEquals(world.terminal.stderr.text, `shoal: error: cannot open (/data/a): permission denied${advice}\n`);
  }
});

Deno.test("download gives advice about the option that names the folder of the error", async () => {
  const cases: [options: string[], path: string, advice: string][] = [
    [["-o", "out"], "out/a", " with -o"],
    [["-o", "out", "--incomplete", "inc/"], "inc/a", " with --incomplete"],
    [["-o", "out", "--incomplete", "./inc"], "inc", " with --incomplete"],
    [["-o", "out", "--incomplete", "inc"], "out/a", " with -o"],
    [["--incomplete", "inc"], "inc/a", " with --incomplete"],
    [["-o", "inc/out", "--incomplete", "inc"], "inc/out/a", " with -o"],
    [["-o", "out", "--incomplete", "inc"], "/elsewhere/a", ""],
  ];
  for (const [options, path, advice] of cases) {
    const world = new World();
    const { code } = await world.start("a.torrent", ...options);
    world.session.added[0]!.fail(new FileError("read-only", { what: "cannot write", path }));
    assertEquals(await code, 4);
    const line = `shoal: error: cannot write (${path}): the file system is read-only; choose another folder${advice}`;
    assertEquals(world.terminal.stderr.lines, [line]);
  }
});

Deno.test("seed exits with the code of data that is missing or wrong", async () => {
  const world = new World();
  const { code } = await world.start("seed", "a.torrent", "data");
  const wrong = new ShoalError("torrent", {
    what: "the data is not complete",
    where: "a in data",
    why: "2 pieces wrong",
  });
  world.session.added[0]!.fail(wrong);
  assertEquals(await code, 3);
  assertEquals(world.terminal.stderr.text, "shoal: error: the data is not complete (a in data): 2 pieces wrong\n");
});

Deno.test("a peer whose name is unknown is told before anything starts", async () => {
  const world = new World();
  assertEquals(await world.run("a.torrent", "--peer", "nowhere.test:1"), 6);
  assertEquals(world.terminal.stderr.text, "shoal: error: cannot find the peer (nowhere.test): unknown host\n");
  assertEquals(world.session.options, null);
});

Deno.test("an error that nobody caught ends the program with one line", async () => {
  const world = new World();
  const { code } = await world.start("a.torrent", "-q");
  for (const listener of world.terminal.crashes) listener(new Error("lost"));
  await settle();
  assertEquals(world.terminal.exited, 1);
  assertStringIncludes(world.terminal.stderr.text, "shoal: error: unexpected failure: lost");
  world.session.added[0]!.finish();
  await code;

  const json = new World();
  const run = await json.start("a.torrent", "--json");
  for (const listener of json.terminal.crashes) listener(new Error("lost"));
  while (json.terminal.exited === null) await settle();
  assertEquals([json.terminal.exited, json.terminal.stderr.lines.length], [1, 1]);
  assertEquals(json.events.map(({ event, code }) => [event, code]), [["added", undefined], ["error", "unexpected"]]);
  json.session.added[0]!.finish();
  await run.code;
  assertClean(json);
});

Deno.test("download uses all sources of one torrent together, says so, and ends well", async () => {
  const world = new World();
  const { hex } = metaOf("a").infoHash;
  const link = `magnet:?xt=urn:btih:${hex}&tr=http%3A%2F%2Ftwo.example%2Fannounce&so=0`;
  const { code } = await world.start(link, "a.torrent", "a.torrent");
  const [torrent] = world.session.added;
  assertEquals(world.session.added.length, 1);
  assertEquals(world.session.merged.map((source) => "pieces" in source ? source.name : source.trackers), [
    "a",
    [["http://two.example/announce"]],
  ]);
  torrent!.finish();
  assertEquals(await code, 0);
  assertEquals(world.terminal.stderr.lines, ["shoal: 3 sources are the same torrent, and are used together (a)"]);
});

Deno.test("download of two links to one torrent wants what either of them wants", async () => {
  for (const [second, wanted] of [["&so=2", "0,2"], ["", null]] as const) {
    const world = new World();
    const link = `magnet:?xt=urn:btih:${"ab".repeat(20)}`;
    const { code } = await world.start(`${link}&so=0`, `${link}${second}`, "-q");
    assertEquals(world.session.merged.map((source) => "pieces" in source || source.selectOnly), [wanted]);
    world.session.added[0]!.finish();
    assertEquals(await code, 0);
  }
});
