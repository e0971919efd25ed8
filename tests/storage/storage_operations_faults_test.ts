/**
 * Kills and power failures at any call while everything changes: files under final names are right, and pieces that
 * were safe are found again.
 */

import { assert, assertEquals } from "@std/assert";
import type { Bitfield } from "../../src/base/bitfield.ts";
import { parseResumeState } from "../../src/storage/resume_state.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { tries } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { FILES_WITHIN_A_PIECE, QUIET, readPiece, statePath, storageOf, Torrent } from "./fixture.ts";

const torrent = new Torrent(64, FILES_WITHIN_A_PIECE);
const COUNT = FILES_WITHIN_A_PIECE.length;

/** Facts that outlast each run. */
interface World {
  readonly clock: VirtualClock;
  readonly random: VirtualClock;
  /** Pieces that were written and synced, and not forgotten since. */
  safe: Set<number>;
  /** Folder of the files. */
  folder: string;
  /** Folder that the files are being moved to. */
  target: string | null;
}

const FOLDERS = ["/dl", "/new/place", "/mnt/place"];

/**
 * Returns the folder to open next: the current folder, or the target of the move if both resume states name the move.
 */
function folderOf(files: MemoryFiles, { folder, target, random }: World): string {
  const other = (of: string): string | undefined => {
    const bytes = files.get(statePath(torrent, of));
    const shape = { pieceCount: torrent.layout.pieceCount, fileCount: COUNT };
    return bytes === null ? undefined : parseResumeState(bytes, shape).otherFolder;
  };
  const isUnderWay = target !== null && other(target) === folder && other(folder) === target;
  return isUnderWay && random.random() < 0.5 ? target : folder;
}

function someFiles({ random }: World): Set<number> {
  const share = random.random();
  return new Set(Array.from({ length: COUNT }, (_, i) => i).filter(() => random.random() < share));
}

/** Writes some of the missing pieces of wanted files. */
async function write(storage: Storage, wanted: ReadonlySet<number>, { random }: World): Promise<void> {
  const { have } = storage;
  const work: Promise<void>[] = [];
  for (const file of wanted) {
    const { first, end } = torrent.map.piecesOfFile(file);
    for (let piece = first; piece < end; piece++) {
      if (!have.has(piece) && random.random() < 0.6) work.push(storage.writePiece(piece, torrent.piece(piece)));
    }
  }
  await Promise.all(work);
}

/** One run of a process, which may end at any call. */
async function life(files: MemoryFiles, world: World): Promise<boolean> {
  const { clock, random } = world;
  let wanted = someFiles(world);
  world.folder = folderOf(files, world);
  world.target = null;
  const storage = storageOf(torrent, files, { clock, maxOpenFiles: 2, files: wanted, folder: world.folder });
  const have = await storage.open(random.random() < 0.9 ? "resume" : "check", QUIET);
  const keep = (pieces: Bitfield): void => {
    for (const piece of world.safe) assert(pieces.has(piece), `piece ${piece} is lost`);
    world.safe = new Set(pieces);
  };
  keep(have);
  for (let step = 0; step < 8; step++) {
    const dice = Math.floor(random.random() * 9);
    const reading = dice !== 5 && random.random() < 0.5 ? readAny(storage) : null;
    if (dice < 2) {
      wanted = someFiles(world);
      keep(await storage.select(wanted));
    } else if (dice < 5) await write(storage, wanted, world);
    else if (dice === 5) {
      const lost = [...storage.have].filter(() => random.random() < 0.2);
      for (const piece of lost) world.safe.delete(piece);
      await storage.forget(lost);
    } else if (dice === 6) keep(await storage.recheck(QUIET));
    else if (dice === 7) {
      world.target = FOLDERS[Math.floor(random.random() * FOLDERS.length)]!;
      await storage.move(world.target);
      world.folder = world.target;
      world.target = null;
    } else {
      await storage.flush();
      keep(storage.have);
    }
    await reading;
    await clock.play(Math.floor(random.random() * 3000));
  }
  for (const piece of storage.have) assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece));
  await storage.close();
  keep(storage.have);
  return true;
}

/** Reads one piece, at any time. */
async function readAny(storage: Storage): Promise<void> {
  for (const piece of storage.have) return assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece));
}

function assertRight(files: MemoryFiles, why: string): void {
  for (const file of torrent.layout.files) {
    const path = file.path.join("/");
    for (const folder of FOLDERS) {
      const data = files.get(`${folder}/${path}`);
      if (data !== null) assertEquals(data, torrent.file(path), `${why}: ${folder}/${path}`);
    }
  }
}

for (const names of [null, "all"] as const) {
  const what = names === null ? "kills" : "losses of power";
  Deno.test(`Storage comes back right from ${what} at any call of any operation`, async () => {
    for (let seed = 1; seed <= tries(12); seed++) {
      const clock = new VirtualClock({ seed });
      const world: World = {
        clock,
        random: new VirtualClock({ seed: seed + 3000 }),
        safe: new Set(),
        folder: "/dl",
        target: null,
      };
      const { random } = world;
      let files = new MemoryFiles({ wallClock: () => clock.wallClock(), mounts: ["/mnt"] });
      for (let lives = 0; lives < 8; lives++) {
        const last = 1 + Math.floor(random.random() * 300);
        const killed = Promise.withResolvers<MemoryFiles>();
        files.onCall = (_, index) => {
          if (index === last) {
            killed.resolve(files.crash(names === null ? undefined : { random: () => random.random(), names }));
          }
          return null;
        };
        const outcome = await Promise.race([life(files, world), killed.promise]);
        files = outcome instanceof MemoryFiles ? outcome : files.crash();
        assertRight(files, `seed ${seed}, life ${lives}`);
        clock.advance(Math.floor(random.random() * 20_000));
      }
      const folder = folderOf(files, world);
      const storage = storageOf(torrent, files, { clock, folder });
      const have = await storage.open("resume", QUIET);
      for (const piece of world.safe) assert(have.has(piece), `seed ${seed}: piece ${piece} is lost`);
      for (let piece = 0; piece < torrent.layout.pieceCount; piece++) {
        if (!have.has(piece)) await storage.writePiece(piece, torrent.piece(piece));
      }
      await storage.flush();
      await storage.close();
      assertRight(files, `seed ${seed}`);
      const there = files.paths().filter((path) => path.includes("/t/"));
      assertEquals(there, torrent.finalPaths(folder), `seed ${seed}`);
    }
  });
}
