import { assert, assertEquals } from "@std/assert";
import type { Bytes } from "../../../src/base/bytes.ts";
import { type Extent, LEAST_READING, MemoryBudget } from "../../../src/base/memory_budget.ts";
import { BufferPool } from "../../../src/swarm/pieces/buffer_pool.ts";
import { PoisonedMemory } from "../../support/poisoned_memory.ts";
import { fc } from "../../support/property.ts";
import { settle } from "../../support/virtual_clock.ts";

const BLOCK = 16384;
const MIB = 1024 * 1024;

/** Returns a budget for pieces only. */
function forPieces(bytes: number): MemoryBudget {
  return new MemoryBudget(bytes, { reading: 0 });
}

/** Returns a filled extent of the read cache. */
function extent(budget: MemoryBudget, length: number): Extent & { readonly gone: () => boolean } {
  let dropped = false;
  const made = {
    buffer: budget.tryToRead(length)!,
    fresh: true,
    dropped: () => void (dropped = true),
    gone: () => dropped,
  };
  budget.filled(made);
  budget.touch(made);
  return made;
}

Deno.test("BufferPool keeps to the budget, but always has one buffer", () => {
  const budget = forPieces(10 * BLOCK);
  const pool = new BufferPool(budget, 4 * BLOCK);
  const other = new BufferPool(budget, 4 * BLOCK);
  const lent = [pool.take(4 * BLOCK)!, pool.take(4 * BLOCK)!];
  assertEquals([pool.available, pool.take(4 * BLOCK)], [false, null]);
  assert(other.available && other.take(4 * BLOCK), "another torrent gets its one");
  assertEquals([other.available, other.take(4 * BLOCK)], [false, null]);
  for (const buffer of lent) pool.give(buffer);
  assertEquals(pool.take(4 * BLOCK), lent[0]!, "a used buffer is used again");
});

Deno.test("BufferPool.close() gives back what was kept for the next pieces, and what comes back later", () => {
  const budget = forPieces(100 * BLOCK);
  const pool = new BufferPool(budget, 4 * BLOCK);
  const lent = Array.from({ length: 20 }, () => pool.take(4 * BLOCK)!);
  assertEquals([budget.used, budget.pieces], [80 * BLOCK, 80 * BLOCK]);
  for (const buffer of lent.slice(1)) pool.give(buffer);
  assertEquals([budget.used, budget.pieces], [80 * BLOCK, 4 * BLOCK], "they are kept");
  pool.close();
  assertEquals(budget.used, 4 * BLOCK);
  pool.give(lent[0]!);
  assertEquals(budget.used, 0);
});

Deno.test("MemoryBudget lets one torrent have what another keeps in reserve", () => {
  const budget = forPieces(8 * BLOCK);
  const [idle, busy] = [new BufferPool(budget, 2 * BLOCK), new BufferPool(budget, 4 * BLOCK)];
  const lent = Array.from({ length: 4 }, () => idle.take(2 * BLOCK)!);
  for (const buffer of lent) idle.give(buffer);
  assertEquals([budget.used, budget.pieces], [8 * BLOCK, 0]);
  assert(busy.take(4 * BLOCK) && busy.available && busy.take(4 * BLOCK));
  assertEquals([busy.available, busy.take(4 * BLOCK), budget.used], [false, null, 8 * BLOCK]);
});

Deno.test("MemoryBudget gives who waits with less its share before who has more gets any", async () => {
  const budget = forPieces(16 * BLOCK);
  const [greedy, late] = [new BufferPool(budget, BLOCK), new BufferPool(budget, BLOCK)];
  const lent = Array.from({ length: 16 }, () => greedy.take(BLOCK)!);
  assert(late.take(BLOCK), "the first it always gets");
  let told = 0;
  let got = 1;
  late.memoryAvailable = () => {
    told++;
    while (late.available && late.take(BLOCK)) got++;
    late.wants();
  };
  late.wants();
  for (let i = 0; i < 10; i++) {
    greedy.give(lent.pop()!);
    assertEquals(greedy.available, greedy.used < late.used, `at ${i}`);
    await settle();
  }
  assert(told > 0);
  assertEquals(
    [greedy.used, late.used],
    [6 * BLOCK, 10 * BLOCK],
    "nobody else wants any, so it may have more than its share",
  );
  greedy.memoryAvailable = () => {};
  greedy.wants();
  assertEquals(late.available, false, "now somebody does");
  late.cancelWait();
  assert(greedy.available === false && budget.pieces === budget.limit);
});

Deno.test("MemoryBudget takes from reading what pieces need, down to the part that is left to reading", () => {
  const budget = new MemoryBudget(16 * MIB);
  assertEquals([budget.forReading, budget.forPieces], [2 * MIB, 14 * MIB]);
  const extents = Array.from({ length: 8 }, () => extent(budget, MIB));
  assertEquals(budget.used, 8 * MIB, "half of it, while pieces don't need it");
  const more = extent(budget, MIB);
  assertEquals([budget.used, extents[0]!.gone()], [8 * MIB, true], "and no more");
  const pool = new BufferPool(budget, 2 * MIB);
  for (let i = 0; i < 7; i++) assert(pool.available && pool.take(2 * MIB), `piece ${i}`);
  assertEquals([pool.available, pool.take(2 * MIB)], [false, null]);
  assertEquals([budget.used, budget.pieces], [16 * MIB, 14 * MIB]);
  assertEquals(
    [extents.filter(({ gone }) => !gone()).length, more.gone()],
    [1, false],
    "those that were read last stay",
  );
  assert(extent(budget, MIB), "and reading goes on with them");
  assertEquals(budget.used, 16 * MIB);
});

Deno.test("MemoryBudget doesn't drop for pieces what is about to be read", () => {
  const budget = new MemoryBudget(4 * MIB, { reading: 0 });
  const buffer = budget.tryToRead(MIB)!;
  const pool = new BufferPool(budget, MIB);
  for (let i = 0; i < 3; i++) pool.take(MIB);
  assertEquals(pool.available, false, "it is being filled");
  const loaded: Extent = { buffer, fresh: true, dropped: () => {} };
  budget.filled(loaded);
  assertEquals(pool.available, false, "it is about to be copied from");
  budget.touch(loaded);
  assert(pool.available && pool.take(MIB));
  assertEquals(budget.used, 4 * MIB);
});

Deno.test("MemoryBudget leaves four small extents to reading, however small it is", () => {
  const budget = new MemoryBudget(MIB);
  assertEquals([budget.forReading, budget.largestExtent], [LEAST_READING, LEAST_READING / 4]);
  assertEquals(budget.forPieces + budget.forReading, MIB);
  const tiny = new MemoryBudget(0);
  assert(tiny.tryToRead(tiny.largestExtent));
});

Deno.test("MemoryBudget gives every buffer that it no longer needs back to its memory, and none twice", async () => {
  const step = fc.tuple(
    fc.constantFrom("take", "give", "leave", "load", "drop", "touch"),
    fc.nat(2),
    fc.constantFrom(16, 64, 100),
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
    const memory = new PoisonedMemory();
    const budget = new MemoryBudget(1024 * 1024, { memory });
    const borrowers = [0, 1, 2].map(() => ({ memoryAvailable() {}, memoryWanted() {} }));
    const taken: { readonly by: number; readonly buffer: Bytes }[] = [];
    const extents: Extent[] = [];
    for (const [action, by, kib] of steps) {
      const borrower = borrowers[by]!;
      if (action === "take") {
        const buffer = budget.take(borrower, kib * 1024);
        if (buffer !== null) taken.push({ by, buffer });
      } else if (action === "give" && taken.length > 0) {
        const [one] = taken.splice(kib % taken.length, 1);
        budget.giveBack(borrowers[one!.by]!, one!.buffer);
      } else if (action === "leave") budget.leave(borrower, kib * 1024);
      else if (action === "load") {
        const buffer = budget.tryToRead(kib * 1024);
        if (buffer === null) continue;
        if (by === 0) budget.unfilled(buffer);
        else {
          const extent = { buffer, fresh: true, dropped: () => void extents.splice(extents.indexOf(extent), 1) };
          extents.push(extent);
          budget.filled(extent);
        }
      } else if (action === "touch" && extents.length > 0) budget.touch(extents[kib % extents.length]!);
      else if (action === "drop" && extents.length > 0) budget.drop(extents.splice(kib % extents.length, 1)[0]!);
      for (const { buffer } of taken) buffer[0] = 1;
      await undefined;
    }
    for (const { by, buffer } of taken) {
      assertEquals(buffer[0], 1, "nobody else has it");
      budget.giveBack(borrowers[by]!, buffer);
    }
    for (const extent of [...extents]) budget.drop(extent);
    for (const borrower of borrowers) budget.leave(borrower, 0);
    assertEquals([budget.used, memory.inUse], [0, 0]);
  }));
});

Deno.test("BufferPool says when so much is being checked and written that other pieces should wait", () => {
  const budget = forPieces(64 * MIB);
  const pool = new BufferPool(budget, MIB);
  const large = Array.from({ length: 17 }, () => pool.take(MIB)!);
  for (const buffer of large.slice(0, 16)) pool.countComplete(buffer, true);
  assertEquals(pool.isBehind, false);
  pool.countComplete(large[16]!, true);
  assertEquals([pool.isBehind, pool.available], [true, true]);
  for (const buffer of large) {
    pool.countComplete(buffer, false);
    pool.give(buffer);
  }
  const small = Array.from({ length: 513 }, () => pool.take(BLOCK)!);
  for (const buffer of small) pool.countComplete(buffer, true);
  assertEquals(pool.isBehind, true, "many small pieces");
  pool.countComplete(small[0]!, false);
  assertEquals(pool.isBehind, false);
});
