import { assertEquals } from "@std/assert";
import { TierList } from "../../src/tracker/tier_list.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** A random source with which shuffling changes nothing. */
const unshuffled = () => 0.999;

Deno.test("TierList.order() goes through the tiers in order", () => {
  const list = new TierList([["a", "b"], ["c"], ["d"]], unshuffled);
  assertEquals(list.order(), ["a", "b", "c", "d"]);
});

Deno.test("TierList.promote() moves a tracker to the front of its tier, as in the example of BEP 12", () => {
  const list = new TierList([["tracker1", "tracker2", "tracker3"], ["backup"]], unshuffled);
  list.promote("tracker2");
  assertEquals(list.order(), ["tracker2", "tracker1", "tracker3", "backup"]);
  list.promote("tracker3");
  assertEquals(list.order(), ["tracker3", "tracker2", "tracker1", "backup"]);
  list.promote("backup");
  list.promote("nobody");
  assertEquals(list.order(), ["tracker3", "tracker2", "tracker1", "backup"]);
});

Deno.test("TierList shuffles inside a tier, each order as often as any other", () => {
  const clock = new VirtualClock({ seed: 5 });
  const seen = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = new TierList([["a", "b", "c"], ["z"]], () => clock.random()).order();
    assertEquals(order[3], "z");
    seen.set(order.join(""), (seen.get(order.join("")) ?? 0) + 1);
  }
  assertEquals(seen.size, 6);
  for (const count of seen.values()) assertEquals(Math.abs(count - 1000) < 150, true);
});

Deno.test("TierList drops doubles, blanks, empty tiers and what is past 256 trackers", () => {
  const list = new TierList([[], ["a", " a ", ""], ["a"], ["b"]], unshuffled);
  assertEquals(list.order(), ["a", "b"]);
  const many = Array.from({ length: 1000 }, (_, i) => [`t${i}`, `u${i}`]);
  assertEquals(new TierList(many, unshuffled).order().length, 256);
});

Deno.test("TierList.replace() keeps the order of those that stay, which come first in their tier, and folds what comes twice", () => {
  const list = new TierList([["a", "b", "c"], ["d"]], unshuffled);
  list.promote("c");
  list.replace([["x", "b", "c "], ["", "x"], ["d", "y", "b"]]);
  assertEquals(list.order(), ["c", "b", "x", "d", "y"]);
  assertEquals(list.tiers, [["x", "b", "c"], ["d", "y"]]);
  list.replace([]);
  assertEquals([list.order(), list.tiers], [[], []]);
});
