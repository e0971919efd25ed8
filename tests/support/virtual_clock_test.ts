import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { fc } from "./property.ts";
import { settle, VirtualClock } from "./virtual_clock.ts";

Deno.test("VirtualClock.advance() runs timers in the order of their moments, ties in the order of starting", () => {
  const clock = new VirtualClock();
  const ran: [string, number][] = [];
  const timer = (name: string, ms: number) => clock.after(ms, () => ran.push([name, clock.now()]));
  timer("c", 30), timer("a", 10), timer("b", 10), timer("late", 31);
  clock.advance(30);
  assertEquals(ran, [["a", 10], ["b", 10], ["c", 30]]);
  assertEquals([clock.now(), clock.pending], [30, 1]);
});

Deno.test("VirtualClock.advance() runs timers that timers start", () => {
  const clock = new VirtualClock({ now: 5 });
  const ran: number[] = [];
  const again = () => {
    ran.push(clock.now());
    clock.after(10, again);
  };
  clock.after(0, again);
  clock.advance(25);
  assertEquals(ran, [5, 15, 25]);
});

Deno.test("VirtualClock.after() gives a timer that can be cancelled, before and after it ran", () => {
  const clock = new VirtualClock();
  let ran = 0;
  const first = clock.after(1, () => ran++);
  const second = clock.after(1, () => first.cancel());
  const third = clock.after(1, () => ran++);
  third.cancel();
  clock.advance(1);
  second.cancel();
  assertEquals([ran, clock.pending], [1, 0]);
});

Deno.test("VirtualClock runs any set of timers sorted by moment", () => {
  fc.assert(fc.property(fc.array(fc.nat(50)), (delays) => {
    const clock = new VirtualClock();
    const ran: number[] = [];
    for (const delay of delays) clock.after(delay, () => ran.push(delay));
    clock.advance(50);
    assertEquals(ran, delays.toSorted((a, b) => a - b));
  }));
});

Deno.test("VirtualClock.play() lets promises settle between timers", async () => {
  const clock = new VirtualClock();
  const ran: number[] = [];
  const sleep = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  const walk = (async () => {
    for (let i = 0; i < 3; i++) {
      await sleep(10);
      ran.push(clock.now());
    }
  })();
  await clock.play(30);
  assertEquals(ran, [10, 20, 30]);
  await walk;
});

Deno.test("settle() waits for long chains of promises", async () => {
  let count = 0;
  void (async () => {
    for (; count < 1000; count++) await Promise.resolve();
  })();
  await settle();
  assertEquals(count, 1000);
});

Deno.test("VirtualClock.random() repeats with the seed and stays in its range", () => {
  const row = (seed: number) => {
    const clock = new VirtualClock({ seed });
    return Array.from({ length: 1000 }, () => clock.random());
  };
  assertEquals(row(7), row(7));
  assertNotEquals(row(7), row(8));
  assert(row(7).every((value) => value >= 0 && value < 1));
  assertEquals(new VirtualClock({ seed: 3 }).randomBytes(8), new VirtualClock({ seed: 3 }).randomBytes(8));
});

Deno.test("VirtualClock.wallClock() moves with the clock", () => {
  const clock = new VirtualClock({ now: 1000, wallClock: 50_000 });
  clock.advance(5);
  assertEquals(clock.wallClock(), 50_005);
});

Deno.test("VirtualClock.jump() lets timers be late, and never turns the clock back", () => {
  const clock = new VirtualClock();
  const readings: number[] = [];
  clock.after(1000, () => {
    readings.push(clock.now());
    clock.after(500, () => readings.push(clock.now()));
  });
  clock.jump(5000);
  assertEquals(readings, []);
  clock.advance(0);
  assertEquals(readings, [5000]);
  clock.advance(500);
  assertEquals([readings, clock.now()], [[5000, 5500], 5500]);
});

Deno.test("settle() lets all promise callbacks go first, however many, whatever modules are loaded", async () => {
  await import("node:worker_threads"); // changes when messages on a MessageChannel are delivered
  let hops = 0;
  void (async () => {
    while (hops < 1000) {
      await null;
      hops++;
    }
  })();
  await settle();
  assertEquals(hops, 1000);
});
