import { assert, assertEquals } from "@std/assert";
import { LSD_BURST, LSD_BURST_PER_HOST } from "../../src/base/defences.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { MAX_LSD_HASHES } from "../../src/lsd/lsd_message.ts";
import { LsdIntake, LsdSchedule } from "../../src/lsd/lsd_schedule.ts";

const MINUTE = 60_000;
const hash = (n: number) => new InfoHash(new Uint8Array(20).fill(n));
const numbers = (taken: readonly InfoHash[]) => taken.map(({ bytes }) => bytes[0]);

Deno.test("LsdSchedule announces a torrent at once, and then every five minutes", () => {
  const schedule = new LsdSchedule();
  assertEquals(schedule.next, Infinity);
  schedule.add(hash(1), 0);
  const times: number[] = [];
  for (let now = schedule.next; now < 16 * MINUTE; now = schedule.next) {
    times.push(now);
    assertEquals(numbers(schedule.take(now - 1)), []);
    assertEquals(numbers(schedule.take(now)), [1]);
  }
  assertEquals(times, [1000, 1000 + 5 * MINUTE, 1000 + 10 * MINUTE, 1000 + 15 * MINUTE]);
});

Deno.test("LsdSchedule sends no more than a message a minute, and gathers what is added at the same time", () => {
  const schedule = new LsdSchedule();
  schedule.add(hash(1), 0);
  schedule.add(hash(2), 900);
  schedule.add(hash(3), 2000);
  assertEquals(numbers(schedule.take(1900)), [1, 2]);
  assertEquals(schedule.next, 1900 + MINUTE);
  assertEquals([1, 3, 4].map((n) => schedule.nextOf(hash(n))), [1900 + 5 * MINUTE, 1900 + MINUTE, Infinity]);
  assertEquals(numbers(schedule.take(1900 + MINUTE)), [3]);
});

Deno.test("LsdSchedule names another torrent first each time, since some clients read no further", () => {
  const schedule = new LsdSchedule();
  for (const n of [1, 2, 3]) schedule.add(hash(n), 0);
  const firsts = [1, 2, 3, 4].map(() => numbers(schedule.take(schedule.next))[0]);
  assertEquals(firsts, [1, 2, 3, 1]);
});

Deno.test("LsdSchedule leaves none out when there are more than a message holds", () => {
  const schedule = new LsdSchedule();
  const count = 2 * MAX_LSD_HASHES + 5;
  for (let n = 0; n < count; n++) schedule.add(hash(n), 0);
  const seen = new Set<number | undefined>();
  for (let message = 0; message < 3; message++) {
    const named = numbers(schedule.take(schedule.next));
    assert(named.length <= MAX_LSD_HASHES);
    for (const n of named) seen.add(n);
  }
  assertEquals(seen.size, count);
});

Deno.test("LsdSchedule.remove() announces a torrent no more", () => {
  const schedule = new LsdSchedule();
  schedule.add(hash(1), 0);
  schedule.remove(hash(1));
  assertEquals([schedule.next, schedule.take(1e9)], [Infinity, []]);
});

Deno.test("LsdIntake listens to one machine so much, and to all together so much", () => {
  const intake = new LsdIntake();
  const heard = (host: string, count: number) => {
    let sum = 0;
    for (let i = 0; i < count; i++) if (intake.hears(host, 1000)) sum++;
    return sum;
  };
  assertEquals(heard("10.0.0.1", 1000), LSD_BURST_PER_HOST);
  assertEquals(intake.hears("10.0.0.1", 2000), true); // one more per second
  assertEquals(intake.hears("10.0.0.1", 2000), false);
  let sum = 0;
  for (let n = 0; n < 10_000; n++) if (intake.hears(`10.1.${n >> 8}.${n & 255}`, 2000)) sum++;
  assert(sum <= LSD_BURST, `${sum} heard`);
});
