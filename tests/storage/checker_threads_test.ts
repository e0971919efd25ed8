import { assertEquals, assertRejects } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { type CheckOptions, checkPieces } from "../../src/storage/checker.ts";
import { DiskFiles } from "../../src/storage/disk_files.ts";
import { planStart } from "../../src/storage/resume_plan.ts";
import { fc } from "../support/property.ts";
import { type FileSketch, Torrent, verifierOf } from "./fixture.ts";

const KIB = 1024;
const { now, digest, startFileHashers } = denoPlatform;
const THREADS = { now, digest, startFileHashers: () => startFileHashers!() };
const NO_THREADS = { now, digest };

/** Damage to a file before it is checked. */
type Harm = "none" | "flip" | "cut" | "remove" | "long" | "empty";

async function inFolder<T>(body: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-check-" });
  try {
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes the files of a torrent, each with its damage; `part` is a suffix for all file names. */
async function writeFiles(
  torrent: Torrent,
  { folder, harms, part = "" }: { readonly folder: string; readonly harms: readonly Harm[]; readonly part?: string },
): Promise<void> {
  for (const [index, file] of torrent.layout.files.entries()) {
    if (file.pad || file.symlink !== null) continue;
    const harm = harms[index % harms.length]!;
    if (harm === "remove") continue;
    const path = `${folder}/${file.path.join("/")}${file.length > 0 ? part : ""}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const data = torrent.file(file.path.join("/"));
    if (harm === "flip" && data.length > 0) data[data.length >> 1]! ^= 1;
    await Deno.writeFile(path, harm === "cut" ? data.subarray(0, data.length >> 1) : data);
    if (harm === "long") await Deno.writeFile(path, new Uint8Array(1000), { append: true });
    if (harm === "empty") await Deno.truncate(path, 0);
  }
}

/** Checks a folder, as for seeding if `readOnly` is set, otherwise as for downloading. */
async function check(
  torrent: Torrent,
  { folder, readOnly, platform, before }: {
    readonly folder: string;
    readonly readOnly: boolean;
    readonly platform: CheckOptions["platform"];
    /** Called between the search for files and the check. */
    readonly before?: () => Promise<void>;
  },
): Promise<Bitfield> {
  const disk = new DiskFiles(torrent.map, { files: denoPlatform.files, folder, maxOpenFiles: 4, readOnly });
  try {
    await disk.scan();
    const plan = planStart(torrent.map, disk.records(), { mode: "check", state: null });
    await before?.();
    return await checkPieces(torrent.map, plan.check, {
      disk,
      platform,
      verifier: verifierOf(torrent),
      onProgress() {},
      threadsFrom: 0,
    });
  } finally {
    await disk.close();
  }
}

/** Returns the pieces that have to pass: those that touch no damaged byte. */
function expected(torrent: Torrent, harms: readonly Harm[]): number[] {
  const { layout, map } = torrent;
  const right: number[] = [];
  for (let piece = 0; piece < layout.pieceCount; piece++) {
    const isRight = map.rangesOfPiece(piece).every(({ file, position, length }) => {
      const half = layout.files[file]!.length >> 1;
      switch (harms[file % harms.length]!) {
        case "flip":
          return half < position || half >= position + length;
        case "cut":
          return position + length <= half;
        case "remove":
        case "empty":
          return false;
        default:
          return true;
      }
    });
    if (isRight) right.push(piece);
  }
  return right;
}

const TORRENT = new Torrent(16 * KIB, [
  { path: "t/one", length: 300 * KIB + 7 },
  { path: "t/.pad/1", length: 1000, pad: true },
  { path: "t/deep/er/two", length: 5 },
  { path: "t/deep/empty" },
  { path: "t/\u00e9 \u6f22 three", length: 2000 * KIB },
  { path: "t/link", link: "t/deep/er/two" },
  { path: "t/.pad/2", length: 40_000, pad: true },
  { path: "t/last", length: 70_000 },
]);

Deno.test("checkPieces() finds the same on threads and without: right, wrong, cut, missing, long, unfinished", async () => {
  const kept = startFileHashers!(); // keeps the threads running between checks
  await inFolder(async (top) => {
    const cases: readonly (readonly Harm[])[] = [
      ["none"],
      ["flip"],
      ["cut"],
      ["remove"],
      ["long"],
      ["none", "none", "none", "none", "flip", "none", "none", "remove"],
      ["cut", "none", "remove", "none", "none", "none", "none", "empty"],
    ];
    for (const [number, harms] of cases.entries()) {
      for (const readOnly of [true, false]) {
        if (!readOnly && harms.includes("long")) continue; // such a file is refused before the check
        const folder = `${top}/${number}-${readOnly}`;
        await Deno.mkdir(folder);
        await writeFiles(TORRENT, { folder, harms, part: readOnly ? "" : ".part" });
        const wanted = expected(TORRENT, harms);
        for (const platform of [THREADS, NO_THREADS]) {
          assertEquals([...await check(TORRENT, { folder, readOnly, platform })], wanted, `${harms} ${readOnly}`);
        }
      }
    }
  }).finally(() => kept?.close());
});

Deno.test("checkPieces() reads on threads what links lead to", () =>
  inFolder(async (folder) => {
    await writeFiles(TORRENT, { folder: `${folder}/real`, harms: ["none"] });
    await Deno.mkdir(`${folder}/dl`);
    await Deno.symlink(`${folder}/real/t`, `${folder}/dl/t`);
    await Deno.rename(`${folder}/real/t/one`, `${folder}/elsewhere`);
    await Deno.symlink(`${folder}/elsewhere`, `${folder}/real/t/one`);
    const found = await check(TORRENT, { folder: `${folder}/dl`, readOnly: true, platform: THREADS });
    assertEquals(found.isFull, true);
  }));

Deno.test("checkPieces() tells by name which file has vanished or was cut while threads were reading", () =>
  inFolder(async (folder) => {
    const path = `${folder}/t/\u00e9 \u6f22 three`;
    await writeFiles(TORRENT, { folder, harms: ["none"] });
    for (
      const [before, why] of [[() => Deno.truncate(path, 5), "it ends"], [() => Deno.remove(path), "no such"]] as const
    ) {
      for (const platform of [THREADS, NO_THREADS]) {
        await writeFiles(TORRENT, { folder, harms: ["none"] });
        const checking = check(TORRENT, { folder, readOnly: true, platform, before });
        const error = await assertRejects(() => checking, ShoalError, why);
        assertEquals([error.kind, error.where], ["storage", path]);
      }
    }
  }));

Deno.test("checkPieces() finds the same with threads and without, whatever the torrent", async () => {
  const harm = fc.constantFrom<Harm>("none", "none", "none", "flip", "cut", "remove", "long", "empty");
  const sketch = fc.record({ length: fc.integer({ min: 0, max: 90_000 }), pad: fc.boolean(), harm });
  const kept = startFileHashers!(); // keeps the threads running between checks
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 80_000 }),
      fc.array(sketch, { minLength: 1, maxLength: 8 }),
      fc.nat(1000),
      async (pieceLength, files, seed) => {
        fc.pre(files.some(({ length }) => length > 0));
        const isPad = (i: number): boolean => files[i]!.pad && i > 0;
        const sketches = files.map(({ length }, i): FileSketch => ({ path: `t/${i}`, length, pad: isPad(i) }));
        const torrent = new Torrent(pieceLength, sketches, seed);
        const harms = files.map(({ harm }) => harm);
        await inFolder(async (folder) => {
          await writeFiles(torrent, { folder, harms });
          const wanted = expected(torrent, harms);
          for (const platform of [THREADS, NO_THREADS]) {
            assertEquals([...await check(torrent, { folder, readOnly: true, platform })], wanted);
          }
        });
      },
    ),
    { numRuns: 5 },
  ).finally(() => kept?.close());
});
