import { assert, assertEquals, assertFalse, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import type {
  CompletedEvent,
  PortMapEvent,
  TorrentSnapshot,
  TorrentSources,
} from "../../src/session/session_events.ts";
import { eventLine } from "../../src/ui/json_lines.ts";
import { JsonView } from "../../src/ui/json_view.ts";
import { LiveView } from "../../src/ui/live_view.ts";
import { LogLines } from "../../src/ui/log_lines.ts";
import { PlainView } from "../../src/ui/plain_view.ts";
import { QuietView } from "../../src/ui/quiet_view.ts";
import type { View, ViewEvent, ViewOptions } from "../../src/ui/view.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { FakeTerminal, type FakeTerminalOptions } from "./fake_terminal.ts";
import { infoHashOf, peerSnapshot, torrentSnapshot } from "./snapshots.ts";

const HASH = infoHashOf(0).hex;
const ADDED: ViewEvent = {
  event: "added",
  infohash: HASH,
  infohash_v2: null,
  name: "debian.iso",
  size: 4_000_000_000,
  files: 1,
};
const BANNED: ViewEvent = {
  event: "peer",
  infohash: HASH,
  address: "10.0.0.9:1",
  client: "Liar 1.0",
  action: "banned",
  message: "2 pieces failed their hash check",
};
const GONE: ViewEvent = { ...BANNED, action: "disconnected", message: "it sent a piece that was not asked for" };
const TRACKER_DOWN: ViewEvent = {
  event: "tracker",
  infohash: HASH,
  url: "http://tracker.test/announce",
  status: "error",
  seeders: null,
  leechers: null,
  peers: 0,
  message: "connection refused",
};
const COMPLETED: ViewEvent = {
  event: "completed",
  paths: ["/data/a"],
  infohash: HASH,
  name: "debian.iso",
  seconds: 100,
  bytes: 4_000_000_000,
  rate: 40_000_000,
  downloading: 80,
};

const SOURCES: TorrentSources = {
  active: true,
  isPrivate: false,
  pex: false,
  trackers: [{
    url: "http://tracker.test/announce",
    tier: 0,
    state: "waiting",
    status: "error",
    message: "connection refused",
    seeders: null,
    leechers: null,
    peers: null,
    others: false,
    failures: 1,
    secondsSinceAnswer: 1,
    secondsUntilNext: 9,
  }],
  dht: null,
  lsd: null,
  port: { tcp: 6881, udp: 6881, mapping: "off", external: null, message: "" },
  webSeeds: [{
    url: "http://web.test/",
    status: "failed",
    message: "it answers 503",
    downloaded: 0,
    secondsUntilNext: 5,
  }],
};

type SceneOptions = FakeTerminalOptions & { readonly verbosity?: number; readonly resumable?: boolean };

/** Returns a view on a virtual clock, over one torrent that the test changes. */
function setUp(make: (options: ViewOptions) => View, options: SceneOptions = {}) {
  const clock = new VirtualClock();
  const terminal = new FakeTerminal(options);
  const scene: { torrents: TorrentSnapshot[]; looks: number; done: string[] } = {
    torrents: [torrentSnapshot()],
    looks: 0,
    done: [],
  };
  const view = make({
    platform: clock,
    terminal,
    snapshots: () => {
      scene.looks++;
      return scene.torrents;
    },
    verbosity: options.verbosity ?? 0,
    savedIn: () => "out",
    resumable: options.resumable ?? true,
    controls: {
      pieceMap: () => null,
      files: () => [],
      sources: () => SOURCES,
      togglePause: (infohashes) => scene.done.push(`pause ${infohashes.length}`),
      limits: () => ({ down: null, up: null }),
      setLimits: (limits) => scene.done.push(`limits ${limits.down} ${limits.up}`),
      quit: () => scene.done.push("quit"),
    },
  });
  return { clock, terminal, scene, view };
}

const live = (options: SceneOptions = {}) =>
  setUp((parts) => new LiveView(parts), { isTerminal: true, env: { TERM: "xterm", NO_COLOR: "1" }, ...options });
const plain = (options: SceneOptions = {}) => setUp((parts) => new PlainView(parts), options);
const json = (options: SceneOptions = {}) => setUp((parts) => new JsonView(parts), options);

Deno.test("LiveView draws at most five times a second, and only what is new", async () => {
  const { clock, terminal, scene, view } = live();
  view.start();
  for (let i = 0; i < 100; i++) {
    scene.torrents = [torrentSnapshot({ downloaded: i, rateDown: i * 1_000_000 })];
    clock.advance(10);
  }
  assertEquals(terminal.stdout.writes, 6);
  clock.advance(70_000); // the bars of the last minute change until all are equal
  const { writes } = terminal.stdout;
  clock.advance(10_000);
  assertEquals(terminal.stdout.writes, writes);
  await view.close();
});

Deno.test("LiveView leaves frames out while the terminal takes nothing", async () => {
  const { clock, terminal, scene, view } = live();
  view.start();
  terminal.stdout.block();
  for (let i = 0; i < 10; i++) {
    scene.torrents = [torrentSnapshot({ rateDown: i * 1_000_000 })];
    clock.advance(200);
  }
  assertEquals(terminal.stdout.writes, 1);
  terminal.stdout.release();
  clock.advance(200);
  assertEquals(terminal.stdout.writes, 2);
  await view.close();
});

Deno.test("LiveView shows the cursor after every frame, so that it can be stopped at any time", async () => {
  const { clock, terminal, scene, view } = live();
  view.start();
  for (let i = 0; i < 3; i++) {
    assert(terminal.stdout.text.lastIndexOf("\x1b[?25h") > terminal.stdout.text.lastIndexOf("\x1b[?25l"));
    scene.torrents = [torrentSnapshot({ rateDown: i * 1_000_000 })];
    clock.advance(200);
  }
  await view.close();
  assert(terminal.stdout.text.lastIndexOf("\x1b[?25h") > terminal.stdout.text.lastIndexOf("\x1b[?25l"));
  assertEquals([terminal.disturbances.size, clock.pending], [0, 0]);
  const written = terminal.stdout.writes;
  await view.close();
  assertEquals(terminal.stdout.writes, written);
});

Deno.test("LiveView does not wait for ever for a terminal that takes nothing", async () => {
  const { clock, terminal, view } = live();
  view.start();
  terminal.stdout.block();
  const closed = view.close();
  await clock.play(500);
  await closed;
  terminal.stdout.release();
});

Deno.test("LiveView draws below what the shell wrote while it was suspended, whichever comes first, signal or frame", () => {
  // deno-lint-ignore no-control-regex
  const up = /\r\x1b\[\d+A/;
  for (const frameFirst of [true, false]) {
    const { clock, terminal, scene, view } = live();
    view.start();
    scene.torrents = [torrentSnapshot({ rateDown: 1_000_000 })];
    clock.advance(200);
    assertMatch(terminal.stdout.text, up);
    terminal.stdout.text = "";
    clock.jump(1000);
    if (frameFirst) clock.advance(0);
    terminal.disturb("continued");
    clock.advance(400);
    assertNotMatch(terminal.stdout.text, up);
    assertStringIncludes(terminal.stdout.text, "debian.iso");
    void view.close();
  }
});

Deno.test("LiveView puts messages below the table, or on standard error where that is elsewhere", async () => {
  const one = live();
  one.view.start();
  one.view.event(BANNED);
  one.clock.advance(200);
  assertStringIncludes(
    one.terminal.stdout.text,
    "warning: peer 10.0.0.9:1 (Liar 1.0) is banned: 2 pieces failed their hash check\x1b[K\n",
  );
  assertEquals(one.terminal.stderr.text, "");
  await one.view.close();

  const other = live();
  Object.assign(other.terminal.stderr, { isTerminal: false });
  other.view.start();
  other.view.event(BANNED);
  assertStringIncludes(other.terminal.stderr.text, "shoal: warning: peer 10.0.0.9:1");
  await other.view.close();
});

Deno.test("LiveView keeps the latest messages of many, and says how many it left out", async () => {
  const { terminal, view } = live();
  view.start();
  terminal.stdout.block();
  for (let i = 0; i < 250; i++) view.note(`message ${i}`);
  terminal.stdout.release();
  await view.close();
  assertStringIncludes(terminal.stdout.text, "(50 messages left out)\nmessage 50\n");
  assertFalse(terminal.stdout.text.includes("message 49\n"));
});

Deno.test("LiveView moves messages up and away when newer ones take their place, and leaves none out", async () => {
  const { clock, terminal, view } = live();
  view.start();
  terminal.stdout.text = "";
  for (let i = 0; i < 5; i++) view.note(`message ${i}`);
  clock.advance(200);
  // Lines that stay aren't erased to their end, because they scroll away.
  const above = terminal.stdout.text.match(/message \d\n/g);
  const below = terminal.stdout.text.match(/message \d(?!\n)/g);
  assertEquals([above, below], [["message 0\n", "message 1\n"], ["message 2", "message 3", "message 4"]]);
  terminal.stdout.text = "";
  await view.close();
  assertStringIncludes(terminal.stdout.text, "message 2\nmessage 3\nmessage 4\ndebian.iso\n");
});

Deno.test("LiveView does what keys ask for, and gives the keyboard back", async () => {
  const { clock, terminal, scene, view } = live();
  view.start();
  assertEquals(terminal.readers.size, 1);
  const drawn = () => {
    const { text } = terminal.stdout;
    terminal.stdout.text = "";
    return text;
  };
  drawn();
  terminal.type("?");
  assertStringIncludes(drawn(), "stop in good order");
  terminal.type("s");
  terminal.type("\x1b");
  assertStringIncludes(drawn(), "by down");
  terminal.type("f");
  assertStringIncludes(drawn(), "The files are not known yet");
  for (const noise of ["x", "\x1b[200~qqq", "\xff\x00", "qp".repeat(500), "quit p"]) terminal.type(noise);
  assertEquals(scene.done, []);
  terminal.type("p");
  terminal.type("l");
  terminal.type("5M qqq");
  terminal.type("\x7f\x7f\x7f500K\r");
  terminal.type("q");
  assertEquals(scene.done, ["pause 1", `limits ${5 << 20} ${500 << 10}`, "quit"]);
  scene.torrents = [torrentSnapshot({ state: "paused" })];
  clock.advance(200);
  assertStringIncludes(drawn(), "p resume");
  await view.close();
  assertEquals(terminal.readers.size, 0);
  const piped = live({ stdin: new Uint8Array(0) });
  piped.view.start();
  assertEquals(piped.terminal.readers.size, 0);
  await piped.view.close();
});

Deno.test("LiveView draws anew after the window changed", async () => {
  const { clock, terminal, view } = live();
  view.start();
  const before = terminal.stdout.writes;
  terminal.disturb("resized");
  clock.advance(200);
  assertEquals(terminal.stdout.writes, before + 1);
  await view.close();
});

Deno.test("LiveView sums up in place of the table, on lines that fit", async () => {
  const sumUp = async (columns: number) => {
    const { terminal, scene, view } = live({ size: { columns, rows: 24 } });
    scene.torrents = [torrentSnapshot({ peers: [peerSnapshot(), peerSnapshot({ address: "b", downloaded: 0 })] })];
    view.start();
    view.event(ADDED);
    view.event(COMPLETED);
    await view.close();
    return terminal.stdout.text;
  };
  assertStringIncludes(
    await sumUp(120),
    "debian.iso: 3.73 GiB in 1m 20s (47.7 MiB/s), from 1 peer, gave back 95.4 MiB (ratio 0.05), saved in out\n",
  );
  assertStringIncludes(
    await sumUp(40),
    "debian.iso\n  3.73 GiB in 1m 20s (47.7 MiB/s),\n  from 1 peer,\n" +
      "  gave back 95.4 MiB (ratio 0.05),\n  saved in out\n",
  );
});

Deno.test("PlainView counts the peers that gave something, also those that came and went between two looks", async () => {
  const { terminal, scene, view } = plain();
  const gone = (address: string, downloaded: number): ViewEvent => {
    return { ...BANNED, action: "disconnected", address, message: "", downloaded, uploaded: 0 };
  };
  scene.torrents = [];
  view.start();
  for (const event of [gone("a:1", 5), gone("b:1", 0), gone("a:1", 7), gone("c:1", 1)]) view.event(event);
  const peers = [peerSnapshot({ address: "d:1", downloaded: 9 }), peerSnapshot({ address: "e:1", downloaded: 0 })];
  scene.torrents = [torrentSnapshot({ peers })];
  view.event({ ...COMPLETED, seconds: 2, downloading: 0.8 });
  scene.torrents = [torrentSnapshot({ verified: 4_000_000_000 })];
  view.event(gone("d:1", 9));
  await view.close();
  assertStringIncludes(terminal.stdout.text, "3.73 GiB in 800ms (4.66 GiB/s), from 3 peers, ");
});

Deno.test("PlainView sums up what was fetched, and what was only shared, in numbers that belong together", async () => {
  const MIB = 1 << 20;
  const whole = { size: 100 * MIB, verified: 100 * MIB };
  const cases: [
    snapshot: Partial<TorrentSnapshot>,
    completed: Partial<CompletedEvent> | null,
    isKept: boolean,
    line: string,
  ][] = [
    [whole, { bytes: 100 * MIB, downloading: 10 }, true, "100 MiB in 10s (10 MiB/s), from 0 peers, gave back"],
    // A repair: the time for the check and the size of the whole don't make its rate.
    [
      whole,
      { bytes: MIB, seconds: 60, downloading: 0.5 },
      true,
      "100 MiB, 1 MiB of it fetched in 500ms (2 MiB/s), from",
    ],
    [whole, { bytes: MIB, downloading: 0 }, true, "100 MiB, 1 MiB of it fetched in 0ms, from"],
    [whole, { bytes: 0 }, true, "100 MiB, complete already, gave back 50 MiB (ratio 0.50), saved in out"],
    [{ ...whole, downloaded: 0 }, { bytes: 0 }, false, "100 MiB, sent 50 MiB (ratio 0.50)"],
    [{ ...whole, downloaded: 0, uploaded: 0 }, { bytes: 0 }, false, "100 MiB, nobody fetched any of it"],
    [{ size: 100 * MIB, verified: 25 * MIB, downloaded: 0 }, null, false, "25.0 / 100 MiB, sent 50 MiB (ratio 2.00)"],
    [
      { size: 100 * MIB, verified: 25 * MIB, downloaded: MIB },
      null,
      false,
      "stopped at 25.0% (25.0 / 100 MiB), gave back 50 MiB",
    ],
    [{ size: 0 }, null, true, "stopped before the metadata arrived"],
  ];
  for (const [parts, completed, isKept, line] of cases) {
    const { terminal, scene, view } = plain({ resumable: isKept });
    view.start();
    scene.torrents = [torrentSnapshot({ state: "seeding", downloaded: MIB, uploaded: 50 * MIB, ...parts })];
    if (completed !== null) view.event({ ...COMPLETED, ...completed } as ViewEvent);
    await view.close();
    assertStringIncludes(terminal.stdout.text, `debian.iso: ${line}`);
  }
});

Deno.test("PlainView asks for metadata in words only while it isn't there", async () => {
  const { clock, terminal, view } = plain();
  const unknown = { size: null, files: null } as const;
  view.start();
  view.event({ ...ADDED, ...unknown, name: "kept" } as ViewEvent);
  view.event({ ...ADDED, event: "metadata", name: "kept" } as ViewEvent);
  clock.advance(2000);
  assertEquals(terminal.stdout.lines, ["kept: 3.73 GiB in 1 file"]);
  view.event({ ...ADDED, ...unknown, name: "sought" } as ViewEvent);
  clock.advance(2000);
  view.event({ ...ADDED, event: "metadata", name: "sought" } as ViewEvent);
  assertEquals(terminal.stdout.lines.slice(1), ["sought: asking peers for the metadata", "sought: 3.73 GiB in 1 file"]);
  await view.close();
});

Deno.test("PlainView writes a line every five seconds, if there is something new", async () => {
  const { clock, terminal, scene, view } = plain();
  view.start();
  view.event(ADDED);
  clock.advance(14_000);
  scene.torrents = [torrentSnapshot({ state: "seeding", progress: 1, rateDown: 0 })];
  clock.advance(1_000);
  assertEquals(terminal.stdout.lines, [
    "debian.iso: 3.73 GiB in 1 file",
    "debian.iso: 50.0% (1.9 / 3.73 GiB), 11.4 MiB/s down, 879 KiB/s up, 0 peers, ETA 2m 46s",
    "debian.iso: seeding, 879 KiB/s up, 95.4 MiB sent (ratio 0.05), 0 peers",
  ]);
  await view.close();
  assertEquals(clock.pending, 0);
});

Deno.test("PlainView says why nothing arrives: after three seconds, then twice a minute, until something arrives", () => {
  const { clock, terminal, scene, view } = plain();
  const still = { rateDown: 0, rateUp: 0, eta: null };
  const said = () => terminal.stdout.lines.filter((line) => line.includes("asked again")).length;
  view.start();
  scene.torrents = [torrentSnapshot({ ...still, waiting: "t.test has not answered, asked again in 12 s" })];
  clock.advance(2_000);
  assertEquals(said(), 0);
  clock.advance(1_000);
  assertEquals(terminal.stdout.lines, ["debian.iso: t.test has not answered, asked again in 12 s"]);
  clock.advance(29_000);
  assertEquals(said(), 1);
  clock.advance(1_000);
  assertEquals(said(), 2);
  scene.torrents = [torrentSnapshot()];
  clock.advance(2_000);
  scene.torrents = [torrentSnapshot({ ...still, waiting: "t.test has not answered, asked again in 3 s" })];
  clock.advance(2_000);
  assertEquals(said(), 2);
  clock.advance(1_000);
  assertEquals(said(), 3);
  void view.close();
});

Deno.test("PlainView says soon that there is another reason, and not more often than every five seconds", () => {
  const { clock, terminal, scene, view } = plain();
  const wait = (waiting: string, ms: number) => {
    scene.torrents = [torrentSnapshot({ rateDown: 0, eta: null, waiting })];
    clock.advance(ms);
  };
  view.start();
  wait("DHT: joining", 4_000);
  wait("DHT: no node answers", 2_000);
  const said = () => terminal.stdout.lines.filter((line) => line.includes("DHT"));
  assertEquals(said(), ["debian.iso: DHT: joining"]);
  wait("DHT: no node answers", 2_000);
  wait("DHT: joining", 4_000);
  assertEquals(said(), ["debian.iso: DHT: joining", "debian.iso: DHT: no node answers"]);
  void view.close();
});

Deno.test("PlainView explains no torrent that the user has paused or that has failed, and of many only ten", () => {
  const { clock, terminal, scene, view } = plain();
  view.start();
  const waiting = "8 peers, all choke us";
  const states = ["paused", "queued", "error"] as const;
  scene.torrents = states.map((state, i) =>
    torrentSnapshot({ infoHash: infoHashOf(i), state, waiting, error: "no room" })
  );
  clock.advance(4_000);
  assertEquals(terminal.stdout.text, "");
  clock.advance(1_000);
  assertEquals(terminal.stdout.lines, [
    "debian.iso: paused (50.0%)",
    "debian.iso: queued (50.0%)",
    "debian.iso: failed at 50.0%: no room",
  ]);
  terminal.stdout.text = "";
  scene.torrents = Array.from({ length: 12 }, (_, i) => torrentSnapshot({ infoHash: infoHashOf(i), waiting }));
  clock.advance(3_000);
  assertEquals(terminal.stdout.lines.slice(9), [`debian.iso: ${waiting}`, "2 more torrents waiting"]);
  void view.close();
});

Deno.test("LiveView tells at once which of several torrents has failed and why; lines leave that to the error line", async () => {
  const failed: ViewEvent = { event: "error", infohash: HASH, code: "storage", message: "no room", where: "/mnt" };
  const other: ViewEvent = { ...ADDED, infohash: infoHashOf(1).hex, name: "other" };
  const drawn = live();
  drawn.view.start();
  drawn.view.event(ADDED);
  drawn.view.event({ ...failed, where: "" });
  drawn.clock.advance(200);
  assertFalse(drawn.terminal.stdout.text.includes("no room"));
  drawn.view.event(other);
  drawn.view.event(failed);
  drawn.clock.advance(200);
  assertStringIncludes(drawn.terminal.stdout.text, "warning: debian.iso: failed: no room (/mnt)");
  await drawn.view.close();
  for (const { view, terminal } of [plain(), setUp((parts) => new QuietView(parts), { verbosity: 1 })]) {
    view.start();
    for (const event of [ADDED, other, failed]) view.event(event);
    assertEquals(terminal.stderr.text, "");
    await view.close();
  }
});

Deno.test("LiveView shows the sources at t, and scrolls them", async () => {
  const { clock, terminal, view } = live({ size: { columns: 40, rows: 15 } });
  view.start();
  const drawn = () => {
    const { text } = terminal.stdout;
    terminal.stdout.text = "";
    return text;
  };
  drawn();
  terminal.type("t");
  const top = drawn();
  assertStringIncludes(top, "http://tracker.test/announce");
  assertFalse(top.includes("web.test"));
  terminal.type("\x1b[F");
  assertStringIncludes(drawn(), "http://web.test/");
  terminal.type("t");
  clock.advance(200);
  assertFalse(drawn().includes("web.test"));
  await view.close();
});

Deno.test("PlainView says on standard error what trackers and bad peers do, once", async () => {
  const { terminal, view } = plain();
  view.start();
  for (const event of [ADDED, TRACKER_DOWN, TRACKER_DOWN, GONE, BANNED]) view.event(event);
  view.event({ event: "hash_failed", infohash: HASH, piece: 7, peers: ["10.0.0.9:1"] });
  view.event({ event: "warning", infohash: HASH, message: "cannot save", where: "/state" });
  assertEquals(terminal.stderr.lines, [
    "shoal: warning: tracker http://tracker.test/announce failed: connection refused",
    "shoal: warning: peer 10.0.0.9:1 (Liar 1.0) is banned: 2 pieces failed their hash check",
    "shoal: warning: piece 7 failed its hash check and is fetched again; it came from 10.0.0.9:1",
    "shoal: warning: cannot save (/state)",
  ]);
  await view.close();
});

Deno.test("PlainView says with -v why peers went and what trackers answer", async () => {
  const { terminal, view } = plain({ verbosity: 1 });
  view.start();
  view.event(GONE);
  view.event({ ...TRACKER_DOWN, status: "ok", peers: 3, seeders: 1, leechers: 2, message: "" });
  view.event({ ...BANNED, action: "connected", message: "" });
  assertEquals(terminal.stderr.lines, [
    "shoal: peer 10.0.0.9:1 (Liar 1.0) is gone: it sent a piece that was not asked for",
    "shoal: tracker http://tracker.test/announce answered: 3 peers, 1 seeder in all, 2 leechers in all",
  ]);
  await view.close();
});

Deno.test("PlainView says which of several torrents it means, and lets no message do harm", async () => {
  const { terminal, view } = plain();
  view.start();
  view.event(ADDED);
  view.event({ ...ADDED, infohash: infoHashOf(1).hex, name: "b\x1b]0;x\x07" });
  view.event({ ...TRACKER_DOWN, infohash: infoHashOf(1).hex, message: "\x1b[2Jgone\nfake line" });
  assertEquals(terminal.stderr.lines, [
    "shoal: warning: b\ufffd]0;x\ufffd: tracker http://tracker.test/announce failed: \ufffd[2Jgone fake line",
  ]);
  assertEquals(terminal.stdout.lines[1], "b\ufffd]0;x\ufffd: 3.73 GiB in 1 file");
  await view.close();
});

Deno.test("LiveView calls a download stalled when nothing has come for ten seconds", async () => {
  const { clock, terminal, scene, view } = live();
  const words = () => [...terminal.stdout.text.matchAll(/(stalled|downloading) /g)].map(([, word]) => word).at(-1);
  view.start();
  clock.advance(1000);
  scene.torrents = [torrentSnapshot({ rateDown: 0, eta: null })];
  clock.advance(9000);
  assertEquals(words(), "downloading");
  clock.advance(2000);
  assertEquals(words(), "stalled");
  scene.torrents = [torrentSnapshot({ rateDown: 5 })];
  clock.advance(200);
  assertEquals(words(), "downloading");
  await view.close();
});

Deno.test("LiveView asks where the cursor is after a second and after a change of the size, and takes in the answer", async () => {
  const { clock, terminal, view } = live();
  const asked = () => terminal.stdout.text.split("\x1b[6n").length - 1;
  view.start();
  await clock.play(800);
  assertEquals(asked(), 0);
  await clock.play(400);
  assertEquals(asked(), 1);
  terminal.window = { columns: 60, rows: 20 };
  terminal.disturb("resized");
  await clock.play(400);
  assertEquals(asked(), 2);
  await clock.play(60_000);
  assertEquals(asked(), 2);
  await view.close();
  // A terminal that doesn't answer holds nothing up.
  const silent = live();
  silent.terminal.cursorRow = null;
  silent.view.start();
  await silent.clock.play(1200);
  const closed = silent.view.close();
  await silent.clock.play(100);
  await closed;
  assertEquals(silent.terminal.readers.size, 0);
  // Nobody reads the answer where there are no keys.
  const piped = live({ stdin: new Uint8Array(0) });
  piped.view.start();
  await piped.clock.play(5000);
  assertFalse(piped.terminal.stdout.text.includes("\x1b[6n"));
  await piped.view.close();
});

Deno.test("LiveView.hold() keeps the picture until a key that shows nothing else", async () => {
  for (const key of ["q", "\r", "x", " ", "\x1b"]) {
    const { clock, terminal, scene, view } = live();
    view.start();
    let held = true;
    const hold = view.hold!().then(() => held = false);
    assertStringIncludes(terminal.stdout.text, "press q or Enter to end");
    for (const other of ["f", "?", "s", "\t", "\x1b[B", "?", "l", "5", "x", "\x1b", "f", "f"]) terminal.type(other);
    await clock.play(60_000);
    assert(held, `${key}: nothing has ended it`);
    terminal.type(key);
    await hold;
    assertEquals(scene.done, []);
    await view.close();
  }
  const { terminal, scene, view } = live();
  view.start();
  void view.hold!();
  terminal.type("\x03");
  assertEquals(scene.done, ["quit"]);
  await view.close();
  const piped = live({ stdin: new Uint8Array(0) });
  piped.view.start();
  await piped.view.hold!();
  assertFalse(piped.terminal.stdout.text.includes("press q"));
  await piped.view.close();
  assertEquals(plain().view.hold, undefined);
});

Deno.test("LiveView scrolls the peers with the arrows", async () => {
  const { terminal, scene, view } = live();
  const peers = Array.from(
    { length: 27 },
    (_, i) => peerSnapshot({ address: `p${i + 10}:1`, rateDown: 0, downloaded: 0 }),
  );
  scene.torrents = [torrentSnapshot({ peers, peerCount: 27 })];
  const drawn = () => {
    const { text } = terminal.stdout;
    terminal.stdout.text = "";
    return text;
  };
  view.start();
  const first = drawn();
  assertStringIncludes(first, "more, arrows scroll");
  assertFalse(first.includes("p36:1"));
  terminal.type("\x1b[F");
  const last = drawn();
  assertStringIncludes(last, "p36:1");
  assertStringIncludes(last, "above, arrows scroll");
  terminal.type("\x1b[A");
  assertStringIncludes(drawn(), "1 more, arrows scroll");
  await view.close();
});

Deno.test("PlainView sums up what was stopped, what was there already, and leaves failures to their error line", async () => {
  const { terminal, scene, view } = plain();
  scene.torrents = [
    torrentSnapshot({ uploaded: 0 }),
    torrentSnapshot({ infoHash: infoHashOf(1), name: "there", verified: 4_000_000_000, downloaded: 0, uploaded: 0 }),
    torrentSnapshot({ infoHash: infoHashOf(2), name: "broken", state: "error" }),
  ];
  view.start();
  view.event(ADDED);
  terminal.stdout.text = "";
  await view.close();
  assertEquals(terminal.stdout.lines, [
    "debian.iso: stopped at 50.0% (1.9 / 3.73 GiB), gave nothing back, the same command goes on from there",
    "there: 3.73 GiB, complete already, gave nothing back, saved in out",
  ]);
  const gone = plain({ resumable: false });
  gone.view.start();
  await gone.view.close();
  assertEquals(gone.terminal.stdout.lines, [
    "debian.iso: stopped at 50.0% (1.9 / 3.73 GiB), gave back 95.4 MiB (ratio 0.05)",
  ]);
  const failed = plain();
  failed.view.start();
  failed.clock.advance(1000);
  failed.view.event({ event: "error", infohash: HASH, code: "storage", message: "no room", where: "x" });
  await failed.view.close();
  assertEquals(failed.terminal.stdout.text, "");
});

Deno.test("QuietView says nothing, or with -v what the log says", () => {
  const quiet = setUp((parts) => new QuietView(parts));
  const loud = setUp((parts) => new QuietView(parts), { verbosity: 1 });
  for (const { view } of [quiet, loud]) {
    view.start();
    view.event(TRACKER_DOWN);
    view.note("stopping");
  }
  assertEquals(quiet.terminal.stderr.text + quiet.terminal.stdout.text, "");
  assertEquals(loud.terminal.stderr.lines.length, 2);
  assertEquals(loud.terminal.stdout.text, "");
});

Deno.test("JsonView prints progress once a second with the contract's fields and no others", async () => {
  const { clock, terminal, scene, view } = json();
  scene.torrents = [torrentSnapshot({ eta: 166.4, rateDown: 1.6, peers: [peerSnapshot()] })];
  view.start();
  clock.advance(1_500);
  scene.torrents = [torrentSnapshot({ eta: 165, rateDown: 1.6, peers: [peerSnapshot()] })];
  clock.advance(1_000);
  assertEquals(terminal.stdout.lines.length, 2);
  assertEquals(
    terminal.stdout.lines[0],
    '{"event":"progress","time":"2026-01-01T00:00:01.000Z",' +
      `"infohash":"${HASH}","downloaded":2000000000,"size":4000000000,"progress":0.5,"rate_down":2,"rate_up":900000,` +
      '"uploaded":100000000,"peers":0,"seeds":0,"eta":166,"waiting":null}',
  );
  await view.close();
  assertEquals(clock.pending, 0);
});

Deno.test("JsonView prints progress only on change, and every 30 seconds", async () => {
  const { clock, terminal, scene, view } = json();
  const idle = (parts: Partial<TorrentSnapshot> = {}) =>
    torrentSnapshot({ state: "seeding", eta: null, rateDown: 0, rateUp: 0, ...parts });
  scene.torrents = [idle()];
  view.start();
  const printedIn = (seconds: number) => {
    const before = terminal.stdout.lines.length;
    clock.advance(seconds * 1000);
    return terminal.stdout.lines.length - before;
  };
  assertEquals(printedIn(1), 1);
  assertEquals(printedIn(29), 0);
  assertEquals(printedIn(1), 1);
  assertEquals(printedIn(89), 2);
  scene.torrents = [idle({ peerCount: 1 })];
  assertEquals(printedIn(1), 1);
  assertEquals(printedIn(10), 0);
  scene.torrents = [idle({ peerCount: 1, uploaded: 5 }), idle({ infoHash: infoHashOf(1) })];
  assertEquals(printedIn(1), 2);
  assertEquals(printedIn(10), 0);
  await view.close();
});

Deno.test("JsonView prints nothing about a torrent that is stopping or has stopped, until it is added again", async () => {
  const { clock, terminal, scene, view } = json();
  view.start();
  clock.advance(1000);
  scene.torrents = [torrentSnapshot({ state: "stopping", uploaded: 1 })];
  clock.advance(1000);
  view.event({ event: "stopped", infohash: HASH, downloaded: 1, uploaded: 2 });
  for (const state of ["seeding", "stopped"] as const) {
    scene.torrents = [torrentSnapshot({ state, uploaded: 3 })];
    clock.advance(40_000);
  }
  const events = () => terminal.stdout.lines.map((line) => JSON.parse(line).event);
  assertEquals(events(), ["progress", "stopped"]);
  view.event(ADDED);
  scene.torrents = [torrentSnapshot()];
  clock.advance(1000);
  assertEquals(events(), ["progress", "stopped", "added", "progress"]);
  await view.close();
});

Deno.test("JsonView prints every event with event and time first", async () => {
  const { terminal, view } = json();
  view.start();
  const events: ViewEvent[] = [
    ADDED,
    { event: "checking", infohash: HASH, progress: 0.25 },
    TRACKER_DOWN,
    { event: "hash_failed", infohash: HASH, piece: 7, peers: ["a"] },
    { event: "warning", infohash: HASH, message: "cannot save", where: "/state" },
    { event: "error", infohash: HASH, code: "storage", message: "no room", where: "x" },
    { event: "stopped", infohash: HASH, downloaded: 1, uploaded: 2 },
  ];
  for (const event of events) view.event(event);
  const printed = terminal.stdout.lines.map((line) => JSON.parse(line));
  for (const [i, event] of events.entries()) {
    assertEquals(Object.keys(printed[i]).slice(0, 2), ["event", "time"]);
    assertEquals(printed[i], { ...event, time: "2026-01-01T00:00:00.000Z" });
  }
  await view.close();
});

Deno.test("JsonView prints the last progress before completed, peers with -v only, failures, and no sentences", async () => {
  const { terminal, view } = json();
  view.start();
  view.event(BANNED);
  view.note("stopping");
  view.event(COMPLETED);
  view.failed(new ShoalError("timeout", { what: "gave up", where: "debian.iso", why: "nothing arrived" }));
  const printed = terminal.stdout.lines.map((line) => JSON.parse(line));
  assertEquals(printed.map((line) => line.event), ["progress", "completed", "error"]);
  assertEquals(Object.keys(printed[1]), ["event", "time", "infohash", "name", "seconds", "bytes", "rate", "paths"]);
  assertEquals(printed[2].code, "timeout");
  assertEquals(terminal.stderr.text, "");
  await view.close();

  const verbose = json({ verbosity: 1 });
  verbose.view.start();
  verbose.view.event(BANNED);
  assertEquals(JSON.parse(verbose.terminal.stdout.text).action, "banned");
  await verbose.view.close();
});

const MAPPED: PortMapEvent = {
  event: "port_map",
  infohash: null,
  status: "ok",
  protocol: "tcp",
  external: "9.9.9.9:6881",
  message: "UPnP gateway 192.168.1.1",
};
const UNMAPPED: PortMapEvent = {
  ...MAPPED,
  status: "error",
  protocol: null,
  external: null,
  message: "nobody answers",
};

Deno.test("LogLines tells of port mapping with -v only, and never as a warning", () => {
  for (const event of [MAPPED, UNMAPPED]) assertEquals(new LogLines(0).of(event), null);
  const log = new LogLines(1);
  assertEquals(log.of(MAPPED), {
    level: "note",
    text: "others reach us at 9.9.9.9:6881, TCP, through the UPnP gateway 192.168.1.1",
  });
  assertEquals(log.of(UNMAPPED), { level: "note", text: "others may not reach us: no port mapping: nobody answers" });
});

Deno.test("eventLine() has every field of a port mapping", () => {
  const { event, infohash, status, protocol, external, message } = MAPPED;
  const line = { event, time: "1970-01-01T00:00:00.000Z", infohash, status, protocol, external, message };
  assertEquals(eventLine(MAPPED, 0), line);
});
