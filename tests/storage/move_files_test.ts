/** Moving a torrent to another folder while the torrent is used, and removing it. */

import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { FileError } from "../../src/platform/file_errors.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { FolderLocks } from "../../src/storage/folder_locks.ts";
import { parseResumeState } from "../../src/storage/resume_state.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { cases } from "../support/property.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";
import { FILES_IN_SHARED_PIECES, QUIET, readPiece, statePath, storageOf, Torrent, writeMissing } from "./fixture.ts";

const torrent = new Torrent(64, [...FILES_IN_SHARED_PIECES, { path: "t/sub/link", link: "t/a" }]);
const PIECES = 8;
const PART_NAME = `.shoal-${torrent.infoHash.hex}.part`;
/** A folder on the same file system, and one on another. */
const TARGETS = ["/new/place", "/mnt/place"];

function newDisk(clock?: VirtualClock, room = Infinity): MemoryFiles {
  return new MemoryFiles({ ...(clock && { wallClock: () => clock.wallClock() }), mounts: ["/mnt"], room });
}

function at(files: MemoryFiles, folder: string): string[] {
  return files.paths().filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1))
    .filter((name) => !name.endsWith(".lock"));
}

async function assertServes(storage: Storage): Promise<void> {
  for (const piece of storage.have) {
    assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece), `piece ${piece}`);
  }
}

/** Writes every kind of file of the torrent: complete files, an incomplete file, and the partfile. */
async function partly(files: MemoryFiles, options: Parameters<typeof storageOf>[2] = {}): Promise<Storage> {
  const storage = storageOf(torrent, files, { files: new Set([0, 1, 3, 5]), ...options });
  await storage.open("resume", QUIET);
  for (const piece of [0, 1, 2, 7]) await storage.writePiece(piece, torrent.piece(piece));
  await storage.flush();
  return storage;
}

async function complete(files: MemoryFiles, options: Parameters<typeof storageOf>[2] = {}): Promise<Storage> {
  const storage = storageOf(torrent, files, options);
  await writeMissing(torrent, storage, await storage.open("resume", QUIET));
  await storage.flush();
  return storage;
}

const PARTLY = [PART_NAME, "t/a", "t/e.part", "t/sub/b", "t/sub/empty"];

for (const target of TARGETS) {
  const where = target.startsWith("/mnt") ? "to another file system" : "on the same file system";
  Deno.test(`Storage.move() ${where} takes along all there is, and leaves nothing but what is others'`, async () => {
    const clock = new VirtualClock();
    const files = newDisk();
    const storage = await partly(files, { clock });
    files.put("/dl/t/mine.txt", new Uint8Array(3));
    assertEquals(at(files, "/dl"), [...PARTLY, "t/mine.txt"].sort());
    const fractions: number[] = [];
    await storage.move(target, { onProgress: (fraction) => void fractions.push(fraction) });
    assertEquals(fractions.at(-1), 1);
    assertEquals(at(files, target), PARTLY);
    assertEquals(at(files, "/dl"), ["t/mine.txt"]);
    assertFalse(files.folders().includes("/dl/t/sub"), "the folder is empty");
    assertEquals([...storage.have], [0, 1, 2, 7]);
    await assertServes(storage);
    await clock.play(2000);
    assertEquals(at(files, "/state").length, 1);
    const state = parseResumeState(files.get(statePath(torrent, target))!, { pieceCount: PIECES, fileCount: 7 });
    assertEquals([state.folder, state.otherFolder, ...state.pieces], [target, undefined, 0, 1, 2, 7]);
    // The torrent continues in the new folder, with every operation.
    await storage.select(undefined);
    for (const piece of [3, 4, 5, 6]) await storage.writePiece(piece, torrent.piece(piece));
    await storage.flush();
    assertEquals(at(files, target).map((name) => `${target}/${name}`), torrent.finalPaths(target));
    assertEquals(files.linkAt(`${target}/t/sub/link`), "../../t/a");
    await storage.close();
    assertEquals(files.openHandles, 0);
    files.calls.length = 0;
    const again = storageOf(torrent, files, { folder: target });
    assert((await again.open("resume", QUIET)).isFull);
    assertEquals(files.calls.filter(({ operation }) => operation === "read"), [], "nothing is hashed");
    await again.close();
  });

  Deno.test(`Storage.move() ${where} of a seed serves meanwhile, there and back again`, async () => {
    const files = newDisk();
    const storage = await complete(files);
    const gate = files.hold((call) => call.operation === "rename" && /t\/c$|\.moving\/2$/.test(call.path));
    const moving = storage.move(target);
    while (gate.waiting === 0) await readPiece(torrent, storage, 0);
    assertEquals(await readPiece(torrent, storage, 1), torrent.piece(1));
    gate.open();
    await moving;
    assertEquals(at(files, target).map((name) => `${target}/${name}`), torrent.finalPaths(target));
    assertEquals([at(files, "/dl"), files.folders().includes("/dl/t")], [[], false]);
    await assertServes(storage);
    await storage.move("/dl");
    await storage.move("/dl");
    assertEquals(at(files, "/dl").map((name) => `/dl/${name}`), torrent.finalPaths("/dl"));
    assertEquals(at(files, target), []);
    assert((await storage.recheck(QUIET)).isFull);
    await storage.close();
    assertEquals([files.openHandles, ...at(files, "/state")].length, 2);
  });

  Deno.test(`Storage.move() ${where} leaves all as it was when something is in the way`, async () => {
    for (
      const [path, kind] of [["t/a", "file"], ["t/c.part", "file"], ["t/sub", "file"], [PART_NAME, "file"], [
        "t",
        "link",
      ], ["t/sub/link", "link"]]
    ) {
      const files = newDisk();
      const storage = await partly(files);
      await files.makeFolder(`${target}/${path!.split("/").slice(0, -1).join("/")}`);
      if (kind === "link") files.putLink(`${target}/${path}`, "/dl");
      else files.put(`${target}/${path}`, new Uint8Array(3));
      const before = at(files, "/dl");
      const error = await assertRejects(() => storage.move(target), StorageError, undefined, path!);
      assertEquals([error.what, error.where], ["path conflict", `${target}/${path}`]);
      assertEquals([at(files, "/dl"), at(files, target), at(files, "/state").length], [before, [path!], 1]);
      await assertServes(storage);
      files.delete(`${target}/${path}`);
      await storage.move(target);
      assertEquals(at(files, target), PARTLY);
      await storage.close();
    }
  });

  Deno.test(`Storage.move() ${where} that fails at any call changes nothing, or is done`, async () => {
    const faultless = newDisk();
    const start = await partly(faultless);
    await start.close();
    for (const fails of cases(Infinity)) {
      const files = faultless.copy();
      const warnings: StorageError[] = [];
      const storage = storageOf(torrent, files, {
        files: new Set([0, 1, 3, 5]),
        onWarning: (error) => void warnings.push(error),
      });
      await storage.open("resume", QUIET);
      await storage.flush();
      const from = files.calls.length + fails;
      let failed = "";
      files.onCall = (call, index) => {
        if (index !== from) return null;
        failed = `${call.operation} ${call.path}`;
        return fails % 2 === 0 ? "device" : "full";
      };
      const error = await storage.move(target).then(() => null, (error) => error);
      files.onCall = () => null;
      if (failed === "") {
        assertEquals(error, null);
        await storage.close();
        assert(fails > 40, `${fails} calls`);
        break;
      }
      if (error === null) assertEquals([at(files, target), at(files, "/dl").length <= 5], [PARTLY, true], failed);
      else {
        assert(error instanceof FileError, `${failed}: ${error.stack}`);
        assertEquals([at(files, "/dl"), at(files, target)], [PARTLY, []], failed);
        assertFalse(files.folders().some((path) => path.startsWith(target)), `${failed}: ${files.folders()}`);
      }
      assertEquals([...storage.have], [0, 1, 2, 7]);
      await assertServes(storage);
      await storage.move("/new/other");
      assertEquals(at(files, "/new/other"), PARTLY, failed);
      await storage.close();
      assertEquals(files.openHandles, 0, failed);
      assertFalse(files.paths().some((path) => path.endsWith(".lock") && failed.indexOf("lock") < 0), failed);
    }
  });

  for (const names of [null, "all", "early"] as const) {
    const what = names === null ? "a kill" : `a loss of power that leaves ${names} changes of names`;
    Deno.test(`Storage.move() ${where}: after ${what} at any call everything is found, whichever folder is opened`, async () => {
      const clock = new VirtualClock();
      const first = newDisk(clock);
      await (await partly(first, { clock })).close();
      clock.advance(60_000);
      for (const last of cases(Infinity, 1)) {
        let isOver = false;
        for (const folder of ["/dl", target]) {
          const files = first.copy();
          const random = new VirtualClock({ seed: last });
          const storage = storageOf(torrent, files, { clock, files: new Set([0, 1, 3, 5]) });
          await storage.open("resume", QUIET);
          await storage.flush();
          const from = files.calls.length + last;
          const killed = Promise.withResolvers<MemoryFiles>();
          let why = "";
          files.onCall = (call, index) => {
            if (index !== from) return null;
            why = `call ${last}, ${call.operation} ${call.path}, then ${folder}`;
            killed.resolve(files.crash(names === null ? undefined : { random: () => random.random(), names }));
            return null;
          };
          const outcome = await Promise.race([storage.move(target), killed.promise]);
          if (!(outcome instanceof MemoryFiles)) {
            isOver = true;
            files.onCall = () => null;
            await storage.close();
            continue;
          }
          clock.advance(1000);
          const again = storageOf(torrent, outcome, { clock, folder, files: new Set([0, 1, 3, 5]) });
          const have = await again.open("resume", QUIET);
          if (have.count === 0 && folder === target) {
            // Nothing has been moved yet: every file is in the old folder.
            await again.close();
            const old = storageOf(torrent, outcome, { clock, files: new Set([0, 1, 3, 5]) });
            assertEquals([...await old.open("resume", QUIET)], [0, 1, 2, 7], why);
            await old.close();
            continue;
          }
          assertEquals([...have], [0, 1, 2, 7], why);
          assertEquals(at(outcome, folder), PARTLY, why);
          assertEquals(at(outcome, folder === "/dl" ? target : "/dl"), [], why);
          await assertServes(again);
          for (const path of ["t/a", "t/sub/b"]) {
            assertEquals(outcome.get(`${folder}/${path}`), torrent.file(path), why);
          }
          await again.close();
          assertEquals(outcome.openHandles, 0, why);
        }
        if (isOver) {
          assert(last > 40, `${last} calls`);
          break;
        }
      }
    });
  }
}

Deno.test("Storage.move() writes what comes meanwhile, in the old place or in the new one", async () => {
  const files = newDisk();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  for (const piece of [0, 1, 2]) await storage.writePiece(piece, torrent.piece(piece));
  await storage.flush();
  assertEquals(at(files, "/dl"), ["t/a", "t/c.part", "t/sub/b", "t/sub/empty"]);
  const copying = files.hold((call) => call.operation === "write" && call.path.includes(".moving/"));
  const moving = storage.move("/mnt/x");
  while (copying.waiting === 0) await Promise.resolve();
  await storage.writePiece(3, torrent.piece(3)); // complete files are being copied, which holds up no write
  copying.open();
  const renaming = files.hold((call) => call.operation === "rename" && call.path.includes(".moving/"));
  while (renaming.waiting === 0) await Promise.resolve();
  const late = storage.writePiece(4, torrent.piece(4));
  await settle();
  assertFalse(storage.have.has(4), "it is held back");
  renaming.open();
  await Promise.all([moving, late]);
  for (const piece of [5, 6, 7]) await storage.writePiece(piece, torrent.piece(piece));
  await storage.flush();
  await storage.close();
  assertEquals(at(files, "/mnt/x").map((name) => `/mnt/x/${name}`), torrent.finalPaths("/mnt/x"));
  for (const path of ["t/a", "t/c", "t/e"]) assertEquals(files.get(`/mnt/x/${path}`), torrent.file(path));
  assertEquals(at(files, "/dl"), []);
});

Deno.test("Storage.move() ends when it is aborted or closed while files are copied, and leaves nothing there", async () => {
  for (const how of ["abort", "close"]) {
    const files = newDisk();
    const storage = await partly(files);
    const abort = new AbortController();
    const gate = files.hold((call) => call.operation === "write" && call.path.includes(".moving/"));
    const moving = storage.move("/mnt/x", { signal: abort.signal });
    const failing = assertRejects(() => moving, Error, how === "abort" ? "enough" : "were closed");
    while (gate.waiting === 0) await Promise.resolve();
    const closing = how === "abort" ? abort.abort(new Error("enough")) : storage.close();
    gate.open();
    await Promise.all([failing, closing]);
    await storage.close();
    assertEquals([at(files, "/dl"), at(files, "/mnt"), files.openHandles], [PARTLY, [], 0]);
    const again = storageOf(torrent, files);
    assertEquals([...await again.open("resume", QUIET)], [0, 1, 2, 7]);
    await again.close();
  }
});

Deno.test("Storage.move() that finds no room leaves all as it was", async () => {
  for (let room = 0; room < 200; room += 40) {
    const files = newDisk();
    const storage = await partly(files);
    files.room = room;
    const error = await assertRejects(() => storage.move("/mnt/x"), FileError);
    assertEquals(error.fault, "full");
    assertEquals([at(files, "/dl"), at(files, "/mnt")], [PARTLY, []]);
    await assertServes(storage);
    files.room = Infinity;
    await storage.move("/mnt/x");
    await storage.close();
    assertEquals(at(files, "/mnt/x"), PARTLY);
  }
});

Deno.test("Storage.move() refuses a folder of the torrent itself, one where it is in use, and a storage that only reads", async () => {
  const files = newDisk();
  const storage = await partly(files);
  for (const folder of ["/dl/t", "/dl/t/sub", "/dl/t/sub/new"]) {
    await assertRejects(() => storage.move(folder), StorageError, "in a folder of the torrent itself");
  }
  assertFalse(files.folders().includes("/dl/t/sub/new"));
  await files.makeFolder("/new");
  const theirs = await FolderLocks.of(files).take("/new", { infoHash: torrent.infoHash, now: 1 });
  const theirState = Uint8Array.of(1, 2, 3);
  files.put(statePath(torrent, "/new"), theirState);
  await assertRejects(() => storage.move("/new"), StorageError, "is being downloaded to that folder already");
  assertEquals(await files.readFile(statePath(torrent, "/new"), 100), theirState);
  await theirs!.release();
  await storage.move("/dl/other"); // in the download folder, but not in a folder of the torrent
  await storage.move("/new");
  await storage.close();
  await assertRejects(() => storage.move("/dl"), StorageError, "were closed");
  const reader = storageOf(torrent, files, { folder: "/new", readOnly: true });
  await reader.open("resume", QUIET);
  await assertRejects(() => reader.move("/dl"), StorageError, "not open for writing");
  await reader.close();
  assertEquals(at(files, "/new"), PARTLY);
});

Deno.test("Storage that could be moved neither on nor back goes on after another try", async () => {
  const files = newDisk();
  const storage = await partly(files);
  let renames = 0;
  files.onCall = (call) => call.operation === "rename" && ++renames > 2 ? "device" : null;
  await assertRejects(() => storage.move("/new"), FileError, "device failed");
  assertEquals(at(files, "/dl").length + at(files, "/new").length, PARTLY.length);
  assert(at(files, "/new").length > 0);
  await assertRejects(() => storage.load(0, 0, 1), FileError);
  await assertRejects(() => storage.flush(), FileError);
  await assertRejects(() => storage.recheck(QUIET), FileError);
  files.onCall = () => null;
  const left = files.copy();
  assertEquals([...await storage.recheck(QUIET)], [0, 1, 2, 7]);
  assertEquals([at(files, "/dl"), at(files, "/new")], [PARTLY, []]);
  await assertServes(storage);
  await storage.close();
  const other = storageOf(torrent, left, { folder: "/new", files: new Set([0, 1, 3, 5]) });
  assertEquals([...await other.open("resume", QUIET)], [0, 1, 2, 7]);
  assertEquals([at(left, "/dl"), at(left, "/new")], [[], PARTLY]);
  await other.close();
});

Deno.test("Storage believes no state that names a folder whose state doesn't name it", async () => {
  const files = newDisk();
  const storage = await complete(files);
  let stale: Uint8Array | null = null;
  files.onCall = (call) => {
    if (call.operation === "remove" && call.path === statePath(torrent)) stale = files.get(call.path)!.slice();
    return null;
  };
  await storage.move("/new");
  await storage.close();
  files.put(statePath(torrent), stale!);
  const old = storageOf(torrent, files);
  assertEquals((await old.open("resume", QUIET)).count, 0);
  await old.close();
  assertEquals(at(files, "/new").map((name) => `/new/${name}`), torrent.finalPaths("/new"));
  const again = storageOf(torrent, files, { folder: "/new" });
  assert((await again.open("resume", QUIET)).isFull);
  await again.close();
});

Deno.test("Storage.removeData() removes what is the torrent's, and nothing else", async () => {
  for (const how of ["open", "closed", "never opened", "no state"]) {
    const files = newDisk();
    const storage = await partly(files);
    files.put("/dl/t/mine.txt", new Uint8Array(3));
    files.put("/dl/t/c", new Uint8Array(99).fill(7)); // in the place of an unwanted file
    files.putLink("/dl/t/sub/link", "../../../home");
    files.put("/home/t/a", torrent.file("t/a"));
    if (how === "open") await storage.removeData();
    else {
      await storage.close();
      if (how === "no state") files.delete(statePath(torrent));
      await (how === "closed" ? storage : storageOf(torrent, files)).removeData();
    }
    assertEquals(at(files, "/dl"), ["t/c", "t/mine.txt", "t/sub/link"], how);
    assertEquals([at(files, "/home"), at(files, "/state")], [["t/a"], []], how);
    await assertRejects(() => storage.select(undefined), StorageError, "were closed");
  }
});

Deno.test("Storage.removeData() of a whole torrent leaves no folder, and follows no link", async () => {
  const files = newDisk();
  const storage = await complete(files);
  await storage.removeData();
  assertEquals(files.paths().filter((path) => !path.endsWith(".lock")), []);
  assertEquals(files.folders().filter((path) => path.startsWith("/dl/")), []);
  for (const path of torrent.finalPaths("/away").filter((path) => !path.endsWith("link"))) {
    files.put(path, torrent.file(path.slice("/away/".length)));
  }
  files.putLink("/dl/t", "/away/t");
  await storageOf(torrent, files, { readOnly: true }).removeData();
  assertEquals(at(files, "/away").length, 6);
  await storageOf(torrent, files, { folder: "/nowhere" }).removeData();
  assertFalse(files.folders().includes("/nowhere"));
});
