/**
 * Kills and power failures while the selection of files changes: every claimed piece exists, and no unwanted file does.
 */

import { assert, assertEquals } from "@std/assert";
import { StorageError } from "../../src/storage/errors.ts";
import { isOwnName } from "../../src/storage/folder_locks.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { tries } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { FILES_WITHIN_A_PIECE, QUIET, readPiece, storageOf, Torrent } from "./fixture.ts";

const torrent = new Torrent(64, FILES_WITHIN_A_PIECE);
const COUNT = FILES_WITHIN_A_PIECE.length;
const PART = `/dl/.shoal-${torrent.infoHash.hex}.part`;

/** One run of a process, which may end at any call. */
async function life(
  files: MemoryFiles,
  wanted: ReadonlySet<number>,
  { clock, random }: { readonly clock: VirtualClock; readonly random: VirtualClock },
): Promise<boolean> {
  const storage = storageOf(torrent, files, { clock, maxOpenFiles: 2, files: wanted });
  const have = await storage.open(random.random() < 0.9 ? "resume" : "check", QUIET);
  for (const piece of have) assertEquals(await readPiece(torrent, storage, piece), torrent.piece(piece));
  const missing = new Set<number>();
  for (const file of wanted) {
    const { first, end } = torrent.map.piecesOfFile(file);
    for (let piece = first; piece < end; piece++) if (!have.has(piece)) missing.add(piece);
  }
  for (const piece of missing) {
    const write = storage.writePiece(piece, torrent.piece(piece));
    if (random.random() < 0.5) await write;
    await clock.play(Math.floor(random.random() * 3000));
    await write;
  }
  if (random.random() < 0.7) await storage.flush();
  await storage.close();
  return true;
}

/**
 * Runs a process and acts as a user who is told that a file is in the way. If some changes of names were lost and
 * others kept, a small file that is right under its final name may have no neighbour left to verify it with. Such a
 * file is refused, not replaced.
 */
async function stubbornLife(...[files, wanted, chance]: Parameters<typeof life>): Promise<boolean> {
  try {
    return await life(files, wanted, chance);
  } catch (error) {
    if (!(error instanceof StorageError) || error.what !== "path conflict") throw error;
    assert(torrent.finalPaths("/dl").includes(error.where), error.message);
    await files.remove(error.where);
    return await stubbornLife(files, wanted, chance);
  }
}

/** Asserts that every file under a final name is right, and that no file exists that was never wanted. */
function assertRight(files: MemoryFiles, seen: ReadonlySet<number>, why: string): void {
  const allowed = new Set([PART]);
  for (const [index, file] of torrent.layout.files.entries()) {
    const path = `/dl/${file.path.join("/")}`;
    const data = files.get(path);
    if (data !== null) assertEquals(data, torrent.file(file.path.join("/")), `${why}: ${path}`);
    if (seen.has(index)) allowed.add(path).add(`${path}.part`);
  }
  for (const path of files.paths()) {
    const isExpected = !path.startsWith("/dl/") || allowed.has(path) || isOwnName(path.slice("/dl/".length));
    assert(isExpected, `${why}: ${path} is there`);
  }
}

for (const names of [null, "all", "early"] as const) {
  const what = names === null ? "kills" : `losses of power that leave ${names} changes of names`;
  Deno.test(`Storage comes back right from ${what}, whatever is wanted in the next run`, async () => {
    const live = names === null ? life : stubbornLife;
    for (let seed = 1; seed <= tries(25); seed++) {
      const clock = new VirtualClock({ seed });
      const random = new VirtualClock({ seed: seed + 2000 });
      let files = new MemoryFiles({ wallClock: () => clock.wallClock() });
      const seen = new Set<number>();
      for (let lives = 0; lives < 12; lives++) {
        const share = random.random();
        const wanted = new Set(Array.from({ length: COUNT }, (_, i) => i).filter(() => random.random() < share));
        for (const index of wanted) seen.add(index);
        const last = 1 + Math.floor(random.random() * 90);
        const killed = Promise.withResolvers<MemoryFiles>();
        files.onCall = (_, index) => {
          if (index !== last) return null;
          killed.resolve(files.crash(names === null ? undefined : { random: () => random.random(), names }));
          return null;
        };
        const outcome = await Promise.race([live(files, wanted, { clock, random }), killed.promise]);
        if (outcome instanceof MemoryFiles) files = outcome;
        else files = files.crash();
        assertRight(files, seen, `seed ${seed}, life ${lives}`);
        clock.advance(Math.floor(random.random() * 20_000));
      }
      const all = new Set(Array.from({ length: COUNT }, (_, i) => i));
      await live(files, all, { clock, random });
      assertRight(files, all, `seed ${seed}`);
      const there = files.paths().filter((path) => path.startsWith("/dl/t/"));
      assertEquals(there, torrent.finalPaths("/dl"), `seed ${seed}`);
    }
  });
}

Deno.test("Storage that is killed at any call of a start that moves bytes knows what it made, and loses nothing by it", async () => {
  const clock = new VirtualClock();
  const some = new MemoryFiles({ wallClock: () => clock.wallClock() });
  const random = new VirtualClock();
  await life(some, new Set([2, 4]), { clock, random });
  for (let last = 1;; last++) {
    const files = some.crash(undefined, () => clock.wallClock());
    const killed = Promise.withResolvers<MemoryFiles>();
    files.onCall = (_, index) => {
      if (index === last) killed.resolve(files.crash());
      return null;
    };
    const storage = storageOf(torrent, files, { clock, files: new Set([1, 2, 4, 5]) });
    const outcome = await Promise.race([storage.open("resume", QUIET), killed.promise]);
    if (!(outcome instanceof MemoryFiles)) {
      files.onCall = () => null;
      assertEquals([...outcome], [2, 3, 4]);
      await storage.close();
      assert(last > 30, `${last} calls`);
      break;
    }
    const again = storageOf(torrent, outcome, { clock, files: new Set([1, 2, 4, 5]) });
    const have = await again.open("resume", QUIET);
    // A new file that isn't filled yet doesn't hide its bytes in the partfile.
    assertEquals([...have], [2, 3, 4], `after call ${last}`);
    await again.close();
  }
});
