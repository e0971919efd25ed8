import { assert, assertEquals, assertLess } from "@std/assert";
import {
  DEFAULT_INTERVAL,
  DEFAULT_MIN_INTERVAL,
  LONGEST_INTERVAL,
  retryDelay,
  SHORTEST_INTERVAL,
  spacingAfter,
} from "../../src/tracker/announce_schedule.ts";
import { fc } from "../support/property.ts";

for (
  const [interval, minInterval, regular, earliest] of [
    [1_800_000, 60_000, 1_800_000, 60_000],
    [1_800_000, null, 1_800_000, DEFAULT_MIN_INTERVAL],
    [60_000, null, 60_000, 60_000],
    [null, null, DEFAULT_INTERVAL, DEFAULT_MIN_INTERVAL],
    [60_000, 120_000, 120_000, 120_000],
    [1, 1, SHORTEST_INTERVAL, SHORTEST_INTERVAL],
    [1e15, null, LONGEST_INTERVAL, DEFAULT_MIN_INTERVAL],
    [60_000, 1e15, LONGEST_INTERVAL, LONGEST_INTERVAL],
  ] as const
) {
  Deno.test(`spacingAfter() with interval ${interval} and min interval ${minInterval}`, () => {
    assertEquals(spacingAfter({ interval, minInterval }), { regular, earliest });
  });
}

Deno.test("spacingAfter() never hammers, never sleeps for ever, and needs never come later than the regular announce", () => {
  const time = fc.option(fc.double({ min: 1, max: 1e18, noNaN: true }));
  fc.assert(fc.property(time, time, (interval, minInterval) => {
    const { regular, earliest } = spacingAfter({ interval, minInterval });
    assert(earliest >= SHORTEST_INTERVAL && earliest <= regular && regular <= LONGEST_INTERVAL);
  }));
});

Deno.test("retryDelay() doubles from 10 s to half an hour, and leaves half of it to chance", () => {
  const longest = [1, 2, 3, 4, 8, 9, 100, 5000].map((failures) => retryDelay(failures, 0.9999999));
  const expected = [10, 20, 40, 80, 1280, 1800, 1800, 1800].map((seconds) => seconds * 1000);
  for (const [i, delay] of longest.entries()) assertLess(Math.abs(delay - expected[i]!), 1);
  assertEquals(retryDelay(1, 0), 5000);
  assertEquals(retryDelay(3, 0.5), 30_000);
});
