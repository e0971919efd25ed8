import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import type { Bytes } from "../../src/base/bytes.ts";
import { type CheckOptions, checkPieces } from "../../src/storage/checker.ts";
import { sha1, Torrent } from "./fixture.ts";

const MIB = 1024 * 1024;

function setUp(torrent: Torrent, wrong: readonly number[] = []) {
  const data = torrent.data.slice();
  for (const piece of wrong) data[piece * torrent.layout.pieceLength]! ^= 1;
  const reads: [offset: number, length: number][] = [];
  const buffers = new Set<ArrayBuffer>();
  const progress: number[] = [];
  let time = 0;
  const options: CheckOptions = {
    read(offset, into: Bytes) {
      reads.push([offset, into.length]);
      buffers.add(into.buffer);
      into.set(data.subarray(offset, offset + into.length));
      return Promise.resolve();
    },
    pieceHash: (index) => torrent.hashes[index]!,
    sha1: (bytes) => Promise.resolve(sha1(bytes)),
    now: () => time += 30,
    onProgress: (fraction) => progress.push(fraction),
  };
  return { options, reads, buffers, progress };
}

function all(torrent: Torrent): Bitfield {
  const field = new Bitfield(torrent.layout.pieceCount);
  field.setAll();
  return field;
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

Deno.test("checkPieces() works with four buffers at most, and reports in order", async () => {
  const torrent = new Torrent(MIB / 4, [{ path: "a", length: 7 * MIB + 100 }]);
  const { options, reads, buffers, progress } = setUp(torrent);
  assert((await checkPieces(torrent.map, all(torrent), options)).isFull);
  assertEquals(reads.length, 8);
  assert(buffers.size <= 4);
  assertEquals(progress, progress.toSorted((a, b) => a - b));
  assertEquals(progress.at(-1), 1);
  assert(progress.length < 5, "every fourth would be 100 ms after the one before");
});

Deno.test("checkPieces() of nothing reads nothing", async () => {
  const torrent = new Torrent(1000, [{ path: "a", length: 9500 }]);
  const { options, reads, progress } = setUp(torrent);
  assert((await checkPieces(torrent.map, new Bitfield(10), options)).isEmpty);
  assertEquals([reads, progress], [[], []]);
});

Deno.test("checkPieces() fails when reading or hashing fails, and leaves no promise behind", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 5 * MIB }]);
  const { options } = setUp(torrent);
  let reads = 0;
  const failing = { ...options, read: () => ++reads === 3 ? Promise.reject(new Error("no read")) : Promise.resolve() };
  await assertRejects(() => checkPieces(torrent.map, all(torrent), failing), Error, "no read");
  const broken = { ...options, sha1: () => Promise.reject(new Error("no hash")) };
  await assertRejects(() => checkPieces(torrent.map, all(torrent), broken), Error, "no hash");
});

Deno.test("checkPieces() stops when it is aborted", async () => {
  const torrent = new Torrent(MIB, [{ path: "a", length: 5 * MIB }]);
  const { options, reads } = setUp(torrent);
  const stop = new AbortController();
  const read = (offset: number, into: Bytes) => {
    if (reads.length === 2) stop.abort(new Error("enough"));
    return options.read(offset, into);
  };
  const checking = () => checkPieces(torrent.map, all(torrent), { ...options, read, signal: stop.signal });
  await assertRejects(checking, Error, "enough");
  assertEquals(reads.length, 3);
});
