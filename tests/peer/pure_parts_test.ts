import { assert, assertEquals, assertThrows } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { clientName } from "../../src/peer/client_name.ts";
import { PipelineDepth } from "../../src/peer/pipeline_depth.ts";
import { RateMeter } from "../../src/peer/rate_meter.ts";
import { nextPhase } from "../../src/peer/message_rules.ts";
import { MessageId, WireError } from "../../src/wire/messages.ts";

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

Deno.test("clientName() reads the styles of peer ids in use", () => {
  const names: [string, string][] = [
    ["-TR3000-abcdefghijkl", "Transmission 3.0.0"],
    ["-lt0D80-abcdefghijkl", "rTorrent 0.13.8"],
    ["-LT2080-abcdefghijkl", "libtorrent 2.0.8"],
    ["-qB4520-abcdefghijkl", "qBittorrent 4.5.2"],
    ["A2-1-36-0-abcdefghij", "aria2 1.36.0"],
    ["M7-10-5--abcdefghijk", "BitTorrent 7.10.5"],
    ["-ZZ1230-abcdefghijkl", "ZZ 1.2.3"],
    ["\x00\x01garbage\x1b[31m....", ""],
  ];
  for (const [id, name] of names) assertEquals(clientName(utf8(id)), name, id);
});

Deno.test("nextPhase() lets a peer say that it has nothing only before anything else", () => {
  assertEquals(nextPhase("opening", MessageId.extended, true), "opening");
  assertEquals(nextPhase("opening", MessageId.unchoke, true), "opening");
  assertEquals(nextPhase("opening", MessageId.haveNone, true), "open");
  assertThrows(() => nextPhase("open", MessageId.haveNone, true), WireError, "haveNone comes too late");
});

Deno.test("nextPhase() takes bitfield and have-all at any time, since aria2 sends them in place of many haves", () => {
  assertEquals(nextPhase("open", MessageId.bitfield, false), "open");
  assertEquals(nextPhase("open", MessageId.haveAll, true), "open");
});

Deno.test("nextPhase() refuses the messages of BEP 6 from those who didn't offer it", () => {
  for (
    const id of [MessageId.haveAll, MessageId.haveNone, MessageId.suggest, MessageId.reject, MessageId.allowedFast]
  ) {
    assertThrows(() => nextPhase("opening", id, false), WireError, "without the Fast extension");
    nextPhase("opening", id, true);
  }
});
