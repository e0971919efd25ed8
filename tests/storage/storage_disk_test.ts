import { assert, assertEquals, assertRejects } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { denoFiles } from "../../src/platform/deno_files.ts";
import type { StorageOptions } from "../../src/storage/storage.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { QUIET, readPiece, storageOf, Torrent, writeMissing } from "./fixture.ts";

const KIB = 1024;
const torrent = new Torrent(16 * KIB, [
  { path: "t/one", length: 300 * KIB + 7 },
  { path: "t/deep/er/two", length: 5 },
  { path: "t/deep/empty" },
  { path: "t/.pad/1000", length: 1000, pad: true },
  { path: "t/\u00e9 \u6f22 three", length: 64 * KIB },
  { path: "t/link", link: "t/deep/er/two" },
]);

async function inFolder(run: (options: Partial<StorageOptions> & { folder: string }) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-storage-" });
  try {
    await run({ folder: `${folder}/dl`, stateFolder: `${folder}/state/shoal` });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function assertWhole(folder: string): Promise<void> {
  for (const file of torrent.layout.files) {
    if (file.pad || file.symlink !== null) continue;
    const path = file.path.join("/");
    assertEquals(new Uint8Array(await Deno.readFile(`${folder}/${path}`)), torrent.file(path), path);
  }
  assertEquals(await Deno.readLink(`${folder}/t/link`), "../t/deep/er/two");
  assertEquals(await denoFiles.list(`${folder}/t`), ["deep", "link", "one", "\u00e9 \u6f22 three"].sort());
}

Deno.test("Storage on a real disk: written in any order, read back, found again", () =>
  inFolder(async (options) => {
    const random = new VirtualClock({ seed: 5 });
    const storage = storageOf(torrent, denoFiles, options);
    const have = await storage.open("resume", QUIET);
    const order = torrent.hashes.map((_, piece) => ({ piece, turn: random.random() })).sort((a, b) => a.turn - b.turn);
    await Promise.all(order.slice(0, 12).map(({ piece }) => storage.writePiece(piece, torrent.piece(piece))));
    await storage.close();
    assert(have.isEmpty);
    assertEquals(await denoFiles.list(`${options.folder}/t`), ["deep", "one.part", "\u00e9 \u6f22 three.part"]);

    const again = storageOf(torrent, denoFiles, options);
    const found = await again.open("resume", QUIET);
    assertEquals([...found], order.slice(0, 12).map(({ piece }) => piece).sort((a, b) => a - b));
    await writeMissing(torrent, again, found);
    for (const { piece } of order) assertEquals(await readPiece(torrent, again, piece), torrent.piece(piece));
    await again.flush();
    await assertWhole(options.folder);
    await again.close();

    for (const mode of ["resume", "check", "trust"] as const) {
      const seed = storageOf(torrent, denoFiles, { ...options, readOnly: true });
      assert((await seed.open(mode, QUIET)).isFull, mode);
      await seed.close();
    }
  }));

Deno.test("Storage on a real disk leaves holes for what is not written", () =>
  inFolder(async (options) => {
    const big = new Torrent(16 * KIB, [{ path: "big", length: 4096 * KIB }]);
    const storage = storageOf(big, denoFiles, options);
    await storage.open("resume", QUIET);
    await storage.writePiece(200, big.piece(200));
    await storage.close();
    const info = await Deno.stat(`${options.folder}/big.part`);
    assertEquals(info.size, 4096 * KIB);
    if (info.blocks !== null) assert(info.blocks * 512 < 1024 * KIB, `${info.blocks} blocks are in use`);
  }));

Deno.test("Storage on a real disk names the folder that can't be made", () =>
  inFolder(async (options) => {
    await Deno.writeTextFile(options.folder, "a file, not a folder");
    const error = await assertRejects(() => storageOf(torrent, denoFiles, options).open("resume", QUIET), ShoalError);
    assertEquals([error.kind, error.where], ["storage", options.folder]);
  }));

Deno.test("Storage on a real disk does not go through a link that an earlier torrent left", () =>
  inFolder(async (options) => {
    await Deno.mkdir(`${options.folder}/elsewhere`, { recursive: true });
    await Deno.symlink("elsewhere", `${options.folder}/t`);
    const error = await assertRejects(() => storageOf(torrent, denoFiles, options).open("resume", QUIET), ShoalError);
    assertEquals([error.what, error.where.endsWith("/dl/t")], ["path conflict", true]);
    assertEquals(await denoFiles.list(`${options.folder}/elsewhere`), []);
  }));

/** A folder on another file system than temporary files, where there is one. */
const SHARED_MEMORY = "/dev/shm";
const hasOther = await hasOtherDevice();

async function hasOtherDevice(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    const there = await Deno.makeTempFile({ dir: SHARED_MEMORY });
    // Deno 2.4 opens nothing below /dev without all permissions.
    await Deno.open(there).then((file) => file.close()).finally(() => Deno.remove(there));
    return (await Deno.stat(SHARED_MEMORY)).dev !== (await Deno.stat(folder)).dev;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

Deno.test({
  name: `Storage on a real disk moves to another file system and back, and goes when it is removed${
    hasOther ? "" : ` (needs ${SHARED_MEMORY})`
  }`,
  ignore: !hasOther,
  fn: () =>
    inFolder(async (options) => {
      const away = await Deno.makeTempDir({ dir: SHARED_MEMORY, prefix: "shoal-storage-" });
      try {
        const storage = storageOf(torrent, denoFiles, options);
        const have = await storage.open("resume", QUIET);
        for (const piece of [0, 5, 7]) await storage.writePiece(piece, torrent.piece(piece));
        await storage.move(`${away}/dl`);
        assertEquals(await denoFiles.list(`${options.folder}`), []);
        await writeMissing(torrent, storage, storage.have);
        await storage.flush();
        await assertWhole(`${away}/dl`);
        await storage.move(options.folder);
        await assertWhole(options.folder);
        assertEquals(await denoFiles.list(`${away}/dl`), []);
        assert((await storage.recheck(QUIET)).isFull);
        assert(have.isEmpty);
        await storage.removeData();
        assertEquals(await denoFiles.list(options.folder), []);
        assertEquals(await denoFiles.list(options.stateFolder!), []);
      } finally {
        await Deno.remove(away, { recursive: true });
      }
    }),
});
