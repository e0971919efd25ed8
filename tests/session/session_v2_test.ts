import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo, torrentFile } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { verify } from "../../src/session/verify_torrent.ts";
import { type Made, MadeTree } from "../support/made_tree.ts";
import { Lab } from "../support/session_lab.ts";
import { TREE, v2 } from "../support/v2_torrents.ts";

/** Files by their paths: several pieces, empty, a part of a block, whole pieces, and two blocks. */
const LENGTHS = { "a": 200_000, "d/b": 0, "d/c": 5000, "d/\u00e9": 131_072, "e": 20_000 } as const;
const TREE_ON_DISK = new MadeTree(LENGTHS);
const FILES = Object.entries(LENGTHS);
const SIZE = FILES.reduce((sum, [, length]) => sum + length, 0);

function made(lab: Lab, version: "v2" | "hybrid"): Promise<Made> {
  return TREE_ON_DISK.make(lab, version, { trackers: [[lab.tracker.url]] });
}

/** Checks that a folder holds the files, byte by byte, and nothing else. */
function assertFiles(folder: string): void {
  TREE_ON_DISK.assertIn(folder);
  assertEquals([...Deno.readDirSync(`${folder}/top`)].map(({ name }) => name).sort(), ["a", "d", "e"]);
}

for (const version of ["v2", "hybrid"] as const) {
  Deno.test(`Session downloads and seeds a ${version} torrent, and writes no padding`, async () => {
    await using lab = new Lab();
    const { meta, source } = await made(lab, version);
    await lab.seeder(meta, source);
    const folder = lab.make("out");
    const { session, events } = await lab.session();
    const torrent = await session.add(meta, { folder });
    await torrent.finished;
    assertFiles(folder);
    assertEquals(events.filter(({ event }) => event === "warning" || event === "error"), []);
    const result = await verify(meta, { platform, folder });
    assertEquals([result.valid, result.pieces], [meta.pieceCount, meta.pieceCount]);
  });

  Deno.test(`Session checks what is on the disk of a ${version} torrent, and fetches only wrong pieces`, async () => {
    await using lab = new Lab();
    const { meta, source } = await made(lab, version);
    await lab.seeder(meta, source);
    const folder = lab.make("out");
    lab.make("out/top/d");
    for (const [path] of FILES) Deno.copyFileSync(`${source}/top/${path}`, `${folder}/top/${path}`);
    const bad = Deno.readFileSync(`${folder}/top/a`);
    bad[199_999]! ^= 1; // in the last piece, of 3,392 bytes
    Deno.writeFileSync(`${folder}/top/a`, bad);
    const { files, valid } = await verify(meta, { platform, folder });
    assertEquals(files.map(({ verdict }) => verdict), ["wrong", "right", "right", "right", "right"]);
    assertEquals(valid, meta.pieceCount - 1);
    const { session } = await lab.session();
    const torrent = await session.add(meta, { folder });
    await torrent.finished;
    assertFiles(folder);
    assertEquals(torrent.snapshot().downloaded, 200_000 % 32_768);
  });
}

Deno.test("Session takes a hybrid by its magnet link, without padding, and seeds it to one that has its torrent file", async () => {
  await using lab = new Lab();
  const { meta, source } = await made(lab, "hybrid");
  const [first, second] = [lab.make("by magnet"), lab.make("by torrent")];
  const seeder = await lab.seeder(meta, source);
  const { session } = await lab.session();
  const byMagnet = await session.add(parseMagnet(magnetOf(meta)), { folder: first });
  await byMagnet.finished;
  assertFiles(first);
  assertEquals(byMagnet.snapshot().downloaded, SIZE, "no padding");
  await seeder.stop();
  const { session: last, events } = await lab.session();
  const torrent = await last.add(meta, { folder: second });
  await torrent.finished;
  assertFiles(second);
  assertEquals(torrent.snapshot().downloaded, SIZE, "no padding");
  assertEquals(events.filter(({ event }) => event === "hash_failed" || event === "error"), []);
});

Deno.test("Session fails a hybrid whose halves disagree about a piece, and blames no peer", async () => {
  await using lab = new Lab();
  const { meta: right, source } = await made(lab, "hybrid");
  const info = right.info.slice();
  const digests = right.pieces.subarray(0, 40).join();
  const at = info.findIndex((_, i) => info.subarray(i, i + 40).join() === digests);
  info[at + 20]! ^= 1;
  const meta = parseMetainfo(torrentFile(info, right));
  await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const torrent = await session.add(meta, { folder: lab.make("out") });
  const error = await assertRejects(() => torrent.finished, ShoalError);
  assertEquals([error.kind, error.what, error.where], ["torrent", "the torrent contradicts itself", "piece 1"]);
  assertEquals(events.filter(({ event }) => event === "hash_failed" || event === "warning"), [], "no peer is blamed");
  assertEquals(torrent.snapshot().state, "error");
});

/** Returns a hybrid as a client sees it that knows of v1 only: its padding is files like others. */
function v1Half(meta: Metainfo): Metainfo {
  const files = meta.files.map(({ root: _, layer: __, ...file }) => file);
  return { ...meta, version: "v1", infoHashV2: null, files };
}

for (const how of ["torrent file", "v1 magnet link"] as const) {
  Deno.test(`Session fetches a hybrid by its ${how} from a peer that knows v1 only, asks for no padding, and serves it`, async () => {
    await using lab = new Lab();
    const { meta, source } = await made(lab, "hybrid");
    const old = await lab.seeder(v1Half(meta), source);
    const link = parseMagnet(`magnet:?xt=urn:btih:${meta.infoHashV1!.hex}&tr=${lab.tracker.url}`);
    const { session, events } = await lab.session();
    const folder = lab.make("out");
    const torrent = await session.add(how === "torrent file" ? meta : link, { folder });
    await torrent.finished;
    assertFiles(folder);
    assertEquals(torrent.snapshot().downloaded, SIZE, "no padding");
    await old.stop();
    const { session: another, events: others } = await lab.session();
    const copy = lab.make("copy");
    const last = await another.add(v1Half(meta), { folder: copy });
    await last.finished;
    assertFiles(copy);
    assertEquals([...events, ...others].filter(({ event }) => event === "hash_failed" || event === "error"), []);
    const result = await verify(v1Half(meta), { platform, folder });
    assertEquals(result.valid, meta.pieceCount);
  });
}

Deno.test("Session fetches exactly the chosen files of a v2 or hybrid torrent, and keeps no bytes of others", async () => {
  await using lab = new Lab();
  for (const version of ["v2", "hybrid"] as const) {
    const { meta, source } = await made(lab, version);
    const seeder = await lab.seeder(meta, source);
    const folder = lab.make(`out ${version}`);
    const { session } = await lab.session();
    const chosen = new Set([...meta.files.keys()].filter((i) => ["c", "e"].includes(meta.files[i]!.path.at(-1)!)));
    const torrent = await session.add(meta, { folder, files: chosen });
    await torrent.finished;
    assertEquals(torrent.snapshot().downloaded, 25_000);
    await session.stop();
    await seeder.stop();
    const found = [...Deno.readDirSync(`${folder}/top`), ...Deno.readDirSync(`${folder}/top/d`)].map(({ name }) =>
      name
    );
    assertEquals(found.sort(), ["c", "d", "e"]);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["top"]);
  }
});

Deno.test("Session finishes a v2 torrent of the run before, without checking it again", async () => {
  await using lab = new Lab();
  const { meta, source } = await made(lab, "v2");
  const folder = lab.make("out");
  const stateFolder = lab.make("state");
  const a = meta.files.findIndex(({ path }) => path.at(-1) === "a");
  {
    const seeder = await lab.seeder(meta, source);
    const { session } = await lab.session({ stateFolder });
    await (await session.add(meta, { folder, files: new Set([a]) })).finished;
    await session.stop();
    await seeder.stop();
  }
  // A byte that no file status shows is found only by a check, after which the torrent would never be finished.
  const path = `${folder}/top/a`;
  const { mtime } = Deno.statSync(path);
  const bytes = Deno.readFileSync(path);
  bytes[0]! ^= 1;
  Deno.writeFileSync(path, bytes);
  Deno.utimeSync(path, mtime!, mtime!);
  const { session } = await lab.session({ stateFolder });
  const [torrent] = await session.restore();
  assert(torrent !== undefined);
  await torrent.finished;
  assertEquals([torrent.infoHash.hex, torrent.snapshot().downloaded], [meta.infoHash.hex, 0]);
});

Deno.test("verify() refuses v2 torrents whose hashes are missing", async () => {
  await using lab = new Lab();
  const meta = parseMetainfo(v2(TREE, { layers: null }));
  const error = await assertRejects(() => verify(meta, { platform, folder: lab.make("out") }), ShoalError);
  assertStringIncludes(error.message, "hashes of pieces are missing (BEP 52)");
  assertEquals(error.kind, "torrent");
});
