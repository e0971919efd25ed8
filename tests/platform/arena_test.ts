import { assert, assertEquals, assertNotStrictEquals, assertRejects, assertThrows } from "@std/assert";
import wabt from "wabt";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import type { DataMemory } from "../../src/base/data_memory.ts";
import { arenaData, openMemory } from "../../src/platform/arena.ts";
import { COPY_MEMORY_BASE64, COPY_MEMORY_TEXT } from "../../src/platform/copy_memory.ts";
import { denoFiles } from "../../src/platform/deno_files.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { Count } from "../../src/platform/disk_ring.ts";
import { type ArenaData, DiskThreads } from "../../src/platform/disk_threads.ts";
import { RangeAllocator } from "../../src/platform/range_allocator.ts";
import { hashBlocks } from "../../src/platform/merkle_digest.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { fc } from "../support/property.ts";
import { withScratch } from "../support/scratch.ts";

const MIB = 1024 * 1024;

/** Runs a test with shared memory, which is closed afterwards. */
async function withMemory(run: (memory: DataMemory) => Promise<void> | void): Promise<void> {
  const memory = openMemory(16 * MIB);
  try {
    await run(memory);
  } finally {
    memory.close();
  }
}

/** Fills a buffer with bytes that depend on where they are. */
function fill(bytes: Bytes, seed: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + seed * 7 + (i >> 8)) & 255;
}

/** Runs a test with a disk thread and 100 bytes in its arena. */
async function withThreads(run: (threads: DiskThreads, data: ArenaData) => Promise<void>): Promise<void> {
  const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  const bytes = new Uint8Array(memory.buffer as ArrayBuffer).subarray(100, 200);
  fill(bytes, 5);
  const threads = new DiskThreads(1);
  threads.addArena(7, memory.buffer);
  try {
    await run(threads, { arena: 7, bytes });
  } finally {
    threads.end();
  }
}

/** Notes the data whose blocks disk threads hash. */
class HashedInThreads {
  readonly lengths: number[] = [];
  readonly #hash = DiskThreads.prototype.hashBlocks;

  constructor() {
    const hash = this.#hash;
    const { lengths } = this;
    DiskThreads.prototype.hashBlocks = function (data, options) {
      lengths.push(data.bytes.length);
      return hash.call(this, data, options);
    };
  }

  [Symbol.dispose](): void {
    DiskThreads.prototype.hashBlocks = this.#hash;
  }
}

/** Counts the files that disk threads open. */
class OpenedInThreads {
  calls = 0;
  readonly #first = Promise.withResolvers<void>();
  /** Settles when a file has been opened. */
  readonly first = this.#first.promise;
  readonly #open = DiskThreads.prototype.open;

  constructor() {
    const open = this.#open;
    const count = () => {
      this.calls++;
      this.#first.resolve();
    };
    DiskThreads.prototype.open = async function (path, id) {
      const file = await open.call(this, path, id);
      if (file !== null) count();
      return file;
    };
  }

  [Symbol.dispose](): void {
    DiskThreads.prototype.open = this.#open;
  }
}

Deno.test("RangeAllocator hands out ranges that never overlap, and has all space again in the end", () => {
  const size = 64 * 4096;
  const step = fc.oneof(
    fc.integer({ min: 1, max: 20_000 }).map((length) => ({ take: length, give: -1 })),
    fc.nat(100).map((give) => ({ take: 0, give })),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const ranges = new RangeAllocator(size);
    const taken: { offset: number; length: number }[] = [];
    for (const { take, give } of steps) {
      if (take > 0) {
        const offset = ranges.take(take);
        if (offset < 0) continue;
        assert(offset % 4096 === 0 && offset + take <= size);
        for (const other of taken) assert(offset >= other.offset + other.length || offset + take <= other.offset);
        taken.push({ offset, length: take });
      } else if (taken.length > 0) {
        const [range] = taken.splice(give % taken.length, 1);
        ranges.give(range!.offset, range!.length);
        assertThrows(() => ranges.give(range!.offset, range!.length), RangeError);
      }
    }
    for (const { offset, length } of taken) ranges.give(offset, length);
    assertEquals(ranges.take(size), 0);
  }));
});

Deno.test("COPY_MEMORY_BASE64 is COPY_MEMORY_TEXT, assembled", async () => {
  const { parseWat } = await wabt();
  const { buffer } = parseWat("copy.wat", COPY_MEMORY_TEXT, { simd: true, threads: true, bulk_memory: true })
    .toBinary({});
  assertEquals(btoa(String.fromCharCode(...buffer)), COPY_MEMORY_BASE64);
});

Deno.test("openMemory() copies any bytes to any place, from its own buffers and others", () =>
  withMemory((memory) => {
    const [shared, other] = [memory.allocate(300_000), memory.allocate(300_000)];
    assert(arenaData(shared) !== null);
    const plain = new Uint8Array(300_000);
    const part = fc.record({
      from: fc.constantFrom("shared", "plain"),
      begin: fc.nat(100_000),
      at: fc.nat(100_000),
      length: fc.oneof(fc.nat(200), fc.constantFrom(16_384, 131_072, 200_000)),
    });
    fc.assert(
      fc.property(part, ({ from, begin, at, length }) => {
        const source = from === "shared" ? shared : plain;
        fill(source, begin);
        fill(other, 99);
        const expected = other.slice();
        expected.set(source.subarray(begin, begin + length), at);
        memory.copy(other, at, source, begin, length);
        assertEquals(other.slice(), expected);
      }),
      { numRuns: 60 },
    );
    fill(shared, 3);
    const expected = shared.slice(13, 20_013);
    memory.copy(shared, 0, shared, 13, 20_000);
    assertEquals(shared.slice(0, 20_000), expected, "within a buffer, to a place before the source");
    memory.copy(plain, 5, shared, 1, 1000);
    assertEquals(plain.slice(5, 1005), shared.slice(1, 1001));
    assertThrows(() => memory.copy(other, 299_999, shared, 0, 2), RangeError);
    assertThrows(() => memory.copy(other, 0, shared, 299_999, 2), RangeError);
  }));

Deno.test("openMemory() uses freed memory again, and memory of the engine when there is no more", () =>
  withMemory((memory) => {
    const first = memory.allocate(MIB);
    memory.free(first);
    assertEquals(memory.allocate(MIB).byteOffset, first.byteOffset);
    const all: Bytes[] = [];
    for (let i = 0; i < 200; i++) all.push(memory.allocate(MIB));
    assert(arenaData(all[0]!) !== null);
    assertEquals(arenaData(all.at(-1)!), null);
    assertEquals(all.at(-1)!.length, MIB);
    memory.copy(all.at(-1)!, 0, all[0]!, 0, MIB);
    for (const buffer of all) memory.free(buffer);
    assert(arenaData(memory.allocate(MIB)) !== null);
  }));

Deno.test("denoPlatform.sha1() has the digest of shared memory, small and large", () =>
  withMemory(async (memory) => {
    const pieces = [16_384, 131_071, 131_072, 131_073, 5 * MIB].map((length, i) => {
      const piece = memory.allocate(length);
      fill(piece, i);
      return piece;
    });
    const digests = await Promise.all(pieces.map((piece) => denoPlatform.sha1(piece)));
    assertEquals(digests, pieces.map((piece) => sha1(piece.slice())));
  }));

Deno.test("denoPlatform.blockHashes() has the digests of shared memory and of the engine's, small and large", () =>
  withMemory(async (memory) => {
    using hashed = new HashedInThreads();
    const lengths = [1, 16_384, 131_071, 131_072, 131_073, 5 * MIB];
    const pieces = lengths.map((length, i) => {
      const piece = memory.allocate(length);
      fill(piece, i);
      return piece;
    });
    const expected = pieces.map((piece) => hashBlocks(piece.slice(), 512, () => startDigest("sha256")));
    assertEquals(await Promise.all(pieces.map((piece) => denoPlatform.blockHashes(piece, 512))), expected);
    assertEquals(hashed.lengths, [131_072, 131_073, 5 * MIB]);
    assertEquals(await Promise.all(pieces.map((piece) => denoPlatform.blockHashes(piece.slice(), 512))), expected);
    for (const sha1Padding of [0, 70_000]) {
      const padded = expected.map((hashes, i) => {
        return { ...hashes, sha1: sha1(concatBytes([pieces[i]!.slice(), new Uint8Array(sha1Padding)])) };
      });
      const hash = (piece: Bytes) => denoPlatform.blockHashes(piece, 512, { sha1Padding });
      assertEquals(await Promise.all(pieces.map(hash)), padded);
      assertEquals(await Promise.all(pieces.map((piece) => hash(piece.slice()))), padded);
    }
    assertEquals(
      pieces.map((piece) => hashBlocks(piece.slice(), 512, () => startDigest("sha256"))),
      expected,
      "intact",
    );
  }));

Deno.test("denoPlatform.blockHashes() leaves long padding to a thread, however little data there is", () =>
  withMemory(async (memory) => {
    using hashed = new HashedInThreads();
    const piece = memory.allocate(1_000);
    fill(piece, 1);
    const padding = 4 * MIB - 1_000;
    const { sha1: digest } = await denoPlatform.blockHashes(piece, 1, { sha1Padding: padding });
    assertEquals(digest, sha1(concatBytes([piece.slice(), new Uint8Array(padding)])));
    assertEquals(hashed.lengths, [1_000]);
  }));

Deno.test("denoPlatform.blockHashes() gives back its memory, and does without when there is none", () =>
  withMemory(async (memory) => {
    const data = memory.allocate(MIB);
    fill(data, 1);
    const expected = hashBlocks(data.slice(), 64, () => startDigest("sha256"));
    const before = memory.allocate(4096).byteOffset;
    const all: Bytes[] = [];
    for (let i = 0; i < 10; i++) assertEquals(await denoPlatform.blockHashes(data, 64), expected);
    const next = memory.allocate(4096);
    assertEquals(next.byteOffset - before, 4096, "nothing between them is in use");
    for (let buffer = next; buffer.buffer === data.buffer; buffer = memory.allocate(1024)) all.push(buffer);
    assertEquals(await denoPlatform.blockHashes(data, 64), expected);
    for (const buffer of all) memory.free(buffer);
  }));

Deno.test("DiskThreads does more at a time than its ring has room for", () =>
  withThreads(async (threads, data) => {
    const parts = Array.from({ length: 3000 }, (_, i) => data.bytes.subarray(i % 90, i % 90 + 1 + i % 7));
    const digests = await Promise.all(parts.map((bytes) => threads.hash({ ...data, bytes })!));
    assertEquals(digests, parts.map((bytes) => sha1(bytes.slice())));
  }));

Deno.test("a FileHandle writes shared memory in order with everything else, in a disk thread too", () =>
  withScratch((folder) =>
    withMemory(async (memory) => {
      using opened = new OpenedInThreads();
      const file = await denoFiles.open(`${folder}/a`, "write");
      const expected = new Uint8Array(3 * MIB);
      const work: Promise<unknown>[] = [];
      const seen: { into: Bytes; expected: Bytes }[] = [];
      for (let round = 0; round < 60; round++) {
        const data = memory.allocate(150_000);
        fill(data, round);
        const position = (round * 70_001) % (expected.length - data.length);
        expected.set(data.slice(), position);
        work.push(file.write(data, position).then(() => memory.free(data)));
        if (round % 7 === 6) {
          const into = new Uint8Array(50_000);
          seen.push({ into, expected: expected.slice(position, position + into.length) });
          work.push(file.read(into, position));
        }
        if (round === 19) await opened.first;
      }
      assertEquals(opened.calls, 1, "the thread has the file, too");
      work.push(file.truncate(2 * MIB));
      await Promise.all(work);
      for (const { into, expected } of seen) assertEquals(into, expected);
      await file.close();
      assertEquals(Deno.readFileSync(`${folder}/a`), expected.slice(0, 2 * MIB));
    })
  ));

Deno.test("DiskThreads writes to a file only while it is the one that was meant", () =>
  withScratch((folder) =>
    withThreads(async (threads, data) => {
      Deno.writeFileSync(`${folder}/a`, new Uint8Array(10));
      const { dev, ino } = Deno.statSync(`${folder}/a`);
      assertEquals(await threads.open(`${folder}/a`, `${dev}:${ino! + 1}`), null);
      assertEquals(await threads.open(`${folder}/none`, `${dev}:${ino}`), null);
      const file = await threads.open(`${folder}/a`, `${dev}:${ino}`);
      assertEquals(await file!.write(data, 5), 100);
      Deno.renameSync(`${folder}/a`, `${folder}/b`);
      assertEquals(await file!.write(data, 2 ** 32 + 50), 100);
      file!.close();
      assertEquals(Deno.statSync(`${folder}/b`).size, 2 ** 32 + 150);
      const error = await assertRejects(() => threads.hash({ ...data, arena: 8 })!, Error);
      assertEquals(error.name, "TypeError", "a fault in an operation is the operation's");
      assertEquals(await threads.hash(data), sha1(data.bytes.slice()));
      const last = threads.hash(data)!;
      threads.end();
      assertEquals(threads.hash(data), null);
      assertEquals(
        [file!.isLost, await last],
        [true, sha1(data.bytes.slice())],
        "what was posted before is still done",
      );
    })
  ));

Deno.test("denoPlatform.sha1() and a FileHandle go on with shared memory after it was closed", () =>
  withScratch(async (folder) => {
    const memory = openMemory(MIB);
    const file = await denoFiles.open(`${folder}/a`, "write");
    const data = memory.allocate(MIB);
    fill(data, 1);
    const early = [0, 1, 2, 3].map((i) => file.write(data, i * MIB));
    await early[0];
    await new Promise((resolve) => setTimeout(resolve, 20));
    const work = [denoPlatform.sha1(data), file.write(data, 4 * MIB), file.write(data, 5 * MIB)] as const;
    memory.close();
    const late = [denoPlatform.sha1(data), file.write(data, 6 * MIB)] as const;
    const expected = sha1(data.slice());
    assertEquals([await work[0], await late[0]], [expected, expected]);
    await Promise.all([...early, ...work, ...late]);
    await file.close();
    assertEquals(Deno.statSync(`${folder}/a`).size, 7 * MIB);
    assertEquals(arenaData(memory.allocate(MIB)), null, "closed memory has no part in the threads any more");
    const unused = openMemory(MIB);
    unused.close();
    assertEquals(arenaData(unused.allocate(MIB)), null);
  }));

Deno.test("DiskThreads fails the work of a thread that dies, says so, and takes no more", async () => {
  const real = globalThis.Worker;
  const workers: EventTarget[] = [];
  const rings: Int32Array[] = [];
  class DyingWorker extends EventTarget {
    constructor() {
      super();
      workers.push(this);
    }
    postMessage(message: { readonly kind: string; readonly ring: SharedArrayBuffer }): void {
      if (message.kind === "start") rings.push(new Int32Array(message.ring));
    }
    terminate(): void {}
  }
  globalThis.Worker = DyingWorker as unknown as typeof Worker;
  try {
    const threads = new DiskThreads(2);
    assertEquals(workers.length, 1);
    const bytes = new Uint8Array(10);
    const done = threads.hash({ arena: 0, bytes })!;
    Atomics.store(rings[0]!, Count.done, 1); // and the main thread hasn't looked
    const lost = [threads.hash({ arena: 0, bytes })!, threads.hash({ arena: 0, bytes })!];
    const opening = threads.open("/a", "1:1");
    const event = new ErrorEvent("error", { message: "out of memory", cancelable: true });
    workers[0]!.dispatchEvent(event);
    assert(event.defaultPrevented);
    for (const work of [...lost, opening]) {
      await assertRejects(() => work, Error, "a disk thread has failed: out of memory");
    }
    assertEquals(await done, new Uint8Array(20), "what the thread had done before");
    threads.collect();
    assertEquals(threads.hash({ arena: 0, bytes }), null);
    assertEquals(await threads.open("/a", "1:1"), null);
  } finally {
    globalThis.Worker = real;
  }
});

Deno.test("DiskThreads has a thread for each processor but one, and at least one", () => {
  const real = globalThis.Worker;
  let count = 0;
  class CountedWorker extends EventTarget {
    constructor() {
      super();
      count++;
    }
    postMessage(): void {}
  }
  globalThis.Worker = CountedWorker as unknown as typeof Worker;
  try {
    for (const [cores, threads] of [[1, 1], [2, 1], [4, 3], [64, 8]] as const) {
      count = 0;
      assertNotStrictEquals(new DiskThreads(cores), null);
      assertEquals(count, threads, `${cores} cores`);
    }
  } finally {
    globalThis.Worker = real;
  }
});
