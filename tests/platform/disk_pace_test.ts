import { assertEquals, assertRejects } from "@std/assert";
import { DiskPace } from "../../src/platform/disk_pace.ts";

/** A file system on which a call on the main thread takes `takes` milliseconds. */
function slow() {
  let time = 0;
  const where: string[] = [];
  const system = { takes: 0 };
  const pace = new DiskPace(() => time);
  const call = {
    here: () => (time += system.takes, where.push("here"), 1),
    there: () => Promise.resolve((where.push("there"), 1)),
  };
  const made = async (count: number): Promise<string> => {
    where.length = 0;
    for (let i = 0; i < count; i++) assertEquals(await pace.run(call), 1);
    return where.map((place) => place[0]).join("");
  };
  return { system, made, pass: (milliseconds: number) => void (time += milliseconds), pace };
}

Deno.test("DiskPace.make() makes calls on the spot while they are quick", async () => {
  const { system, made } = slow();
  system.takes = 5;
  assertEquals(await made(5), "hhhhh");
});

Deno.test("DiskPace.make() makes calls on threads after a slow one, the longer the more often that happens", async () => {
  const { system, made, pass } = slow();
  system.takes = 50;
  assertEquals(await made(3), "htt");
  pass(101);
  assertEquals(await made(3), "htt");
  pass(101);
  assertEquals(await made(3), "ttt", "the second time it waits twice as long");
  pass(101);
  assertEquals(await made(2), "ht");
  pass(300);
  assertEquals(await made(2), "tt", "and then again");
});

Deno.test("DiskPace.make() forgets a slow call when the next ones are quick for long", async () => {
  const { system, made, pass } = slow();
  system.takes = 50;
  await made(1);
  pass(101);
  await made(1);
  pass(201);
  system.takes = 1;
  assertEquals(await made(2), "hh");
  pass(400);
  await made(1);
  system.takes = 50;
  assertEquals(await made(2), "ht");
  pass(101);
  assertEquals(await made(1), "h", "as short as at first");
});

Deno.test("DiskPace.make() notes how long a call took that failed, and throws what it threw", async () => {
  const { made, pass, pace } = slow();
  const fails = () => {
    pass(100);
    throw new Error("no");
  };
  await assertRejects(() => pace.run({ here: fails, there: () => Promise.resolve() }), Error, "no");
  assertEquals(await made(1), "t");
});
