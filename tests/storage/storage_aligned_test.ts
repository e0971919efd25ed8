import { assertEquals, assertThrows } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { MemoryBudget } from "../../src/base/memory_budget.ts";
import type { HashBatch } from "../../src/platform/platform.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { type CheckOptions, checkPieces } from "../../src/storage/checker.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { Storage, verifyFiles } from "../../src/storage/mod.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { MerkleTorrent } from "../support/merkle_torrent.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

const KIB = 1024;
const PIECE = 32 * KIB;
/** Pieces: `a` has 0 to 2, `b` 3, `c` 4 to 5, `e` 6. */
const FILES = { a: 2 * PIECE + 100, b: 20_000, c: 2 * PIECE, empty: 0, e: 1 };
const QUIET = { onProgress() {} };

function make(padded = false) {
  const torrent = new MerkleTorrent(PIECE, FILES, { padded });
  const files = new MemoryFiles();
  const clock = new VirtualClock();
  const platform = {
    now: () => clock.now(),
    wallClock: () => clock.wallClock(),
    after: (milliseconds: number, run: () => void) => clock.after(milliseconds, run),
    files,
    sha1: (data: Uint8Array) => Promise.resolve(sha1(data)),
    digest: startDigest,
  };
  const open = (wanted?: ReadonlySet<number>) =>
    new Storage(torrent.layout, {
      platform,
      folder: "/dl",
      verifier: torrent,
      infoHash: new InfoHash(new Uint8Array(20)),
      stateFolder: "/state",
      memory: new MemoryBudget(4 * KIB * KIB),
      ...(wanted && { files: wanted }),
    });
  return { torrent, files, platform, open };
}

Deno.test("FileMap leaves out the gaps before files that begin at a piece", () => {
  const { layout } = new MerkleTorrent(PIECE, FILES);
  const map = new FileMap(layout);
  assertEquals(Array.from({ length: 7 }, (_, index) => map.pieceSize(index)), [
    PIECE,
    PIECE,
    100,
    20_000,
    PIECE,
    PIECE,
    1,
  ]);
  assertEquals(map.rangesOfPiece(2), [{ file: 0, position: 2 * PIECE, at: 0, length: 100 }]);
  assertEquals(map.ranges(2 * PIECE, 2 * PIECE), [
    { file: 0, position: 2 * PIECE, at: 0, length: 100 },
    { file: 1, position: 0, at: PIECE, length: 20_000 },
  ]);
  assertEquals([0, 1, 2, 4].map((file) => map.piecesOfFile(file)), [
    { first: 0, end: 3 },
    { first: 3, end: 4 },
    { first: 4, end: 6 },
    { first: 6, end: 7 },
  ]);
  const { pieceSize: _, ...regular } = layout;
  assertThrows(() => new FileMap(regular), RangeError, "A file is at byte");
});

for (const padded of [false, true]) {
  const between = padded ? "padding" : "a gap";
  Deno.test(`Storage writes pieces that are aligned to files, without ${between} between them, and finds them again`, async () => {
    const { torrent, files, platform, open } = make(padded);
    const storage = open();
    await storage.open("resume", QUIET);
    for (let index = torrent.pieceCount - 1; index >= 0; index--) await storage.writePiece(index, torrent.piece(index));
    await storage.flush();
    for (const file of torrent.layout.files) {
      if (file.pad) continue;
      const expected = torrent.data.slice(file.offset, file.offset + file.length);
      assertEquals(await files.readFile(`/dl/t/${file.path[1]}`, 1e6), expected);
    }
    await storage.close();
    for (const mode of ["resume", "check"] as const) {
      const again = open();
      assertEquals((await again.open(mode, QUIET)).isFull, true, mode);
      await again.load(2, 0, 100);
      const block = new Uint8Array(100);
      assertEquals(again.readCached(2, 0, 100, block, 0), true);
      assertEquals(block, torrent.piece(2));
      await again.load(2, 0, 16 * KIB);
      const served = new Uint8Array(16 * KIB).fill(9);
      assertEquals(again.readCached(2, 0, served.length, served, 0), true);
      assertEquals(served, concatBytes([block, new Uint8Array(16 * KIB - 100)]), "zeros follow");
      await again.close();
    }
    const result = await verifyFiles(torrent.layout, { platform, folder: "/dl", verifier: torrent, ...QUIET });
    assertEquals([result.valid, result.bytes], [7, 4 * PIECE + 20_101]);
    assertEquals(result.files.map(({ verdict }) => verdict), ["right", "right", "right", "right", "right"]);
  });
}

Deno.test("Storage of aligned files needs no other file's pieces for one file, and finds a wrong piece", async () => {
  const { torrent, files, open } = make();
  const storage = open(new Set([2]));
  await storage.open("resume", QUIET);
  for (const index of [4, 5]) await storage.writePiece(index, torrent.piece(index));
  await storage.close();
  assertEquals(await files.list("/dl/t"), ["c"]);
  const bad = torrent.data.slice(4 * PIECE, 6 * PIECE);
  bad[PIECE + 7]! ^= 1;
  await files.writeFile("/dl/t/c", bad);
  const again = open(new Set([2]));
  assertEquals([...await again.open("check", QUIET)], [4]);
  await again.close();
});

Deno.test("checkPieces() hashes only pieces of one file as one stream, on this thread and on others", async () => {
  const { torrent } = make();
  const wanted = new Bitfield(torrent.pieceCount);
  wanted.setAll();
  const batches: string[] = [];
  const options: CheckOptions = {
    disk: {
      read: (offset, into) => Promise.resolve(into.set(torrent.data.subarray(offset, offset + into.length))),
      pathOf: (file) => `${file}`,
    },
    platform: { now: () => 0, digest: startDigest },
    verifier: torrent,
    threadsFrom: 0,
    ...QUIET,
  };
  assertEquals((await checkPieces(new FileMap(torrent.layout), wanted, options)).isFull, true);
  const startFileHashers = () => ({
    lanes: 2,
    hash({ segments, hashing }: HashBatch) {
      batches.push(`${segments.map(({ path, length }) => `${path}:${length}`)} ${hashing.digest}`);
      return Promise.reject(new Error("the thread is gone"));
    },
    close() {},
  });
  await checkPieces(new FileMap(torrent.layout), wanted, {
    ...options,
    platform: { ...options.platform, startFileHashers },
  });
  assertEquals(batches, [`0:${2 * PIECE + 100} merkle`, "1:20000 merkle", `2:${2 * PIECE} merkle`, "4:1 merkle"]);
});
