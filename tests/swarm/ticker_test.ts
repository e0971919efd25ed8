import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { TICK_MS, Ticker, type TickerSeat } from "../../src/swarm/ticker.ts";
import { fc } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

/** A clock that counts the timers that fire. */
class CountingClock extends VirtualClock {
  fired = 0;

  override after(milliseconds: number, run: () => void) {
    return super.after(milliseconds, () => {
      this.fired++;
      run();
    });
  }
}

interface Turn {
  readonly now: number;
  readonly seconds: number;
}

/** Work that records its turns; `wait` is the delay that it asks for next. */
class Diary {
  readonly turns: Turn[] = [];
  wait: number;

  constructor(wait = 0) {
    this.wait = wait;
  }

  turn(now: number, seconds: number): number {
    this.turns.push({ now, seconds });
    return this.wait;
  }
}

Deno.test("Ticker gives who has something to do a turn at every tick, and tells how long it was", () => {
  const clock = new VirtualClock();
  const ticker = new Ticker(clock);
  const diary = new Diary();
  ticker.join(diary);
  clock.advance(10_000);
  assertEquals(diary.turns.length, 20);
  let last = 0;
  for (const { now, seconds } of diary.turns) {
    assertEquals(seconds, (now - last) / 1000);
    last = now;
  }
});

Deno.test("Ticker has one timer for all, which fires for all at once", () => {
  const clock = new CountingClock();
  const ticker = new Ticker(clock);
  const diaries = Array.from({ length: 100 }, () => new Diary());
  for (const diary of diaries) {
    ticker.join(diary);
    clock.advance(7);
    assertEquals(clock.pending, 1);
  }
  clock.fired = 0;
  clock.advance(10_000);
  assert(clock.fired <= 20, `${clock.fired} timers`);
  for (const { turns } of diaries) assert(turns.length >= 19);
});

Deno.test("Ticker leaves who has nothing to do in peace, without any timer, until it is woken", () => {
  const clock = new CountingClock();
  const ticker = new Ticker(clock);
  const diary = new Diary(Infinity);
  const seat = ticker.join(diary);
  clock.advance(1000);
  assertEquals(diary.turns.length, 1);
  assertEquals(clock.pending, 0);
  clock.advance(3_600_000);
  assertEquals([clock.fired, diary.turns.length], [1, 1]);
  seat.wake();
  seat.wake();
  clock.advance(TICK_MS);
  assertEquals(diary.turns.length, 2);
  assert(diary.turns[1]!.seconds < 1, "the hour that it slept is nothing that was measured");
  assertEquals(clock.pending, 0);
});

Deno.test("Ticker.join() and wake() lead to a turn within a tick and a half, never to one that measures next to nothing", () => {
  const delays = fc.array(fc.nat(2 * TICK_MS), { minLength: 1, maxLength: 20 });
  fc.assert(fc.property(delays, (delays) => {
    const clock = new VirtualClock();
    const ticker = new Ticker(clock);
    ticker.join(new Diary());
    const diary = new Diary(Infinity);
    const seat = ticker.join(diary);
    for (const delay of delays) {
      clock.advance(delay);
      const before = diary.turns.length;
      seat.wake();
      clock.advance(1.5 * TICK_MS);
      assert(diary.turns.length > before);
    }
    for (const { seconds } of diary.turns) assert(seconds >= TICK_MS / 2000, `${seconds}`);
  }));
});

Deno.test("Ticker gives a turn at the time that was asked for, or up to a tick later, but not before", () => {
  fc.assert(fc.property(fc.array(fc.nat(20_000), { minLength: 1, maxLength: 30 }), (waits) => {
    const clock = new CountingClock();
    const ticker = new Ticker(clock);
    const dues = waits.map((wait) => {
      const diary = new Diary(wait);
      ticker.join(diary);
      return diary;
    });
    clock.advance(45_000);
    for (const { turns, wait } of dues) {
      for (let i = 1; i < turns.length; i++) {
        const waited = turns[i]!.now - turns[i - 1]!.now;
        assert(
          waited >= Math.max(wait, TICK_MS) && waited <= Math.max(wait, TICK_MS) + TICK_MS,
          `${waited} of ${wait}`,
        );
        assertAlmostEquals(turns[i]!.seconds, waited / 1000);
      }
      assert(turns.length >= 2);
    }
    assert(clock.fired <= 90, `${clock.fired} timers`);
  }));
});

Deno.test("Ticker gives one turn after the machine was suspended, and goes on as before", () => {
  const clock = new VirtualClock();
  let skipped = 0;
  const ticker = new Ticker({ now: () => clock.now() + skipped, after: (ms, run) => clock.after(ms, run) });
  const [busy, idle] = [new Diary(), new Diary(600_000)];
  ticker.join(busy);
  ticker.join(idle);
  clock.advance(1000);
  skipped = 8 * 3_600_000;
  const before = busy.turns.length;
  clock.advance(TICK_MS);
  assertEquals(busy.turns.length, before + 1);
  assertAlmostEquals(busy.turns.at(-1)!.seconds, 8 * 3600, 1);
  assertEquals(idle.turns.length, 2);
  clock.advance(10 * TICK_MS);
  assertEquals(busy.turns.length, before + 11);
  assertEquals(idle.turns.length, 2);
});

Deno.test("Ticker lets work wake itself, wake others, join and leave during a turn", () => {
  const clock = new VirtualClock();
  const ticker = new Ticker(clock);
  const [other, late] = [new Diary(Infinity), new Diary(Infinity)];
  const otherSeat = ticker.join(other);
  const gone = new Diary();
  let turns = 0;
  const seat: TickerSeat = ticker.join({
    turn() {
      if (++turns === 1) seat.wake();
      if (turns === 2) {
        otherSeat.wake();
        goneSeat.leave();
        ticker.join(late);
        seat.leave();
        seat.wake();
      }
      return Infinity;
    },
  });
  const goneSeat = ticker.join(gone);
  clock.advance(TICK_MS);
  assertEquals([turns, other.turns.length, gone.turns.length], [1, 1, 1]);
  clock.advance(10_000);
  assertEquals([turns, other.turns.length, gone.turns.length, late.turns.length], [2, 2, 1, 1]);
  assertEquals(clock.pending, 0);
});

Deno.test("TickerSeat.leave() ends the turns, and the timer with the last of them", () => {
  const clock = new VirtualClock();
  const ticker = new Ticker(clock);
  const [first, second] = [new Diary(), new Diary(60_000)];
  const seats = [ticker.join(first), ticker.join(second)];
  clock.advance(1000);
  seats[0]!.leave();
  seats[0]!.leave();
  seats[0]!.wake();
  const before = first.turns.length;
  clock.advance(120_000);
  assertEquals(first.turns.length, before);
  assertEquals(second.turns.length, 3);
  assertEquals(clock.pending, 1);
  seats[1]!.leave();
  assertEquals(clock.pending, 0);
});

Deno.test("Ticker goes on when a turn fails", () => {
  const clock = new VirtualClock();
  const ticker = new Ticker(clock);
  const diary = new Diary();
  let fails = true;
  ticker.join({
    turn() {
      if (fails) throw new Error("broken");
      return 0;
    },
  });
  ticker.join(diary);
  assertThrows(() => clock.advance(TICK_MS), Error, "broken");
  fails = false;
  clock.advance(2 * TICK_MS);
  assertEquals(diary.turns.length, 2);
});
