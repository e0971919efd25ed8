import { assert, assertEquals, assertRejects } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { type Verification, verifyFiles, type VerifyFilesOptions } from "../../src/storage/verify_files.ts";
import { partFileName } from "../../src/storage/file_names.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { FILES_IN_SHARED_PIECES, Torrent, verifierOf } from "./fixture.ts";

const { now, digest, files } = denoPlatform;

const TORRENT = new Torrent(1000, [
  { path: "t/one", length: 3500 },
  { path: "t/two", length: 2000 },
  { path: "t/.pad/1", length: 500, pad: true },
  { path: "t/deep/three", length: 4000 },
  { path: "t/link", link: "t/one" },
  { path: "t/empty" },
]);

/** Calls a function with a folder that holds all files of {@linkcode TORRENT}. */
async function withFiles(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "shoal-verify-" });
  try {
    await Deno.mkdir(`${folder}/t/deep`, { recursive: true });
    for (const path of ["t/one", "t/two", "t/deep/three", "t/empty"]) {
      await Deno.writeFile(`${folder}/${path}`, TORRENT.file(path));
    }
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function verify(folder: string, options: Partial<VerifyFilesOptions> = {}): Promise<Verification> {
  return verifyFiles(TORRENT.layout, {
    platform: { now, digest, files },
    folder,
    verifier: verifierOf(TORRENT),
    onProgress() {},
    ...options,
  });
}

/** Returns the result of `verify()` in short. */
async function found(folder: string): Promise<readonly [valid: number, ...files: string[]]> {
  const { pieces, valid, files } = await verify(folder);
  assertEquals(pieces, 10);
  return [valid, ...files.map(({ path, verdict, valid, pieces }) => `${path} ${verdict} ${valid}/${pieces}`)];
}

Deno.test("verifyFiles() takes a link that leads to nothing for a file that is missing", () =>
  withFiles(async (folder) => {
    await Deno.remove(`${folder}/t/two`);
    await Deno.symlink(`${folder}/gone`, `${folder}/t/two`);
    const [, one, two] = await found(folder);
    assertEquals([one, two], ["t/one unproven 3/4", "t/two missing 0/3"]);
  }));

Deno.test("verifyFiles() finds everything right, in files that no one may write, and changes nothing", () =>
  withFiles(async (folder) => {
    await Deno.chmod(`${folder}/t/one`, 0o444);
    const before = await Deno.stat(`${folder}/t/two`);
    assertEquals(await found(folder), [
      10,
      "t/one right 4/4",
      "t/two right 3/3",
      "t/deep/three right 4/4",
      "t/empty right 0/0",
    ]);
    assertEquals((await Deno.stat(`${folder}/t/two`)).mtime, before.mtime);
    assertEquals(await files.list(`${folder}/t`), ["deep", "empty", "one", "two"]);
    assertEquals(await files.list(folder), ["t"]);
  }));

Deno.test("verifyFiles() tells wrong bytes from files that only share a piece with what is missing", () =>
  withFiles(async (folder) => {
    await Deno.remove(`${folder}/t/two`);
    assertEquals(await found(folder), [
      7,
      "t/one unproven 3/4",
      "t/two missing 0/3",
      "t/deep/three right 4/4",
      "t/empty right 0/0",
    ]);
    const data = TORRENT.file("t/one");
    data[1500]! ^= 1;
    await Deno.writeFile(`${folder}/t/one`, data);
    assertEquals((await found(folder))[1], "t/one wrong 2/4");
  }));

Deno.test("verifyFiles() tells files that are too short, too long, or no files", () =>
  withFiles(async (folder) => {
    await Deno.truncate(`${folder}/t/one`, 2999);
    await Deno.writeFile(`${folder}/t/two`, new Uint8Array(1), { append: true });
    await Deno.remove(`${folder}/t/deep`, { recursive: true });
    await Deno.mkdir(`${folder}/t/deep/three`, { recursive: true });
    await Deno.writeTextFile(`${folder}/t/empty`, "not empty");
    assertEquals(await found(folder), [
      4,
      "t/one short 2/4",
      "t/two long 2/3",
      "t/deep/three missing 0/4",
      "t/empty long 0/0",
    ]);
  }));

Deno.test("verifyFiles() does not take an unfinished file for a file", () =>
  withFiles(async (folder) => {
    await Deno.rename(`${folder}/t/two`, `${folder}/t/two.part`);
    assertEquals((await found(folder)).slice(1, 3), ["t/one right 4/4", "t/two unfinished 3/3"]);
    await Deno.truncate(`${folder}/t/two.part`, 1000);
    assertEquals((await found(folder)).slice(1, 3), ["t/one right 4/4", "t/two unfinished 1/3"]);
  }));

Deno.test("verifyFiles() tells how far it has come in parts and in bytes of what is there", () =>
  withFiles(async (folder) => {
    await Deno.remove(`${folder}/t/deep/three`);
    const reports: [number, number][] = [];
    const { bytes } = await verify(folder, { onProgress: (fraction, bytes) => void reports.push([fraction, bytes]) });
    assertEquals([bytes, reports.at(-1)], [6000, [1, 6000]]);
  }));

Deno.test("verifyFiles() names a folder that is not there, and a file that can't be read", () =>
  withFiles(async (folder) => {
    const error = await assertRejects(() => verify(`${folder}/none`), ShoalError);
    assertEquals([error.kind, error.where], ["storage", `${folder}/none`]);
    const failing = {
      ...files,
      open: () => Promise.reject(new ShoalError("storage", { what: "cannot open", where: "t/one", why: "denied" })),
    };
    const open = () => verify(folder, { platform: { now, digest, files: failing } });
    assertEquals((await assertRejects(open, ShoalError)).where, "t/one");
  }));

Deno.test("verifyFiles() stops when it is aborted", () =>
  withFiles(async (folder) => {
    const stop = new AbortController();
    stop.abort(new Error("enough"));
    await assertRejects(() => verify(folder, { signal: stop.signal }), Error, "enough");
  }));

Deno.test("verifyFiles() uses threads for much data", () =>
  withFiles(async (folder) => {
    const MIB = 1024 * 1024;
    const zeros = new Uint8Array(20);
    await Deno.truncate(`${folder}/t/one`, 0);
    await Deno.truncate(`${folder}/t/one`, 64 * MIB);
    const layout = { ...TORRENT.layout, pieceLength: MIB, pieceCount: 64, totalLength: 64 * MIB };
    const one = { ...TORRENT.layout.files[0]!, length: 64 * MIB, offset: 0 };
    let closed = 0;
    const startFileHashers = () => ({
      lanes: 4,
      hash: ({ segments }: { readonly segments: readonly { readonly length: number }[] }) =>
        Promise.resolve(new Uint8Array(segments.reduce((sum, { length }) => sum + length, 0) / MIB * 20)),
      close: () => void closed++,
    });
    const result = await verifyFiles({ ...layout, files: [one] }, {
      platform: { now, digest, files, startFileHashers },
      folder,
      verifier: verifierOf({ hashes: Array(64).fill(zeros) }),
      onProgress() {},
    });
    assertEquals([result.valid, closed], [64, 1]);
    assert(result.files[0]!.verdict === "right");
  }));

const ONE_FILE = new Torrent(1000, [{ path: "movie", length: 2500 }]);
const TWICE = new Torrent(1000, [{ path: "t/t/t", length: 2500 }, { path: "t/t/u", length: 10 }]);

/** Each case has the files on disk, by path: the path of a file in the torrent, or other text. */
const PLACES: {
  readonly what: string;
  readonly torrent: Torrent;
  readonly disk: Readonly<Record<string, string>>;
  readonly at: string;
  readonly verdicts: readonly string[];
}[] = [
  ...["", "/movie"].map((at) => (
    { what: `at "${at}"`, torrent: ONE_FILE, disk: { movie: "movie" }, at, verdicts: ["right"] }
  )),
  { what: "renamed", torrent: ONE_FILE, disk: { "a movie.mkv": "movie" }, at: "/a movie.mkv", verdicts: ["right"] },
  { what: "unfinished", torrent: ONE_FILE, disk: { "movie.part": "movie" }, at: "", verdicts: ["unfinished"] },
  {
    what: "by its final name",
    torrent: ONE_FILE,
    disk: { "movie.part": "movie" },
    at: "/movie",
    verdicts: ["unfinished"],
  },
  { what: "renamed, unfinished", torrent: ONE_FILE, disk: { "x.part": "movie" }, at: "/x", verdicts: ["unfinished"] },
  { what: "another name below a folder", torrent: ONE_FILE, disk: { x: "movie" }, at: "", verdicts: ["missing"] },
  ...["", "/t", "/t/"].map((at) => (
    {
      what: `a folder at "${at}"`,
      torrent: TWICE,
      disk: { "t/t/t": "t/t/t", "t/t/u": "t/t/u" },
      at,
      verdicts: ["right", "right"],
    }
  )),
  { what: "a renamed folder", torrent: TWICE, disk: { "r/t/t": "t/t/t" }, at: "/r", verdicts: ["unproven", "missing"] },
  {
    what: "a renamed folder, unfinished",
    torrent: TWICE,
    disk: { "r/t/u.part": "t/t/u", "r/t/t": "t/t/t" },
    at: "/r",
    verdicts: ["right", "unfinished"],
  },
  {
    what: "a folder inside",
    torrent: TWICE,
    disk: { "t/t/t": "t/t/t", "t/t/u": "t/t/u" },
    at: "/t/t",
    verdicts: ["missing", "missing"],
  },
  { what: "other files", torrent: TWICE, disk: { "x/t": "t/t/t" }, at: "/x", verdicts: ["missing", "missing"] },
];

for (const { what, torrent, disk, at, verdicts } of PLACES) {
  Deno.test(`verifyFiles() finds data: ${what}`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "shoal-place-" });
    try {
      for (const [path, from] of Object.entries(disk)) {
        await Deno.mkdir(`${folder}/${path.split("/").slice(0, -1).join("/")}`, { recursive: true });
        await Deno.writeFile(`${folder}/${path}`, torrent.file(from));
      }
      const result = await verifyFiles(torrent.layout, {
        platform: { now, digest, files },
        folder: `${folder}${at}`,
        verifier: verifierOf(torrent),
        onProgress() {},
      });
      assertEquals(result.files.map(({ verdict }) => verdict), verdicts);
      const place = await Deno.realPath(`${folder}${at}`).catch(() => "");
      const isNothing = verdicts.every((verdict) => verdict === "missing");
      const holds = isNothing ? Array.from(Deno.readDirSync(place), ({ name }) => name) : [];
      assertEquals(result.searched, isNothing ? { path: place, holds } : null);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("verifyFiles() refuses a file where the torrent has several", () =>
  withFiles(async (folder) => {
    const error = await assertRejects(
      () => verify(`${folder}/t/one`),
      ShoalError,
      "the torrent is a folder with 5 files",
    );
    assertEquals(error.kind, "torrent");
  }));

Deno.test("verifyFiles() of chosen files counts their pieces alone, whose other bytes may be in the partfile", async () => {
  const torrent = new Torrent(64, FILES_IN_SHARED_PIECES);
  const { layout, infoHash } = torrent;
  const folder = await Deno.makeTempDir({ prefix: "shoal-chosen-" });
  try {
    await Deno.mkdir(`${folder}/t/sub`, { recursive: true });
    await Deno.writeFile(`${folder}/t/c`, torrent.file("t/c"));
    const found = async (place: string, wanted?: ReadonlySet<number>) => {
      const { pieces, valid, files: judged } = await verifyFiles(layout, {
        platform: { now, digest, files },
        folder: `${folder}${place}`,
        wanted,
        infoHash,
        verifier: verifierOf(torrent),
        onProgress() {},
      });
      return [pieces, valid, ...judged.map(({ path, verdict }) => `${path} ${verdict}`)];
    };
    const chosen = new Set([2]);
    assertEquals(await found("", chosen), [3, 1, "t/c unproven"]);
    // What a download of the file alone leaves: the bytes of the other files in its first and last piece.
    const map = new FileMap(layout, chosen);
    const bytes = new Uint8Array(map.file(map.partFile).length);
    for (const [index, file] of layout.files.entries()) {
      if (index === 2 || file.length === 0) continue;
      for (const { piece, from, to, length } of map.slotsOfFile(index)) {
        const { first, end } = map.piecesOfFile(2);
        if (piece >= first && piece < end) bytes.set(torrent.file(file.path.join("/")).subarray(to, to + length), from);
      }
    }
    await Deno.writeFile(`${folder}/${partFileName(infoHash)}`, bytes);
    for (const place of ["", "/t"]) assertEquals(await found(place, chosen), [3, 3, "t/c right"]);
    await Deno.rename(`${folder}/t`, `${folder}/renamed`);
    assertEquals(await found("/renamed", chosen), [3, 3, "t/c right"]);
    const all = await found("/renamed");
    assertEquals(all.slice(0, 2), [8, 3]);
    assertEquals(all[4], "t/c right");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
