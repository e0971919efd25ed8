import { assertEquals } from "@std/assert";
import { BlockQueue } from "../../src/peer/block_queue.ts";
import { fc } from "../support/property.ts";

interface Entry {
  index: number;
  time: number;
}

function entries(queue: BlockQueue): Entry[] {
  const all: Entry[] = [];
  queue.forEach((index, _begin, _length, time) => all.push({ index, time }));
  return all;
}

const step = fc.oneof(
  fc.nat(20).map((index) => ({ kind: "push", index }) as const),
  fc.nat(20).map((index) => ({ kind: "remove", index }) as const),
  fc.constant({ kind: "shift" } as const),
  fc.constant({ kind: "clear" } as const),
);

Deno.test("BlockQueue behaves like an array", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new BlockQueue(40);
      let model: Entry[] = [];
      for (const [time, { kind, ...rest }] of steps.entries()) {
        const index = "index" in rest ? rest.index : 0;
        if (kind === "push") {
          assertEquals(queue.push(index, 0, 1, time), model.length < 40);
          if (model.length < 40) model.push({ index, time });
        } else if (kind === "remove") {
          const at = model.findIndex((entry) => entry.index === index);
          assertEquals(queue.has(index, 0, 1), at >= 0);
          assertEquals(queue.remove(index, 0, 1), at < 0 ? -1 : model[at]!.time);
          if (at >= 0) model.splice(at, 1);
        } else if (kind === "shift" && model.length > 0) {
          queue.shift();
          model.shift();
        } else if (kind === "clear") {
          queue.clear();
          model = [];
        }
        assertEquals(queue.size, model.length);
        assertEquals(entries(queue), model);
        if (model.length > 0) assertEquals({ index: queue.index, time: queue.time }, model[0]!);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("BlockQueue tells blocks of one piece apart", () => {
  const queue = new BlockQueue(10);
  queue.push(1, 0, 16384, 5);
  queue.push(1, 16384, 16384, 6);
  assertEquals(queue.remove(1, 16384, 100), -1);
  assertEquals(queue.remove(1, 16384, 16384), 6);
  assertEquals([queue.index, queue.begin, queue.length], [1, 0, 16384]);
});
