import { assert, assertEquals } from "@std/assert";
import { PiecePicker } from "../../../src/swarm/pieces/piece_picker.ts";
import { fc } from "../../support/property.ts";
import { seededRandom } from "../../support/random.ts";

const everything = { has: () => true };

const step = fc.tuple(fc.constantFrom("add", "remove", "gained", "lost", "level"), fc.nat(15));

Deno.test("PiecePicker.pick() always gives the rarest piece of the highest level, or the first, whatever changed before", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), fc.array(fc.nat(15)), (steps, seed, owned) => {
      const picker = new PiecePicker(16, seededRandom(seed), { run: seed % 2 === 0 ? 4 : 1 });
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

Deno.test("PiecePicker.pick() stays in a run of adjacent pieces that are equally rare, for each peer", () => {
  const picker = new PiecePicker(64, seededRandom(3), { run: 8 });
  for (let index = 0; index < 64; index++) picker.add(index);
  const [a, b] = [{ has: () => true }, { has: () => true }];
  const picks = { a: [] as number[], b: [] as number[] };
  for (let i = 0; i < 64; i++) {
    const index = picker.pick(i % 2 === 0 ? a : b);
    picker.remove(index);
    picks[i % 2 === 0 ? "a" : "b"].push(index);
  }
  // Both may pick in the same run, but most picks follow the one before.
  for (const own of [picks.a, picks.b]) {
    const followers = own.filter((index, i) => i > 0 && index > own[i - 1]! && index <= own[i - 1]! + 2);
    assert(followers.length > 16, `${own}`);
  }
  assertEquals([...picks.a, ...picks.b].sort((x, y) => x - y), Array.from({ length: 64 }, (_, i) => i));
  for (let index = 0; index < 16; index++) picker.add(index);
  const first = picker.pick(a);
  picker.remove(first);
  const next = first % 8 === 7 ? first : first + 1;
  if (picker.has(next)) picker.gained(next);
  assertEquals(picker.availability(picker.pick(a)), 0, "a piece that is less rare is no reason to stay");
});
