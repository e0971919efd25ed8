import { assert, assertEquals } from "@std/assert";
import { RateMeter } from "../../src/peer/rate_meter.ts";

Deno.test("RateMeter settles on the true rate and falls to zero when nothing comes", () => {
  const meter = new RateMeter();
  meter.add(500_000);
  meter.tick(0.5);
  assertEquals(Math.round(meter.rate), 1_000_000);
  for (let i = 0; i < 40; i++) {
    meter.add(1_000_000);
    meter.tick(0.5);
  }
  assert(Math.abs(meter.rate - 2_000_000) < 10_000, String(meter.rate));
  for (let i = 0; i < 100; i++) meter.tick(0.5);
  assertEquals(meter.rate, 0);
  assertEquals(meter.total, 40_500_000);
});
