/**
 * File names that some systems don't allow: a torrent made of such files is found in them, and so is a download of the
 * torrent.
 */
import { MemoryBudget } from "../../src/base/memory_budget.ts";
import { assert, assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { encode } from "../../src/bencode/mod.ts";
import { digestsOf, type Metainfo, parseMetainfo, pathsOnDisk } from "../../src/metainfo/mod.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import { verify } from "../../src/session/verify_torrent.ts";
import { Storage, type StorageOptions } from "../../src/storage/storage.ts";
import { sha1 } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { noise } from "../support/payload.ts";
import { fc, tries, unicodeText } from "../support/property.ts";

const QUIET = { onProgress(): void {} };
const LENGTH = 16 * 1024;

function platformOf(files: MemoryFiles): StorageOptions["platform"] {
  return {
    now: () => 0,
    wallClock: () => 1,
    after: () => ({ cancel() {} }),
    files,
    sha1: (data) => Promise.resolve(sha1(data)),
    digest: startDigest,
  };
}

function storageOf(meta: Metainfo, files: MemoryFiles, options: Partial<StorageOptions> & { folder: string }): Storage {
  return new Storage(meta, {
    platform: platformOf(files),
    verifier: digestsOf(meta),
    pathsOf: (index) => pathsOnDisk(meta.files[index]!),
    infoHash: meta.infoHash,
    stateFolder: "/state",
    memory: new MemoryBudget(0),
    ...options,
  });
}

/** Seeds the contents of a folder and returns the number of available pieces. */
async function seeds(meta: Metainfo, files: MemoryFiles, folder: string): Promise<number> {
  const storage = storageOf(meta, files, { folder, readOnly: true });
  const have = await storage.open("check", QUIET);
  await storage.close();
  return have.count;
}

/** Names that Linux allows and that cause trouble on some system or in some program. */
const name = fc.oneof(
  fc.constantFrom(
    "a",
    "A",
    "a.part",
    "a.1.part",
    "a.1",
    "a_b",
    "a\tb",
    "a\tb.part",
    "a\\b",
    "ab",
    "a\u202eb",
    "a\u200fb",
    "a\x7fb",
    "\x01",
    " a",
    "a ",
    "a.",
    "...",
    "CON",
    "con.txt",
    "a:b",
    "a?b",
    "\u00e9",
    "e\u0301",
    "\u00c9",
    "a%09b",
    ".shoal",
    "\\",
    "\u202e",
    "x".repeat(255),
    "X".repeat(255),
    `${"x".repeat(254)}y`,
    `${"\u00e9".repeat(127)}z`,
    "y".repeat(245),
    "y".repeat(250),
    `${"z".repeat(249)}.part`,
    `${"\t".repeat(255)}`,
  ),
  unicodeText({ minLength: 1, maxLength: 12 })
    .filter((text) =>
      text.isWellFormed() && !/[/\0]/.test(text) && text !== "." && text !== ".." && utf8(text).length < 256
    ),
); // deno-fmt-ignore

Deno.test("what create makes of any names is found by verify and seed, and so is what is downloaded of it", () =>
  fc.assert(
    fc.asyncProperty(
      name,
      fc.uniqueArray(fc.tuple(fc.option(name), name), { minLength: 1, maxLength: 8, selector: ([a, b]) => `${a}/${b}` }),
      fc.integer({ min: 1, max: 30_000 }),
      async (top, names, size) => {
        const files = new MemoryFiles();
        const folders = new Set(names.map(([folder]) => folder));
        const paths = names.filter(([folder, file]) => folder !== null || !folders.has(file));
        for (const [i, [folder, file]] of paths.entries()) {
          files.put(`/in/${top}/${folder === null ? "" : `${folder}/`}${file}`, noise(size + i, i));
        }
        fc.pre(paths.length > 0);
        const platform = platformOf(files);
        const { meta: made, bytes } = await createTorrent(`/in/${top}`, { platform, pieceLength: LENGTH });
        const inside = files.paths().filter((path) => path.startsWith("/in/"));
        const stream = new Uint8Array(made.totalLength);
        for (const portable of [false, true]) {
          const meta = parseMetainfo(bytes, { portable });
          const there = await verify(meta, { platform, folder: "/in" });
          assertEquals(there.valid, meta.pieceCount);
          assertEquals(await seeds(meta, files, "/in"), meta.pieceCount);
          assertEquals(files.paths().filter((path) => path.startsWith("/in/")), inside, "nothing is changed");
          // Where the files are already, there is nothing to download.
          const again = storageOf(meta, files, { folder: "/in" });
          assert((await again.open("check", QUIET)).isFull);
          for (let i = 0; i < meta.pieceCount; i++) {
            const piece = new Uint8Array(Math.min(LENGTH, meta.totalLength - i * LENGTH));
            await again.load(i, 0, piece.length);
            assert(again.readCached(i, 0, piece.length, piece, 0));
            stream.set(piece, i * LENGTH);
          }
          await again.close();
          assertEquals(files.paths().filter((path) => path.startsWith("/in/")), inside, "nothing is renamed");
          const out = `/out${portable}`;
          const download = storageOf(meta, files, { folder: out });
          await download.open("resume", QUIET);
          for (let i = 0; i < meta.pieceCount; i++) {
            await download.writePiece(i, stream.slice(i * LENGTH, (i + 1) * LENGTH));
          }
          await download.flush();
          await download.close();
          assertEquals((await verify(meta, { platform, folder: out })).valid, meta.pieceCount);
          assertEquals(await seeds(meta, files, out), meta.pieceCount);
          for (const path of files.paths().filter((path) => path.startsWith(out))) {
            for (const part of path.split("/")) assert(utf8(part).length <= 255 && !/[\\\p{Cc}\u202e]/u.test(part), path);
          }
        }
      },
    ),
    {
      numRuns: tries(150),
      // A file has the name that another file has while it is incomplete.
      examples: [["t", [[null, "a\tb"], [null, "a\tb.part"]], 1], ["t", [[null, "a\tb.part"], [null, "a\tb"]], 1]],
    },
  ));

/** Returns a torrent of one folder with these files, as any program may have made it. */
function torrentOf(contents: Readonly<Record<string, Uint8Array>>): Metainfo {
  const stream = Object.values(contents).flatMap((bytes) => [...bytes]);
  const pieces: number[] = [];
  for (let at = 0; at < stream.length; at += LENGTH) {
    pieces.push(...sha1(Uint8Array.from(stream.slice(at, at + LENGTH))));
  }
  const files = Object.entries(contents).map(([path, { length }]) => ({ length, path: path.split("/") }));
  const info = { files, name: "t", "piece length": LENGTH, pieces: Uint8Array.from(pieces) };
  return parseMetainfo(encode({ info }), { portable: false });
}

Deno.test("verify finds files under the names that other clients gave them", async () => {
  const contents = {
    "a\tb": noise(20_000, 1),
    "c\\d": noise(20_000, 2),
    "x\u202ey": noise(100, 3),
    [`${"n".repeat(246)}.txt`]: noise(100, 4),
  };
  const meta = torrentOf(contents);
  const ways: Readonly<Record<string, readonly string[]>> = {
    itself: ["a\tb", "c\\d", "x\u202ey", `${"n".repeat(246)}.txt`],
    aria2: ["a\tb", "c\\d", "x\u202ey", `${"n".repeat(246)}.txt`],
    libtorrent: ["a_b", "cd", "xy", `${"n".repeat(240)}.txt`],
    others: ["a_b", "c_d", "x\u202ey", `${"n".repeat(246)}.txt`],
  };
  for (const [who, names] of Object.entries(ways)) {
    const files = new MemoryFiles();
    for (const [i, bytes] of Object.values(contents).entries()) files.put(`/d/t/${names[i]}`, bytes);
    const { valid } = await verify(meta, { platform: platformOf(files), folder: "/d" });
    assertEquals(valid, meta.pieceCount, who);
    assertEquals(await seeds(meta, files, "/d"), meta.pieceCount, who);
  }
});

Deno.test("a file with a name that had to be changed is not taken for the one whose name it got", async () => {
  const contents = { "a\tb": noise(20_000, 1), "a_b": noise(20_000, 2) };
  const meta = torrentOf(contents);
  assertEquals(meta.files.map(({ path }) => path[1]), ["a_b", "a_b.1"]);
  const files = new MemoryFiles();
  for (const [name, bytes] of Object.entries(contents)) files.put(`/d/t/${name}`, bytes);
  assertEquals((await verify(meta, { platform: platformOf(files), folder: "/d" })).valid, meta.pieceCount);
});

Deno.test("a file under its own name is found when the usual name of its unfinished form belongs to another file", async () => {
  const contents = {
    "A": noise(20_000, 1),
    "a": noise(20_001, 2),
    "a.part": noise(20_002, 3),
    "b\tc": noise(20_003, 4),
  };
  const own = { ...contents, "b\tc.part": noise(20_004, 5), "b_c.1": noise(20_005, 6) };
  const meta = torrentOf(own);
  const files = new MemoryFiles();
  for (const [name, bytes] of Object.entries(own)) files.put(`/d/t/${name}`, bytes);
  const before = files.paths();
  const storage = storageOf(meta, files, { folder: "/d" });
  assert((await storage.open("check", QUIET)).isFull);
  await storage.flush();
  await storage.close();
  assertEquals(files.paths().filter((path) => path.startsWith("/d/")), before);
});

Deno.test("a damaged file under its own name goes on to be written there", async () => {
  const bytes = noise(3 * LENGTH, 1);
  const meta = torrentOf({ "a\tb": bytes });
  const files = new MemoryFiles();
  const damaged = bytes.slice();
  damaged[LENGTH]! ^= 1;
  files.put("/d/t/a\tb", damaged);
  let storage = storageOf(meta, files, { folder: "/d" });
  assertEquals([...await storage.open("resume", QUIET)], [0, 2]);
  assertEquals(files.paths().filter((path) => path.startsWith("/d/t")), ["/d/t/a\tb.part"]);
  await storage.close();
  storage = storageOf(meta, files, { folder: "/d" });
  assertEquals([...await storage.open("resume", QUIET)], [0, 2], "it is found again");
  await storage.writePiece(1, bytes.slice(LENGTH, 2 * LENGTH));
  await storage.flush();
  await storage.close();
  assertEquals(files.get("/d/t/a\tb"), bytes);
});

Deno.test("on Windows only safe names are looked for", async () => {
  const meta = torrentOf({ "a\\..\\b": noise(100, 1) });
  const files = new MemoryFiles();
  files.put("/d/t/x", new Uint8Array(1));
  const asked: string[] = [];
  const { stat } = files;
  files.realPath = () => Promise.resolve("C:/d");
  files.stat = (path) => {
    asked.push(path);
    return stat.call(files, path.replace("C:", ""));
  };
  files.list = () => Promise.resolve([]);
  await verify(meta, { platform: platformOf(files), folder: "/d" });
  assertEquals(
    new Set(asked),
    new Set([
      "C:/d",
      "C:/d/t",
      "C:/d/a..b",
      "C:/d/t/a..b",
      "C:/d/a..b.part",
      "C:/d/t/a..b.part",
      `C:/d/.shoal-${meta.infoHash.hex}.part`,
    ]),
  );
});
