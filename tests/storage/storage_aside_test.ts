/** Files under their final names that can't be verified before their neighbours are complete. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { StorageError } from "../../src/storage/errors.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { cases } from "../support/property.ts";
import { VirtualClock } from "../support/virtual_clock.ts";
import { QUIET, storageOf, Torrent, writeMissing } from "./fixture.ts";

/**
 * With pieces of 64 bytes, `b` lies in one piece with both neighbours, `c` has two pieces of its own, `d` shares both
 * of its pieces.
 */
const torrent = new Torrent(64, [
  { path: "t/a", length: 150 },
  { path: "t/b", length: 20 },
  { path: "t/c", length: 200 },
  { path: "t/d", length: 60 },
  { path: "t/e", length: 30 },
]);
const NAMES = ["t/a", "t/b", "t/c", "t/d", "t/e"];

async function download(files: MemoryFiles, options: Parameters<typeof storageOf>[2] = {}): Promise<void> {
  const storage = storageOf(torrent, files, options);
  try {
    await writeMissing(torrent, storage, await storage.open("resume", QUIET));
    await storage.flush();
  } finally {
    await storage.close();
  }
}

function assertWhole(files: MemoryFiles, why?: string): void {
  for (const name of NAMES) assertEquals(files.get(`/dl/${name}`), torrent.file(name), `${why} ${name}`);
  assertEquals(files.paths().filter((path) => path.startsWith("/dl/t/")), NAMES.map((name) => `/dl/${name}`), why);
}

Deno.test("Storage keeps right files of which no piece could be checked, whichever there are", async () => {
  for (let set = 1; set < 32; set++) {
    const files = new MemoryFiles();
    const there = NAMES.filter((_, i) => set & 1 << i);
    for (const name of there) files.put(`/dl/${name}`, torrent.file(name));
    const stamps = NAMES.map((name) => files.stampOf(`/dl/${name}`)?.split(":")[0]);
    await download(files);
    assertWhole(files, there.join());
    for (const [i, name] of NAMES.entries()) {
      if (there.includes(name)) {
        assertEquals(files.stampOf(`/dl/${name}`)?.split(":")[0], stamps[i], "it is the same file");
      }
    }
  }
});

Deno.test("Storage that was stopped anywhere keeps right files that can be proven only in part by then", async () => {
  for (const set of cases(32, 1)) {
    for (let stop = 0; stop <= torrent.hashes.length; stop++) {
      for (const isKilled of [false, true]) {
        let files = new MemoryFiles();
        const there = NAMES.filter((_, i) => set & 1 << i);
        for (const name of there) files.put(`/dl/${name}`, torrent.file(name));
        const storage = storageOf(torrent, files);
        const have = await storage.open("resume", QUIET);
        for (let piece = 0; piece < stop; piece++) {
          if (!have.has(piece)) await storage.writePiece(piece, torrent.piece(piece));
        }
        await storage.flush();
        if (isKilled) {
          await storage.saveState();
          files = files.crash();
        } else await storage.close();
        await download(files);
        assertWhole(files, `${there.join()} until ${stop}, killed: ${isKilled}`);
      }
    }
  }
});

Deno.test("Storage refuses a file that turns out to be another one, alone, and keeps both", async () => {
  for (const size of [1, 19, 20]) {
    const files = new MemoryFiles();
    const mine = new Uint8Array(size).fill(7);
    files.put("/dl/t/b", mine);
    for (let run = 0; run < 2; run++) {
      const error = await assertRejects(() => download(files), StorageError);
      assertEquals([error.what, error.where, error.kind], ["path conflict", "/dl/t/b", "storage"]);
      assertEquals(files.get("/dl/t/b"), mine);
      assertEquals(files.get("/dl/t/b.part"), torrent.file("t/b"));
      for (const name of ["t/a", "t/c", "t/d", "t/e"]) assertEquals(files.get(`/dl/${name}`), torrent.file(name));
    }
    files.delete("/dl/t/b");
    const storage = storageOf(torrent, files);
    assert((await storage.open("resume", QUIET)).isFull, "nothing is fetched again");
    await storage.flush();
    await storage.close();
    assertWhole(files);
  }
});

Deno.test("Storage replaces what holds nothing but a part of the right file", async () => {
  const parts: ((data: Uint8Array) => Uint8Array)[] = [
    (data) => data.slice(0, 5),
    (data) => data.fill(0),
    (data) => data.fill(0, 3, 12),
    (data) => data.subarray(0, data.length - 1),
  ];
  for (const part of parts) {
    const files = new MemoryFiles();
    for (const name of ["t/b", "t/d"]) files.put(`/dl/${name}`, part(torrent.file(name)).slice());
    files.put("/dl/t/c", new Uint8Array(200)); // preallocated by another client, no data yet
    await download(files);
    assertWhole(files);
  }
});

Deno.test("Storage takes a right file when others are chosen later, and with what the partfile has of it", async () => {
  const files = new MemoryFiles();
  files.put("/dl/t/b", torrent.file("t/b"));
  const stamp = files.stampOf("/dl/t/b");
  const first = storageOf(torrent, files, { files: new Set([0]) });
  await first.open("resume", QUIET);
  for (const piece of [0, 1, 2]) await first.writePiece(piece, torrent.piece(piece));
  await first.flush();
  await first.close();
  const second = storageOf(torrent, files, { files: new Set([1]) });
  assert((await second.open("resume", QUIET)).has(2), "the piece is here already");
  await second.flush();
  await second.close();
  assertEquals(files.stampOf("/dl/t/b"), stamp);
  await download(files);
  assertWhole(files);
  assertEquals(files.stampOf("/dl/t/b"), stamp);
});

Deno.test("Storage with a file set aside comes back right from a kill at each of its calls", async () => {
  for (const isRight of [true, false]) {
    const bytes = isRight ? torrent.file("t/b") : new Uint8Array(20).fill(7);
    const start = () => {
      const files = new MemoryFiles();
      files.put("/dl/t/b", bytes);
      return files;
    };
    const run = (files: MemoryFiles) => download(files, { clock: new VirtualClock() }).catch((error) => error);
    const faultless = start();
    await run(faultless);
    for (const index of cases(faultless.calls.length)) {
      const why = `call ${index}, ${faultless.calls[index]!.operation} ${faultless.calls[index]!.path}`;
      const files = start();
      const death = Promise.withResolvers<void>();
      files.onCall = (_, at) => {
        if (at === index) death.resolve();
        return null;
      };
      await Promise.race([run(files), death.promise]);
      const left = files.crash();
      assertEquals(left.get("/dl/t/b"), bytes, why);
      const error = await run(left);
      assertEquals(left.get("/dl/t/b"), bytes, why);
      if (isRight) assertWhole(left, why);
      else assertEquals(error?.where, "/dl/t/b", why);
    }
  }
});
