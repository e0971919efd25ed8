/** Changes of an open storage: another selection of files, another check, lost pieces. */

import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import type { Bitfield } from "../../src/base/bitfield.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import { NotWantedError, StorageError } from "../../src/storage/errors.ts";
import { FolderLocks } from "../../src/storage/folder_locks.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { cases, fc, tries } from "../support/property.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import {
  FILES_IN_SHARED_PIECES,
  QUIET,
  readPiece,
  sketches,
  statePath,
  storageOf,
  Torrent,
  writeMissing,
} from "./fixture.ts";

const torrent = new Torrent(64, [...FILES_IN_SHARED_PIECES, { path: "t/link", link: "t/a" }]);
const PART = `/dl/.shoal-${torrent.infoHash.hex}.part`;

function onDisk(files: MemoryFiles): string[] {
  return files.paths().filter((path) => path.startsWith("/dl/") && !path.endsWith(".lock"));
}

/** Returns the missing pieces of some files. */
function missingOf(of: Torrent, have: Bitfield, files: Iterable<number>): number[] {
  const pieces = new Set<number>();
  for (const file of files) {
    const { first, end } = of.map.piecesOfFile(file);
    for (let piece = first; piece < end; piece++) if (!have.has(piece)) pieces.add(piece);
  }
  return [...pieces].sort((a, b) => a - b);
}

/** Writes the missing pieces of some files and returns their indices. */
async function fetch(of: Torrent, storage: Storage, files: Iterable<number>): Promise<number[]> {
  const missing = missingOf(of, storage.have, files);
  await Promise.all(missing.map((piece) => storage.writePiece(piece, of.piece(piece))));
  return missing;
}

async function assertServes(of: Torrent, storage: Storage): Promise<void> {
  for (const piece of storage.have) {
    assertEquals(await readPiece(of, storage, piece), of.piece(piece), `piece ${piece}`);
  }
}

/** Returns an open storage with a complete download. */
async function complete(files: MemoryFiles, options: Parameters<typeof storageOf>[2] = {}): Promise<Storage> {
  const storage = storageOf(torrent, files, options);
  await writeMissing(torrent, storage, await storage.open("resume", QUIET));
  await storage.flush();
  return storage;
}

Deno.test("Storage.select() brings home what came along with others, and keeps what isn't wanted any more", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files, { files: new Set([2]) });
  await storage.open("resume", QUIET);
  assertEquals(await fetch(torrent, storage, [2]), [2, 3, 4]);
  await storage.flush();
  assertEquals(onDisk(files), [PART, "/dl/t/c"]);

  assertEquals([...await storage.select(new Set([1, 3, 4]))], [2, 3, 4]);
  assertEquals(await fetch(torrent, storage, [1, 3, 4]), [5, 6]);
  await storage.flush();
  assertEquals(onDisk(files), [PART, "/dl/t/c", "/dl/t/sub/b", "/dl/t/sub/d", "/dl/t/sub/empty"]);
  await assertServes(torrent, storage);

  await storage.select(undefined);
  assertEquals(onDisk(files).includes(PART), false, "nothing needs the partfile");
  assertEquals(await fetch(torrent, storage, [0, 1, 2, 4, 5]), [0, 1, 7]);
  await storage.flush();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  await assertServes(torrent, storage);
  await storage.close();
});

Deno.test("Storage.select() leaves an unfinished file that isn't wanted where it is, serves it, and finishes it when it is whole", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  await storage.writePiece(3, torrent.piece(3));
  assertEquals([...await storage.select(new Set([0, 4]))], [3]);
  await fetch(torrent, storage, [0, 4]);
  await storage.flush();
  // c is complete by the pieces of its neighbours.
  assertEquals(onDisk(files), [PART, "/dl/t/a", "/dl/t/c", "/dl/t/sub/d", "/dl/t/sub/empty"]);
  await assertServes(torrent, storage);
  await storage.close();
});

Deno.test("Storage.select() hashes nothing, and serves from memory what it has there", async () => {
  const files = new MemoryFiles();
  const storage = await complete(files);
  await readPiece(torrent, storage, 0);
  files.calls.length = 0;
  await storage.select(new Set([2]));
  await storage.select(new Set([0, 1]));
  await readPiece(torrent, storage, 0);
  assertEquals(files.calls.filter(({ operation }) => operation === "read"), []);
  await storage.close();
});

Deno.test("Storage.select() changes nothing when something is in the way of a file", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files, { files: new Set([2]) });
  await storage.open("resume", QUIET);
  await storage.writePiece(3, torrent.piece(3));
  files.put("/dl/t/e", new Uint8Array(60).fill(7));
  const before = [...storage.have];
  for (let round = 0; round < 2; round++) {
    const error = await assertRejects(() => storage.select(undefined), StorageError);
    assertEquals([error.what, error.where], ["path conflict", "/dl/t/e"]);
    assertEquals([...storage.have], before);
  }
  assertEquals(await fetch(torrent, storage, [2]), [2, 4], "the same files are wanted as before");
  await storage.flush();
  await assertServes(torrent, storage);
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)), NotWantedError, "not wanted");
  files.delete("/dl/t/e");
  await storage.select(undefined);
  await fetch(torrent, storage, [0, 1, 2, 3, 4, 5]);
  await storage.flush();
  await storage.close();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
});

Deno.test("Storage holds back pieces while files are chosen, and refuses those that have no place afterwards", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files, { files: new Set([0, 2]) });
  await storage.open("resume", QUIET);
  await storage.writePiece(3, torrent.piece(3));
  const gate = files.hold((call) => call.operation === "stat");
  const selecting = storage.select(new Set([2]));
  while (gate.waiting === 0) await Promise.resolve();
  const kept = storage.writePiece(4, torrent.piece(4));
  const refused = assertRejects(() => storage.writePiece(0, torrent.piece(0)), NotWantedError);
  await settle();
  assertEquals([...storage.have], [3]);
  gate.open();
  assertEquals([...await selecting], [3]);
  await Promise.all([kept, refused]);
  assertEquals([...storage.have], [3, 4]);
  await storage.close();
});

Deno.test("Storage takes one operation after the other, and ends them when it is closed", async () => {
  const files = new MemoryFiles();
  const storage = await complete(files);
  const gate = files.hold((call) => call.operation === "read");
  const progress: number[] = [];
  const checking = storage.recheck({ onProgress: (fraction) => void progress.push(fraction) });
  const later = assertRejects(() => storage.select(new Set([1])), StorageError, "were closed");
  const aborted = assertRejects(() => checking, StorageError, "were closed");
  while (gate.waiting === 0) await Promise.resolve();
  const closing = storage.close();
  gate.open();
  await Promise.all([aborted, later, closing]);
  assertEquals([files.openHandles, ...onDisk(files)], [0, ...torrent.finalPaths("/dl")]);
});

Deno.test("Storage.recheck() believes nothing, and makes unfinished files of those that lack something", async () => {
  const files = new MemoryFiles();
  const storage = await complete(files);
  await readPiece(torrent, storage, 5);
  files.get("/dl/t/sub/d")![70]! ^= 1; // a byte of piece 5
  const fractions: number[] = [];
  const have = await storage.recheck({ onProgress: (fraction) => void fractions.push(fraction) });
  assertEquals([...have], [0, 1, 2, 3, 4, 6, 7]);
  assertEquals(fractions.at(-1), 1);
  assertFalse(storage.readCached(5, 0, 64, new Uint8Array(64), 0));
  assertEquals(onDisk(files).filter((path) => path.endsWith(".part")), ["/dl/t/sub/d.part"]);
  await assertServes(torrent, storage);
  await storage.writePiece(5, torrent.piece(5));
  await storage.flush();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  assertEquals(files.get("/dl/t/sub/d"), torrent.file("t/sub/d"));
  await assertServes(torrent, storage);
  await storage.close();
  const again = storageOf(torrent, files);
  assert((await again.open("resume", QUIET)).isFull);
  await again.close();
});

Deno.test("Storage.recheck() that is aborted leaves all as it was; reads go on meanwhile", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  await fetch(torrent, storage, [0, 1, 2, 4]);
  await storage.flush();
  const before = onDisk(files);
  const state = files.get(statePath(torrent))!.slice();
  const gate = files.hold((call) => call.operation === "read" && call.path === "/dl/t/sub/d");
  const abort = new AbortController();
  const checking = storage.recheck({ ...QUIET, signal: abort.signal });
  while (gate.waiting === 0) await Promise.resolve();
  assertEquals(await readPiece(torrent, storage, 0), torrent.piece(0));
  abort.abort(new Error("enough"));
  gate.open();
  await assertRejects(() => checking, Error, "enough");
  await assertRejects(
    () => storage.recheck({ ...QUIET, signal: AbortSignal.abort(new Error("at once")) }),
    Error,
    "at once",
  );
  assertEquals([...storage.have], [0, 1, 2, 3, 4, 5, 6]);
  await assertServes(torrent, storage);
  await storage.saveState();
  assertEquals(files.get(statePath(torrent)), state);
  await storage.close();
  assertEquals([files.openHandles, ...onDisk(files)], [0, ...before]);
});

Deno.test("Storage.recheck() that finds another file in the place of one claims nothing of it", async () => {
  const files = new MemoryFiles({ wallClock: () => 5000 });
  const storage = await complete(files);
  files.put("/dl/t/sub/d", new Uint8Array(119).fill(7));
  const error = await assertRejects(() => storage.recheck(QUIET), StorageError);
  assertEquals([error.what, error.where], ["path conflict", "/dl/t/sub/d"]);
  assertEquals([...storage.have], [0, 1, 2, 3, 7]);
  await assertServes(torrent, storage);
  assertEquals(files.get("/dl/t/sub/d"), new Uint8Array(119).fill(7));
  files.delete("/dl/t/sub/d");
  assertEquals([...await storage.recheck(QUIET)], [0, 1, 2, 3, 7]);
  await storage.writePiece(4, torrent.piece(4));
  await fetch(torrent, storage, [4]);
  await storage.flush();
  await storage.close();
  assertEquals(files.get("/dl/t/sub/d"), torrent.file("t/sub/d"));
});

Deno.test("Storage.forget() takes the final name of what lacks a piece, and gives it back when that is written again", async () => {
  const files = new MemoryFiles();
  const storage = await complete(files);
  await readPiece(torrent, storage, 4);
  files.get("/dl/t/c")!.fill(9, 90, 95); // bytes of piece 4
  assertEquals([...await storage.forget([4])], [0, 1, 2, 3, 5, 6, 7]);
  // d has a part in piece 4, too.
  assertEquals(onDisk(files).filter((path) => path.endsWith(".part")), ["/dl/t/c.part", "/dl/t/sub/d.part"]);
  await assertRejects(() => storage.load(4, 0, 64), RangeError, "not there");
  await assertServes(torrent, storage);
  // The same after a restart.
  const next = files.copy();
  const after = storageOf(torrent, next);
  assertEquals([...await after.open("resume", QUIET)], [0, 1, 2, 3, 5, 6, 7]);
  await after.close();

  await storage.writePiece(4, torrent.piece(4));
  await storage.flush();
  assertEquals(await readPiece(torrent, storage, 4), torrent.piece(4));
  await storage.close();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  for (const path of ["t/c", "t/sub/d"]) assertEquals(files.get(`/dl/${path}`), torrent.file(path));
});

Deno.test("Storage.forget() claims nothing of a file that is gone, nor what is behind the end of one that was cut", async () => {
  const files = new MemoryFiles();
  const storage = await complete(files);
  files.delete("/dl/t/e");
  files.cut("/dl/t/a", 100);
  assertEquals([...await storage.forget([7, 2])], [0, 3, 4, 5]);
  await assertServes(torrent, storage);
  await storage.forget([1, 99, -1]); // piece 1 is missing already, and the others don't exist
  await fetch(torrent, storage, [0, 1, 2, 4, 5]);
  await storage.flush();
  await storage.close();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  for (const path of ["t/a", "t/e", "t/c"]) assertEquals(files.get(`/dl/${path}`), torrent.file(path), path);
});

Deno.test("Storage keeps others out again when something of a whole torrent is lost", async () => {
  const files = new MemoryFiles();
  const storage = await complete(files);
  const others = () => FolderLocks.of(files).take("/dl", { infoHash: torrent.infoHash, now: 1 });
  await storage.recheck(QUIET);
  const theirs = await others();
  await assertRejects(() => storage.forget([4]), StorageError, "is being downloaded to that folder already");
  assertFalse(storage.have.has(4), "it is lost all the same");
  await theirs!.release();
  await storage.forget([4]);
  assertEquals(await others(), null);
  await storage.writePiece(4, torrent.piece(4));
  await storage.flush();
  await (await others())!.release();
  await storage.close();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
});

Deno.test("Storage.forget() changes no name of what is only served", async () => {
  const files = new MemoryFiles();
  await (await complete(files)).close();
  const storage = storageOf(torrent, files, { readOnly: true });
  await storage.open("resume", QUIET);
  assertEquals([...await storage.forget([4, 5])], [0, 1, 2, 3, 6, 7]);
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  await assertServes(torrent, storage);
  assert((await storage.recheck(QUIET)).isFull);
  await storage.close();
});

Deno.test("Storage.forget() leaves another file alone that has come to the place of one", async () => {
  const files = new MemoryFiles({ wallClock: () => 7000 });
  const storage = await complete(files);
  files.put("/dl/t/e", new Uint8Array(61));
  const error = await assertRejects(() => storage.forget([6, 7]), StorageError, "changed by another program");
  assertEquals(error.where, "/dl/t/e");
  assertEquals([...storage.have], [0, 1, 2, 3, 4, 5]);
  assertEquals(files.get("/dl/t/e"), new Uint8Array(61));
  await storage.close();
});

Deno.test("Storage.recheck() goes on after the background work has failed", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  files.onCall = (call) => call.operation === "sync" ? "device" : null;
  await writeMissing(torrent, storage, storage.have).catch(() => {});
  await assertRejects(() => storage.flush(), FileError, "device failed");
  await assertRejects(() => storage.select(new Set([1])), FileError, "device failed");
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)).then(() => storage.flush()), FileError);
  await storage.recheck(QUIET);
  await assertRejects(() => storage.flush(), FileError, "device failed");
  files.onCall = () => null;
  await storage.recheck(QUIET);
  await fetch(torrent, storage, [0, 1, 2, 4, 5]);
  await storage.flush();
  assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  await storage.close();
  assertEquals(files.openHandles, 0);
});

Deno.test("Storage.recheck() can be tried until it succeeds, also when an operation failed halfway", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files, { files: new Set([2]) });
  await storage.open("resume", QUIET);
  await fetch(torrent, storage, [2]);
  await storage.flush();
  // Bytes from the partfile can't be written to the file, nor can the files be scanned again.
  let broken = false;
  files.onCall = (call) => {
    broken ||= call.operation === "write" && call.path === "/dl/t/sub/b.part";
    return broken ? "device" : null;
  };
  await assertRejects(() => storage.select(undefined), FileError, "device failed");
  await assertRejects(() => storage.load(3, 0, 1), FileError, "device failed");
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)), FileError, "device failed");
  await assertRejects(() => storage.flush(), FileError, "device failed");
  await assertRejects(() => storage.recheck(QUIET), FileError, "device failed");
  files.onCall = () => null;
  assertEquals([...await storage.recheck(QUIET)], [2, 3, 4]);
  await assertServes(torrent, storage);
  assertEquals([...await storage.select(undefined)], [2, 3, 4]);
  await fetch(torrent, storage, [0, 1, 2, 4, 5]);
  await storage.flush();
  await storage.close();
  assertEquals([files.openHandles, ...onDisk(files)], [0, ...torrent.finalPaths("/dl")]);
});

Deno.test("Storage that was closed after a failure leaves everything to a new one", async () => {
  for (const operation of ["sync", "write", "rename", "close", "truncate", "stat"] as const) {
    const files = new MemoryFiles();
    let last: Storage | null = null;
    for (let round = 0; round < 3; round++) {
      const storage = last = storageOf(torrent, files, { maxOpenFiles: 2 });
      await storage.open("resume", QUIET);
      files.onCall = (call) => call.operation === operation && !call.path.includes("/.shoal") ? "device" : null;
      const work = writeMissing(torrent, storage, storage.have).then(() => storage.flush());
      const failures = await Promise.allSettled([work, work.then(() => storage.close(), () => storage.close())]);
      assert(failures.some(({ status }) => status === "rejected"), operation);
      await storage.close().catch(() => {});
      assertEquals(files.openHandles, 0, operation);
      assertFalse(files.paths().some((path) => path.endsWith(".lock")), operation);
      files.onCall = () => null;
    }
    const [claim, storage] = [await FolderLocks.of(files).take("/dl", { infoHash: torrent.infoHash, now: 1 }), last!];
    assert(claim !== null, "the folder is free");
    await claim.release();
    await assertRejects(() => storage.recheck(QUIET), StorageError, "were closed");
    const again = await complete(files);
    await again.close();
    assertEquals(onDisk(files), torrent.finalPaths("/dl"));
  }
});

Deno.test("Storage that couldn't be opened leaves everything to a new one", async () => {
  const faultless = new MemoryFiles();
  const some = storageOf(torrent, faultless, { files: new Set([2]) });
  await some.open("resume", QUIET);
  await fetch(torrent, some, [2]);
  await some.close();
  for (let at = 0;; at++) {
    const files = faultless.copy();
    files.onCall = (call, index) => index === at && !call.path.startsWith("/state") ? "device" : null;
    const broken = storageOf(torrent, files);
    const error = await broken.open("check", QUIET).then(() => null, (error) => error);
    await broken.close().catch(() => {});
    const calls = files.calls.length;
    files.onCall = () => null;
    assertEquals(files.openHandles, 0);
    const again = await complete(files);
    await again.close();
    assertEquals(onDisk(files), torrent.finalPaths("/dl"), `${error}`);
    if (at > calls) break;
  }
});

Deno.test("Storage.select() gives the same as a restart with the same files, and fetches nothing twice", async () => {
  const step = fc.record({
    files: fc.array(fc.nat(11)),
    share: fc.nat(4),
    forget: fc.array(fc.nat(40), { maxLength: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(
      sketches,
      fc.array(step, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (drawn, steps, check) => {
        const any = new Torrent(64, drawn);
        const files = new MemoryFiles();
        const storage = storageOf(any, files, { files: new Set() });
        let there = new Set(await storage.open("resume", QUIET)); // pieces that are only padding
        const forgotten = new Set<number>();
        const whole = new Set<number>();
        for (const { files: chosen, share, forget } of steps) {
          const wanted = new Set(chosen.filter((index) => any.layout.files[index]?.pad === false));
          const found = new Set(await storage.select(wanted));
          assertEquals([...there.difference(found)], [], "nothing is lost");
          // The data of a forgotten piece is still on disk, and where its files change names it is checked anew.
          for (const piece of found.difference(there)) assert(forgotten.has(piece), `piece ${piece} is found`);
          there = found;
          for (const [i, piece] of missingOf(any, storage.have, wanted).entries()) {
            if (i % 4 > share) continue;
            await storage.writePiece(piece, any.piece(piece));
            there.add(piece);
          }
          await storage.flush();
          const restarted = files.copy();
          const other = storageOf(any, restarted, { files: wanted });
          assertEquals(
            [...await other.open(check ? "check" : "resume", QUIET)],
            [...storage.have],
            "as after a restart",
          );
          await other.flush();
          assertEquals(onDisk(restarted), onDisk(files));
          for (const path of onDisk(files)) assertEquals(restarted.get(path), files.get(path), path);
          await other.close();
          await assertServes(any, storage);
          for (const [index, file] of any.layout.files.entries()) {
            if (missingOf(any, storage.have, [index]).length === 0 && wanted.has(index)) whole.add(index);
            const data = files.get(`/dl/${file.path.join("/")}`);
            if (whole.has(index)) assertEquals(data, any.file(file.path.join("/")));
          }
          whole.clear();
          const lost = check
            ? []
            : forget.filter((piece) => there.has(piece) && any.map.rangesOfPiece(piece).length > 0);
          await storage.forget(lost);
          for (const piece of lost) there.delete(piece);
          for (const piece of lost) forgotten.add(piece);
        }
        await storage.close();
        assertEquals(files.openHandles, 0);
      },
    ),
    { numRuns: tries(60) },
  );
});

/** Runs every operation of an open storage. */
async function session(files: MemoryFiles, clock: VirtualClock): Promise<void> {
  const storage = storageOf(torrent, files, { clock, maxOpenFiles: 2, files: new Set([2]) });
  try {
    await storage.open("resume", QUIET);
    await fetch(torrent, storage, [2]);
    await storage.select(new Set([0, 1, 2]));
    await fetch(torrent, storage, [1]);
    await clock.play(7000);
    await fetch(torrent, storage, [0]);
    await storage.flush();
    await storage.forget([1, 4]);
    await storage.recheck(QUIET);
    await storage.forget([3]);
    await storage.select(new Set([4, 5]));
    await fetch(torrent, storage, [4]);
    await storage.recheck(QUIET);
    await storage.select(undefined);
    await fetch(torrent, storage, [0, 1, 2, 4, 5]);
    await assertServes(torrent, storage);
    await storage.flush();
  } finally {
    await storage.close();
  }
}

function assertNamesRight(files: MemoryFiles, why: string): void {
  for (const path of torrent.finalPaths("/dl")) {
    const data = files.get(path);
    if (data !== null) assertEquals(data, torrent.file(path.slice("/dl/".length)), `${why}: ${path}`);
  }
}

Deno.test("Storage tells of any one call that fails in an operation, and the next start mends it", async () => {
  const faultless = new MemoryFiles();
  await session(faultless, new VirtualClock());
  assertEquals(onDisk(faultless), torrent.finalPaths("/dl"));
  assert(faultless.calls.length > 200);
  for (const index of cases(faultless.calls.length)) {
    const clock = new VirtualClock();
    const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
    files.onCall = (_, at) => at === index ? (index % 2 === 0 ? "device" : "full") : null;
    const { operation, path } = faultless.calls[index]!;
    const why = `call ${index}, ${operation} ${path}`;
    const error = await session(files, clock).then(() => null, (error) => error);
    if (error !== null) assert(error instanceof FileError, `${why}: ${error?.stack}`);
    assertNamesRight(files, why);
    assertEquals([files.openHandles, clock.pending], [0, 0], why);
    files.onCall = () => null;
    clock.advance(60_000);
    await session(files, clock);
    assertEquals(onDisk(files), torrent.finalPaths("/dl"), why);
    assertNamesRight(files, why);
    assertEquals(files.openHandles, 0, why);
  }
});
