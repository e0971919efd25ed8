/** Writes and reads 32 MiB of pieces a run: in a temporary folder, and in memory. */

import { InfoHash } from "../src/base/info_hash.ts";
import type { Bytes } from "../src/base/bytes.ts";
import { denoPlatform } from "../src/platform/deno_platform.ts";
import type { FileSystem } from "../src/platform/platform.ts";
import { MemoryBudget } from "../src/base/memory_budget.ts";
import { ReadCache } from "../src/storage/read_cache.ts";
import { V1Digests } from "../src/metainfo/v1_verifier.ts";
import { Storage } from "../src/storage/storage.ts";
import { layoutOf } from "../tests/storage/fixture.ts";
import { MemoryFiles } from "../tests/support/memory_files.ts";

const KIB = 1024;
const MIB = KIB * KIB;
const SIZE = 32 * MIB;
/** Bytes that are written concurrently, as with a fast peer. */
const TOGETHER = 4 * MIB;

interface Shape {
  readonly name: string;
  readonly pieceLength: number;
  readonly files: number;
}

const SHAPES: readonly Shape[] = [
  { name: "pieces of 1 MiB, one file", pieceLength: MIB, files: 1 },
  { name: "pieces of 16 KiB, one file", pieceLength: 16 * KIB, files: 1 },
  { name: "pieces of 256 KiB, files of 64 KiB", pieceLength: 256 * KIB, files: 512 },
];

for (const shape of SHAPES) {
  Deno.bench(`Storage.writePiece: ${shape.name}, on disk`, { n: 5, warmup: 1 }, async (b) => {
    const folder = await Deno.makeTempDir({ prefix: "shoal-bench-" });
    try {
      await write(shape, { files: denoPlatform.files, folder, start: () => b.start(), end: () => b.end() });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
  // Files in memory grow with every write beyond their end, so the pieces are written in order.
  Deno.bench(`Storage.writePiece: ${shape.name}, in memory`, { n: 5, warmup: 1 }, async (b) => {
    await write(shape, { files: new MemoryFiles(), folder: "/out", start: () => b.start(), end: () => b.end() });
  });
}

/** Writes a torrent and closes it, which syncs the files. Only the writing is measured. */
async function write(
  { pieceLength, files: count }: Shape,
  place: { readonly files: FileSystem; readonly folder: string; readonly start: () => void; readonly end: () => void },
): Promise<void> {
  const layout = layoutOf(
    pieceLength,
    Array.from({ length: count }, (_, i) => ({ path: `payload/${i}`, length: SIZE / count })),
  );
  const storage = new Storage(layout, {
    platform: { ...denoPlatform, files: place.files },
    folder: place.folder,
    verifier: new V1Digests({ pieceHash: () => new Uint8Array(20) }),
    infoHash: new InfoHash(new Uint8Array(20)),
    stateFolder: null,
    memory: new MemoryBudget(4 * MIB),
  });
  await storage.open("resume", { onProgress() {} });
  const piece = new Uint8Array(pieceLength).fill(7);
  const together = TOGETHER / pieceLength;
  place.start();
  for (let at = 0; at < layout.pieceCount; at += together) {
    await Promise.all(Array.from({ length: together }, (_, i) => storage.writePiece(at + i, piece)));
  }
  place.end();
  await storage.close();
}

const seeded = layoutOf(MIB, [{ path: "payload", length: 256 * MIB }]);
const source = new Uint8Array(MIB);
const read = (_: number, into: Bytes) => Promise.resolve(into.set(source.subarray(0, into.length)));
const block = new Uint8Array(16 * KIB);

Deno.bench("ReadCache: 32 MiB of blocks in order, every piece read anew", async () => {
  const cache = new ReadCache(seeded, { read, memory: new MemoryBudget(32 * MIB) });
  for (let piece = 0; piece < 32; piece++) {
    for (let begin = 0; begin < MIB; begin += block.length) {
      if (!cache.copy(piece, begin, block.length, block, 0)) await cache.load(piece, begin, block.length);
    }
  }
});

const warm = new ReadCache(seeded, { read, memory: new MemoryBudget(32 * MIB) });
for (let piece = 0; piece < 8; piece++) {
  for (let begin = 0; begin < MIB; begin += 512 * KIB) await warm.load(piece, begin, block.length);
}

Deno.bench("ReadCache: 32 MiB of blocks that are there", () => {
  for (let i = 0; i < 2048; i++) warm.copy(i & 7, ((i >> 3) & 63) * block.length, block.length, block, 0);
});
