import { assert, assertEquals } from "@std/assert";
import { PipelineDepth } from "../../src/peer/pipeline_depth.ts";

const BLOCK = 16384;

/** Runs the pipeline on a simulated link with a rate and a round-trip time for some seconds, on a clock of its own. */
function play(
  depth: PipelineDepth,
  link: { rate: number; roundTrip: number; seconds: number; from?: number },
): void {
  const from = (link.from ?? 0) * 1000;
  const perBlock = BLOCK / link.rate * 1000;
  const outstanding: { sent: number; arrival: number }[] = [];
  let busyUntil = 0;
  for (let now = from; now < from + link.seconds * 1000;) {
    while (outstanding.length < depth.depth) {
      busyUntil = Math.max(busyUntil, now + link.roundTrip) + perBlock;
      outstanding.push({ sent: now, arrival: busyUntil });
    }
    const { sent, arrival } = outstanding.shift()!;
    now = arrival;
    depth.arrived(BLOCK, now - sent, now);
  }
}

Deno.test("PipelineDepth covers the bandwidth-delay product of a long fast link", () => {
  const depth = new PipelineDepth(2000);
  play(depth, { rate: 12.5e6, roundTrip: 200, seconds: 20 });
  const product = 12.5e6 * 0.2 / BLOCK;
  assert(depth.depth >= product, `${depth.depth} requests for a product of ${product.toFixed(0)}`);
  assert(depth.depth <= product * 2 + 130, `${depth.depth} requests for a product of ${product.toFixed(0)}`);
});

Deno.test("PipelineDepth stays short with a slow peer, and never goes past reqq", () => {
  const slow = new PipelineDepth(250);
  play(slow, { rate: 50e3, roundTrip: 50, seconds: 60 });
  assert(slow.depth >= 4 && slow.depth <= 8, `${slow.depth} requests at 50 kB/s`);
  const strict = new PipelineDepth(5);
  play(strict, { rate: 100e6, roundTrip: 100, seconds: 5 });
  assertEquals(strict.depth, 5);
});

Deno.test("PipelineDepth follows a round trip that becomes longer", () => {
  const depth = new PipelineDepth(2000);
  play(depth, { rate: 12.5e6, roundTrip: 20, seconds: 20 });
  play(depth, { rate: 12.5e6, roundTrip: 400, seconds: 60, from: 21 });
  const product = 12.5e6 * 0.4 / BLOCK;
  assert(depth.depth >= product, `${depth.depth} requests for a product of ${product.toFixed(0)}`);
});

Deno.test("PipelineDepth.holds() bounds the depth, and one more is tried again and again, less and less often", () => {
  const depth = new PipelineDepth(500);
  play(depth, { rate: 10e6, roundTrip: 50, seconds: 5 });
  assert(depth.depth > 16, `${depth.depth}`);
  const tries: number[] = [];
  depth.limitTo(4, 5_000);
  assertEquals(depth.depth, 4);
  for (let now = 5_000; now < 605_000; now += 10) {
    depth.arrived(BLOCK, 40, now);
    assert(depth.depth <= 5, `${depth.depth} requests at ${now}`);
    if (depth.depth < 5) continue;
    tries.push(now);
    depth.limitTo(4, now);
  }
  assert(tries.length >= 5 && tries.length <= 12, `tried ${tries.length} times in ten minutes`);
});

Deno.test("PipelineDepth grows past what the peer was found to hold when it holds more by now", () => {
  const depth = new PipelineDepth(500);
  play(depth, { rate: 10e6, roundTrip: 50, seconds: 5 });
  depth.limitTo(4, 5_000);
  play(depth, { rate: 10e6, roundTrip: 50, seconds: 60, from: 5 });
  assert(depth.depth > 30, `${depth.depth}`);
  depth.limitTo(3, 65_000, { certain: true });
  play(depth, { rate: 10e6, roundTrip: 50, seconds: 60, from: 65 });
  assertEquals(depth.depth, 3);
});

Deno.test("PipelineDepth.snubbed() begins again with one request and recovers", () => {
  const depth = new PipelineDepth(500);
  play(depth, { rate: 10e6, roundTrip: 50, seconds: 5 });
  depth.snubbed();
  assertEquals(depth.depth, 1);
  play(depth, { rate: 10e6, roundTrip: 50, seconds: 5 });
  assert(depth.depth > 40);
});
