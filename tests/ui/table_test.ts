import { assertEquals, assertLessOrEqual, assertMatch, assertStringIncludes } from "@std/assert";
import stringWidth from "string-width";
import type { PeerSnapshot, TorrentSnapshot } from "../../src/session/session_events.ts";
import { renderBar } from "../../src/ui/bar.ts";
import { placeColumns } from "../../src/ui/grid.ts";
import { painted, styleFor, tinted } from "../../src/ui/style.ts";
import { type PeerOrder, renderPeers, renderTorrent } from "../../src/ui/table.ts";
import { renderList } from "../../src/ui/torrent_list.ts";
import { peerSnapshot, torrentSnapshot } from "./snapshots.ts";

const PLAIN = { color: false, unicode: true };
const ASCII = { color: false, unicode: false };
const COLOR = { color: true, unicode: true };

/** Returns the drawn table of a torrent's peers. */
function drawPeers(peers: readonly PeerSnapshot[], width: number, order: PeerOrder = "activity"): string[] {
  return renderPeers(peers, { width, order, room: 24, scroll: 0, keys: "arrows", style: PLAIN });
}

Deno.test("renderTorrent() puts bar and numbers on one line where there is room", () => {
  const lines = renderTorrent(torrentSnapshot({ peerCount: 24, seedCount: 9 }), {
    width: 80,
    stalled: false,
    style: PLAIN,
  });
  assertEquals(lines.length, 2);
  assertEquals(lines[0], `downloading  debian.iso${" ".repeat(40)}24 peers, 9 seeds`);
  assertStringIncludes(lines[1]!, "  50.0%  1.9 / 3.7 GiB  \u2193  11.4 MiB/s  \u2191 878.9 KiB/s  ETA  2m 46s");
});

Deno.test("renderTorrent() keeps progress, rate and time left on the narrowest terminal", () => {
  assertEquals(renderTorrent(torrentSnapshot(), { width: 40, stalled: false, style: ASCII }), [
    "downloading  debian.iso          0 peers",
    "[###############----------------]  50.0%",
    "1.9/3.7 GiB  D  11.4 MiB/s   2m 46s",
  ]);
});

Deno.test("renderTorrent() shows the ratio instead of the time left while seeding", () => {
  const torrent = torrentSnapshot({ state: "seeding", progress: 1, verified: 4e9, uploaded: 6e9 });
  assertStringIncludes(renderTorrent(torrent, { width: 80, stalled: false, style: PLAIN })[1]!, "ratio 1.50");
});

Deno.test("renderPeers() lists the busiest peers first and drops columns as the window narrows", () => {
  const peers = [
    peerSnapshot({ address: "10.0.0.1:1", client: "idle", rateDown: 0 }),
    peerSnapshot({ address: "10.0.0.2:2", client: "fast", rateDown: 9_000_000 }),
    peerSnapshot({ address: "10.0.0.3:3", client: "taker", rateDown: 0, rateUp: 2_000_000 }),
  ];
  const [head, ...wide] = drawPeers(peers, 120);
  assertEquals(head!.trim().split(/\s+/), ["PEER", "FLAGS", "HAS", "DOWN", "UP", "GOT", "GAVE", "CLIENT"]);
  assertEquals(wide.map((line) => line.split(/\s+/)[0]), ["10.0.0.2:2", "10.0.0.3:3", "10.0.0.1:1"]);
  assertEquals(drawPeers(peers, 80)[0]!.trim().split(/\s+/), ["PEER", "FLAGS", "HAS", "DOWN", "UP", "CLIENT"]);
  assertEquals(drawPeers(peers, 40)[0]!.trim().split(/\s+/), ["PEER", "HAS", "DOWN"]);
});

Deno.test("renderPeers() sorts by whichever column is asked for, and shows which", () => {
  const peers = [
    peerSnapshot({ address: "a:1", client: "Zed", progress: 0.1, rateUp: 9_000_000, downloaded: 1, uploaded: 5 }),
    peerSnapshot({ address: "b:1", client: "alpha", progress: 0.9, rateDown: 9, downloaded: 2 ** 30 }),
    peerSnapshot({ address: "c:1", client: "Mid", progress: 0.5, downloaded: 9, uploaded: 2 ** 20 }),
  ];
  const first = (order: PeerOrder) => drawPeers(peers, 120, order).slice(1).map((line) => line[0]).join("");
  const orders: PeerOrder[] = ["down", "up", "got", "gave", "has", "client", "address"];
  assertEquals(orders.map(first), ["acb", "abc", "bca", "cab", "bca", "bca", "abc"]);
  const bold = painted("HAS", "bold", COLOR);
  const place = { width: 80, room: 9, scroll: 0, keys: "arrows", style: COLOR };
  assertStringIncludes(renderPeers(peers, { ...place, order: "has" })[0]!, bold);
  assertEquals(renderPeers(peers, { ...place, order: "down" })[0]!.includes(bold), false);
});

Deno.test("renderPeers() shows an IPv6 address whole where there is room", () => {
  const address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:51413";
  assertStringIncludes(drawPeers([peerSnapshot({ address })], 120).at(-1)!, `${address}  `);
});

Deno.test("renderPeers() keeps the columns in line, whatever clients call themselves", () => {
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
    const [head, ...rows] = drawPeers(peers, columns);
    const end = head!.indexOf("DOWN") + "DOWN".length;
    for (const row of rows) assertEquals(row.slice(end - 11, end), "  1.9 MiB/s");
    const start = head!.indexOf("CLIENT");
    assertEquals(start >= 0, columns > 40);
    if (start >= 0) assertEquals(rows.map((row) => row[start]), ["q", "\u0e01", "\u6f22", "a", "-", "x"]);
  }
});

Deno.test("renderPeers() keeps wide characters in line in every column", () => {
  const peers = ["\u6f22\u5b57.example:1", "a.example:22"].map((address) => peerSnapshot({ address }));
  const ends = drawPeers(peers, 80).slice(1).map((line) => stringWidth(line.slice(0, line.indexOf("qB"))));
  assertEquals(ends[0], ends[1]);
});

Deno.test("renderPeers() counts the peers that do not fit, and scrolls to them", () => {
  const peers = Array.from({ length: 27 }, (_, i) => peerSnapshot({ address: `p${String(i).padStart(2, "0")}:1` }));
  const draw = (room: number, scroll: number) =>
    renderPeers(peers, { width: 80, order: "address", room, scroll, keys: "arrows", style: PLAIN });
  const show = (room: number, scroll: number) => {
    const lines = draw(room, scroll);
    return [lines.length, lines[1]!.slice(0, 3), lines.at(-1)];
  };
  assertEquals(show(12, 0), [12, "p00", "17 more, arrows scroll"]);
  assertEquals(show(12, 4), [12, "p04", "4 above, 13 more, arrows scroll"]);
  assertEquals(show(12, 99), [12, "p17", "17 above, arrows scroll"]);
  assertEquals(draw(28, 5).length, 28);
  assertEquals(draw(28, 5)[1]!.slice(0, 3), "p00");
  assertEquals(draw(2, 0).length, 2);
});

Deno.test("renderList() has headings and totals, names every torrent, and marks the selected one", () => {
  const torrents: TorrentSnapshot[] = Array.from(
    { length: 6 },
    (_, i) => torrentSnapshot({ name: `\u6f22\u5b57 ${i}` }),
  );
  const draw = (room: number, selected: number | null = null) =>
    renderList(torrents, { width: 100, room, selected, style: PLAIN, isStalled: () => false });
  const [head, ...lines] = draw(10);
  assertEquals(head!.split(/ +/), ["STATE", "DONE", "SIZE", "DOWN", "UP", "ETA", "NAME"]);
  assertEquals(lines.slice(0, -1).map((line) => line.slice(-4)), torrents.map(({ name }) => name));
  assertEquals(
    lines.at(-1),
    "total         50.0%   22.4 GiB   68.7 MiB/s    5.1 MiB/s        -  6 torrents, 6 downloading",
  );
  assertEquals(draw(8, 2).map((line) => line[0]).join(""), "   \u25b8    ");
  assertEquals(draw(5, 5).map((line) => line.slice(-4)), [
    "NAME",
    "\u6f22\u5b57 3",
    "\u6f22\u5b57 4",
    "\u6f22\u5b57 5",
    "ding",
  ]);
  assertStringIncludes(draw(5, 5).at(-1)!, "3 more, 6 downloading");
  assertEquals(draw(3, 5).map((line) => line.slice(-4)), ["\u6f22\u5b57 3", "\u6f22\u5b57 4", "\u6f22\u5b57 5"]);
});

Deno.test("renderList() shows a torrent that failed, even if it is far from the selected one", () => {
  const torrents = Array.from(
    { length: 200 },
    (_, i) => torrentSnapshot({ name: `t${i}`, ...(i === 150 && { state: "error", error: "no space left" }) }),
  );
  const draw = (selected: number) =>
    renderList(torrents, { width: 100, room: 7, selected, style: PLAIN, isStalled: () => false });
  for (const selected of [0, 2, 100, 149, 150, 151, 199]) {
    const lines = draw(selected);
    assertEquals(lines.length, 7);
    assertEquals(lines.filter((line) => line.includes("no space left")).length, 1, `${selected}`);
    assertEquals(lines.filter((line) => line.startsWith("\u25b8")).map((line) => line.split(" ").at(-1)), [
      `t${selected}`,
    ]);
    assertStringIncludes(lines.at(-1)!, "195 more, 1 failed");
  }
});

Deno.test("renderTorrent() leaves out numbers that would leave no room for the bar", () => {
  const torrent = torrentSnapshot({
    state: "seeding",
    size: 3,
    verified: 3,
    progress: 1,
    uploaded: 1e40,
    rateUp: 5e6,
    rateDown: 5e6,
  });
  for (const width of [78, 80, 120]) {
    const [, numbers] = renderTorrent(torrent, { width, stalled: false, style: PLAIN });
    assertLessOrEqual(numbers!.length, width);
    assertMatch(numbers!, /^\u2595\u2588{2,}\u258f 100\.0% {2}/);
  }
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
  assertEquals(style({ TERM: "xterm-256color" }).depth, 256);
  assertEquals(style({ TERM: "xterm-256color", COLORTERM: "truecolor" }).depth, "all");
  assertEquals(style({ TERM: "screen", COLORTERM: "yes" }).depth, undefined);
  const tint = (depth?: 256 | "all") =>
    tinted("x", { rgb: [255, 0, 0], otherwise: "red", style: { ...COLOR, ...(depth && { depth }) } });
  assertEquals([tint(), tint(256), tint("all")], [
    "\x1b[31mx\x1b[39m",
    "\x1b[38;5;196mx\x1b[39m",
    "\x1b[38;2;255;0;0mx\x1b[39m",
  ]);
  assertEquals(tinted("x", { rgb: [1, 2, 3], otherwise: "red", style: { ...PLAIN, depth: "all" } }), "x");
  assertEquals(painted("x", "red", ASCII), "x");
  assertEquals(painted("x", "red", COLOR), "\x1b[31mx\x1b[39m");
  assertEquals(painted("x", "dim", COLOR), "\x1b[2mx\x1b[22m");
  assertEquals(painted("x", "plain", COLOR), "x");
});
