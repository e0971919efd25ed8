import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { FileError, type FileFault } from "../../src/platform/file_errors.ts";
import { StorageError } from "../../src/storage/errors.ts";
import { parseResumeState } from "../../src/storage/resume_state.ts";
import { isOwnName } from "../../src/storage/folder_locks.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { cases, tries } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { QUIET, readPiece, statePath, storageOf, Torrent, writeMissing } from "./fixture.ts";

const torrent = new Torrent(64, [
  { path: "t/a", length: 130 },
  { path: "t/sub/b", length: 7 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/.pad/20", length: 20, pad: true },
  { path: "t/sub/d", length: 250 },
  { path: "t/link", link: "t/a" },
]);

/**
 * Writes some pieces, lets time pass, reads, writes the rest, and closes.
 *
 * @throws The first failure.
 */
async function session(files: MemoryFiles, clock: VirtualClock, warnings: StorageError[] = []): Promise<void> {
  const onWarning = (error: StorageError) => void warnings.push(error);
  const storage = storageOf(torrent, files, { clock, maxOpenFiles: 2, onWarning });
  try {
    const have = await storage.open("resume", QUIET);
    for (const piece of [5, 0, 2]) {
      await storage.writePiece(piece, torrent.piece(piece));
      have.set(piece);
    }
    // One piece is written in parts. The last part overwrites bytes that were written before.
    const inParts = torrent.piece(3);
    await Promise.all([storage.writePart(3, 40, inParts.slice(40)), storage.writePart(3, 0, new Uint8Array(20))]);
    await storage.writePart(3, 0, inParts.slice(0, 40));
    await storage.readPart(3, 0, inParts);
    assertEquals(inParts, torrent.piece(3));
    await clock.play(6000);
    await storage.claimPiece(3, storage.placeOf(3));
    have.set(3);
    assertEquals(await readPiece(torrent, storage, 2), torrent.piece(2));
    await writeMissing(torrent, storage, have);
    await storage.flush();
  } finally {
    await storage.close();
  }
}

/** Asserts that every piece claimed by the resume state exists, and that every file under a final name is right. */
function assertHonest(files: MemoryFiles, why: string): void {
  assertNamesRight(files, why);
  const bytes = files.get(statePath(torrent));
  if (bytes === null) return;
  assertThere(files, parseResumeState(bytes, { pieceCount: 7, fileCount: torrent.layout.files.length }).pieces, why);
}

/** Asserts that every file under a final name is right. */
function assertNamesRight(files: MemoryFiles, why: string): void {
  for (const file of torrent.layout.files) {
    if (file.pad || file.symlink !== null || file.length === 0) continue;
    const path = file.path.join("/");
    const data = files.get(`/dl/${path}`);
    if (data !== null) assertEquals(data, torrent.file(path), `${why}: ${path} is under its final name`);
  }
}

/** Asserts that the data of the pieces is on disk. */
function assertThere(files: MemoryFiles, pieces: Iterable<number>, why: string): void {
  for (const piece of pieces) {
    for (const range of torrent.map.rangesOfPiece(piece)) {
      const path = torrent.layout.files[range.file]!.path.join("/");
      const data = files.get(`/dl/${path}`) ?? files.get(`/dl/${path}.part`);
      assertEquals(
        data?.slice(range.position, range.position + range.length),
        torrent.file(path).slice(range.position, range.position + range.length),
        `${why}: piece ${piece} is claimed`,
      );
    }
  }
}

function assertWhole(files: MemoryFiles, why: string): void {
  for (const path of ["t/a", "t/sub/b", "t/sub/d", "t/sub/empty"]) {
    assertEquals(files.get(`/dl/${path}`), torrent.file(path), `${why}: ${path}`);
  }
  assertEquals(files.linkAt("/dl/t/link"), "../t/a", why);
  assert(!files.paths().some((path) => path.endsWith(".part")), why);
}

Deno.test("Storage tells of any one call that fails, claims nothing false, and the next start mends it", async () => {
  const faultless = new MemoryFiles();
  await session(faultless, new VirtualClock());
  assertWhole(faultless, "without a fault");
  const total = faultless.calls.length;
  assert(total > 50);

  for (const index of cases(total)) {
    for (const fault of ["device", "full"] satisfies FileFault[]) {
      const clock = new VirtualClock();
      const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
      files.onCall = (_, at) => at === index ? fault : null;
      const { operation, path } = faultless.calls[index]!;
      const why = `${fault} at call ${index}, ${operation} ${path}`;
      const warnings: StorageError[] = [];
      const error = await session(files, clock, warnings).then(() => null, (error) => error);
      const told = error ?? warnings[0]?.cause;
      // A lock file that can't be removed causes no warning: the file means nothing without the lock.
      if (operation === "remove" && isOwnName(path.slice("/dl/".length))) assertEquals(told, undefined);
      else {
        assertInstanceOf(told, FileError, why);
        assertEquals([told.fault, warnings.length], [fault, error === null ? 1 : 0], why);
      }
      if (path.startsWith("/state")) assertEquals(error, null, `${why} stops the download`);
      if (error === null) assertWhole(files, why);
      assertHonest(files, why);
      files.onCall = () => null;
      assertEquals(files.openHandles, 0, why);
      clock.advance(60_000);
      await session(files, clock);
      assertWhole(files, why);
      assertEquals(files.openHandles, 0, why);
    }
  }
});

Deno.test("Storage survives any one write that is cut short by a full disk", async () => {
  for (let room = 0; room < 400; room += 13) {
    const files = new MemoryFiles({ room });
    const storage = storageOf(torrent, files);
    const have = await storage.open("resume", QUIET);
    const results = await Promise.allSettled(
      Array.from({ length: 7 }, (_, piece) => storage.writePiece(piece, torrent.piece(piece))),
    );
    const written = new Bitfield(7);
    for (const [piece, result] of results.entries()) {
      if (result.status === "fulfilled") written.set(piece);
      else assertEquals((result.reason as FileError).fault, "full");
    }
    await storage.close();
    assertHonest(files, `room for ${room}`);
    files.room = Infinity;

    const again = storageOf(torrent, files);
    const kept = await again.open("resume", QUIET);
    assertEquals([...kept], [...written], "what was written is kept, nothing else is claimed");
    await writeMissing(torrent, again, kept);
    await again.close();
    assertWhole(files, `room for ${room}`);
    assertEquals(have.count, 0);
  }
});

Deno.test("Storage goes on after a failed write when the piece is written again", async () => {
  const files = new MemoryFiles({ room: 100 });
  const storage = storageOf(torrent, files);
  const have = await storage.open("resume", QUIET);
  await storage.writePiece(0, torrent.piece(0));
  const error = await assertRejects(() => storage.writePiece(3, torrent.piece(3)), FileError);
  assert(error.hint.includes("free some room"));
  files.room = Infinity;
  await writeMissing(torrent, storage, have);
  await storage.close();
  assertWhole(files, "after more room");
});

for (const operation of ["makeFolder", "writeFile", "stat", "readFile"] as const) {
  Deno.test(`Storage goes on without resume state, and says so once, when it fails at ${operation}`, async () => {
    const clock = new VirtualClock();
    const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
    files.put(statePath(torrent), new Uint8Array(10));
    files.put("/dl/t/a.part", new Uint8Array(130)); // left by an earlier run, which couldn't save its state, either
    const broken = (path: string) => path.startsWith("/state");
    files.onCall = (call) => call.operation === operation && broken(call.path) ? "denied" : null;
    const warnings: StorageError[] = [];
    const canRead = operation === "makeFolder" || operation === "writeFile";
    if (canRead) files.delete("/dl/t/a.part");
    await session(files, clock, warnings);
    assertWhole(files, operation);
    assertEquals(warnings.map(({ what, where, why }) => [what, where, why]), [
      ["cannot keep resume state", statePath(torrent), "permission denied"],
    ]);
    assertEquals([files.openHandles, clock.pending], [0, 0]);
  });
}

Deno.test("Storage keeps resume state again when there is room again", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const storage = storageOf(torrent, files, { clock });
  await storage.open("resume", QUIET);
  files.onCall = (call) => call.operation === "writeFile" ? "full" : null;
  await storage.writePiece(0, torrent.piece(0));
  await clock.play(3000);
  files.onCall = () => null;
  await storage.writePiece(1, torrent.piece(1));
  await clock.play(7000);
  const state = parseResumeState(files.get(statePath(torrent))!, { pieceCount: 7, fileCount: 6 });
  assertEquals([...state.pieces], [0, 1]);
  await storage.close();
});

/** One run of a process, which may end at any call. */
async function life(files: MemoryFiles, clock: VirtualClock, random: VirtualClock): Promise<boolean> {
  const storage = storageOf(torrent, files, { clock, maxOpenFiles: 2 });
  const have = await storage.open("resume", QUIET);
  assertThere(files, have, "at the start");
  const order = Array.from({ length: 7 }, (_, piece) => ({ piece, turn: random.random() }))
    .filter(({ piece }) => !have.has(piece)).sort((a, b) => a.turn - b.turn).map(({ piece }) => piece);
  for (const piece of order) {
    const write = storage.writePiece(piece, torrent.piece(piece));
    if (random.random() < 0.5) await write;
    await clock.play(Math.floor(random.random() * 3000));
    await write;
  }
  await storage.flush();
  await storage.close();
  return true;
}

for (const names of [null, "all", "early", "any"] as const) {
  const what = names === null ? "kills" : `losses of power that leave ${names} changes of names`;
  Deno.test(`Storage comes back right from ${what}, again and again`, async () => {
    for (let seed = 1; seed <= tries(25); seed++) {
      const clock = new VirtualClock({ seed });
      const random = new VirtualClock({ seed: seed + 1000 });
      let files = new MemoryFiles({ wallClock: () => clock.wallClock() });
      let done = false;
      for (let lives = 0; !done; lives++) {
        assert(lives < 200, `seed ${seed} gets nowhere`);
        const last = 1 + Math.floor(random.random() * 70);
        let killed: (next: MemoryFiles) => void = () => {};
        const kill = new Promise<MemoryFiles>((resolve) => killed = resolve);
        files.onCall = (_, index) => {
          if (index === last) {
            killed(files.crash(names === null ? undefined : { random: () => random.random(), names }));
          }
          return null;
        };
        const outcome = await Promise.race([life(files, clock, random), kill]);
        if (outcome instanceof MemoryFiles) {
          files = outcome;
          // Where changes of names are lost, the resume state may claim pieces of missing files; such claims aren't
          // believed.
          if (names === null || names === "all") assertHonest(files, `seed ${seed}, life ${lives}`);
          else assertNamesRight(files, `seed ${seed}, life ${lives}`);
          clock.advance(Math.floor(random.random() * 20_000));
        } else {
          done = true;
        }
      }
      assertWhole(files, `seed ${seed}`);
    }
  });
}

Deno.test("Storage comes back right from a loss of power at each of its calls", async () => {
  const faultless = new MemoryFiles();
  await session(faultless, new VirtualClock());
  for (const index of cases(faultless.calls.length + 1)) {
    for (let seed = 1; seed <= 3; seed++) {
      const clock = new VirtualClock();
      const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
      const random = new VirtualClock({ seed: seed * 1000 + index });
      const why = `call ${index}, ${faultless.calls[index]?.operation ?? "after the end"}, seed ${seed}`;
      const death = Promise.withResolvers<void>();
      files.onCall = (_, at) => {
        if (at === index) death.resolve();
        return null;
      };
      const life = session(files, clock);
      await Promise.race([life, death.promise]);
      const names = (["all", "early", "any"] as const)[seed % 3]!;
      const left = files.crash({ random: () => random.random(), names }, () => clock.wallClock());
      assertNamesRight(left, why);
      clock.advance(60_000);
      left.onCall = () => {
        assertNamesRight(left, why);
        return null;
      };
      await session(left, clock);
      assertWhole(left, why);
    }
  }
});

for (const late of [false, true]) {
  const when = late ? "since the last save" : "and saved";
  Deno.test(`Storage that is killed finds again what was written ${when}`, async () => {
    const clock = new VirtualClock();
    const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
    const storage = storageOf(torrent, files, { clock });
    await storage.open("resume", QUIET);
    for (const piece of [3, 4]) await storage.writePiece(piece, torrent.piece(piece));
    await clock.play(6500); // saved, synced and saved
    for (const piece of [0, 5]) await storage.writePiece(piece, torrent.piece(piece));
    await clock.play(1500); // saved
    if (late) await storage.writePiece(6, torrent.piece(6));
    const after = files.crash();
    clock.advance(3_600_000);

    const again = storageOf(torrent, after, { clock });
    assertEquals([...await again.open("resume", QUIET)], late ? [0, 3, 4, 5, 6] : [0, 3, 4, 5]);
    const read = after.calls.reduce((sum, call) => sum + (call.operation === "read" ? call.size : 0), 0);
    if (late) assertEquals(read, 64 + 3 * 64 + 23, "what wasn't synced, and all of the file that was written");
    else assertEquals(read, 128, "only the two that weren't synced");
    await again.close();
  });
}

Deno.test("Storage that is killed between a rename and the save hashes the file", async () => {
  const clock = new VirtualClock();
  const files = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const storage = storageOf(torrent, files, { clock });
  await storage.open("resume", QUIET);
  for (const piece of [2, 3, 4]) await storage.writePiece(piece, torrent.piece(piece));
  await clock.play(8000);
  files.onCall = (call) => {
    assert(call.operation !== "writeFile", "the state is not saved any more");
    return null;
  };
  for (const piece of [5, 6]) await storage.writePiece(piece, torrent.piece(piece));
  while (files.get("/dl/t/sub/d") === null) await clock.play(0);
  const after = files.crash();

  const again = storageOf(torrent, after, { clock });
  assertEquals([...await again.open("resume", QUIET)], [2, 3, 4, 5, 6]);
  const read = after.calls.reduce((sum, call) => sum + (call.operation === "read" ? call.size : 0), 0);
  assertEquals(read, 2 + 7 + 250, "all of the file, and what its first piece has in others");
  assertEquals(after.get("/dl/t/sub/d"), torrent.file("t/sub/d"));
  await again.close();
});

Deno.test("Storage.close() leaves no file open behind a read across files that is under way", async () => {
  const torrent = new Torrent(64, [{ path: "t/a", length: 20 }, { path: "t/b", length: 20 }, {
    path: "t/c",
    length: 20,
  }]);
  const files = new MemoryFiles();
  for (const file of ["t/a", "t/b", "t/c"]) files.put(`/dl/${file}`, torrent.file(file));
  const storage = storageOf(torrent, files);
  await storage.open("trust", QUIET);
  const gate = files.hold((call) => call.operation === "read");
  const load = assertRejects(() => storage.load(0, 0, 60), StorageError, "were closed");
  while (gate.waiting === 0) await Promise.resolve();
  const closing = storage.close();
  gate.open();
  await Promise.all([load, closing]);
  assertEquals(files.openHandles, 0);
});
