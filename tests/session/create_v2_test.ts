import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { type Bytes, concatBytes, equalBytes } from "../../src/base/bytes.ts";
import { ShoalError } from "../../src/base/errors.ts";
import { type Metainfo, parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import type { TreeBatch } from "../../src/platform/platform.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { type CreateOptions, createTorrent } from "../../src/session/create_torrent.ts";
import { verify } from "../../src/session/verify_torrent.ts";
import { sha1 } from "../storage/fixture.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { noise } from "../support/payload.ts";
import { fc, longTest } from "../support/property.ts";
import { Lab } from "../support/session_lab.ts";
import { hashFile } from "../support/v2_torrents.ts";

const PIECE = 32 * 1024;

function setUp(contents: Readonly<Record<string, Bytes>>) {
  let time = 0;
  const files = new MemoryFiles({ wallClock: () => time });
  for (const [path, data] of Object.entries(contents)) files.put(`/in/${path}`, data);
  const platform: CreateOptions["platform"] = { now: () => time++, files, digest: startDigest };
  return { files, platform, later: () => time += 1000 };
}

/** Checks a torrent against the files that it was made of, in the order of the tree. */
function check(meta: Metainfo, data: readonly Bytes[]): void {
  const { pieceLength, version, pieces } = meta;
  const real = meta.files.filter(({ pad }) => !pad);
  assertEquals(real.map(({ length }) => length), data.map(({ length }) => length));
  for (const [i, bytes] of data.entries()) {
    const { root, layer, offset } = real[i]!;
    const expected = bytes.length > 0 ? hashFile(bytes, pieceLength) : null;
    assertEquals(root, expected?.root);
    assertEquals(layer ?? new Uint8Array(0), expected?.layer ?? new Uint8Array(0));
    if (bytes.length > 0) assertEquals(offset % pieceLength, 0);
  }
  if (version === "v2") return assertEquals(pieces.length, 0);
  const stream = new Uint8Array(meta.totalLength);
  for (const [i, bytes] of data.entries()) stream.set(bytes, real[i]!.offset);
  const digests = Array.from({ length: meta.pieceCount }, (_, i) => {
    return sha1(stream.subarray(i * pieceLength, (i + 1) * pieceLength));
  });
  assertEquals(pieces, concatBytes(digests));
}

Deno.test("createTorrent() makes v2 and hybrid torrents of any files, and the same bytes every time", async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 200_000 }), { minLength: 1, maxLength: 5 });
  const versions = fc.constantFrom("v2" as const, "hybrid" as const);
  await fc.assert(
    fc.asyncProperty(sizes, versions, fc.boolean(), async (sizes, version, isFile) => {
      const data = (isFile ? sizes.slice(0, 1) : sizes).map((size, i) => noise(size, i));
      fc.pre(data.some(({ length }) => length > 0));
      const contents = isFile ? { x: data[0]! } : Object.fromEntries(data.map((bytes, i) => [`x/d/${i}`, bytes]));
      const make = () => createTorrent("/in/x", { ...setUp(contents), version, pieceLength: PIECE });
      const { bytes, meta } = await make();
      assertEquals([meta.version, meta.name], [version, "x"]);
      check(meta, data);
      assertEquals((await make()).bytes, bytes);
      assertEquals(parseMetainfo(bytes, { portable: false }).warnings, []);
    }),
    { numRuns: 40 },
  );
});

Deno.test("createTorrent() sorts the files of v2 and hybrid torrents as their tree does", async () => {
  const names = ["a.txt", "a/x", "a-b", "B", "a0", "\uff5e", "\u{1f41f}", "z/\u{1f41f}", "z/\uff5e"];
  const set = setUp(Object.fromEntries(names.map((name) => [`top/${name}`, noise(10, 1)])));
  const sorted = ["B", "a/x", "a-b", "a.txt", "a0", "z/\uff5e", "z/\u{1f41f}", "\uff5e", "\u{1f41f}"];
  for (const version of ["v2", "hybrid"] as const) {
    const { meta, files } = await createTorrent("/in/top", { ...set, version });
    assertEquals(meta.files.filter(({ pad }) => !pad).map(({ path }) => path.slice(1).join("/")), sorted);
    assertEquals(files.map(({ source }) => source), sorted.map((name) => `/in/top/${name}`));
  }
  const { meta } = await createTorrent("/in/top", set);
  assertEquals(meta.files.map(({ path }) => path[1]).slice(0, 3), ["B", "a-b", "a.txt"]);
});

longTest("createTorrent() hashes large v2 torrents on threads, and here what a thread can't hash", async () => {
  const data = { a: noise(40 * 1024 * 1024 + 5, 1), b: noise(30 * 1024 * 1024, 2) };
  const { files, platform } = setUp({ "x/a": data.a, "x/b": data.b });
  const batches: TreeBatch[] = [];
  let closed = 0;
  const progress: number[] = [];
  const startTreeHashers = () => ({
    lanes: 3,
    hashTree: (batch: TreeBatch) => {
      batches.push(batch);
      return Promise.reject(new Error("no thread"));
    },
    close: () => void closed++,
  });
  const options = {
    version: "hybrid",
    pieceLength: 1024 * 1024,
    onProgress: (part: number) => void progress.push(part),
  } as const;
  const { meta } = await createTorrent("/in/x", { ...options, platform: { ...platform, startTreeHashers } });
  check(meta, [data.a, data.b]);
  assertEquals([closed, progress.at(-1), files.openHandles], [1, 1, 0]);
  assertEquals(batches.length, 19);
  assert(batches.every(({ length, position }) => length <= 4 * 1024 * 1024 && position % (1024 * 1024) === 0));
});

Deno.test("createTorrent() refuses files for which a v2 torrent would have too many pieces", async () => {
  const { files, platform } = setUp({ "x/a": noise(5, 1) });
  const { stat } = files;
  files.stat = async (path) => {
    const info = await stat.call(files, path);
    return info?.kind === "file" ? { ...info, size: 2 ** 36 } : info;
  };
  for (const version of ["v2", "hybrid"] as const) {
    const options = { platform, version, pieceLength: 16 * 1024 };
    const error = await assertRejects(() => createTorrent("/in/x", options), ShoalError, "too many");
    assertEquals(error.kind, "usage");
  }
});

Deno.test("createTorrent() names a file that changes or can't be read while a v2 torrent is made, and can be aborted", async () => {
  for (const at of ["open", "close"] as const) {
    const { files, platform, later } = setUp({ "x/a": noise(100_000, 1), "x/b": noise(5, 2) });
    files.onCall = (call) => {
      if (call.operation !== at || call.path !== "/in/x/a") return null;
      files.onCall = () => null;
      later();
      files.cut("/in/x/a", 10);
      return null;
    };
    const error = await assertRejects(() => createTorrent("/in/x", { platform, version: "v2" }), ShoalError);
    assertEquals([error.kind, error.where, error.why], [
      "storage",
      "/in/x/a",
      "the file changed while it was being hashed",
    ]);
    assertEquals(files.openHandles, 0);
  }
  const { files, platform } = setUp({ "x/a": noise(100_000, 1) });
  files.onCall = ({ operation }) => operation === "read" ? "denied" : null;
  const denied = await assertRejects(() => createTorrent("/in/x", { platform, version: "v2" }), ShoalError);
  assertEquals([denied.where, denied.why], ["/in/x/a", "permission denied"]);

  const large = setUp({ "x/a": noise(9 * 1024 * 1024, 1) });
  const abort = new AbortController();
  large.files.onCall = ({ operation }) => {
    if (operation === "read") abort.abort(new Error("enough"));
    return null;
  };
  const options = { ...large, version: "v2", signal: abort.signal } as const;
  await assertRejects(() => createTorrent("/in/x", options), Error, "enough");
  assertEquals(large.files.openHandles, 0);
  assertLess(large.files.calls.filter(({ operation }) => operation === "read").length, 3);
});

Deno.test("a hybrid is verified, seeded and downloaded by its v1 half, also from its magnet link", async () => {
  await using lab = new Lab();
  const source = lab.make("source");
  lab.make("source/top/d");
  const data = [noise(100_000, 1), noise(0, 2), noise(70_000, 3)];
  for (const [i, path] of ["a", "d/b", "d/c"].entries()) Deno.writeFileSync(`${source}/top/${path}`, data[i]!);
  const options = {
    platform: denoPlatform,
    trackers: [[lab.tracker.url]],
    version: "hybrid",
    pieceLength: PIECE,
  } as const;
  const { meta } = await createTorrent(`${source}/top`, options);
  assertEquals((await verify(meta, { platform: denoPlatform, folder: source })).valid, meta.pieceCount);
  await lab.seeder(meta, source);
  for (const [i, infoHashes] of [meta, { infoHashV1: meta.infoHashV1, infoHashV2: null }].entries()) {
    const folder = lab.make(`out${i}`);
    const { session } = await lab.session();
    const none = { displayName: null, exactSources: [], peers: [], selectOnly: null };
    const magnet = {
      ...none,
      trackers: meta.trackers,
      webSeeds: [],
      infoHash: meta.infoHash,
      infoHashV1: infoHashes.infoHashV1,
      infoHashV2: infoHashes.infoHashV2,
    };
    const torrent = await session.add(i === 0 ? meta : magnet, { folder });
    await torrent.finished;
    assertEquals((await torrent.metadata).version, "hybrid");
    for (const [i, path] of ["a", "d/b", "d/c"].entries()) {
      assert(equalBytes(Deno.readFileSync(`${folder}/top/${path}`), data[i]!), path);
    }
    assertEquals([...Deno.readDirSync(`${folder}/top`)].map(({ name }) => name).sort(), ["a", "d"]);
  }
});

Deno.test("createTorrent() says in v2 and hybrid torrents which files are executable, and follows links to them", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using lab = new Lab();
  const folder = lab.make("x");
  for (const [name, mode] of [["plain", 0o644], ["run", 0o744], ["theirs", 0o655]] as const) {
    Deno.writeFileSync(`${folder}/${name}`, noise(5, 1));
    Deno.chmodSync(`${folder}/${name}`, mode);
  }
  Deno.symlinkSync("plain", `${folder}/link to plain`);
  Deno.symlinkSync("run", `${folder}/link to run`);
  for (const version of ["v2", "hybrid", "v1"] as const) {
    const { meta } = await createTorrent(folder, { platform: denoPlatform, version });
    const found = meta.files.filter(({ executable }) => executable).map(({ path }) => path.at(-1));
    assertEquals(found, version === "v1" ? [] : ["link to run", "run"], version);
    assertEquals(meta.files.filter(({ symlink }) => symlink !== null), []);
    const single = (await createTorrent(`${folder}/run`, { platform: denoPlatform, version })).meta;
    assertEquals(single.files[0]!.executable, version !== "v1");
  }
});
