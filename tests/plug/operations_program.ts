/**
 * A program that runs random operations of an open storage until it is killed:
 * `operations_program.ts STATE_FOLDER FOLDER SEED FOLDERS...`. After each operation, it prints as JSON what must be
 * found again: the folder and the safe pieces.
 *
 * @module
 */

import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { denoFiles } from "../../src/platform/deno_files.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { QUIET, storageOf, Torrent } from "../storage/fixture.ts";
import { seededRandom } from "../support/random.ts";

const KIB = 1024;
/** Torrent with files of all sizes that share pieces, an empty file, and a link. */
export const TORRENT = new Torrent(16 * KIB, [
  { path: "t/large", length: 700 * KIB + 1 },
  ...Array.from({ length: 12 }, (_, i) => ({ path: `t/${i % 3}/${i}`, length: 3 * KIB + 1000 * i })),
  { path: "t/empty", length: 0 },
  { path: "t/1/last", length: 200 * KIB },
  { path: "t/link", link: "t/large" },
]);

/** A line that the program prints. */
export interface Said {
  /** Folder of the files. */
  readonly folder: string;
  /** Pieces that a kill can't lose any more. */
  readonly safe: readonly number[];
}

/** Returns a storage of the torrent on this machine's disk. */
export function openIn(folder: string, stateFolder: string): Storage {
  return storageOf(TORRENT, denoFiles, { platform: denoPlatform, folder, stateFolder });
}

async function main([stateFolder, start, seed, ...folders]: readonly string[]): Promise<void> {
  const random = seededRandom(Number(seed));
  const some = (share: number): number[] =>
    [...TORRENT.hashes.keys()].filter((piece) => TORRENT.map.rangesOfPiece(piece).length > 0 && random() < share);
  let folder = start!;
  const storage = openIn(folder, stateFolder!);
  const say = (safe: Iterable<number>): void => {
    const line: Said = { folder, safe: [...safe] };
    Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
  };
  say(await storage.open("resume", QUIET));
  for (;;) {
    const dice = Math.floor(random() * 8);
    if (dice < 2) {
      await Promise.all(
        some(0.3).filter((piece) => storage.hasPlace(piece)).map((piece) =>
          storage.writePiece(piece, TORRENT.piece(piece))
        ),
      );
      await storage.flush();
    } else if (dice === 2) {
      const lost = new Set(some(0.1));
      say([...storage.have].filter((piece) => !lost.has(piece)));
      await storage.forget(lost);
    } else if (dice === 3) {
      await storage.select(new Set([...TORRENT.layout.files.keys()].filter(() => random() < 0.6)));
    } else if (dice === 4) await storage.select(undefined);
    else if (dice === 5) await storage.recheck(QUIET);
    else {
      const target = folders[Math.floor(random() * folders.length)]!;
      await storage.move(target);
      folder = target;
    }
    say(storage.have);
  }
}

if (import.meta.main) await main(Deno.args);
