import {
  assert,
  assertEquals,
  assertLessOrEqual,
  assertMatch,
  assertNotMatch,
  assertStringIncludes,
} from "@std/assert";
import stringWidth from "string-width";
import { utf8 } from "../../src/base/bytes.ts";
import type { PieceCell, PieceMap } from "../../src/swarm/piece_map.ts";
import type {
  PeerSnapshot,
  TorrentSnapshot,
  TorrentSources,
  TorrentState,
  TrackerSource,
} from "../../src/session/session_events.ts";
import { layout, type Picture, renderDashboard, scrollArea } from "../../src/ui/dashboard.ts";
import { type Key, KeyReader } from "../../src/ui/keys.ts";
import { parseLimits } from "../../src/ui/limit_prompt.ts";
import { FIRST_STATE, handleKey, type LiveState } from "../../src/ui/live_state.ts";
import { renderPieces } from "../../src/ui/piece_row.ts";
import { RateHistory, renderSpark } from "../../src/ui/spark.ts";
import type { Style } from "../../src/ui/style.ts";
import { PEER_ORDERS } from "../../src/ui/table.ts";
import { renderWaiting } from "../../src/ui/waiting_lines.ts";
import { fc, tries } from "../support/property.ts";
import { anyText } from "./any_text.ts";
import { infoHashOf, peerSnapshot, torrentSnapshot } from "./snapshots.ts";

const PLAIN: Style = { color: false, unicode: true };
const ASCII: Style = { color: false, unicode: false };
const COLOR: Style = { color: true, unicode: true };
const TRUE_COLOR: Style = { color: true, unicode: true, depth: "all" };
// deno-lint-ignore no-control-regex
const SGR = /\x1b\[[\d;]+m/g;

const bytes = fc.double({ min: 0, max: 2 ** 60, noNaN: true });
const part = fc.double({ min: 0, max: 1, noNaN: true });
const anyPeer = fc.record({
  address: fc.oneof(fc.ipV4().map((ip) => `${ip}:51413`), fc.ipV6().map((ip) => `[${ip}]:6881`)),
  client: anyText(),
  flags: fc.constantFrom("", "D", "DUOSIF", "d"),
  progress: part,
  rateDown: bytes,
  rateUp: bytes,
  downloaded: bytes,
  uploaded: bytes,
});
const anyTorrent = fc.record({
  name: anyText(80),
  state: fc.constantFrom<TorrentState>(
    "metadata",
    "checking",
    "downloading",
    "seeding",
    "paused",
    "stopped",
    "queued",
    "error",
  ),
  size: bytes,
  verified: bytes,
  progress: part,
  downloaded: bytes,
  uploaded: bytes,
  rateDown: bytes,
  rateUp: bytes,
  eta: fc.option(fc.double({ min: 0, max: 1e9, noNaN: true })),
  peerCount: fc.nat({ max: 100_000 }),
  seedCount: fc.nat({ max: 100_000 }),
  peers: fc.array(anyPeer, { maxLength: 30 }),
  reason: anyText(200),
}).map(({ reason, ...parts }) => torrentSnapshot({ ...parts, error: parts.state === "error" ? reason : null }));
const anyCell: fc.Arbitrary<PieceCell> = fc.record({
  done: part,
  active: fc.boolean(),
  wanted: fc.boolean(),
  rarest: fc.option(fc.nat({ max: 9 })),
});
const anyState: fc.Arbitrary<LiveState> = fc.record({
  selected: fc.nat({ max: 3 }),
  order: fc.constantFrom(...PEER_ORDERS),
  panel: fc.constantFrom("overview" as const, "files" as const, "sources" as const, "help" as const),
  scroll: fc.nat({ max: 99 }),
  prompt: fc.option(fc.string({ maxLength: 32 }).map((text) => text.replace(/[^ -~]/g, ""))),
  complaint: fc.constantFrom("", "not understood"),
});
const seconds = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }));
const anySources: fc.Arbitrary<TorrentSources> = fc.record({
  active: fc.boolean(),
  isPrivate: fc.boolean(),
  pex: fc.boolean(),
  trackers: fc.array(
    fc.record({
      url: fc.oneof(fc.webUrl(), anyText(300)),
      tier: fc.nat(),
      state: fc.constantFrom("announcing" as const, "leaving" as const, "waiting" as const, "idle" as const),
      status: fc.constantFrom("ok" as const, "warning" as const, "error" as const, null),
      message: anyText(300),
      seeders: fc.option(fc.nat()),
      leechers: fc.option(fc.nat()),
      peers: fc.option(fc.nat()),
      others: fc.boolean(),
      failures: fc.nat(),
      secondsSinceAnswer: seconds,
      secondsUntilNext: seconds,
    }),
    { maxLength: 30 },
  ),
  dht: fc.option(fc.record({
    state: fc.constantFrom("joining" as const, "asking" as const, "waiting" as const, "stopped" as const),
    nodes: fc.nat(),
    secondsSinceStart: fc.double({ min: 0, max: 1e6, noNaN: true }),
    last: fc.option(fc.record({ answered: fc.nat(), peers: fc.nat() })),
    secondsSinceAnswer: seconds,
    secondsUntilNext: seconds,
  })),
  lsd: fc.option(fc.record({ heard: fc.nat(), secondsUntilNext: seconds })),
  port: fc.record({
    tcp: fc.nat({ max: 65535 }),
    udp: fc.nat({ max: 65535 }),
    mapping: fc.constantFrom("off" as const, "asking" as const, "mapped" as const, "failed" as const),
    external: fc.option(anyText(60)),
    message: anyText(100),
  }),
  webSeeds: fc.array(fc.record({
    url: fc.webUrl(),
    status: fc.constantFrom(...["unused", "sending", "ready", "failed", "given up"] as const),
    message: anyText(100),
    downloaded: bytes,
    secondsUntilNext: seconds,
  })),
});
const anyPicture: fc.Arbitrary<Picture> = fc.record({
  torrents: fc.array(anyTorrent, { maxLength: 6 }),
  state: anyState,
  cell: anyCell,
  rates: fc.array(bytes, { maxLength: 90 }),
  files: fc.array(fc.record({ path: anyText(), size: bytes, verified: bytes, wanted: fc.boolean() }), { maxLength: 9 }),
  sources: fc.option(anySources),
  log: fc.array(fc.constantFrom("short", "long ".repeat(60)), { maxLength: 6 }),
  peerRows: fc.nat({ max: 50 }),
  limits: fc.record({ down: fc.option(bytes), up: fc.option(bytes) }),
  stalled: fc.constantFrom(new Set<string>(), new Set([infoHashOf(0).hex])),
}).map(({ cell, rates, files, sources, ...rest }) => ({
  ...rest,
  rates: { down: historyOf(rates), up: historyOf([]) },
  pieces: (cells) => mapOf(Math.min(cells, 999), () => cell),
  files: () => files,
  sources: () => sources,
}));

function historyOf(rates: readonly number[], start = 0): RateHistory {
  const history = new RateHistory();
  for (const [i, rate] of rates.entries()) history.note(start + i * 1000, rate);
  return history;
}

function mapOf(count: number, cell: (i: number) => PieceCell): PieceMap {
  const cells = Array.from({ length: count }, (_, i) => cell(i));
  return { pieces: 2980, have: 1234, missing: 1746, started: 12, cells };
}

/** Returns the picture of a good moment in the demo. */
function picture(parts: Partial<Picture> = {}): Picture {
  const peers = Array.from({ length: 6 }, (_, i) =>
    peerSnapshot({
      address: `10.99.0.${i}:51413`,
      progress: i / 5,
      rateDown: (6 - i) * 1_000_000,
      rateUp: i * 200_000,
      uploaded: i * 9_000_000,
    }));
  const torrent = torrentSnapshot({ name: "debian-12.8.0-\u6f22\u5b57.iso", peerCount: 6, seedCount: 1, peers });
  const rates = Array.from({ length: 60 }, (_, i) => 6_000_000 * (1 + Math.sin(i / 8)));
  return {
    torrents: [torrent],
    state: FIRST_STATE,
    rates: { down: historyOf(rates), up: historyOf(rates.map((rate) => rate / 20)) },
    pieces: (cells) =>
      mapOf(cells, (i) => {
        const at = i / cells;
        const done = at < 0.4 ? 1 : at < 0.5 ? 0.7 : at < 0.6 ? 0.2 : 0;
        return {
          done,
          active: i % 23 === 7 && done < 1,
          wanted: at < 0.95,
          rarest: done === 1 ? null : at > 0.9 ? 1 : 4,
        };
      }),
    files: () => [
      { path: "disc/debian.iso", size: 3_900_000_000, verified: 1_950_000_000, wanted: true },
      { path: "README", size: 2_000, verified: 2_000, wanted: true },
      { path: "extras/\u{1f41f}.mkv", size: 700_000_000, verified: 0, wanted: false },
    ],
    sources: () => SOURCES,
    log: ["warning: tracker http://tracker.test/announce failed: connection refused"],
    peerRows: 6,
    limits: { down: null, up: null },
    stalled: new Set(),
    ...parts,
  };
}

/** Sources in every state. */
const SOURCES: TorrentSources = {
  active: true,
  isPrivate: false,
  pex: true,
  trackers: [
    trackerSource({ url: "http://tracker.example:6969/announce", status: "error", message: "connection refused" }),
    trackerSource({ url: "udp://other.example:1337/ann***", status: "ok", peers: 50, seeders: 12, leechers: 240 }),
    trackerSource({ url: "https://warns.example/announce", status: "warning", message: "moving soon", peers: 0 }),
    trackerSource({ url: "http://slow.example/announce", state: "announcing", secondsUntilNext: null }),
    trackerSource({ url: "http://spare.example/announce", state: "idle", secondsUntilNext: null }),
  ],
  dht: {
    state: "waiting",
    nodes: 143,
    secondsSinceStart: 600,
    last: { answered: 40, peers: 17 },
    secondsSinceAnswer: 60,
    secondsUntilNext: 840,
  },
  lsd: { heard: 2, secondsUntilNext: 250 },
  port: {
    tcp: 6881,
    udp: 6881,
    mapping: "mapped",
    external: "203.0.113.7:6881",
    message: "UPnP gateway 192.168.1.1",
  },
  webSeeds: [
    { url: "http://web.example/box", status: "ready", message: "", downloaded: 90_000_000, secondsUntilNext: null },
    {
      url: "http://gone.example/box",
      status: "given up",
      message: "it answers 404",
      downloaded: 0,
      secondsUntilNext: null,
    },
    { url: "http://busy.example/", status: "failed", message: "it answers 503", downloaded: 0, secondsUntilNext: 20 },
    { url: "http://new.example/", status: "unused", message: "", downloaded: 0, secondsUntilNext: null },
    { url: "http://now.example/", status: "sending", message: "", downloaded: 5, secondsUntilNext: null },
  ],
};

function trackerSource(parts: Partial<TrackerSource>): TrackerSource {
  return {
    url: "",
    tier: 0,
    state: "waiting",
    status: null,
    message: "",
    seeders: null,
    leechers: null,
    peers: null,
    others: true,
    failures: 0,
    secondsSinceAnswer: 5,
    secondsUntilNext: 1205,
    ...parts,
  };
}

/** Compares with a saved screen; UPDATE_SCREENS=1 saves the screen anew. */
function assertScreen(name: string, lines: readonly string[]): void {
  const path = new URL(`screens/${name}.txt`, import.meta.url);
  const text = lines.map((line) => `${line.trimEnd()}\n`).join("");
  if (Deno.env.get("UPDATE_SCREENS")) Deno.writeTextFileSync(path, text);
  assertEquals(text, Deno.readTextFileSync(path));
}

for (const [columns, rows] of [[40, 24], [80, 24], [200, 50], [20, 5]] as const) {
  Deno.test(`renderDashboard() at ${columns} by ${rows}`, () => {
    assertScreen(`${columns}x${rows}`, renderDashboard(picture(), { columns, rows, style: PLAIN }));
  });
}

Deno.test("renderDashboard() shows files, help and the prompt in place of the rest", () => {
  const draw = (state: Partial<LiveState>, more: Partial<Picture> = {}) =>
    renderDashboard(picture({ state: { ...FIRST_STATE, ...state }, ...more }), { columns: 80, rows: 24, style: ASCII });
  assertScreen("80x24-files", draw({ panel: "files" }));
  const limits = { down: 5 << 20, up: null };
  assertEquals(draw({}, { limits }).at(-1)!.includes("l limits 5 MiB/s / none"), true);
  assertEquals(draw({ prompt: "5M" }, { limits }).at(-1), "limits, down up: 5M_   like 5M 500K; 0 none; - as it is");
});

/** What a torrent says while nothing arrives. */
const DEAD_TRACKER =
  "tracker.example:6969 has not answered, asked again in 12 s \u00b7 DHT: no node answers \u00b7 14 peers blocked";

/** Torrents to which nothing arrives, by the name of their screen. */
const WAITING: Readonly<Record<string, Partial<TorrentSnapshot>>> = {
  "no-peers": { waiting: "it has no trackers, the DHT and local discovery are off: nobody can be found" },
  "dead-tracker": { waiting: DEAD_TRACKER },
  "choked": {
    waiting: "8 peers, all choke us",
    peers: Array.from(
      { length: 8 },
      (_, i) => peerSnapshot({ address: `10.99.0.${i}:51413`, flags: "dF", rateDown: 0 }),
    ),
    peerCount: 8,
    seedCount: 8,
  },
  "stalled": {
    waiting: "stalled for 40 s: nobody has the 3 pieces that are missing",
    peers: [0, 1].map((i) => peerSnapshot({ address: `10.99.0.${i}:51413`, flags: "F", rateDown: 0, progress: 0.99 })),
    peerCount: 2,
    progress: 0.999,
  },
  "failed-alone": { state: "error", waiting: "cannot write: no space left on the device (/mnt/disk/debian.iso)" },
};

for (const [name, parts] of Object.entries(WAITING)) {
  for (const [columns, rows] of [[80, 24], [40, 15]] as const) {
    Deno.test(`renderDashboard() says why nothing arrives: ${name} at ${columns} by ${rows}`, () => {
      const torrent = torrentSnapshot({ rateDown: 0, rateUp: 0, eta: null, ...parts });
      const rates = { down: historyOf([]), up: historyOf([]) };
      const peerRows = torrent.peers.length;
      const lines = renderDashboard(picture({ torrents: [torrent], rates, peerRows }), { columns, rows, style: PLAIN });
      assertScreen(`${columns}x${rows}-${name}`, lines);
      assertStringIncludes(lines.join(" ").replaceAll(/ +/g, " "), parts.waiting!.slice(0, 25));
    });
  }
}

for (const [columns, rows, style] of [[80, 24, PLAIN], [40, 15, ASCII], [120, 40, PLAIN]] as const) {
  Deno.test(`renderDashboard() shows trackers, DHT, port and web seeds at ${columns} by ${rows}`, () => {
    const state = { ...FIRST_STATE, panel: "sources", scroll: columns === 40 ? 4 : 0 } as const;
    assertScreen(`${columns}x${rows}-trackers`, renderDashboard(picture({ state }), { columns, rows, style }));
  });
}

Deno.test("renderWaiting() leaves out what the state says, and cuts what is too long for three lines", () => {
  const draw = (parts: Partial<TorrentSnapshot>, width = 40, style = ASCII) =>
    renderWaiting(torrentSnapshot(parts), { width, style });
  assertEquals(draw({}), []);
  assertEquals(draw({ state: "paused", waiting: "it is paused" }), []);
  assertEquals(draw({ waiting: DEAD_TRACKER }), [
    "tracker.example:6969 has not answered,",
    "asked again in 12 s; DHT: no node",
    "answers; 14 peers blocked",
  ]);
  assertEquals(draw({ waiting: `${"word ".repeat(40)}end` }, 20).map((line) => line.length), [19, 19, 20]);
  assertEquals(draw({ state: "error", waiting: "broken" }, 20, COLOR), ["\x1b[31mbroken\x1b[39m"]);
});

/** The sizes of terminals in which every screen is looked at. */
const SIZES = [[40, 15], [80, 24], [120, 40], [200, 50]] as const;
const NO_SPACE =
  "no space left on the device (/home/ann/films/A long way/part 2.mkv): 12 GiB are needed, 3 GiB are free";
const STATES = ["downloading", "downloading", "downloading", "seeding", "error", "paused", "checking"] as const;

/** Returns torrents in all states, with long and wide names. */
function manyTorrents(count: number): TorrentSnapshot[] {
  return Array.from({ length: count }, (_, i) => {
    const state = i === 7 ? "stopped" : i === 8 ? "metadata" : i === 9 ? "queued" : STATES[i % STATES.length]!;
    const done = state === "seeding" || state === "stopped" ? 1 : state === "metadata" ? 0 : ((i * 37) % 90) / 100;
    const size = state === "metadata" ? 0 : 50_000_000 * 3 ** (i % 11);
    const moves = state === "downloading" && i !== 2;
    return torrentSnapshot({
      infoHash: infoHashOf(i),
      name: [
        `debian-12.${i}.0-amd64-netinst.iso`,
        `\u6f22\u5b57\u306e\u6620\u753b ${i}`,
        `a ${"long ".repeat(30)}name ${i}`,
      ][i % 3]!,
      state,
      error: state === "error" ? NO_SPACE : null,
      waiting: state === "error" ? NO_SPACE : null,
      size,
      verified: size * done,
      progress: done,
      rateDown: moves ? 900_000 * (i + 1) : 0,
      rateUp: moves || state === "seeding" ? 70_000 * i : 0,
      eta: moves ? 61 * 5 ** (i % 8) : done === 1 ? 0 : null,
      peerCount: moves ? 3 : 0,
      peers: moves ? manyPeers(3) : [],
    });
  });
}

function manyPeers(count: number): PeerSnapshot[] {
  return Array.from({ length: count }, (_, i) =>
    peerSnapshot({
      address: i % 5 === 4 ? `[2001:db8::${i}]:6881` : `10.99.${i % 3}.${i}:51413`,
      client: ["qBittorrent 4.5.2", "\u8fc5\u96f7 1.0", "", "Transmission 4.0.6"][i % 4]!,
      flags: ["DFE", "dUe", "uSI", "W", "DUOFE"][i % 5]!,
      progress: (i % 11) / 10,
      rateDown: i % 4 === 3 ? 0 : 12 * 9 ** (i % 8),
      rateUp: i % 3 === 0 ? 0 : 5_000 * i,
      downloaded: 3 ** i % 1e13,
      uploaded: i * 999_999,
    }));
}

const STALLED = new Set([infoHashOf(2).hex]);

for (const [columns, rows] of SIZES) {
  const window = { columns, rows, style: PLAIN };
  const name = `${columns}x${rows}`;

  Deno.test(`renderDashboard() shows a failed torrent among ten at ${name}`, () => {
    const torrents = manyTorrents(10);
    const draw = (selected: number) =>
      renderDashboard(picture({ torrents, state: { ...FIRST_STATE, selected }, stalled: STALLED, log: [] }), window);
    assertScreen(`${name}-failed`, draw(4));
    const [row, totals] = draw(3).filter((line) => line.includes("failed"));
    assertStringIncludes(row!, columns < 80 ? "\u6f22\u5b57" : "no space left on the device");
    assertStringIncludes(totals!, "1 failed");
  });

  Deno.test(`renderDashboard() shows 27 peers at ${name}`, () => {
    const torrents = [torrentSnapshot({ peers: manyPeers(27), peerCount: 27, seedCount: 3 })];
    const draw = (scroll: number) =>
      renderDashboard(picture({ torrents, state: { ...FIRST_STATE, scroll }, log: [], peerRows: 27 }), window);
    assertScreen(`${name}-peers`, draw(0));
    const { items, page } = scrollArea(picture({ torrents, log: [] }), window);
    assertEquals(items, 27);
    const seen = new Set<string>();
    for (let at = 0; at < 27; at += page) {
      for (const line of draw(at)) for (const [address] of line.matchAll(/^\S+:\d+(?= )/gu)) seen.add(address);
    }
    assertEquals(seen.size, 27, "scrolling shows every peer");
  });

  Deno.test(`renderDashboard() explains flags, marks and keys at ${name}`, () => {
    const draw = (scroll: number, style = PLAIN) =>
      renderDashboard(picture({ state: { ...FIRST_STATE, panel: "help", scroll } }), { ...window, style });
    assertScreen(`${name}-help`, draw(0));
    const { items, page } = scrollArea(picture({ state: { ...FIRST_STATE, panel: "help" } }), window);
    const whole = new Set<string>();
    for (let at = 0; at < items; at += page) for (const line of draw(at)) whole.add(line);
    const text = [...whole].join("\n");
    for (const flag of "DdUuOSIFEeW") assertMatch(text, new RegExp(`(^| )${flag}    ? ?\\S`, "m"), flag);
    for (const mark of "\u2588\u2593\u2592\u2591\u00b7+!-") assertStringIncludes(text, mark);
    assertStringIncludes(text, "rare");
    if (columns >= 80) assertEquals(page, items, "it fits");
    assertStringIncludes(draw(0, COLOR).join(columns < 80 ? "" : "\n").replace(SGR, ""), "Keys");
  });

  Deno.test(`renderDashboard() is whole with any number of torrents and peers at ${name}`, () => {
    for (const count of [0, 1, 2, 10, 200]) {
      for (const peers of [0, 1, 10, 200]) {
        const torrents = manyTorrents(count).map((torrent) => ({
          ...torrent,
          peers: manyPeers(peers),
          peerCount: peers,
        }));
        for (const selected of [0, count >> 1, Math.max(0, count - 1)]) {
          const state = { ...FIRST_STATE, selected, scroll: 3 };
          const lines = renderDashboard(picture({ torrents, state, peerRows: peers, stalled: STALLED }), window);
          if (count === 0) {
            assertEquals(lines, []);
            continue;
          }
          assertWhole(lines, { columns, rows, count, peers });
        }
      }
    }
  });
}

/** Checks that a screen has its parts, and that what it leaves out is counted. */
function assertWhole(
  lines: readonly string[],
  { columns, rows, count, peers }: Record<"columns" | "rows" | "count" | "peers", number>,
): void {
  const text = `\n${lines.join("\n")}`;
  assertLessOrEqual(lines.length, rows - 1, text);
  for (const line of lines) assertLessOrEqual(stringWidth(line), columns, text);
  assertStringIncludes(lines.at(-1)!, "q quit", text);
  const of = (found: RegExp) => lines.filter((line) => found.test(line)).length;
  if (count > 1) {
    assertEquals(of(/^ +STATE +DONE .*NAME$/), 1, text);
    assertEquals(of(/^\u25b8 /), 1, text);
    const total = lines.findIndex((line) => line.startsWith("  total"));
    const more = Number(/ (\d+) more/.exec(lines[total]!)?.[1] ?? 0);
    assertEquals(total - 1 + more, count, text);
  }
  const head = lines.findIndex((line) => /^PEER .*HAS/.test(line));
  if (head >= 0) {
    const shown = lines.slice(head + 1).filter((line) => /^\S+:\d+ /.test(line)).length;
    const hint = lines.find((line) => /scroll$/.test(line)) ?? "";
    const numbers = [...hint.matchAll(/(\d+) (?:above|more)/g)].map(([, number]) => Number(number));
    assertEquals(numbers.reduce((a, b) => a + b, shown), peers, text);
  }
  if (rows >= 24 && peers > 0) assert(head >= 0, text);
}

Deno.test("renderDashboard() names the states so that they look different, and gives no time left to what does not download", () => {
  const rows: readonly [Partial<TorrentSnapshot>, boolean, string][] = [
    [{ state: "downloading" }, false, "downloading   50.0%    3.7 GiB   11.4 MiB/s  878.9 KiB/s   2m 46s"],
    [
      { state: "downloading", rateDown: 0, eta: null },
      true,
      "stalled       50.0%    3.7 GiB            -  878.9 KiB/s        -",
    ],
    [
      { state: "paused", rateDown: 0, eta: 1 },
      true,
      "paused        50.0%    3.7 GiB            -  878.9 KiB/s        -",
    ],
    [{ state: "stopped", verified: 4e9, progress: 1, eta: 0 }, false, "complete     100.0%"],
    [{ state: "stopped", eta: 0 }, false, "stopped       50.0%"],
    [{ state: "seeding", verified: 4e9, progress: 1, eta: 0 }, false, "seeding      100.0%"],
    [{ state: "error", error: "gone" }, false, "failed        50.0%  gone  "],
    [{ state: "queued", eta: 9 }, false, "queued        50.0%"],
  ];
  for (const [parts, isStalled, expected] of rows) {
    const torrents = [torrentSnapshot(parts), torrentSnapshot({ infoHash: infoHashOf(1), state: "metadata" })];
    const stalled = new Set(isStalled ? [torrents[0]!.infoHash.hex] : []);
    const lines = renderDashboard(picture({ torrents, stalled }), { columns: 120, rows: 24, style: PLAIN });
    assertStringIncludes(lines[1]!, expected);
    const isDownload = parts.state === "downloading";
    assertEquals(/ETA +[\d-]/.test(lines.join("\n")), isDownload, expected); // in the detail below the list
    assertEquals(/\b1s\b/.test(lines.join("\n")), false);
  }
});

Deno.test("renderDashboard() never draws past the window, whatever it is given", () => {
  const columns = fc.integer({ min: 1, max: 250 });
  const rows = fc.integer({ min: 1, max: 60 });
  const style = fc.constantFrom(PLAIN, ASCII, COLOR, TRUE_COLOR);
  fc.assert(
    fc.property(anyPicture, columns, rows, style, (picture, columns, rows, style) => {
      const lines = renderDashboard(picture, { columns, rows, style });
      assertLessOrEqual(lines.length, Math.max(1, rows - 1));
      for (const line of lines) {
        const text = line.replace(SGR, "");
        assertLessOrEqual(stringWidth(text), columns, JSON.stringify(text));
        assertNotMatch(text, /[\p{Cc}\p{Cf}]/u);
        if (!style.unicode) assertNotMatch(text, /[^\x20-\x7e]/);
        if (!style.color) assertEquals(text, line);
      }
    }),
    { numRuns: tries(150) },
  );
});

Deno.test("shareOut() gives each part its place by the size of the window, the torrent first", () => {
  const parts = (rows: number) => {
    const share = layout({ columns: 80, rows }, 1);
    return Object.entries(share).filter(([, lines]) => lines > 0).map(([name]) => name).join(" ");
  };
  assertEquals(parts(2), "list");
  assertEquals(parts(4), "torrent");
  assertEquals(parts(8), "torrent spark peers keys");
  assertEquals(parts(24), "torrent spark map peers log keys");
  for (let rows = 1; rows < 80; rows++) {
    const total = Object.values(layout({ columns: 80, rows }, 3)).reduce((a, b) => a + b, 0);
    assertLessOrEqual(total, Math.max(1, rows - 1), `${rows}`);
  }
});

Deno.test("renderPieces() shades what is here and marks the rest, with and without colour", () => {
  const cells: PieceCell[] = [
    { done: 1, active: false, wanted: true, rarest: null },
    { done: 0.9, active: false, wanted: true, rarest: 5 },
    { done: 0.5, active: false, wanted: true, rarest: 5 },
    { done: 0.1, active: false, wanted: true, rarest: 5 },
    { done: 0.1, active: true, wanted: true, rarest: 5 },
    { done: 0, active: false, wanted: true, rarest: 1 },
    { done: 0, active: false, wanted: true, rarest: 5 },
    { done: 0, active: false, wanted: false, rarest: null },
  ];
  const map = { pieces: 80, have: 10, missing: 60, started: 1, cells };
  const draw = (style: Style) => renderPieces(map, { width: 8, rows: 1, style })[1]!;
  assertEquals(draw(PLAIN), "\u2588\u2593\u2592\u2591+!\u00b7-");
  assertEquals(draw(ASCII), "#%=:+!.-");
  assertEquals(draw(COLOR).replace(SGR, ""), "\u2588\u2593\u2592\u2591\u2591\u2591\u00b7-");
  assertStringIncludes(draw(COLOR), "\x1b[33m\u2591\x1b[39m\x1b[31m\u2591\x1b[39m");
  assertStringIncludes(draw(TRUE_COLOR), "\x1b[38;2;64;214;190m\u2588\x1b[39m");
  // Few pieces are drawn wide.
  assertEquals(renderPieces({ ...map, cells: cells.slice(0, 3) }, { width: 8, rows: 1, style: ASCII })[1], "##%%==");
});

Deno.test("RateHistory keeps a minute, and draws what is past as it was", () => {
  const history = new RateHistory();
  assertEquals(renderSpark(history, { width: 4, style: ASCII }), "    ");
  for (let second = 0; second < 200; second++) history.note(second * 1000 + 999, second);
  assertEquals(history.peak, 199);
  assertEquals(history.steps(60).length, 60);
  const before = history.steps(20);
  history.note(200_000, 0);
  assertEquals(history.steps(20).slice(0, -1), before.slice(0, -1));
  assertEquals(renderSpark(historyOf([0, 50, 100]), { width: 60, style: ASCII }), `${" ".repeat(57)}_=#`);
  // Time during which the program was suspended does not shift the rest.
  history.note(500_000, 7);
  assertEquals(history.steps(60), Array(60).fill(7));
});

const keysOf = (text: string, typing = false) =>
  new KeyReader().read(utf8(text), { typing }).map((key) => key.kind === "named" ? key.name : key.character);

Deno.test("KeyReader knows the keys of common terminals, over any cut", () => {
  assertEquals(
    ["q", "\x1b[A", "\x1bOB", "\x1b[5~", "\x1b[H", "\x1b[Z", "\t", "\x1b", "\r", "\x7f", "\x03"].flatMap((k) =>
      keysOf(k)
    ),
    [
      "q",
      "up",
      "down",
      "page-up",
      "home",
      "back-tab",
      "tab",
      "escape",
      "enter",
      "backspace",
      "interrupt",
    ],
  );
  const reader = new KeyReader();
  const bytes = utf8("\x1b[6~");
  assertEquals(reader.read(bytes.subarray(0, 2)), []);
  assertEquals(reader.read(bytes.subarray(2)), [{ kind: "named", name: "page-down" }]);
});

Deno.test("KeyReader takes where the cursor is for an answer, and for no key", () => {
  const rows: number[] = [];
  const reader = new KeyReader({ onCursor: (row) => rows.push(row) });
  assertEquals(reader.read(utf8("\x1b[24;1Rq\x1b[1;80R")), [{ kind: "character", character: "q" }]);
  assertEquals(reader.read(utf8("\x1b[R\x1b[5R\x1b[99999;1R\x1b[1;2S")), []);
  assertEquals(rows, [24, 1]);
});

Deno.test("KeyReader takes no text for keys, unless text is asked for", () => {
  assertEquals(keysOf("qu"), []);
  assertEquals(keysOf("\x1b[200~q\x1b[201~"), ["q"]); // one character is a key, even if it was pasted
  assertEquals(keysOf("q".repeat(30)), []);
  assertEquals(keysOf("ss"), []);
  assertEquals(keysOf("5M", true), ["5", "M"]);
  assertEquals(keysOf("\x1b[1;5A\x1b[999999999999~\u6f22\xff"), []);
});

Deno.test("whatever is typed, the state stays one that can be drawn", () => {
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom("f", "l", "?", "s", "\t", "\x1b[A", "\x1b[B", "\x1b[F", "5M\r").map((k) => utf8(k)),
  );
  const around = { torrents: 3, items: 9, page: 4 };
  fc.assert(fc.property(fc.array(chunk, { maxLength: 30 }), (chunks) => {
    const reader = new KeyReader();
    let state = FIRST_STATE;
    for (const bytes of chunks) {
      const keys: Key[] = reader.read(Uint8Array.from(bytes), { typing: state.prompt !== null });
      for (const key of keys) state = handleKey(state, { key, around }).state;
      assert(state.selected >= 0 && state.selected < 3);
      assert(state.scroll >= 0 && state.scroll <= 5);
      assert((state.prompt ?? "").length <= 32);
    }
  }));
});

Deno.test("pressed() selects, sorts, scrolls, pauses and asks for limits", () => {
  const around = { torrents: 2, items: 9, page: 4 };
  const play = (...names: string[]) => {
    let state = FIRST_STATE;
    const deeds: unknown[] = [];
    for (const name of names) {
      const key = name.length === 1 ? { kind: "character", character: name } : { kind: "named", name };
      const step = handleKey(state, { key: key as Key, around });
      state = step.state;
      if (step.action) deeds.push(step.action);
    }
    return { state, deeds };
  };
  assertEquals(play("tab", "tab", "up").state.selected, 1);
  assertEquals(play("s", "s").state.order, "up");
  assertEquals(play("f", "down", "page-down").state.scroll, 5);
  assertEquals(play("f", "end", "home").state.scroll, 0);
  assertEquals(play("f", "f").state.panel, "overview");
  assertEquals(play("page-down", "down").state, { ...FIRST_STATE, scroll: 0, selected: 1 });
  assertEquals(play("?", "down", "page-down").state, { ...FIRST_STATE, panel: "help", scroll: 5 });
  assertEquals(
    handleKey(FIRST_STATE, { key: { kind: "named", name: "down" }, around: { ...around, torrents: 1 } }).state,
    {
      ...FIRST_STATE,
      scroll: 1,
    },
  );
  assertEquals(play("p", "P", "q").deeds, [
    { kind: "pause", all: false },
    { kind: "pause", all: true },
    { kind: "quit" },
  ]);
  assertEquals(play("l", "q", "backspace", "5", "M", "enter").deeds, [{ kind: "limits", down: 5 << 20 }]);
  assertEquals(play("l", "x", "enter").state, { ...FIRST_STATE, prompt: "x", complaint: "not understood" });
  assertEquals(play("l", "5", "escape", "q").deeds, [{ kind: "quit" }]);
  assertEquals(play("l", "5", "interrupt").deeds, [{ kind: "quit" }]);
});

Deno.test("parseLimits() reads what comes, then what goes", () => {
  assertEquals(parseLimits("5M 500k"), { down: 5 << 20, up: 500 << 10 });
  assertEquals(parseLimits("- 0"), { up: null });
  assertEquals(parseLimits(" none/1.5K "), { down: null, up: 1536 });
  assertEquals(parseLimits("5MB 500KiB"), { down: 5e6, up: 500 << 10 });
  for (const bad of ["", "x", "5M 5M 5M", "-5", "5X", "1e9", "9".repeat(20)]) assertEquals(parseLimits(bad), null, bad);
});
