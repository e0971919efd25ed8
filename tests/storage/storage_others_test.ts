import { assert, assertEquals, assertRejects } from "@std/assert";
import { denoFiles } from "../../src/platform/deno_files.ts";
import { StorageError } from "../../src/storage/errors.ts";
import type { StorageOptions } from "../../src/storage/storage.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { QUIET, readPiece, statePath, storageOf, Torrent, writeMissing } from "./fixture.ts";

/** A torrent of four pieces in one file. */
const torrent = new Torrent(64, [{ path: "t/a", length: 250 }]);
/** Another torrent with the same path. */
const rival = new Torrent(64, [{ path: "t/a", length: 250 }], 2);
const PART = "/dl/t/a.part";

/** Changes to an incomplete file by another program. */
const DISTURBANCES: [what: string, disturb: (files: MemoryFiles) => void][] = [
  ["deleted", (files) => files.delete(PART)],
  ["cut to nothing", (files) => files.cut(PART, 0)],
  ["cut short", (files) => files.cut(PART, 100)],
  ["made longer", (files) => files.cut(PART, 251)],
  ["replaced by another of the same size", (files) => files.put(PART, new Uint8Array(250))],
  ["replaced by a link", (files) => {
    files.put("/dl/t/user", new Uint8Array(250));
    files.putLink(PART, "user");
  }],
];

for (const [what, disturb] of DISTURBANCES) {
  for (const maxOpenFiles of [1, 128]) {
    const evicted = maxOpenFiles === 1;
    const open = evicted ? "closed for a while" : "open";
    Deno.test(`Storage gives no final name to a file that was ${what} while it was ${open}`, async () => {
      const two = new Torrent(64, [{ path: "t/a", length: 250 }, { path: "t/z", length: 262 }]);
      const files = new MemoryFiles();
      const storage = storageOf(two, files, { maxOpenFiles });
      const have = await storage.open("resume", QUIET);
      await storage.writePiece(0, two.piece(0));
      await storage.writePiece(6, two.piece(6)); // closes the first file, since at most one may be open
      disturb(files);
      const disturbed = files.get(PART)?.slice() ?? null;
      await writeMissing(two, storage, have).catch(() => {});
      const error = await assertRejects(() => storage.close(), StorageError, "changed by another program");
      assertEquals([error.kind, error.where], ["storage", PART]);
      assertEquals(files.get("/dl/t/a"), null);
      assertEquals(files.get("/dl/t/user"), what.endsWith("link") ? new Uint8Array(250) : null);
      if (evicted) assertEquals(files.get(PART), disturbed, "nothing is written to it");
      assertEquals(files.openHandles, 0);
    });
  }
}

Deno.test("Storage notices within seconds that a file was deleted", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const storage = storageOf(torrent, files, { clock });
  await storage.open("resume", QUIET);
  await storage.writePiece(0, torrent.piece(0));
  files.delete(PART);
  await clock.play(7000);
  await assertRejects(() => storage.writePiece(1, torrent.piece(1)), StorageError, "changed by another program");
  await assertRejects(() => storage.close(), StorageError, "changed by another program");
  assertEquals(files.get(PART), null, "it is not made again");
});

Deno.test("Storage checks what is there when it is started after a file was cut short", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  for (const piece of [0, 1, 2]) await storage.writePiece(piece, torrent.piece(piece));
  files.cut(PART, 130);
  await assertRejects(() => storage.close(), StorageError);
  const again = storageOf(torrent, files);
  const have = await again.open("resume", QUIET);
  assertEquals([...have], [0, 1]);
  await writeMissing(torrent, again, have);
  await again.close();
  assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
});

Deno.test("Storage refuses the second of two torrents with the same path before it writes", async () => {
  const files = new MemoryFiles();
  const first = storageOf(torrent, files);
  const second = storageOf(rival, files);
  const have = await first.open("resume", QUIET);
  await second.open("resume", QUIET);
  await first.writePiece(0, torrent.piece(0));
  const error = await assertRejects(() => second.writePiece(1, rival.piece(1)), StorageError);
  assertEquals([error.what, error.where], ["path conflict", PART]);
  await second.close();
  await writeMissing(torrent, first, have);
  await first.close();
  assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
});

for (const stateFolder of ["/state", null]) {
  const how = stateFolder === null ? "without a state folder" : "with a state folder";
  Deno.test(`Storage refuses to go on with what is being downloaded, until that has ended, ${how}`, async () => {
    const files = new MemoryFiles();
    const first = storageOf(torrent, files, { stateFolder });
    await first.open("resume", QUIET);
    await first.writePiece(0, torrent.piece(0));
    const second = storageOf(torrent, files, { stateFolder });
    const error = await assertRejects(() => second.open("resume", QUIET), StorageError);
    await second.close();
    assertEquals([error.what, error.where], ["cannot download", "/dl"]);
    // A storage that only reads conflicts with no other, nor does one in another folder.
    const reader = storageOf(torrent, files, { stateFolder, readOnly: true });
    await reader.open("resume", QUIET);
    await reader.close();
    const elsewhere = storageOf(torrent, files, { stateFolder, folder: "/other" });
    await elsewhere.open("resume", QUIET);
    await elsewhere.close();
    await first.close();
    const third = storageOf(torrent, files, { stateFolder });
    const have = await third.open("resume", QUIET);
    assertEquals([...have], [0]);
    await writeMissing(torrent, third, have);
    await third.close();
    assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
    assertEquals(files.paths().filter((path) => path.endsWith(".lock")), []);
  });
}

Deno.test("Storage that has everything keeps nobody out", async () => {
  const files = new MemoryFiles();
  const first = storageOf(torrent, files);
  await writeMissing(torrent, first, await first.open("resume", QUIET));
  await first.flush();
  for (let i = 0; i < 2; i++) {
    const second = storageOf(torrent, files);
    assertEquals((await second.open("resume", QUIET)).isFull, true);
    await second.flush();
    await first.saveState();
    await second.close();
  }
  await first.close();
  assertEquals(files.paths(), ["/dl/t/a", statePath(torrent)]);
});

Deno.test("Storage that can't have a lock, because none can be made, goes on without", async () => {
  const files = new MemoryFiles();
  files.onCall = (call) => call.operation === "lock" ? "too-many" : null;
  const warnings: StorageError[] = [];
  const storage = storageOf(torrent, files, { onWarning: (error) => void warnings.push(error) });
  await writeMissing(torrent, storage, await storage.open("resume", QUIET));
  await storage.close();
  assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
  assertEquals(warnings.map(({ what, why }) => [what, why]), [["cannot lock", "too many files are open"]]);
});

/** A torrent with a small file that shares its only piece with its neighbour. */
const shared = new Torrent(64, [{ path: "t/big", length: 140 }, { path: "t/small", length: 20 }]);

async function assertConflict(files: MemoryFiles, path: string, torrent = shared): Promise<void> {
  const before = files.paths().map((path) => [path, files.get(path)?.slice()]);
  for (const mode of ["resume", "check"] as const) {
    const storage = storageOf(torrent, files);
    const error = await assertRejects(() => storage.open(mode, QUIET), StorageError);
    await storage.close();
    assertEquals([error.what, error.where], ["path conflict", path]);
    assertEquals(files.paths().map((path) => [path, files.get(path)?.slice()]), before);
  }
}

Deno.test("Storage.open() leaves a user's file alone in which nothing is right", async () => {
  const files = new MemoryFiles();
  files.put("/dl/t/a", new Uint8Array(30).fill(7));
  await assertConflict(files, "/dl/t/a", torrent);
});

Deno.test("Storage.open() takes an empty file of the user's", async () => {
  for (const path of ["/dl/t/small", "/dl/t/small.part"]) {
    const files = new MemoryFiles();
    files.put(path, new Uint8Array(0));
    const storage = storageOf(shared, files);
    await writeMissing(shared, storage, await storage.open("resume", QUIET));
    await storage.close();
    assertEquals(files.get("/dl/t/small"), shared.file("t/small"));
  }
});

Deno.test("Storage.open() leaves a .part file of another program alone, of whatever size", async () => {
  for (const size of [1, 249, 250, 251, 1000]) {
    const files = new MemoryFiles();
    files.put(PART, new Uint8Array(size).fill(7));
    await assertConflict(files, PART, torrent);
  }
});

Deno.test("Storage.open() leaves a .part file alone that came after a clean end", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  await storage.close();
  files.put(PART, new Uint8Array(250).fill(7));
  await assertConflict(files, PART, torrent);
});

Deno.test("Storage.open() takes a .part file of the right size when no resume state is kept", async () => {
  const files = new MemoryFiles();
  files.put(PART, new Uint8Array(250).fill(7));
  const storage = storageOf(torrent, files, { stateFolder: null });
  const have = await storage.open("resume", QUIET);
  assertEquals(have.count, 0);
  await writeMissing(torrent, storage, have);
  await storage.close();
  assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
});

Deno.test("Storage goes on with a file that holds no whole piece, after a kill and after a clean end", async () => {
  for (const kill of [true, false]) {
    let files = new MemoryFiles();
    const storage = storageOf(shared, files);
    await storage.open("resume", QUIET);
    // The piece is in both files, and only one file can be written.
    files.onCall = ({ operation, path }) => operation === "open" && path.endsWith("big.part") ? "device" : null;
    await assertRejects(() => storage.writePiece(2, shared.piece(2)));
    assertEquals(files.get("/dl/t/small.part"), shared.file("t/small"));
    if (kill) files = files.crash();
    else await storage.close();
    files.onCall = () => null;
    const again = storageOf(shared, files);
    const have = await again.open("resume", QUIET);
    assertEquals(have.count, 0);
    await writeMissing(shared, again, have);
    await again.close();
    assertEquals(files.get("/dl/t/small"), shared.file("t/small"));
  }
});

Deno.test("Storage does not believe a .part file that was edited or replaced after a kill", async () => {
  for (const replace of [true, false]) {
    const clock = new VirtualClock();
    const before = new MemoryFiles({ wallClock: () => clock.wallClock() });
    const storage = storageOf(torrent, before, { clock });
    await storage.open("resume", QUIET);
    for (const piece of [0, 1, 2]) await storage.writePiece(piece, torrent.piece(piece));
    await clock.play(8000); // synced and saved
    const files = before.crash();
    clock.advance(500);
    const data = files.get(PART)!.slice();
    data[100]! ^= 1;
    if (replace) files.put(PART, data);
    else {
      const handle = await files.open(PART, "update");
      await handle.write(data.subarray(100, 101), 100);
      await handle.close();
    }
    const again = storageOf(torrent, files, { clock });
    const have = await again.open("resume", QUIET);
    assertEquals([...have], [0, 2]);
    await writeMissing(torrent, again, have);
    await again.close();
    assertEquals(files.get("/dl/t/a"), torrent.file("t/a"));
  }
});

async function inFolder(run: (options: Partial<StorageOptions> & { folder: string }) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-storage-" });
  try {
    await run({ folder: `${folder}/dl`, stateFolder: `${folder}/state` });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const what of ["deleted", "cut to nothing", "replaced"] as const) {
  Deno.test(`Storage on a real disk gives no final name to a file that was ${what}`, () =>
    inFolder(async (options) => {
      const storage = storageOf(torrent, denoFiles, options);
      const have = await storage.open("resume", QUIET);
      await storage.writePiece(0, torrent.piece(0));
      const part = `${options.folder}/t/a.part`;
      if (what === "deleted") await Deno.remove(part);
      if (what === "cut to nothing") await Deno.truncate(part, 0);
      if (what === "replaced") {
        await Deno.writeFile(`${part}.new`, new Uint8Array(250));
        await Deno.rename(`${part}.new`, part);
      }
      await writeMissing(torrent, storage, have).catch(() => {});
      await assertRejects(() => storage.close(), StorageError, "changed by another program");
      assertEquals(await denoFiles.stat(`${options.folder}/t/a`), null);
    }));
}

Deno.test("Storage on a real disk keeps going where resume state can't be kept", () =>
  inFolder(async (options) => {
    await Deno.writeTextFile(options.stateFolder!, "a file, not a folder");
    const warnings: StorageError[] = [];
    const storage = storageOf(torrent, denoFiles, { ...options, onWarning: (error) => void warnings.push(error) });
    await writeMissing(torrent, storage, await storage.open("resume", QUIET));
    await storage.close();
    assertEquals(new Uint8Array(await Deno.readFile(`${options.folder}/t/a`)), torrent.file("t/a"));
    assertEquals(warnings.map(({ what }) => what), ["cannot keep resume state"]);
  }));

Deno.test("Storage on a real disk: several of one torrent share a state folder", () =>
  inFolder(async (options) => {
    const warnings: StorageError[] = [];
    await denoFiles.makeFolder(options.folder);
    const seeds = Array.from({ length: 8 }, (_, i) =>
      storageOf(torrent, denoFiles, {
        ...options,
        folder: i < 4 ? options.folder : `${options.folder}${i}`,
        readOnly: i < 4, // only one storage may download to a folder
        onWarning: (error) => void warnings.push(error),
      }));
    for (let round = 0; round < 3; round++) {
      await Promise.all(seeds.map((storage) => round === 0 ? storage.open("resume", QUIET) : storage.saveState()));
    }
    await Promise.all(seeds.map((storage) => storage.close()));
    assertEquals(warnings, []);
    assertEquals((await denoFiles.list(options.stateFolder!)).length, 5);
  }));

Deno.test("Storage that only reads takes what a download has left so far, and leaves its resume state alone", async () => {
  const files = new MemoryFiles();
  const download = storageOf(torrent, files);
  await download.open("resume", QUIET);
  await download.writePiece(0, torrent.piece(0));
  await download.writePiece(1, torrent.piece(1));
  await download.close();
  const state = files.get(statePath(torrent));
  const unfinished = torrent.layout.files.map(({ path }) => `/dl/${path.join("/")}.part`);
  assert(unfinished.some((path) => files.paths().includes(path)));
  for (const mode of ["resume", "check"] as const) {
    const reader = storageOf(torrent, files, { readOnly: true });
    assertEquals([...await reader.open(mode, QUIET)], [0, 1], mode);
    assertEquals(await readPiece(torrent, reader, 1), torrent.piece(1));
    assertEquals(await reader.searched(), null);
    await reader.flush();
    await reader.close();
    assertEquals(files.get(statePath(torrent)), state, mode);
  }
  const trusting = storageOf(torrent, files, { readOnly: true });
  assertEquals([...await trusting.open("trust", QUIET)], [], "only files with their final names are trusted");
  await trusting.close();
});

Deno.test("Storage that only reads goes on with a file that a download has finished meanwhile", async () => {
  const files = new MemoryFiles();
  const download = storageOf(torrent, files);
  const have = await download.open("resume", QUIET);
  await download.writePiece(0, torrent.piece(0));
  const reader = storageOf(torrent, files, { readOnly: true, maxOpenFiles: 1 });
  assertEquals([...await reader.open("check", QUIET)], [0]);
  await writeMissing(torrent, download, have);
  await download.close();
  assert(!files.paths().some((path) => path.endsWith(".part")));
  assertEquals(await readPiece(torrent, reader, 0), torrent.piece(0));
  await reader.close();
});
