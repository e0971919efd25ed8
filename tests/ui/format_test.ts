import { assert, assertEquals, assertLessOrEqual, assertMatch } from "@std/assert";
import type { TorrentState } from "../../src/session/session_events.ts";
import {
  formatColumnPart,
  formatColumnRate,
  formatColumnSize,
  formatCount,
  formatDuration,
  formatElapsed,
  formatPart,
  formatPercent,
  formatPlural,
  formatRate,
  formatSize,
  remainingTime,
} from "../../src/ui/format.ts";
import { fc } from "../support/property.ts";

const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

Deno.test("formatSize() uses 1024-based units and never shows 1024 of one", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1, "1 B"],
    [1023, "1023 B"],
    [1.6, "2 B"],
    [KIB, "1 KiB"],
    [1.234 * KIB, "1.23 KiB"],
    [1.5 * GIB, "1.5 GiB"],
    [99.94 * MIB, "99.9 MiB"],
    [99.96 * MIB, "100 MiB"],
    [1023.4 * KIB, "1023 KiB"],
    [1023.9 * KIB, "1 MiB"],
    [2 ** 50, "1 PiB"],
    [-5, "0 B"],
    [Infinity, "-"],
    [NaN, "-"],
  ];
  for (const [bytes, text] of cases) assertEquals(formatSize(bytes), text);
});

Deno.test("formatSize() and formatRate() keep to their widths", () => {
  fc.assert(fc.property(fc.double({ min: 0, max: 2 ** 69, noNaN: true }), (bytes) => {
    assertLessOrEqual(formatSize(bytes).length, 8);
    assertLessOrEqual(formatRate(bytes).length, 10);
  }));
});

Deno.test("formatColumnSize() has one decimal and keeps to its width, so that numbers line up", () => {
  const cases: [number, string][] = [
    [0, "0.0 KiB"],
    [1, "0.1 KiB"],
    [512, "0.5 KiB"],
    [999.9 * KIB, "999.9 KiB"],
    [999.96 * KIB, "1.0 MiB"],
    [1000 * KIB, "1.0 MiB"],
    [1.5 * GIB, "1.5 GiB"],
    [700 * MIB, "700.0 MiB"],
    [2e9, "1.9 GiB"],
    [-5, "0.0 KiB"],
    [Infinity, "-"],
    [NaN, "-"],
  ];
  for (const [bytes, text] of cases) assertEquals(formatColumnSize(bytes), text);
  assertEquals(formatColumnRate(1.5 * MIB), "1.5 MiB/s");
  const size = fc.double({ min: 0, max: 2 ** 69, noNaN: true });
  fc.assert(fc.property(size, size, (bytes, size) => {
    assertMatch(formatColumnSize(bytes).padStart(9), /^ *\d{1,3}\.\d [KMGTPE]iB$/);
    assertEquals(formatColumnSize(bytes).padStart(9).indexOf("."), 3);
    assertLessOrEqual(formatColumnPart(bytes, size).length, 17);
  }));
});

Deno.test("formatColumnPart() has as many decimals in both numbers", () => {
  assertEquals(formatColumnPart(12 * MIB, 1.5 * GIB), "0.0 / 1.5 GiB");
  assertEquals(formatColumnPart(99 * MIB, 700 * MIB), "99.0 / 700.0 MiB");
  assertEquals(formatColumnPart(2e9, 4e9), "1.9 / 3.7 GiB");
  assertEquals(formatColumnPart(5e9, 4e9), "3.7 / 3.7 GiB");
  assertEquals(formatColumnPart(0, 0), "0.0 / 0.0 KiB");
});

Deno.test("remainingTime() is none for what is complete, paused or unknown", () => {
  const rows: [TorrentState, number | null, number | null][] = [
    ["downloading", 166, 166],
    ["downloading", null, null],
    ["downloading", 0, null],
    ["paused", 166, null],
    ["seeding", 0, null],
    ["error", 5, null],
    ["checking", 5, null],
  ];
  for (const [state, eta, expected] of rows) assertEquals(remainingTime({ state, eta }), expected, state);
});

Deno.test("formatPart() keeps to its width", () => {
  const size = fc.double({ min: 0, max: 2 ** 69, noNaN: true });
  fc.assert(fc.property(size, size, (done, size) => {
    assertLessOrEqual(formatPart(done, size).length, 15);
  }));
});

Deno.test("formatPart() shows both numbers in the unit of the whole", () => {
  assertEquals(formatPart(12 * MIB, 1.5 * GIB), "0.0 / 1.5 GiB");
  assertEquals(formatPart(GIB, 1.5 * GIB), "1.0 / 1.5 GiB");
  assertEquals(formatPart(99 * MIB, 700 * MIB), "99.0 / 700 MiB");
  assertEquals(formatPart(699.99 * MIB, 700 * MIB), "700 / 700 MiB");
  assertEquals(formatPart(2e9, 4e9), "1.9 / 3.73 GiB");
  assertEquals(formatPart(5e9, 4e9), "3.73 / 3.73 GiB");
  assertEquals(formatPart(3, 5), "3 / 5 B");
  assertEquals(formatPart(0, 0), "0 / 0 B");
});

Deno.test("formatPercent() cuts, so that only what is complete shows as 100", () => {
  const cases: [number, 0 | 1, string][] = [
    [0, 1, "0.0%"],
    [0.4629, 1, "46.2%"],
    [0.57, 0, "57%"],
    [0.29, 0, "29%"],
    [0.99999, 1, "99.9%"],
    [1, 1, "100.0%"],
    [1 - 2 ** -53, 1, "99.9%"],
    [2, 0, "100%"],
    [-1, 0, "0%"],
  ];
  for (const [part, decimals, text] of cases) assertEquals(formatPercent(part, decimals), text);
});

Deno.test("formatDuration() shows the two largest units in at most 7 characters", () => {
  const cases: [number | null, string][] = [
    [null, "-"],
    [NaN, "-"],
    [Infinity, "-"],
    [-3, "1s"],
    [0.4, "1s"],
    [59.4, "59s"],
    [59.6, "1m"],
    [133, "2m 13s"],
    [3599.7, "1h"],
    [3 * 3600 + 5 * 60, "3h 5m"],
    [3 * 3600 + 5, "3h"],
    [86400 * 4 + 3600 * 6, "4d 6h"],
    [86400 * 2 + 59 * 60, "2d"],
    [86400 * 100, "-"],
  ];
  for (const [seconds, text] of cases) assertEquals(formatDuration(seconds), text);
  const seconds = fc.oneof(fc.double({ min: 0 }), fc.double({ min: 0, max: 101 * 86400, noNaN: true }));
  fc.assert(fc.property(seconds, (seconds) => formatDuration(seconds).length <= 7));
});

Deno.test("formatElapsed() is finer below ten seconds", () => {
  assertEquals([0, 0.84, 1.5, 9.96, 10, 61].map(formatElapsed), ["0ms", "840ms", "1.5s", "9.9s", "10s", "1m 1s"]);
});

Deno.test("formatCount() and formatPlural() count things", () => {
  assertEquals([0, 999, 1000, 1234567].map(formatCount), ["0", "999", "1,000", "1,234,567"]);
  assertEquals([0, 1, 2].map((n) => formatPlural(n, "peer")), ["0 peers", "1 peer", "2 peers"]);
  assert(formatPlural(12000, "peer") === "12,000 peers");
});
