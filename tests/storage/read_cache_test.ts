import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { type Bytes, equalBytes } from "../../src/base/bytes.ts";
import { MemoryBudget } from "../../src/base/memory_budget.ts";
import { ReadCache } from "../../src/storage/read_cache.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { Torrent } from "./fixture.ts";

/** Memory that holds what was in it before. */
class UsedMemory extends MemoryBudget {
  override tryToRead(length: number): Bytes | null {
    return super.tryToRead(length)?.fill(9) ?? null;
  }
}

const KIB = 1024;

/** Returns a read cache with its own `bytes`. */
function setUp(torrent: Torrent, bytes: number, memory = new MemoryBudget(2 * bytes, { reading: bytes })) {
  const reads: [offset: number, length: number][] = [];
  let failing = false;
  const held: (() => void)[] = [];
  const clock = new VirtualClock();
  let holding = false;
  const cache = new ReadCache(torrent.layout, {
    memory,
    after: (milliseconds, run) => clock.after(milliseconds, run),
    async read(offset, into: Bytes) {
      reads.push([offset, into.length]);
      if (holding) await new Promise<void>((go) => held.push(go));
      if (failing) throw new Error("cannot read");
      into.set(torrent.data.subarray(offset, offset + into.length));
    },
  });
  const get = (index: number, begin: number, length: number): Bytes | null => {
    const into = new Uint8Array(length + 2);
    return cache.copy(index, begin, length, into, 1) ? into.slice(1, -1) : null;
  };
  const expected = (index: number, begin: number, length: number): Bytes => {
    const offset = index * torrent.layout.pieceLength + begin;
    return torrent.data.slice(offset, offset + length);
  };
  return {
    cache,
    clock,
    memory,
    reads,
    get,
    expected,
    fail: (value: boolean) => failing = value,
    hold: () => holding = true,
    release: () => {
      holding = false;
      for (const go of held.splice(0)) go();
    },
  };
}

const small = new Torrent(16 * KIB, [{ path: "a", length: 200 * KIB + 5 }]);
const large = new Torrent(2048 * KIB, [{ path: "a", length: 3000 * KIB }]);

Deno.test("ReadCache reads a small piece whole, once", async () => {
  const { cache, reads, get, expected } = setUp(small, 1024 * KIB);
  assertEquals(get(3, 0, 100), null);
  await Promise.all([cache.load(3, 0, 100), cache.load(3, 500, 100)]);
  assertEquals(reads, [[3 * 16 * KIB, 16 * KIB]]);
  assertEquals(get(3, 500, 100), expected(3, 500, 100));
  assertEquals(get(3, 0, 16 * KIB), expected(3, 0, 16 * KIB));
  await cache.load(12, 0, 5);
  assertEquals(get(12, 0, 5 + 8 * KIB), expected(12, 0, 5 + 8 * KIB));
});

Deno.test("ReadCache reads a large piece in extents, and copies across them", async () => {
  const { cache, reads, get, expected } = setUp(large, 8192 * KIB);
  const begin = 512 * KIB - 100;
  await cache.load(1, 0, 1);
  assertEquals(get(1, begin, 200), null);
  await cache.load(1, begin, 200);
  assertEquals(get(1, begin, 200), expected(1, begin, 200));
  assertEquals(reads, [[2048 * KIB, 512 * KIB], [2560 * KIB, 440 * KIB]]);
});

Deno.test("ReadCache drops what was left alone for longest", async () => {
  const { cache, reads, get } = setUp(small, 5 * 16 * KIB);
  for (const piece of [0, 1, 2, 3, 4, 0, 5]) {
    if (get(piece, 0, 1) !== null) continue;
    await cache.load(piece, 0, 1);
    assert(get(piece, 0, 1) !== null);
  }
  assertEquals([0, 1, 2, 3, 4, 5].map((piece) => get(piece, 0, 1) !== null), [true, false, true, true, true, true]);
  assertEquals(reads.length, 6);
});

Deno.test("ReadCache with no room to speak of still serves, more loads than buffers included", async () => {
  const { cache, get, expected } = setUp(small, 0);
  await Promise.all(Array.from({ length: 13 }, async (_, piece) => {
    while (get(piece, 0, 5) === null) await cache.load(piece, 0, 5);
    assertEquals(get(piece, 0, 5), expected(piece, 0, 5));
  }));
});

Deno.test("ReadCache takes the room of what was loaded and never read", async () => {
  const { cache, get } = setUp(small, 0);
  for (let piece = 0; piece < 13; piece++) await cache.load(piece, 0, 1);
  await Promise.all([0, 1, 2, 3, 4, 5].map((piece) => cache.load(piece, 0, 1)));
  await cache.load(12, 0, 1);
  assert(get(12, 0, 1) !== null);
});

Deno.test("ReadCache tells every caller of a failed load, and tries again", async () => {
  const { cache, get, expected, fail } = setUp(small, 1024 * KIB);
  fail(true);
  await Promise.all([
    assertRejects(() => cache.load(1, 0, 1), Error, "cannot read"),
    assertRejects(() => cache.load(1, 5, 1), Error, "cannot read"),
  ]);
  fail(false);
  await cache.load(1, 0, 1);
  assertEquals(get(1, 0, 9), expected(1, 0, 9));
});

Deno.test("ReadCache.complete() makes extents of several small pieces", async () => {
  const { cache, reads, get, expected } = setUp(small, 2048 * KIB);
  await cache.load(1, 0, 1);
  cache.complete();
  assertEquals(get(1, 0, 1), null);
  await cache.load(1, 0, 1);
  assertEquals(reads.at(-1), [0, 128 * KIB]);
  for (const piece of [0, 1, 7]) assertEquals(get(piece, 7, 16000), expected(piece, 7, 16000));
  assertEquals(get(8, 0, 1), null);
  await cache.load(8, 0, 1);
  assertEquals(reads.at(-1), [128 * KIB, 72 * KIB + 5]);
  assertEquals(get(12, 0, 5), expected(12, 0, 5));
});

Deno.test("ReadCache.complete() throws away what was being loaded before", async () => {
  const { cache, get, hold, release, expected } = setUp(small, 1024 * KIB);
  hold();
  const load = cache.load(1, 0, 1);
  cache.complete();
  release();
  await load;
  assertFalse([0, 1, 2].some((piece) => get(piece, 0, 1) !== null));
  await cache.load(1, 0, 1);
  assertEquals(get(1, 0, 1), expected(1, 0, 1));
});

Deno.test("ReadCache.reset() forgets everything, and reads piece by piece again", async () => {
  const { cache, reads, get, expected } = setUp(small, 1024 * KIB);
  cache.complete();
  await cache.load(3, 0, 100);
  assert(reads[0]![1] > 16 * KIB, "several pieces");
  cache.reset();
  assertEquals([get(3, 0, 100), get(2, 0, 100)], [null, null]);
  reads.length = 0;
  await cache.load(3, 0, 100);
  assertEquals(reads, [[3 * 16 * KIB, 16 * KIB]]);
  assertEquals([get(3, 0, 100), get(2, 0, 100)], [expected(3, 0, 100), null]);
  cache.complete();
  await cache.load(3, 0, 100);
  assertEquals(get(2, 0, 100), expected(2, 0, 100));
});

Deno.test("ReadCache of one torrent gives way to that of another, the oldest extent first", async () => {
  const memory = new MemoryBudget(8 * 16 * KIB, { reading: 4 * 16 * KIB });
  const [one, other] = [setUp(small, 0, memory), setUp(small, 0, memory)];
  assertEquals(memory.used, 0, "a cache that nobody has read from takes nothing");
  for (const piece of [0, 1, 2]) {
    await one.cache.load(piece, 0, 1);
    assert(one.get(piece, 0, 1) !== null);
  }
  for (const piece of [0, 1]) {
    await other.cache.load(piece, 0, 1);
    assert(other.get(piece, 0, 1) !== null);
  }
  assertEquals([0, 1, 2].map((piece) => one.get(piece, 0, 1) !== null), [false, true, true]);
  assertEquals(memory.used, 4 * 16 * KIB);
});

Deno.test("ReadCache gives everything back when nobody reads for a while, or it is cleared", async () => {
  const { cache, clock, memory, get } = setUp(small, 1024 * KIB);
  for (const piece of [0, 1]) await cache.load(piece, 0, 1);
  await clock.play(45_000);
  assert(get(1, 0, 1) !== null);
  await clock.play(30_000);
  assert(get(1, 0, 1) !== null, "what is read from stays");
  await clock.play(60_000);
  assertEquals([get(1, 0, 1), memory.used], [null, 0]);
  await cache.load(2, 0, 1);
  cache.clear();
  assertEquals([get(2, 0, 1), memory.used], [null, 0]);
});

Deno.test("ReadCache reads small pieces one by one if peers want them in random order, and in groups again when not", async () => {
  const count = 4096;
  const torrent = new Torrent(16 * KIB, [{ path: "a", length: count * 16 * KIB }]);
  const { cache, reads, get, expected } = setUp(torrent, 8192 * KIB);
  cache.complete();
  const want = async (index: number): Promise<void> => {
    if (get(index, 0, 16 * KIB) === null) await cache.load(index, 0, 16 * KIB);
    assert(equalBytes(get(index, 0, 16 * KIB)!, expected(index, 0, 16 * KIB)));
  };
  // Each piece is far from the one before.
  for (let i = 0; i < count; i++) await want(i * 1597 % count);
  assertEquals([reads.at(0)![1], reads.at(-1)![1]], [512 * KIB, 16 * KIB]);
  // If all reads were in groups, they would have some 1,800 MiB.
  const bytes = reads.reduce((sum, [, length]) => sum + length, 0);
  assert(bytes < 600 * 1024 * KIB, `${bytes / KIB} KiB for 64 MiB`);
  reads.length = 0;
  for (let i = 0; i < count; i++) await want(i);
  assertEquals(reads.at(-1)![1], 512 * KIB);
  assert(reads.length < 600, `${reads.length} reads`);
});

Deno.test("ReadCache has zeros behind the last byte of the torrent, and nothing that was in its memory before", async () => {
  const MIB = 1024 * 1024;
  for (
    const [pieceLength, begins] of [[32 * 1024, [0, 16 * 1024]], [4 * MIB, [0, MIB, 4 * MIB - 16 * 1024]]] as const
  ) {
    const layout = { pieceLength, pieceCount: 2, totalLength: pieceLength + 100, files: [] };
    const cache = new ReadCache(layout, {
      memory: new UsedMemory(16 * MIB),
      read: (_, into) => Promise.resolve(void into.fill(1)),
    });
    for (const begin of begins) {
      await cache.load(1, begin, 16 * 1024);
      const block = new Uint8Array(16 * 1024).fill(7);
      assert(cache.copy(1, begin, block.length, block, 0));
      const expected = new Uint8Array(16 * 1024);
      if (begin === 0) expected.fill(1, 0, 100);
      assert(equalBytes(block, expected), `piece length ${pieceLength}, byte ${begin}`);
    }
  }
});
