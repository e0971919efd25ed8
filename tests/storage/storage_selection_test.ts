import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { NotWantedError, StorageError } from "../../src/storage/errors.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { fc, tries } from "../support/property.ts";
import { FILES_IN_SHARED_PIECES, layoutOf, QUIET, readPiece, sketches, storageOf, Torrent } from "./fixture.ts";

const torrent = new Torrent(64, FILES_IN_SHARED_PIECES);
const PART = `/dl/.shoal-${torrent.infoHash.hex}.part`;

/** Returns the pieces that overlap any of some files. */
function piecesOf(of: Torrent, files: ReadonlySet<number>): number[] {
  const pieces = new Set<number>();
  for (const file of files) {
    const { first, end } = of.map.piecesOfFile(file);
    for (let piece = first; piece < end; piece++) pieces.add(piece);
  }
  return [...pieces].sort((a, b) => a - b);
}

/** Downloads some files, starting from the files on disk, and returns the pieces that were fetched. */
async function download(files: MemoryFiles, of: Torrent, wanted: readonly number[]): Promise<number[]> {
  const storage = storageOf(of, files, { files: new Set(wanted) });
  const have = await storage.open("resume", QUIET);
  const missing = piecesOf(of, new Set(wanted)).filter((piece) => !have.has(piece));
  await Promise.all(missing.map((piece) => storage.writePiece(piece, of.piece(piece))));
  await storage.flush();
  await storage.close();
  return missing;
}

function onDisk(files: MemoryFiles): string[] {
  return files.paths().filter((path) => path.startsWith("/dl/")).sort();
}

Deno.test("Storage makes wanted files and nothing else; bytes of others that came along are in the partfile", async () => {
  const files = new MemoryFiles();
  assertEquals(await download(files, torrent, [2]), [2, 3, 4]);
  assertEquals(onDisk(files), [PART, "/dl/t/c"]);
  assertEquals(files.get("/dl/t/c"), torrent.file("t/c"));
  // Pieces shared with other files are there after a restart, too, and are served.
  const storage = storageOf(torrent, files, { files: new Set([2]) });
  assertEquals([...await storage.open("check", QUIET)], [2, 3, 4]);
  for (const piece of [2, 3, 4]) assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece));
  await storage.close();
});

Deno.test("Storage moves bytes of files that are wanted now out of the partfile, and fetches nothing twice", async () => {
  const files = new MemoryFiles();
  assertEquals(await download(files, torrent, [2]), [2, 3, 4]);
  assertEquals(await download(files, torrent, [1, 2, 3]), []);
  assertEquals(onDisk(files), [PART, "/dl/t/c", "/dl/t/sub/b", "/dl/t/sub/empty"]);
  assertEquals(files.get("/dl/t/sub/b"), torrent.file("t/sub/b"));
  assertEquals(await download(files, torrent, [0, 1, 2, 3, 4, 5]), [0, 1, 5, 6, 7]);
  assertEquals(onDisk(files), torrent.finalPaths("/dl").sort());
  for (const path of ["t/a", "t/sub/b", "t/c", "t/sub/d", "t/e"]) {
    assertEquals(files.get(`/dl/${path}`), torrent.file(path));
  }
});

Deno.test("Storage keeps what is there of files that aren't wanted any more, and serves it", async () => {
  const files = new MemoryFiles();
  await download(files, torrent, [0, 1, 2, 3, 4, 5]);
  const before = onDisk(files);
  const storage = storageOf(torrent, files, { files: new Set([2]) });
  assert((await storage.open("resume", QUIET)).isFull);
  assertEquals(await readPiece(torrent, storage, 7), torrent.piece(7));
  await storage.close();
  assertEquals(onDisk(files), before);
});

Deno.test("Storage goes on with an unfinished file that isn't wanted any more as long as pieces run into it", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  await storage.writePiece(3, torrent.piece(3));
  await storage.close();
  assertEquals(onDisk(files), ["/dl/t/c.part", "/dl/t/sub/empty"]);
  assertEquals(await download(files, torrent, [0]), [0, 1, 2]);
  assertEquals(onDisk(files), [PART, "/dl/t/a", "/dl/t/c.part", "/dl/t/sub/empty"]);
  const again = storageOf(torrent, files, { files: new Set([0]) });
  assertEquals([...await again.open("check", QUIET)], [0, 1, 2, 3]);
  await again.close();
  // b needs piece 2 only, and c also needs piece 4.
  assertEquals(await download(files, torrent, [0, 1, 2]), [4]);
  assertEquals(files.get("/dl/t/c"), torrent.file("t/c"));
});

Deno.test("Storage doesn't touch a file of the user's in the place of one that isn't wanted, and serves what is right in it", async () => {
  for (const right of [0, 100]) {
    const files = new MemoryFiles();
    const theirs = torrent.file("t/sub/d");
    theirs.fill(7, right);
    files.put("/dl/t/sub/d", theirs);
    for (const missing of [[2, 3, 4], []]) {
      assertEquals(await download(files, torrent, [2]), missing);
      assertEquals(files.get("/dl/t/sub/d"), theirs);
      const storage = storageOf(torrent, files, { files: new Set([2]) });
      // Piece 5 is in that file alone.
      assertEquals([...await storage.open("check", QUIET)], right >= 84 ? [2, 3, 4, 5] : [2, 3, 4]);
      for (const piece of [2, 3, 4]) assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece));
      await storage.close();
    }
    assertEquals(onDisk(files), [PART, "/dl/t/c", "/dl/t/sub/d"]);
    // When wanted, the file counts as ours if any piece of it is right, as any other file does.
    if (right === 0) {
      const storage = storageOf(torrent, files, { files: new Set([4]) });
      await assertRejects(() => storage.open("resume", QUIET), StorageError, "path conflict");
    }
  }
});

Deno.test("Storage doesn't believe of the partfile what was in a file that is gone", async () => {
  const files = new MemoryFiles();
  // The partfile also holds bytes of another piece, so that it exists and is unchanged.
  await download(files, torrent, [1]);
  await download(files, torrent, [1, 4]);
  await files.remove("/dl/t/sub/d");
  const storage = storageOf(torrent, files, { files: new Set([1, 2]) });
  const have = await storage.open("resume", QUIET);
  assert(have.has(2));
  assertFalse(have.has(4), "its bytes of d are nowhere");
  await storage.close();
});

Deno.test("Storage hashes the partfile when somebody has changed it, and refuses what isn't a file", async () => {
  let now = 1000;
  const files = new MemoryFiles({ wallClock: () => now });
  await download(files, torrent, [2]);
  const bytes = files.get(PART)!.slice();
  bytes.fill(9, 64, 128); // slot of piece 4
  now += 1000;
  files.put(PART, bytes);
  const storage = storageOf(torrent, files, { files: new Set([2]) });
  assertEquals([...await storage.open("resume", QUIET)], [2, 3]);
  await storage.close();
  const other = new MemoryFiles();
  await other.makeFolder(PART);
  await assertRejects(
    () => storageOf(torrent, other, { files: new Set([2]) }).open("resume", QUIET),
    StorageError,
    "path conflict",
  );
});

Deno.test("Storage removes a partfile that nobody needs", async () => {
  const files = new MemoryFiles();
  await download(files, torrent, [2]);
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  assertFalse(onDisk(files).includes(PART));
  await storage.close();
});

Deno.test("Storage refuses pieces that have no place", async () => {
  const storage = storageOf(torrent, new MemoryFiles(), { files: new Set([2]) });
  await storage.open("resume", QUIET);
  assertEquals([storage.hasPlace(0), storage.hasPlace(9)], [false, true]);
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)), NotWantedError, "not wanted");
  await storage.close();
});

Deno.test("FileMap gives bytes in the partfile the same place whatever is wanted", () => {
  const full = new FileMap(torrent.layout, new Set([2]));
  for (const file of [0, 1, 4, 5]) full.divert(file);
  const less = new FileMap(torrent.layout, new Set([0, 2, 5]));
  for (const file of [1, 4]) less.divert(file);
  const of = (map: FileMap, file: number) =>
    map.rangesOfPiece(2).concat(map.rangesOfPiece(4)).filter((r) => r.file === file);
  assertEquals(of(full, full.partFile).at(-1), of(less, less.partFile).at(-1));
  assertEquals([0, 1, 2, 3, 4, 5, 6, 7].filter((piece) => full.hasPlace(piece)), [2, 3, 4, 6]);
});

Deno.test("Storage has just the wanted files, whatever was wanted before, and says the same after a restart", async () => {
  const runs = fc.array(fc.array(fc.nat(11)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(sketches, runs, fc.boolean(), async (drawn, selections, check) => {
      const any = new Torrent(64, drawn);
      const files = new MemoryFiles();
      const seen = new Set<number>();
      const fetched = new Set<number>();
      for (const selection of selections) {
        const wanted = new Set(selection.filter((index) => any.layout.files[index]?.pad === false));
        for (const piece of await download(files, any, [...wanted])) {
          assertFalse(fetched.has(piece), `piece ${piece} was fetched twice`);
          fetched.add(piece);
        }
        for (const index of wanted) seen.add(index);
        const part = `/dl/.shoal-${any.infoHash.hex}.part`;
        for (const [index, file] of any.layout.files.entries()) {
          if (file.pad) continue;
          const path = file.path.join("/");
          assertEquals(files.get(`/dl/${path}`) ?? null, seen.has(index) ? any.file(path) : null, path);
        }
        const names = [...seen].map((index) => `/dl/${any.layout.files[index]!.path.join("/")}`);
        assertEquals(onDisk(files).filter((path) => path !== part), names.sort());
        const storage = storageOf(any, files, { files: wanted });
        const have = await storage.open(check ? "check" : "resume", QUIET);
        for (const piece of fetched) assert(have.has(piece), `piece ${piece} is lost`);
        for (const piece of have) assertEquals(await readPiece(any, storage, piece), any.piece(piece));
        await storage.close();
      }
    }),
    { numRuns: tries(60) },
  );
});

Deno.test("FileMap puts every byte that has a place into one place of its own", () => {
  fc.assert(
    fc.property(sketches, fc.array(fc.nat(11)), (drawn, diverted) => {
      const map = new FileMap(layoutOf(64, drawn));
      for (const index of diverted) {
        const file = map.layout.files[index];
        if (file !== undefined && !file.pad && file.length > 0) map.divert(index);
      }
      const taken = new Set<string>();
      for (let piece = 0; piece < map.layout.pieceCount; piece++) {
        if (!map.hasPlace(piece)) continue;
        const isPlaced = new Bitfield(map.pieceSize(piece));
        for (const { file, position, at, length } of map.rangesOfPiece(piece)) {
          assert(position >= 0 && position + length <= map.file(file).length);
          for (let i = 0; i < length; i++) {
            assert(isPlaced.set(at + i));
            assertFalse(taken.has(`${file}:${position + i}`));
            taken.add(`${file}:${position + i}`);
          }
        }
        for (const { offset, length, pad } of map.layout.files) {
          for (let i = 0; pad && i < length; i++) {
            const at = offset + i - piece * 64;
            if (at >= 0 && at < isPlaced.length) assert(isPlaced.set(at));
          }
        }
        assert(isPlaced.isFull);
      }
    }),
  );
});
