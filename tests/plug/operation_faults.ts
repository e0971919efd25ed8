/**
 * Runs every operation of an open storage with every possible fault in every file system call. Afterwards, files under
 * final names must be right, no piece may be lost, and no handle or timer may be left.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { PathLocks } from "../../src/storage/path_locks.ts";
import { partFileName } from "../../src/storage/file_names.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { QUIET, readPiece, storageOf, Torrent } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { FaultFiles, type Plan } from "./fault_files.ts";
import { finishing } from "./memory_lab.ts";

const torrent = new Torrent(64, [
  { path: "t/a", length: 150 },
  { path: "t/b", length: 20 },
  { path: "t/sub/empty", length: 0 },
  { path: "t/sub/c", length: 130 },
  { path: "t/link", link: "t/a" },
]);
/** All files but `c`. Pieces that span `c` have a part in the partfile. */
const WANTED = new Set([0, 1, 2, 4]);
const FETCHED = [0, 1, 2];

/** An operation to run with faults. */
interface OperationChore {
  /** Returns the files before the operation. */
  prepare(files: MemoryFiles, clock: VirtualClock): Promise<MemoryFiles>;
  /** Runs the operation. Faults occur in opening the storage, here, and in closing the storage. */
  run(storage: Storage, files: FaultFiles): Promise<unknown>;
  /** `true` if the operation removes the data. */
  readonly removes?: boolean;
}

/** Downloads some pieces, and closes the storage. */
async function partly(files: MemoryFiles, clock: VirtualClock): Promise<MemoryFiles> {
  const storage = storageOf(torrent, files, { clock, files: WANTED });
  await storage.open("resume", QUIET);
  for (const piece of FETCHED) await storage.writePiece(piece, torrent.piece(piece));
  await storage.flush();
  await storage.close();
  return files;
}

/** Returns a preparation that kills a move after a number of removed sources or renamed files. */
function interrupted(target: string, operation: "remove" | "rename", count: number): OperationChore["prepare"] {
  return async (files, clock) => {
    await partly(files, clock);
    const storage = storageOf(torrent, files, { clock, files: WANTED });
    await storage.open("resume", QUIET);
    const killed = Promise.withResolvers<MemoryFiles>();
    let left = count;
    files.onCall = (call) => {
      if (call.operation === operation && call.path.startsWith("/dl/t/") && left-- === 0) killed.resolve(files.crash());
      return null;
    };
    const outcome = await Promise.race([killed.promise, storage.move(target)]);
    assert(outcome instanceof MemoryFiles, "it was over before");
    return outcome;
  };
}

/** Moves to a folder in which another torrent of the process has claimed the partfile, which is found late. */
async function moveToTaken(storage: Storage, files: FaultFiles): Promise<void> {
  const claims = new PathLocks(files);
  claims.take(`/new/place/${partFileName(torrent.infoHash)}`);
  await storage.move("/new/place");
}

/** All operations. */
export const operationChores: readonly OperationChore[] = [
  { prepare: partly, run: (storage) => storage.move("/new/place") },
  { prepare: partly, run: (storage) => storage.move("/mnt/place") },
  // The next two are refused, the second one after files have been moved.
  { prepare: partly, run: (storage) => storage.move("/dl/t/sub/new") },
  { prepare: partly, run: moveToTaken },
  { prepare: partly, run: (storage) => storage.select(undefined) },
  { prepare: partly, run: (storage) => storage.forget([1]) },
  { prepare: partly, run: (storage) => storage.recheck(QUIET) },
  { prepare: partly, run: (storage) => storage.removeData(), removes: true },
  { prepare: interrupted("/new/place", "rename", 1), run: () => Promise.resolve() },
  { prepare: interrupted("/mnt/place", "remove", 0), run: () => Promise.resolve() },
  { prepare: interrupted("/mnt/place", "remove", 1), run: () => Promise.resolve() },
];

/**
 * Opens a storage, runs an operation, and closes the storage.
 *
 * @param chore The operation.
 * @param plan Fault to inject, or `null` for none.
 * @returns The file system, with the calls that were made.
 * @throws {AssertionError} If a piece is lost, a file is wrong, or a handle or timer is left.
 */
export async function runOperation(chore: OperationChore, plan: Plan | null): Promise<FaultFiles> {
  const clock = new VirtualClock();
  const empty = new MemoryFiles({ wallClock: () => clock.wallClock(), mounts: ["/mnt"] });
  const memory = await chore.prepare(empty, clock);
  memory.onCall = () => null;
  clock.advance(60_000);
  const files = new FaultFiles(memory, { ...(plan && { plan }), sites: true, after() {} });
  const work = async (): Promise<void> => {
    const storage = storageOf(torrent, files, { clock, files: WANTED });
    try {
      await storage.open("resume", QUIET);
      await chore.run(storage, files);
      await clock.play(2000);
    } finally {
      await storage.close();
    }
  };
  const error = await finishing(work().then(() => null, (thrown) => thrown), clock);
  const failed = files.failed[0];
  const why = plan === null
    ? "no fault"
    : `${plan.fault} at ${failed?.operation} of ${failed?.path} by ${failed?.site}`;
  if (error !== null) {
    assertInstanceOf(error, ShoalError, `${why}: ${error}`);
    assertEquals(error.kind, "storage", why);
  }
  assertEquals(memory.openHandles, 0, `${why}: files are left open`);
  assertEquals(clock.pending, 0, `${why}: timers are left`);
  for (const folder of ["/dl", "/new/place", "/mnt/place"]) {
    for (const path of torrent.finalPaths(folder)) {
      const data = memory.get(path);
      if (data !== null) assertEquals(data, torrent.file(path.slice(folder.length + 1)), `${why}: ${path}`);
    }
  }
  if (chore.removes) {
    if (error === null && plan === null) assertEquals(memory.paths(), []);
    return files;
  }
  // Each piece must be found in one of the folders.
  clock.advance(60_000);
  const found = new Set<number>();
  for (const folder of ["/dl", "/new/place", "/mnt/place"]) {
    const again = storageOf(torrent, memory, { clock, folder, files: WANTED });
    for (const piece of await again.open("check", QUIET)) {
      found.add(piece);
      assertEquals(await readPiece(torrent, again, piece), torrent.piece(piece), why);
    }
    await again.close();
  }
  // A storage that can't read the resume state after a kill doesn't know of the other folder, and leaves its files
  // there.
  const isBlind = failed?.path.startsWith("/state/") && ["stat", "readFile"].includes(failed.operation);
  if (!isBlind) assertEquals([...found].sort((a, b) => a - b), FETCHED, `${why}: something is lost`);
  return files;
}
