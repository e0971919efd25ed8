import { assert, assertEquals, assertLessOrEqual, assertNotMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import stringWidth from "string-width";
import type { TorrentState } from "../../src/session/types.ts";
import { renderBar } from "../../src/ui/bar.ts";
import { placeColumns } from "../../src/ui/grid.ts";
import { painted, styleFor } from "../../src/ui/style.ts";
import { renderTable } from "../../src/ui/table.ts";
import { anyText } from "./any_text.ts";
import { peerSnapshot, torrentSnapshot } from "./snapshots.ts";

fc.configureGlobal({ seed: 1 }); // so that every run is the same

const PLAIN = { color: false, unicode: true };
const ASCII = { color: false, unicode: false };
const COLOR = { color: true, unicode: true };
// deno-lint-ignore no-control-regex
const SGR = /\x1b\[\d+m/g;

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
  state: fc.constantFrom<TorrentState>("checking", "downloading", "seeding", "stopping", "stopped", "failed"),
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
}).map((parts) => torrentSnapshot(parts));

Deno.test("renderTable() never draws past the window, whatever it is given", () => {
  fc.assert(
    fc.property(
      fc.array(anyTorrent, { maxLength: 8 }),
      fc.integer({ min: 40, max: 250 }),
      fc.integer({ min: 2, max: 60 }),
      fc.constantFrom(PLAIN, ASCII, COLOR),
      (torrents, columns, rows, style) => {
        const lines = renderTable(torrents, { columns, rows, style });
        assertLessOrEqual(lines.length, rows - 1);
        for (const line of lines) {
          const text = line.replace(SGR, "");
          assertLessOrEqual(stringWidth(text), columns, JSON.stringify(text));
          assertNotMatch(text, /[\p{Cc}\p{Cf}]/u);
          if (!style.unicode) assertNotMatch(text, /[^\x20-\x7e]/);
          if (!style.color) assertEquals(text, line);
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("renderTable() puts bar and numbers on one line where there is room", () => {
  const lines = renderTable([torrentSnapshot({ peerCount: 24, seedCount: 9 })], {
    columns: 80,
    rows: 24,
    style: PLAIN,
  });
  assertEquals(lines.length, 2);
  assertEquals(lines[0], `downloading  debian.iso${" ".repeat(40)}24 peers, 9 seeds`);
  assertStringIncludes(lines[1]!, "  50.0%   1.9 / 3.73 GiB  \u2193 11.4 MiB/s  \u2191  879 KiB/s  ETA 2m 46s");
});

Deno.test("renderTable() keeps progress, rate and time left on the narrowest terminal", () => {
  const lines = renderTable([torrentSnapshot()], { columns: 40, rows: 24, style: ASCII });
  assertEquals(lines, [
    "downloading  debian.iso          0 peers",
    "[###############----------------]  50.0%",
    "1.9 / 3.73 GiB  D 11.4 MiB/s  2m 46s ",
  ]);
});

Deno.test("renderTable() shows the ratio instead of the time left while seeding", () => {
  const torrent = torrentSnapshot({ state: "seeding", progress: 1, uploaded: 3_000_000_000 });
  assertStringIncludes(renderTable([torrent], { columns: 80, rows: 24, style: PLAIN })[1]!, "ratio 1.50");
});

Deno.test("renderTable() lists the busiest peers first and drops columns as the window narrows", () => {
  const peers = [
    peerSnapshot({ address: "10.0.0.1:1", client: "idle", rateDown: 0 }),
    peerSnapshot({ address: "10.0.0.2:2", client: "fast", rateDown: 9_000_000 }),
    peerSnapshot({ address: "10.0.0.3:3", client: "taker", rateDown: 0, rateUp: 2_000_000 }),
  ];
  const draw = (columns: number) => renderTable([torrentSnapshot({ peers })], { columns, rows: 24, style: PLAIN });
  const wide = draw(120).slice(-4);
  assertEquals(wide[0]!.trim().split(/\s+/), ["PEER", "FLAGS", "HAS", "DOWN", "UP", "GOT", "GAVE", "CLIENT"]);
  assertEquals(wide.slice(1).map((line) => line.split(/\s+/)[0]), ["10.0.0.2:2", "10.0.0.3:3", "10.0.0.1:1"]);
  assertEquals(draw(80).at(-4)!.trim().split(/\s+/), ["PEER", "FLAGS", "HAS", "DOWN", "UP", "CLIENT"]);
  assertEquals(draw(40).at(-4)!.trim().split(/\s+/), ["PEER", "HAS", "DOWN"]);
});

Deno.test("renderTable() shows an IPv6 address whole where there is room", () => {
  const address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:51413";
  const torrent = torrentSnapshot({ peers: [peerSnapshot({ address })] });
  assertStringIncludes(renderTable([torrent], { columns: 120, rows: 24, style: PLAIN }).at(-1)!, `${address}  `);
});

Deno.test("renderTable() keeps the columns in line, whatever clients call themselves", () => {
  const clients = [
    "qBittorrent 4.5.2",
    "\u0e01\u0e34\u0e19 1",
    "\u6f22\u5b57 \ud83d\ude00",
    "a\nb\x1b[31m",
    "",
    "x".repeat(99),
  ];
  const peers = clients.map((client, i) => peerSnapshot({ address: `10.0.0.${i}:6881`, client, rateDown: 2_000_000 }));
  for (const columns of [40, 80, 200]) {
    const options = { columns, rows: 24, style: PLAIN };
    const [head, ...rows] = renderTable([torrentSnapshot({ peers })], options).slice(-clients.length - 1);
    const end = head!.indexOf("DOWN") + "DOWN".length;
    for (const row of rows) assertEquals(row.slice(end - 10, end), "1.91 MiB/s");
    const start = head!.indexOf("CLIENT");
    if (start >= 0) assertEquals(rows.map((row) => row[start]), ["q", "\u0e01", "\u6f22", "a", "-", "x"]);
  }
});

Deno.test("renderTable() names every torrent, however narrow the window and many they are", () => {
  const torrents = Array.from({ length: 6 }, (_, i) => torrentSnapshot({ name: `\u6f22\u5b57 ${i}` }));
  const lines = renderTable(torrents, { columns: 40, rows: 10, style: PLAIN });
  assertEquals(lines.map((line) => line.slice(-4)), torrents.map(({ name }) => name));
});

Deno.test("renderTable() leaves peers out, then uses one line a torrent, then sums up what does not fit", () => {
  const torrents = Array.from({ length: 6 }, (_, i) => torrentSnapshot({ name: `t${i}`, peers: [peerSnapshot()] }));
  const draw = (rows: number) => renderTable(torrents, { columns: 100, rows, style: PLAIN });
  assert(draw(16).at(-1)!.startsWith("10.99.0.1"));
  assertEquals(draw(15).length, 12);
  assertEquals(draw(12).length, 6);
  assertEquals(draw(5).length, 4);
  assertEquals(draw(5).at(-1), "3 more; all: 68.7 MiB/s down, 5.15 MiB/s up");
});

Deno.test("renderBar() is smooth to an eighth of a cell and full only at the end", () => {
  const bar = (progress: number) => renderBar(progress, { width: 6, paint: "cyan", style: PLAIN }).slice(1, -1);
  assertEquals(bar(0), "    ");
  assertEquals(bar(1 / 32), "\u258f   ");
  assertEquals(bar(0.5), "\u2588\u2588  ");
  assertEquals(bar(0.9999), "\u2588\u2588\u2588\u2589");
  assertEquals(bar(1), "\u2588\u2588\u2588\u2588");
  assertEquals(bar(7), "\u2588\u2588\u2588\u2588");
});

Deno.test("placeColumns() keeps the order, the most important first, and shares out what is left", () => {
  const column = (header: string, priority: number, min: number, max: number) => {
    return { header, priority, min, max, text: () => "" };
  };
  const columns = [column("a", 3, 5, 5), column("b", 1, 5, 30), column("c", 2, 5, 5)];
  const place = (width: number) => placeColumns(columns, width).map(({ column, width }) => `${column.header}${width}`);
  assertEquals(place(40), ["a5", "b26", "c5"]);
  assertEquals(place(60), ["a5", "b30", "c5"]);
  assertEquals(place(18), ["b11", "c5"]);
  assertEquals(place(4), []);
});

Deno.test("styleFor() honours NO_COLOR, dumb terminals and the locale", () => {
  const style = (env: Record<string, string>) => styleFor((name) => env[name]);
  assertEquals(style({ TERM: "xterm", LANG: "de_DE.UTF-8" }), { color: true, unicode: true });
  assertEquals(style({ TERM: "xterm" }), { color: true, unicode: true });
  assertEquals(style({ TERM: "xterm", NO_COLOR: "1" }).color, false);
  assertEquals(style({ TERM: "xterm", NO_COLOR: "" }).color, true);
  assertEquals(style({ TERM: "dumb" }), { color: false, unicode: false });
  assertEquals(style({ LC_ALL: "C", LANG: "de_DE.UTF-8" }).unicode, false);
  assertEquals(painted("x", "red", ASCII), "x");
  assertEquals(painted("x", "red", COLOR), "\x1b[31mx\x1b[39m");
  assertEquals(painted("x", "dim", COLOR), "\x1b[2mx\x1b[22m");
  assertEquals(painted("x", "plain", COLOR), "x");
});
