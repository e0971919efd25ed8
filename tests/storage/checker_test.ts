import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import type { FileHashers, FileSegment, HashBatch } from "../../src/platform/platform.ts";
import { type CheckOptions, checkPieces } from "../../src/storage/checker.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { settle } from "../support/virtual_clock.ts";
import { sha1, Torrent, verifierOf } from "./fixture.ts";

const MIB = 1024 * 1024;

function setUp(torrent: Torrent, wrong: readonly number[] = []) {
  const data = torrent.data.slice();
  for (const piece of wrong) data[piece * torrent.layout.pieceLength]! ^= 1;
  const reads: [offset: number, length: number][] = [];
  const buffers = new Set<ArrayBuffer>();
  const progress: number[] = [];
  let time = 0;
  const disk = {
    read(offset: number, into: Bytes) {
      reads.push([offset, into.length]);
      buffers.add(into.buffer);
      into.set(data.subarray(offset, offset + into.length));
      return Promise.resolve();
    },
    pathOf: (file: number) => `/dl/${file}`,
  };
  const platform = { now: () => time += 30, digest: startDigest };
  const options: CheckOptions = {
    disk,
    platform,
    verifier: verifierOf(torrent),
    onProgress: (fraction) => progress.push(fraction),
    threadsFrom: 0,
  };
  return { options, disk, platform, data, reads, buffers, progress };
}

function all(torrent: Torrent): Bitfield {
  const field = new Bitfield(torrent.layout.pieceCount);
  field.setAll();
  return field;
}

/** Hashers without threads. Batches wait until the test completes them, the latest first. */
class FakeHashers implements FileHashers {
  readonly batches: HashBatch[] = [];
  closed = 0;
  most = 0;
  readonly #waiting: (() => void)[] = [];
  /** Numbers of the batches that fail. */
  readonly fails = new Set<number>();

  constructor(readonly lanes: number, readonly read: (segment: FileSegment) => Bytes) {}

  async hash(batch: HashBatch): Promise<Bytes> {
    const number = this.batches.push(batch) - 1;
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.most = Math.max(this.most, this.#waiting.length);
      if (this.#waiting.length === this.lanes) queueMicrotask(() => this.#release());
      else void settle().then(() => this.#release());
    });
    if (this.fails.has(number)) throw new Error("the thread is gone");
    const bytes = concatBytes(batch.segments.map(this.read));
    const digests: Bytes[] = [];
    for (let at = 0; at < bytes.length; at += batch.pieceLength) {
      digests.push(sha1(bytes.subarray(at, at + batch.pieceLength)));
    }
    return concatBytes(digests);
  }

  close(): void {
    this.closed++;
  }

  #release(): void {
    this.#waiting.pop()?.();
  }
}

/** Returns hashers that read the files of `torrent` from `data`. */
function hashersOf(torrent: Torrent, data: Bytes): FakeHashers {
  return new FakeHashers(3, ({ path, position, length }) => {
    if (path === null) return new Uint8Array(length);
    const { offset } = torrent.layout.files[Number(path.slice("/dl/".length))]!;
    return data.subarray(offset + position, offset + position + length);
  });
}

Deno.test("checkPieces() finds the pieces that are right", async () => {
  const torrent = new Torrent(1000, [{ path: "a", length: 9500 }]);
  const { options } = setUp(torrent, [0, 4, 9]);
  assertEquals([...await checkPieces(torrent.map, all(torrent), options)], [1, 2, 3, 5, 6, 7, 8]);
});

Deno.test("checkPieces() reads small pieces together, and only those that are wanted", async () => {
  const torrent = new Torrent(1000, [{ path: "a", length: 9500 }]);
  const wanted = new Bitfield(10);
  for (const piece of [1, 2, 3, 7, 9]) wanted.set(piece);
  const { options, reads } = setUp(torrent, [2]);
  assertEquals([...await checkPieces(torrent.map, wanted, options)], [1, 3, 7, 9]);
  assertEquals(reads, [[1000, 3000], [7000, 1000], [9000, 500]]);
});

Deno.test("checkPieces() reads large pieces in parts, works with one buffer, and reports in order", async () => {
  const torrent = new Torrent(3 * MIB / 2, [{ path: "a", length: 16 * MIB + 100 }]);
  const { options, reads, buffers, progress } = setUp(torrent, [3]);
  assertEquals((await checkPieces(torrent.map, all(torrent), options)).count, 10);
  assertEquals(reads.slice(0, 3), [[0, MIB], [MIB, MIB], [2 * MIB, MIB]]);
  assertEquals(reads.at(-1), [16 * MIB, 100]);
  assertEquals(reads.reduce((sum, [, length]) => sum + length, 0), torrent.layout.totalLength);
  assertEquals(buffers.size, 1);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals(progress.at(-1), 1);
  assert(progress.length < 4, "every fourth would be 100 ms after the one before");
});

Deno.test("checkPieces() of many torrents reads for one after the other, with one buffer, which nobody keeps", async () => {
  const torrent = new Torrent(100_000, [{ path: "a", length: 250_000 }]);
  const { options, buffers } = setUp(torrent);
  let reading = 0;
  let most = 0;
  const disk: CheckOptions["disk"] = {
    ...options.disk,
    async read(offset, into) {
      most = Math.max(most, ++reading);
      await settle();
      await options.disk.read(offset, into);
      reading--;
    },
  };
  const check = () => checkPieces(torrent.map, all(torrent), { ...options, disk });
  const failing = checkPieces(torrent.map, all(torrent), {
    ...options,
    disk: { ...disk, read: () => Promise.reject(new Error("gone")) },
  });
  const [first, failure, second] = await Promise.allSettled([check(), failing, check()]);
  assertEquals([first, second].map((one) => one.status === "fulfilled" && one.value.isFull), [true, true]);
  assertEquals(failure.status, "rejected");
  assertEquals([most, buffers.size], [1, 1]);
  assert((await check()).isFull);
  assertEquals(buffers.size, 2);
});

Deno.test("checkPieces() that is aborted before its turn does not wait for the others", async () => {
  const torrent = new Torrent(100_000, [{ path: "a", length: 250_000 }]);
  const { options } = setUp(torrent);
  const held = Promise.withResolvers<void>();
  const slow = checkPieces(torrent.map, all(torrent), {
    ...options,
    disk: { ...options.disk, read: () => held.promise },
  });
  const abort = new AbortController();
  const waiting = checkPieces(torrent.map, all(torrent), { ...options, signal: abort.signal });
  await settle();
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  held.resolve();
  await slow;
});

Deno.test("checkPieces() of nothing reads nothing, and starts no threads", async () => {
  const torrent = new Torrent(1000, [{ path: "a", length: 9500 }]);
  const { options, platform, reads, progress } = setUp(torrent);
  const startFileHashers = () => {
    throw new Error("not needed");
  };
  const idle = { ...options, platform: { ...platform, startFileHashers }, threadsFrom: 1 };
  assert((await checkPieces(torrent.map, new Bitfield(10), idle)).isEmpty);
  assertEquals([reads, progress], [[], []]);
});

Deno.test("checkPieces() fails when reading fails, and leaves no promise behind", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 5 * MIB }]);
  const { options, disk } = setUp(torrent);
  let reads = 0;
  const read = () => ++reads === 3 ? Promise.reject(new Error("no read")) : Promise.resolve();
  const failing = { ...options, disk: { ...disk, read } };
  await assertRejects(() => checkPieces(torrent.map, all(torrent), failing), Error, "no read");
  assertEquals(reads, 3);
});

Deno.test("checkPieces() stops when it is aborted", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 5 * MIB }]);
  const { options, disk, reads } = setUp(torrent);
  const stop = new AbortController();
  const read = (offset: number, into: Bytes) => {
    if (reads.length === 2) stop.abort(new Error("enough"));
    return disk.read(offset, into);
  };
  const aborted = { ...options, disk: { ...disk, read }, signal: stop.signal };
  await assertRejects(() => checkPieces(torrent.map, all(torrent), aborted), Error, "enough");
  assertEquals(reads.length, 3);
  await assertRejects(() => checkPieces(torrent.map, all(torrent), aborted), Error, "enough");
  assertEquals(reads.length, 3);
});

Deno.test("checkPieces() gives threads batches with padding in its place, and never more than they want", async () => {
  const torrent = new Torrent(MIB, [
    { path: "a", length: 5 * MIB + 7 },
    { path: "pad", length: MIB - 7, pad: true },
    { path: "empty" },
    { path: "b", length: 12 * MIB + 1 },
    { path: "end", length: 100, pad: true },
  ]);
  const { options, platform, data, reads, progress } = setUp(torrent, [2, 18]);
  const hashers = hashersOf(torrent, data);
  const threaded = { ...options, platform: { ...platform, startFileHashers: () => hashers } };
  const right = await checkPieces(torrent.map, all(torrent), threaded);
  assertEquals(Array.from({ length: 19 }, (_, piece) => piece).filter((piece) => !right.has(piece)), [2, 18]);
  assertEquals([reads, hashers.closed, hashers.most, progress.at(-1)], [[], 1, 3, 1]);
  assertEquals(hashers.batches.map(({ segments }) => segments), [
    [{ path: "/dl/0", position: 0, length: 4 * MIB }],
    [
      { path: "/dl/0", position: 4 * MIB, length: MIB + 7 },
      { path: null, position: 0, length: MIB - 7 },
      { path: "/dl/3", position: 0, length: 2 * MIB },
    ],
    [{ path: "/dl/3", position: 2 * MIB, length: 4 * MIB }],
    [{ path: "/dl/3", position: 6 * MIB, length: 4 * MIB }],
    [{ path: "/dl/3", position: 10 * MIB, length: 2 * MIB + 1 }, { path: null, position: 0, length: 100 }],
  ]);
});

Deno.test("checkPieces() puts few files into a batch where they are small", async () => {
  const sketches = Array.from({ length: 5000 }, (_, i) => ({ path: `${i}`, length: 10 }));
  const torrent = new Torrent(1000, sketches);
  const { options, platform, data } = setUp(torrent);
  const hashers = hashersOf(torrent, data);
  assert(
    (await checkPieces(torrent.map, all(torrent), {
      ...options,
      platform: { ...platform, startFileHashers: () => hashers },
    })).isFull,
  );
  assertEquals(hashers.batches.map(({ segments }) => segments.length), [1000, 1000, 1000, 1000, 1000]);
});

Deno.test("checkPieces() does itself what threads fail to do, one after the other", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 20 * MIB }]);
  const { options, platform, data, reads, buffers } = setUp(torrent, [1, 9]);
  const hashers = hashersOf(torrent, data);
  for (const number of [0, 2, 4]) hashers.fails.add(number);
  const threaded = { ...options, platform: { ...platform, startFileHashers: () => hashers } };
  assertEquals((await checkPieces(torrent.map, all(torrent), threaded)).count, 18);
  assertEquals(reads.length, 12, "three batches of four");
  assertEquals([buffers.size, hashers.closed], [1, 1]);
});

Deno.test("checkPieces() tells what is wrong with a file when threads can't read it either", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 20 * MIB }]);
  const { options, disk, platform, data } = setUp(torrent);
  const hashers = hashersOf(torrent, data);
  hashers.fails.add(1).add(2);
  const read = () => Promise.reject(new Error("the device failed"));
  const threaded = { ...options, disk: { ...disk, read }, platform: { ...platform, startFileHashers: () => hashers } };
  await assertRejects(() => checkPieces(torrent.map, all(torrent), threaded), Error, "the device failed");
  assertEquals(hashers.closed, 1);
});

Deno.test("checkPieces() does not wait for threads when it is aborted", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 20 * MIB }]);
  const { options, platform } = setUp(torrent);
  const stop = new AbortController();
  let closed = 0;
  const hashers: FileHashers = {
    lanes: 2,
    hash: () => {
      queueMicrotask(() => stop.abort(new Error("enough")));
      return new Promise(() => {});
    },
    close: () => void closed++,
  };
  const threaded = { ...options, platform: { ...platform, startFileHashers: () => hashers }, signal: stop.signal };
  await assertRejects(() => checkPieces(torrent.map, all(torrent), threaded), Error, "enough");
  assertEquals(closed, 1);
});
