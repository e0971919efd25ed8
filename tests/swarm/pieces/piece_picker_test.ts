import { assert, assertEquals } from "@std/assert";
import { PiecePicker } from "../../../src/swarm/pieces/piece_picker.ts";
import { fc } from "../../support/property.ts";
import { seededRandom } from "../../support/random.ts";

const everything = { has: () => true };

const step = fc.tuple(fc.constantFrom("add", "remove", "gained", "lost", "level"), fc.nat(15));

Deno.test("PiecePicker.pick() always gives the rarest piece of the highest level, or the first, whatever changed before", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), fc.array(fc.nat(15)), (steps, seed, owned) => {
      const picker = new PiecePicker(16, seededRandom(seed));
      const levels = new Array<number>(16).fill(0);
      const inOrder = new Set<number>();
      const availability = new Array<number>(16).fill(0);
      const owns = new Set(owned);
      for (const [kind, index] of steps) {
        if (kind === "add") {
          picker.add(index);
          inOrder.add(index);
        } else if (kind === "remove") {
          picker.remove(index);
          inOrder.delete(index);
        } else if (kind === "gained") {
          picker.gained(index);
          availability[index]!++;
        } else if (kind === "lost") {
          picker.lost(index);
          availability[index] = Math.max(0, availability[index]! - 1);
        } else {
          levels[index] = (levels[index]! + 2) % 3 - 1;
          picker.setLevels((piece) => levels[piece]!);
        }
        assertEquals(picker.size, inOrder.size);
        assertEquals(picker.availability(index), availability[index]);
        for (const from of [everything, owns]) {
          const all = [...inOrder].filter((i) => from.has(i));
          const candidates = all.filter((i) => levels[i] === Math.max(...all.map((other) => levels[other]!)));
          const picked = picker.pick(from);
          if (candidates.length === 0) assertEquals(picked, -1);
          else {
            assert(candidates.includes(picked), `${picked} is not among ${candidates}`);
            assertEquals(availability[picked], Math.min(...candidates.map((i) => availability[i]!)));
            assert(candidates.includes(picker.pick(from, { anywhere: true })));
          }
          picker.sequential = true;
          assertEquals(
            picker.pick(from),
            Math.min(...candidates, Infinity) === Infinity ? -1 : Math.min(...candidates),
          );
          picker.sequential = false;
        }
      }
    }),
    { numRuns: 150 },
  );
});

Deno.test("PiecePicker.pick() gives different clients different pieces among equals", () => {
  const first = new Set<number>();
  for (let seed = 0; seed < 50; seed++) {
    const picker = new PiecePicker(100, seededRandom(seed));
    for (let i = 0; i < 100; i++) picker.add(i);
    first.add(picker.pick(everything));
  }
  assert(first.size > 20, `50 clients chose only ${first.size} different pieces`);
});

Deno.test("PiecePicker.pick() chooses by chance, not by rarity, when any piece will do", () => {
  const picker = new PiecePicker(100, seededRandom(1));
  for (let i = 0; i < 100; i++) {
    picker.add(i);
    if (i > 0) picker.gained(i);
  }
  const picked = new Set(Array.from({ length: 50 }, () => picker.pick(everything, { anywhere: true })));
  assert(picked.size > 20);
  assertEquals(picker.pick(everything), 0);
});

Deno.test("PiecePicker.pick() goes from the first piece on when it is sequential, also after one has come back", () => {
  const picker = new PiecePicker(6, seededRandom(1));
  picker.sequential = true;
  for (const index of [5, 3, 1, 0, 4]) picker.add(index);
  picker.gained(0);
  assertEquals(picker.pick(everything, { anywhere: true }), 0);
  picker.remove(0);
  picker.remove(1);
  assertEquals(picker.pick(everything), 3);
  assertEquals(picker.pick(new Set([1, 2, 5])), 5);
  assertEquals(picker.pick(new Set([2])), -1);
  picker.add(1);
  assertEquals(picker.pick(everything), 1);
});
