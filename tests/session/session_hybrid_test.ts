import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { type Magnet, magnetOf, type Metainfo, parseMagnet } from "../../src/metainfo/mod.ts";
import { openDatabase } from "../../src/platform/deno_database.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { noise } from "../support/payload.ts";
import { eventOf, HOST, Lab } from "../support/session_lab.ts";

/** Makes a folder with two files and a torrent of it. */
async function made(lab: Lab, version: "v2" | "hybrid"): Promise<{ meta: Metainfo; source: string }> {
  const source = lab.make("source");
  lab.make("source/top");
  Deno.writeFileSync(`${source}/top/a`, noise(100_000, 1));
  Deno.writeFileSync(`${source}/top/b`, noise(50_000, 2));
  const { meta } = await createTorrent(`${source}/top`, { platform, version, pieceLength: 32_768 });
  return { meta, source };
}

/** Returns the links to a hybrid: by its v1 info-hash, by its v2 info-hash, and by both. */
function linksTo({ infoHashV1, infoHashV2 }: Metainfo): { v1: Magnet; v2: Magnet; both: Magnet } {
  const v1 = parseMagnet(infoHashV1!.hex);
  const v2 = parseMagnet(infoHashV2!.hex);
  return { v1, v2, both: { ...v1, infoHashV2 } };
}

/** Adds a peer to a link. */
function withPeer(link: Magnet, port: number): Magnet {
  return { ...link, peers: [{ host: HOST, port }] };
}

function assertFiles(folder: string): void {
  assertEquals(Deno.readFileSync(`${folder}/top/a`), noise(100_000, 1));
  assertEquals(Deno.readFileSync(`${folder}/top/b`), noise(50_000, 2));
  assertEquals([...Deno.readDirSync(`${folder}/top`)].map(({ name }) => name).sort(), ["a", "b"]);
}

const ORDERS = [
  "file v1",
  "file v2",
  "file both",
  "v1 file",
  "v2 file",
  "both file",
  "v1 both",
  "both v1",
  "v2 both",
  "both v2",
];

for (const order of ORDERS) {
  Deno.test(`Session.add() of a hybrid by ${order.replace(" ", ", then by ")} is one torrent, with the peers of both`, async () => {
    await using lab = new Lab();
    const { meta, source } = await made(lab, "hybrid");
    const sources = { file: meta, ...linksTo(meta) };
    const [first, second] = order.split(" ") as ["file" | "v1", "file" | "v1"];
    const { session, events } = await lab.session();
    const folder = lab.make("out");
    const torrent = await session.add(sources[first], { folder });
    const { port } = await lab.seeder(meta, source);
    const peers = [{ host: HOST, port }];
    assertStrictEquals(await session.add(sources[second], { folder, peers }), torrent);
    await torrent.finished;
    assertFiles(folder);
    assertEquals(session.torrents, [torrent]);
    for (const infoHash of [meta.infoHashV1!, meta.infoHashV2!, meta.infoHashV2!.truncated]) {
      assertStrictEquals(session.get(infoHash), torrent);
    }
    assertEquals(events.filter(({ event }) => event === "error" || event === "warning"), []);
    await session.remove(torrent);
    for (const infoHash of [meta.infoHashV1!, meta.infoHashV2!]) assertEquals(session.get(infoHash), null);
    assert(await session.add(sources[second], { folder }) !== torrent);
  });
}

for (const order of [["v1", "v2"], ["v2", "v1"]] as const) {
  for (const known of [0, 1]) {
    Deno.test(`two links to a hybrid, ${order.join(" then ")}, become one torrent when the metadata of number ${known} is known`, async () => {
      await using lab = new Lab();
      const { meta, source } = await made(lab, "hybrid");
      const { port } = await lab.seeder(meta, source);
      const stateFolder = lab.make("state");
      const { session, events } = await lab.session({ stateFolder });
      const folder = lab.make("out");
      const links = linksTo(meta);
      const torrents = [];
      for (const [i, kind] of order.entries()) {
        const tracked = { ...links[kind], trackers: [[`http://127.0.0.1:1/${kind}`]] };
        torrents.push(await session.add(i === known ? withPeer(tracked, port) : tracked, { folder }));
      }
      const [one, other] = [torrents[known]!, torrents[1 - known]!];
      assert(one !== other);
      await Promise.all(torrents.map(({ finished }) => finished));
      assertFiles(folder);
      assertEquals((await other.metadata).info, meta.info);
      assertEquals(session.torrents, [one]);
      for (const infoHash of [meta.infoHashV1!, meta.infoHashV2!]) assertStrictEquals(session.get(infoHash), one);
      assertEquals(new Set(one.trackers.flat()), new Set(["http://127.0.0.1:1/v1", "http://127.0.0.1:1/v2"]));
      const said = events.filter((event) => event.event === "warning" && event.infohash === other.infoHash.hex);
      assertEquals(said.map((event) => event.event === "warning" && event.message), [
        "it is the same torrent as top, which goes on for both",
      ]);
      assertEquals(events.filter(({ event }) => event === "error"), []);
      // The link can be added again at once.
      assertStrictEquals(await session.add(links[order[1 - known]!], { folder }), one);
      await session.stop();

      const { session: next } = await lab.session({ stateFolder });
      assertEquals((await next.restore()).length, 1);
    });
  }
}

Deno.test("two links to a hybrid with two folders stay two torrents, of which only one goes on", async () => {
  await using lab = new Lab();
  const { meta, source } = await made(lab, "hybrid");
  const { port } = await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const links = linksTo(meta);
  const [folder, elsewhere] = [lab.make("out"), lab.make("elsewhere")];
  const loser = await session.add(links.v2, { folder: elsewhere });
  const torrent = await session.add(withPeer(links.v1, port), { folder });
  const error = await assertRejects(() => loser.finished, ShoalError, "the same torrent twice");
  assertEquals(error.why, `it goes to ${folder} already, and can't go to ${elsewhere} as well`);
  await torrent.finished;
  assertFiles(folder);
  assertEquals([...Deno.readDirSync(elsewhere)], []);
  assertEquals(loser.state, "error");
  // Once it is removed, its info-hash is the other one's.
  await session.remove(loser);
  assertStrictEquals(session.get(meta.infoHashV2!), torrent);
  assertEquals(events.filter(({ event }) => event === "error").length, 1);
});

Deno.test("a link for the metadata alone gets it from the same hybrid that is added by the other info-hash", async () => {
  await using lab = new Lab();
  const { meta, source } = await made(lab, "hybrid");
  const { port } = await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const links = linksTo(meta);
  const folder = lab.make("out");
  const only = await session.add(links.v2, { folder, metadataOnly: true });
  const torrent = await session.add(withPeer(links.v1, port), { folder });
  assertEquals((await only.metadata).info, meta.info);
  await only.finished;
  await torrent.finished;
  await eventOf(session, events, ({ event }) => event === "stopped");
  assertStrictEquals(session.get(meta.infoHashV2!), torrent);
});

Deno.test("a link that joins the info-hashes of two torrents is neither of them", async () => {
  await using lab = new Lab();
  const { meta, source } = await made(lab, "hybrid");
  const { meta: other, source: otherSource } = await lab.payload(100_000, "other");
  const { port } = await lab.seeder(meta, source);
  await lab.seeder(other, otherSource);
  const { session } = await lab.session();
  const folder = lab.make("out");
  const wrong = { ...parseMagnet(other.infoHash.hex), infoHashV2: meta.infoHashV2 };
  // Beside a link to one of the two, it tells nothing but where to look.
  const torrent = await session.add(linksTo(meta).v2, { folder, peers: [{ host: HOST, port }] });
  assertStrictEquals(await session.add(wrong, { folder }), torrent);
  await torrent.finished;
  assertFiles(folder);
  const file = await session.add(other, { folder });
  assert(file !== torrent);
  await file.finished;
  await session.remove(file);
  await session.remove(torrent);
  // By itself, it is no torrent that there is.
  const lost = await session.add(wrong, { folder });
  await session.add(other, { folder });
  const error = await assertRejects(() => lost.finished, ShoalError, "the wrong torrent");
  assertEquals(error.why, `it has no v2 info-hash, and ${meta.infoHashV2} was wanted`);
});

/** Deletes the torrent files that are kept for the next run. */
function loseFiles(stateFolder: string): void {
  const database = openDatabase(`${stateFolder}/session.db`);
  database.exec("DELETE FROM metainfo");
  database.close();
}

const RESTORED: readonly (readonly [version: "v2" | "hybrid", by: "file" | "v1" | "v2" | "both"])[] = [
  ["hybrid", "file"],
  ["hybrid", "v1"],
  ["hybrid", "v2"],
  ["hybrid", "both"],
  ["v2", "file"],
];

for (const [version, by] of RESTORED) {
  for (const lost of [false, true]) {
    Deno.test(`Session.restore() of a ${version} torrent added by ${by}${lost ? ", whose torrent file is lost," : ""} knows both info-hashes, and removal frees them`, async () => {
      await using lab = new Lab();
      const { meta, source } = await made(lab, version);
      const { port } = await lab.seeder(meta, source);
      const [stateFolder, folder] = [lab.make("state"), lab.make("out")];
      const hashes = [...(meta.infoHashV1 ? [meta.infoHashV1] : []), meta.infoHashV2!];
      {
        const { session } = await lab.session({ stateFolder });
        const link = by === "file" ? meta : withPeer(linksTo(meta)[by], port);
        await (await session.add(link, { folder, peers: [{ host: HOST, port }] })).finished;
        await session.stop();
      }
      if (lost) loseFiles(stateFolder);
      const { session, events } = await lab.session({ stateFolder });
      const restored = await session.restore();
      assertEquals(restored.length, 1);
      for (const infoHash of hashes) assertStrictEquals(session.get(infoHash), restored[0]);
      if (!lost) {
        await restored[0]!.finished;
        assertEquals(restored[0]!.snapshot().downloaded, 0);
      } else assertEquals(restored[0]!.state, "metadata");
      const file = await session.add(meta, { folder });
      assertStrictEquals(file, restored[0]);
      await file.finished;
      assertEquals(file.snapshot().downloaded, 0, "what is on the disk is known");
      assertFiles(folder);
      await session.remove(file);
      assertEquals(hashes.map((infoHash) => session.get(infoHash)), hashes.map(() => null));
      await session.stop();
      const { session: last } = await lab.session({ stateFolder });
      assertEquals(await last.restore(), []);
      assertEquals(events.filter(({ event }) => event === "error"), [] as SessionEvent[]);
    });
  }
}

Deno.test("a hybrid that one run adds by one info-hash and the next by the other is kept once, with its progress", async () => {
  await using lab = new Lab();
  const { meta, source } = await made(lab, "hybrid");
  const { port } = await lab.seeder(meta, source);
  const [stateFolder, folder] = [lab.make("state"), lab.make("out")];
  const { v1, v2 } = linksTo(meta);
  for (const [run, link] of [withPeer(v2, port), v1, v2, meta].entries()) {
    const { session } = await lab.session({ stateFolder });
    const torrent = await session.add(link, { folder });
    await torrent.finished;
    assertEquals(torrent.snapshot().downloaded > 0, run === 0, `run ${run}`);
    await session.stop();
  }
  const { session } = await lab.session({ stateFolder });
  assertEquals((await session.restore()).length, 1);
  assertEquals(magnetOf(await session.torrents[0]!.metadata), magnetOf(meta));
});
