import { assert, assertEquals, assertFalse, assertRejects } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import { FileError } from "../../src/platform/file_errors.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { parseResumeState, type ResumeState } from "../../src/storage/resume_state.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { FILES_IN_SHARED_PIECES, QUIET, readPiece, statePath, storageOf, Torrent, writeMissing } from "./fixture.ts";

/** A torrent of seven pieces. Piece 2 runs from `t/a` through `t/sub/b` and 20 bytes of padding into `t/sub/d`. */
const torrent = new Torrent(64, [
  { path: "t/a", length: 130 },
  { path: "t/sub/b", length: 7 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/.pad/20", length: 20, pad: true },
  { path: "t/sub/d", length: 250 },
]);
const NONE = new Bitfield(7);
const STATE = statePath(torrent);
/** Lock files while the torrent is open for writing, with the clock at its start. */
const LOCKS = [
  `/dl/.shoal-${torrent.infoHash.hex}.lock`,
  `/dl/.shoal-s${new VirtualClock().wallClock().toString(36)}.lock`,
];

function stateIn(files: MemoryFiles, path = STATE): ResumeState {
  return parseResumeState(files.get(path)!, { pieceCount: 7, fileCount: 5 });
}

/** Returns a disk with the whole torrent in `/dl`, and resume state. */
async function downloaded(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await writeMissing(torrent, storage, await storage.open("resume", QUIET));
  await storage.close();
  files.calls.length = 0;
  return files;
}

/** Returns the number of bytes read from files. */
function bytesRead(files: MemoryFiles): number {
  return files.calls.reduce((sum, call) => sum + (call.operation === "read" ? call.size : 0), 0);
}

Deno.test("Storage keeps a file under .part until every piece that covers it is verified", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  const have = await storage.open("resume", QUIET);
  assertEquals([have.count, have.length], [0, 7]);
  assertEquals(files.paths(), [...LOCKS, "/dl/t/sub/empty", STATE]);

  await storage.writePiece(1, torrent.piece(1));
  await storage.flush();
  assertEquals(files.paths(), [...LOCKS, "/dl/t/a.part", "/dl/t/sub/empty", STATE]);
  assertEquals(files.get("/dl/t/a.part")?.length, 130, "the full size at once, the rest a hole");

  await storage.writePiece(2, torrent.piece(2));
  await storage.flush();
  assertEquals(files.paths(), [...LOCKS, "/dl/t/a.part", "/dl/t/sub/b", "/dl/t/sub/d.part", "/dl/t/sub/empty", STATE]);

  await writeMissing(torrent, storage, NONE);
  await storage.close();
  assertEquals(files.paths(), [...torrent.finalPaths("/dl"), STATE]);
  for (const path of ["t/a", "t/sub/b", "t/sub/d"]) assertEquals(files.get(`/dl/${path}`), torrent.file(path));
  assertEquals(files.openHandles, 0);
});

Deno.test("Storage syncs a file before it gets its final name", async () => {
  const files = await downloaded();
  const fresh = new MemoryFiles();
  const storage = storageOf(torrent, fresh);
  await writeMissing(torrent, storage, await storage.open("resume", QUIET));
  await storage.flush();
  const after = fresh.crash({ random: () => 0.9, names: "all" }); // only synced data survives
  for (const path of torrent.finalPaths("/dl")) assertEquals(after.get(path), files.get(path), path);
});

Deno.test("Storage.open() of finished data with resume state reads nothing", async () => {
  const files = await downloaded();
  const storage = storageOf(torrent, files);
  assert((await storage.open("resume", QUIET)).isFull);
  assertEquals(bytesRead(files), 0);
  await storage.close();
});

Deno.test("Storage.open() in mode check reads everything, each file in order", async () => {
  const files = await downloaded();
  const storage = storageOf(torrent, files);
  const progress: number[] = [];
  const have = await storage.open("check", { onProgress: (fraction) => progress.push(fraction) });
  assert(have.isFull);
  assertEquals(bytesRead(files), 130 + 7 + 250);
  assertEquals(progress.at(-1), 1);
  await storage.close();
});

Deno.test("Storage.open() without resume state finds what is in .part files", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files, { stateFolder: null });
  await storage.open("resume", QUIET);
  for (const piece of [0, 2, 5]) await storage.writePiece(piece, torrent.piece(piece));
  await storage.close();

  const again = storageOf(torrent, files, { stateFolder: null });
  const have = await again.open("resume", QUIET);
  assertEquals([...have], [0, 2, 5]);
  await writeMissing(torrent, again, have);
  await again.close();
  for (const path of ["t/a", "t/sub/b", "t/sub/d"]) assertEquals(files.get(`/dl/${path}`), torrent.file(path));
});

Deno.test("Storage.open() in mode resume hashes again what touches a changed file, and only that", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const storage = storageOf(torrent, files, { clock });
  await writeMissing(torrent, storage, await storage.open("resume", QUIET));
  await storage.close();
  clock.advance(60_000);
  const damaged = torrent.file("t/sub/d");
  damaged[249]! ^= 1;
  files.put("/dl/t/sub/d", damaged);
  files.calls.length = 0;

  const again = storageOf(torrent, files, { clock });
  assertEquals([...await again.open("resume", QUIET)], [0, 1, 2, 3, 4, 5]);
  assertEquals(bytesRead(files), 2 + 7 + 250, "pieces 2 to 6");
  assertEquals(files.get("/dl/t/sub/d"), null, "not verified, so not under its final name");
  await again.writePiece(6, torrent.piece(6));
  await again.close();
  assertEquals(files.get("/dl/t/sub/d"), torrent.file("t/sub/d"));
});

Deno.test("Storage.open() in mode resume drops the pieces of a file that is gone", async () => {
  const files = await downloaded();
  files.delete("/dl/t/sub/b");
  const storage = storageOf(torrent, files);
  assertEquals([...await storage.open("resume", QUIET)], [0, 1, 3, 4, 5, 6]);
  assertEquals(bytesRead(files), 0);
  await storage.writePiece(2, torrent.piece(2));
  await storage.close();
  assertEquals(files.get("/dl/t/sub/b"), torrent.file("t/sub/b"));
});

Deno.test("Storage.open() keeps resume state for each folder, and takes a damaged one for none", async () => {
  const files = await downloaded();
  const moved = storageOf(torrent, files, { folder: "/elsewhere" });
  assert((await moved.open("resume", QUIET)).isEmpty);
  await moved.close();
  assertEquals(stateIn(files, statePath(torrent, "/elsewhere")).folder, "/elsewhere");

  files.calls.length = 0;
  const back = storageOf(torrent, files);
  assert((await back.open("resume", QUIET)).isFull);
  assertEquals(bytesRead(files), 0);
  await back.close();

  const elsewhere = files.get(statePath(torrent, "/elsewhere"))!;
  for (const state of [files.get(STATE)!.slice(0, 100), elsewhere]) {
    files.put(STATE, state);
    files.calls.length = 0;
    const again = storageOf(torrent, files);
    assert((await again.open("resume", QUIET)).isFull);
    assertEquals(bytesRead(files), 130 + 7 + 250);
    await again.close();
  }
});

Deno.test("Storage.open() in mode trust believes names and sizes", async () => {
  const files = new MemoryFiles();
  files.put("/dl/t/a", new Uint8Array(130));
  files.put("/dl/t/sub/b", new Uint8Array(7));
  files.put("/dl/t/sub/d", new Uint8Array(249));
  const storage = storageOf(torrent, files, { readOnly: true, stateFolder: null });
  assertEquals([...await storage.open("trust", QUIET)], [0, 1]);
  assertEquals(bytesRead(files), 0);
  await storage.close();
});

Deno.test("Storage.open() adopts somebody's unfinished data", async () => {
  const files = new MemoryFiles();
  files.put("/dl/t/sub/d", torrent.file("t/sub/d").slice(0, 200));
  files.put("/dl/t/a", torrent.file("t/a").slice(0, 70));
  const storage = storageOf(torrent, files);
  const have = await storage.open("resume", QUIET);
  assertEquals(
    [...have],
    [0, 3, 4],
    "piece 1 is cut off, piece 2 needs files that are missing, 5 ends behind what is there",
  );
  assertEquals(files.paths(), [...LOCKS, "/dl/t/a.part", "/dl/t/sub/d.part", "/dl/t/sub/empty", STATE]);
  await writeMissing(torrent, storage, have);
  await storage.close();
  assertEquals(files.get("/dl/t/sub/d"), torrent.file("t/sub/d"));
});

Deno.test("Storage.open() refuses a file that has nothing in common with the torrent's", async () => {
  const files = new MemoryFiles();
  files.put("/dl/t/a", new Uint8Array(130).fill(7));
  files.put("/dl/t/sub/d", torrent.file("t/sub/d").slice(0, 200));
  const storage = storageOf(torrent, files);
  const error = await assertRejects(() => storage.open("resume", QUIET), StorageError);
  assertEquals([error.what, error.where, error.kind], ["path conflict", "/dl/t/a", "storage"]);
  assertEquals(files.paths(), ["/dl/t/a", "/dl/t/sub/d"]);
  assertEquals(files.openHandles, 0);
  await storage.close();
  assertEquals(files.paths(), ["/dl/t/a", "/dl/t/sub/d"]);
});

Deno.test("Storage.open() refuses whatever else is in the place of a file or folder", async () => {
  const cases: [why: string, prepare: (files: MemoryFiles) => void][] = [
    ["131 bytes", (files) => files.put("/dl/t/a", new Uint8Array(131))],
    ["a folder is in the place of a file", (files) => files.put("/dl/t/a/x", new Uint8Array(1))],
    ["a folder is in the place of a file", (files) => files.put("/dl/t/a.part/x", new Uint8Array(1))],
    ["a file is in the place of a folder", (files) => files.put("/dl/t/sub", new Uint8Array(1))],
    ["1 byte", (files) => files.put("/dl/t/sub/empty", new Uint8Array(1))],
    ["a symbolic link is in the place of a folder", (files) => {
      files.put("/outside/x", new Uint8Array(1));
      files.put("/dl/y", new Uint8Array(1));
      files.putLink("/dl/t", "../outside");
    }],
    ["a symbolic link is in the place of a file", (files) => {
      files.put("/outside/x", new Uint8Array(1));
      files.put("/dl/t/y", new Uint8Array(1));
      files.putLink("/dl/t/a.part", "../../outside/x");
    }],
    [".part file is there too", (files) => {
      files.put("/dl/t/a", torrent.file("t/a").slice(0, 64));
      files.put("/dl/t/a.part", new Uint8Array(10));
    }],
  ];
  for (const [why, prepare] of cases) {
    const files = new MemoryFiles();
    prepare(files);
    const before = files.paths();
    const error = await assertRejects(() => storageOf(torrent, files).open("check", QUIET), StorageError, why);
    assertEquals(error.what, "path conflict");
    assertEquals(files.paths(), before, why);
    assertEquals(files.openHandles, 0);
  }
});

Deno.test("Storage refuses to make a file where a link has come since it looked", async () => {
  const files = new MemoryFiles();
  files.put("/outside/x", new Uint8Array(1));
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  files.putLink("/dl/t/a.part", "../../outside/x");
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)), StorageError, "a symbolic link");
  assertEquals(files.get("/outside/x"), new Uint8Array(1));
  await storage.close();
});

Deno.test("Storage refuses to replace a file that came into the place of a finished one", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  files.put("/dl/t/sub/b", new Uint8Array([1]));
  await storage.writePiece(2, torrent.piece(2));
  await assertRejects(() => storage.flush(), StorageError, "came into the place");
  await assertRejects(() => storage.writePiece(3, torrent.piece(3)), StorageError, "came into the place");
  await assertRejects(() => storage.close(), StorageError, "came into the place");
  assertEquals(files.get("/dl/t/sub/b"), new Uint8Array([1]));
  assertEquals(files.openHandles, 0);
});

Deno.test("Storage.open() can be aborted", async () => {
  const files = await downloaded();
  const stop = new AbortController();
  const storage = storageOf(torrent, files);
  const reason = new Error("enough");
  files.onCall = (call) => {
    if (call.operation === "read") stop.abort(reason);
    return null;
  };
  const error = await assertRejects(() => storage.open("check", { onProgress() {}, signal: stop.signal }));
  assertEquals(error, reason);
  assertEquals(files.openHandles, 0);
  await storage.close();
});

Deno.test("Storage in read-only mode changes nothing, follows links and remembers the check", async () => {
  const files = await downloaded();
  const data = files.get("/dl/t/a")!;
  files.delete("/dl/t/a");
  files.put("/far/away", data);
  files.putLink("/dl/t/a", "../../far/away");
  files.delete(STATE);
  const before = files.paths();
  const storage = storageOf(torrent, files, { readOnly: true });
  assert((await storage.open("resume", QUIET)).isFull);
  assertEquals(await readPiece(torrent, storage, 0), torrent.piece(0));
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)), Error, "not open for writing");
  await storage.close();
  assertEquals(files.paths(), [...before, STATE]);
  assertFalse(files.calls.some((call) => ["write", "truncate", "rename"].includes(call.operation)));

  files.calls.length = 0;
  const again = storageOf(torrent, files, { readOnly: true });
  assert((await again.open("resume", QUIET)).isFull);
  assertEquals(bytesRead(files), 0);
  await again.close();
});

Deno.test("Storage in read-only mode refuses a folder that is not there", async () => {
  const storage = storageOf(torrent, new MemoryFiles(), { readOnly: true });
  const error = await assertRejects(() => storage.open("check", QUIET), FileError);
  assertEquals(error.fault, "missing");
});

Deno.test("Storage reads padding as zeros, and pieces across files", async () => {
  const files = await downloaded();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  for (let piece = 0; piece < 7; piece++) {
    assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece), `piece ${piece}`);
  }
  await storage.close();
});

Deno.test("Storage.load() reads as much padding behind a piece as is served, as zeros", async () => {
  const served = new Torrent(64, FILES_IN_SHARED_PIECES);
  served.layout.servedSize = () => 64;
  const storage = storageOf(served, new MemoryFiles());
  await storage.open("resume", QUIET);
  const last = served.layout.pieceCount - 1;
  const data = served.piece(last);
  await storage.writePiece(last, data);
  await storage.load(last, 0, 64);
  const into = new Uint8Array(64).fill(7);
  assert(storage.readCached(last, 0, 64, into, 0));
  assertEquals(into, concatBytes([data, new Uint8Array(64 - data.length)]));
  await assertRejects(() => storage.load(last, 1, 64), RangeError, "no 64 bytes at 1");
  await storage.close();
});

Deno.test("Storage.load() refuses what is not there", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  await assertRejects(() => storage.load(0, 0, 1), RangeError, "not there");
  assertFalse(storage.readCached(0, 0, 1, new Uint8Array(1), 0));
  await storage.writePiece(6, torrent.piece(6));
  const end = torrent.layout.pieceLength - 2;
  await assertRejects(() => storage.load(6, end, 4), RangeError, `no 4 bytes at ${end}`);
  assertEquals(await readPiece(torrent, storage, 6), torrent.piece(6));
  await storage.close();
  await assertRejects(() => storage.load(6, 0, 1), StorageError, "closed");
});

Deno.test("Storage.load() complains about a file that has become shorter", async () => {
  const files = await downloaded();
  const storage = storageOf(torrent, files);
  await storage.open("resume", QUIET);
  files.put("/dl/t/a", torrent.file("t/a").slice(0, 100));
  await assertRejects(() => storage.load(1, 0, 1), StorageError, "ends at byte 100");
  await storage.close();
});

Deno.test("Storage.writePiece() refuses wrong indexes and sizes, and takes a piece twice", async () => {
  const storage = storageOf(torrent, new MemoryFiles());
  await assertRejects(() => storage.writePiece(0, torrent.piece(0)), Error, "not open");
  await storage.open("resume", QUIET);
  for (const index of [-1, 7, 0.5]) await assertRejects(() => storage.writePiece(index, torrent.piece(0)), RangeError);
  await assertRejects(() => storage.writePiece(0, new Uint8Array(63)), RangeError, "has 64 bytes, got 63");
  await Promise.all([storage.writePiece(0, torrent.piece(0)), storage.writePiece(0, torrent.piece(0))]);
  await storage.writePiece(0, torrent.piece(0));
  await storage.close();
  await assertRejects(() => storage.writePiece(1, torrent.piece(1)), StorageError, "closed");
});

Deno.test("Storage saves state about once a second while there are changes, and syncs every five", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const storage = storageOf(torrent, files, { clock });
  await storage.open("resume", QUIET);
  const saves = () => files.calls.filter((call) => call.operation === "writeFile" && call.path === STATE).length;
  assertEquals([saves(), clock.pending], [1, 0]);

  await storage.writePiece(0, torrent.piece(0));
  await storage.writePiece(3, torrent.piece(3));
  assertEquals(saves(), 1);
  await clock.play(1000);
  assertEquals(saves(), 2);
  assertEquals([...stateIn(files).pieces], []);
  assertEquals([...stateIn(files).unsynced], [0, 3]);
  assertFalse(stateIn(files).clean);

  await clock.play(6000);
  assertEquals([...stateIn(files).pieces], [0, 3]);
  assertEquals([...stateIn(files).unsynced], []);
  const quiet = saves();
  await clock.play(60_000);
  assertEquals([saves(), clock.pending], [quiet, 0], "nothing changes, nothing is saved");

  await storage.writePiece(4, torrent.piece(4));
  await storage.close();
  assertEquals([...stateIn(files).pieces], [0, 3, 4]);
  assert(stateIn(files).clean);
  assertEquals(clock.pending, 0);
});

Deno.test("Storage does not claim as synced what is written while the device works", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles();
  const storage = storageOf(torrent, files, { clock });
  await storage.open("resume", QUIET);
  await storage.writePiece(0, torrent.piece(0));
  const gate = files.hold((call) => call.operation === "sync");
  await clock.play(6000);
  assertEquals(gate.waiting, 1);
  await storage.writePiece(1, torrent.piece(1));
  gate.open();
  await clock.play(1000);
  assertEquals([[...stateIn(files).pieces], [...stateIn(files).unsynced]], [[0], [1]]);
  await storage.close();
});

Deno.test("Storage keeps to the limit of open files", async () => {
  const sketches = Array.from({ length: 20 }, (_, i) => ({ path: `t/${i}`, length: 100 }));
  const many = new Torrent(64, sketches);
  const files = new MemoryFiles();
  const storage = storageOf(many, files, { maxOpenFiles: 2, stateFolder: null });
  const have = await storage.open("resume", QUIET);
  const gate = files.hold((call) => call.operation === "sync");
  const writing = writeMissing(many, storage, have);
  await writing;
  assert(files.mostOpenHandles <= 2 + 8, `${files.mostOpenHandles} were open`);
  gate.open();
  await storage.flush();
  for (const piece of [0, 30, 5, 17]) assertEquals(await readPiece(many, storage, piece), many.piece(piece));
  await storage.close();
  assertEquals(files.openHandles, 0);
  assertEquals(files.paths(), many.finalPaths("/dl"));
});

Deno.test("Storage takes a small file's full size when it holds more than it should under .part", async () => {
  const files = new MemoryFiles();
  const long = new Uint8Array(300);
  long.set(torrent.file("t/sub/d"));
  files.put("/dl/t/a.part", torrent.file("t/a"));
  files.put("/dl/t/sub/b.part", torrent.file("t/sub/b"));
  files.put("/dl/t/sub/d.part", long);
  const storage = storageOf(torrent, files);
  assert((await storage.open("resume", QUIET)).isFull);
  await storage.flush();
  assertEquals(files.get("/dl/t/sub/d"), torrent.file("t/sub/d"));
  await storage.close();
});

Deno.test("Storage makes links when everything is there, inside the folder only", async () => {
  const linked = new Torrent(64, [
    { path: "t/a", length: 100 },
    { path: "t/far/link", link: "t/a" },
    { path: "t/second", link: "t/far/link" },
    { path: "t/gone", link: "t/none" },
    { path: "t/out", link: "door/x" },
  ]);
  const files = new MemoryFiles();
  files.put("/outside/x", new Uint8Array(1));
  files.put("/dl/y", new Uint8Array(1));
  files.putLink("/dl/door", "../outside");
  const storage = storageOf(linked, files, { stateFolder: null });
  await storage.open("resume", QUIET);
  await storage.writePiece(0, linked.piece(0));
  await storage.flush();
  assertEquals(files.linkAt("/dl/t/far/link"), null);
  await storage.writePiece(1, linked.piece(1));
  await storage.flush();
  assertEquals(files.linkAt("/dl/t/far/link"), "../../t/a");
  assertEquals(files.linkAt("/dl/t/second"), "../t/far/link");
  assertEquals([files.linkAt("/dl/t/gone"), files.linkAt("/dl/t/out")], [null, null]);
  await storage.close();
});

const WITH_LINK = new Torrent(64, [{ path: "t/a", length: 100 }, { path: "t/far/link", link: "t/a" }]);

Deno.test("Storage keeps a link that is there already, and refuses whatever else is in the place of one", async () => {
  for (const text of ["../../t/a", "../a", "/dl/t/a"]) {
    const files = new MemoryFiles();
    files.put("/dl/t/a", WITH_LINK.file("t/a"));
    files.put("/dl/t/far/x", new Uint8Array(1));
    files.putLink("/dl/t/far/link", text);
    const storage = storageOf(WITH_LINK, files);
    assert((await storage.open("check", QUIET)).isFull);
    await storage.flush();
    await storage.close();
    assertEquals(files.linkAt("/dl/t/far/link"), text);
  }
  const strangers: ((files: MemoryFiles) => void)[] = [
    (files) => files.putLink("/dl/t/far/link", "../../mine"),
    (files) => files.putLink("/dl/t/far/link", "nothing"),
    (files) => files.put("/dl/t/far/link", new Uint8Array(3)),
    (files) => files.put("/dl/t/far/link/x", new Uint8Array(3)),
  ];
  for (const prepare of strangers) {
    const files = new MemoryFiles();
    files.put("/dl/mine", new Uint8Array(5));
    files.put("/dl/t/far/x", new Uint8Array(1));
    prepare(files);
    const before = files.paths();
    await assertRejects(
      () => storageOf(WITH_LINK, files).open("resume", QUIET),
      StorageError,
      "in the place of a link",
    );
    assertEquals(files.paths(), before);
    // A storage that doesn't want the link can still be opened.
    const wantless = storageOf(WITH_LINK, files, { files: new Set([0]) });
    await wantless.open("resume", QUIET);
    await wantless.close();
  }
});

Deno.test("Storage leaves alone a link that comes while it downloads", async () => {
  const files = new MemoryFiles();
  const storage = storageOf(WITH_LINK, files);
  await writeMissing(WITH_LINK, storage, await storage.open("resume", QUIET));
  files.put("/dl/t/far/x", new Uint8Array(1));
  files.putLink("/dl/t/far/link", "x");
  await assertRejects(() => storage.flush(), StorageError, "leads elsewhere");
  await storage.close().catch(() => {});
  assertEquals(files.linkAt("/dl/t/far/link"), "x");
  assertEquals(files.get("/dl/t/a"), WITH_LINK.file("t/a"));
});

Deno.test("Storage of a piece that is padding and nothing else has nothing to write", async () => {
  const padded = new Torrent(64, [{ path: "t/a", length: 64 }, { path: "t/.pad/64", length: 64, pad: true }]);
  const files = new MemoryFiles();
  const storage = storageOf(padded, files, { stateFolder: null });
  const have = await storage.open("resume", QUIET);
  assertEquals([...have], [1]);
  await storage.writePiece(0, padded.piece(0));
  assertEquals(await readPiece(padded, storage, 1), new Uint8Array(64));
  await storage.close();
  assertEquals(files.paths(), ["/dl/t/a"]);
});

Deno.test("Storage.close() is harmless before open() and when called again", async () => {
  const storage = storageOf(torrent, new MemoryFiles());
  await storage.close();
  await storage.close();
});

Deno.test("Storage.writePart() takes parts of pieces to files, padding and partfile, and Storage.claimPiece() makes pieces of them", async () => {
  const sketches = [
    { path: "t/a", length: 50 },
    { path: "t/.pad/14", length: 14, pad: true },
    { path: "t/b", length: 100 },
    { path: "t/c", length: 92 },
  ];
  const spread = new Torrent(128, sketches);
  for (const wanted of [undefined, new Set([2])]) {
    const files = new MemoryFiles();
    const options = wanted === undefined ? {} : { files: wanted };
    const storage = storageOf(spread, files, options);
    await storage.open("resume", QUIET);
    const pieces = [0, 1];
    for (const index of pieces) {
      const data = spread.piece(index);
      for (let begin = data.length; begin > 0;) {
        const end = begin;
        begin = Math.max(0, begin - 33);
        await storage.writePart(index, begin, data.slice(begin, end));
      }
      const back = new Uint8Array(data.length);
      await storage.readPart(index, 0, back);
      assertEquals(back, data);
      await assertRejects(() => storage.load(index, 0, 1), RangeError, "not there");
    }
    assertFalse(files.paths().some((path) => path.startsWith("/dl/t/") && !path.endsWith(".part")));
    for (const index of pieces) {
      assert(await storage.claimPiece(index, storage.placeOf(index)));
      assertEquals(await readPiece(spread, storage, index), spread.piece(index));
    }
    await storage.flush();
    assertEquals(files.get("/dl/t/b"), spread.file("t/b"));
    assertEquals(files.get("/dl/t/a"), wanted === undefined ? spread.file("t/a") : null);
    await storage.writePart(1, 0, new Uint8Array(5)); // too late, and ignored
    assertEquals(files.get("/dl/t/b"), spread.file("t/b"));
    await storage.close();
    const again = storageOf(spread, files, options);
    assertEquals([...await again.open("resume", QUIET)], pieces);
    await again.close();
  }
});

Deno.test("Storage.writePart() leaves nothing that counts after a kill", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const storage = storageOf(torrent, files, { clock });
  await storage.open("resume", QUIET);
  await storage.writePiece(1, torrent.piece(1));
  for (const begin of [0, 32]) await storage.writePart(0, begin, torrent.piece(0).slice(begin, begin + 31));
  await clock.play(12_000);
  await storage.writePart(2, 0, torrent.piece(2));
  const left = files.crash();
  const again = storageOf(torrent, left, { clock });
  const have = await again.open("resume", QUIET);
  assert(have.has(1) && !have.has(0));
  for (const path of ["/dl/t/a", "/dl/t/sub/b", "/dl/t/sub/d"]) assertEquals(left.get(path), null);
  await writeMissing(torrent, again, have);
  await again.flush();
  assertEquals(left.get("/dl/t/a"), torrent.file("t/a"));
  await again.close();
});

Deno.test("Storage.writePart() refuses what is outside of a piece, and a storage that is closed", async () => {
  const storage = storageOf(torrent, new MemoryFiles());
  await assertRejects(() => storage.writePart(0, 0, new Uint8Array(1)), Error, "not open");
  await storage.open("resume", QUIET);
  const size = torrent.piece(0).length;
  for (const [begin, length] of [[-1, 1], [0, size + 1], [size, 1]] as const) {
    await assertRejects(() => storage.writePart(0, begin, new Uint8Array(length)), RangeError, `no ${length} bytes at`);
    await assertRejects(() => storage.readPart(0, begin, new Uint8Array(length)), RangeError, `no ${length} bytes at`);
  }
  await assertRejects(() => storage.claimPiece(99, storage.placeOf(99)), RangeError, "no piece 99");
  await storage.close();
  await assertRejects(() => storage.writePart(0, 0, new Uint8Array(1)), StorageError, "closed");
  await assertRejects(() => storage.claimPiece(0, storage.placeOf(0)), StorageError, "closed");
});

Deno.test("Storage.claimPiece() claims what is where it was since other files are wanted, and nothing that was looked at again", async () => {
  const storage = storageOf(torrent, new MemoryFiles());
  await storage.open("resume", QUIET);
  const write = async (index: number) => {
    await storage.writePart(index, 0, torrent.piece(index));
    return storage.placeOf(index);
  };
  for (const [index, wanted] of [[2, new Set([4])], [3, undefined]] as const) {
    const place = await write(index);
    await storage.select(wanted);
    assert(await storage.claimPiece(index, place), `piece ${index}`);
    assertEquals(await readPiece(torrent, storage, index), torrent.piece(index));
  }
  const place = await write(4);
  await storage.recheck(QUIET);
  assertFalse(await storage.claimPiece(4, place));
  assertEquals([...storage.have], [2, 3, 4], "the check has found it, though");
  assertFalse(await storage.claimPiece(0, "elsewhere"));
  assertFalse(storage.have.has(0));
  await storage.close();
});
