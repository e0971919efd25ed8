import { assertEquals } from "@std/assert";
import { TokenBucket, TokenBuckets } from "../../src/base/token_bucket.ts";

Deno.test("TokenBucket lets a burst through, then so many a second", () => {
  const limit = new TokenBucket({ perSecond: 4, burst: 3 }, 0);
  assertEquals([1, 2, 3, 4].map(() => limit.take(0)), [true, true, true, false]);
  assertEquals(limit.wait(0), 250);
  assertEquals([limit.take(249), limit.take(250), limit.take(251)], [false, true, false]);
  assertEquals([1, 2, 3, 4].map(() => limit.take(60_000)), [true, true, true, false]);
});

Deno.test("TokenBuckets counts everybody apart, and remembers only so many", () => {
  const limits = new TokenBuckets({ perSecond: 1, burst: 1, capacity: 2 });
  assertEquals([limits.take("a", 0), limits.take("a", 0), limits.take("b", 0)], [true, false, true]);
  limits.take("a", 0);
  limits.take("c", 0); // b was quiet longest, and is forgotten
  assertEquals([limits.take("a", 0), limits.take("b", 0)], [false, true]);
});
