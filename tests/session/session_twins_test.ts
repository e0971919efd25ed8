import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { type Magnet, type Metainfo, parseMagnet } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
import type { Session } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { noise } from "../support/payload.ts";
import { eventOf, HOST, Lab } from "../support/session_lab.ts";

/** Makes a file and a hybrid torrent of it, with a seed. */
async function seeded(lab: Lab, name: string): Promise<{ meta: Metainfo; v1: Magnet; v2: Magnet; port: number }> {
  const source = lab.make(`source_${name}`);
  Deno.writeFileSync(`${source}/${name}`, noise(100_000, name.length));
  const { meta } = await createTorrent(`${source}/${name}`, { platform, version: "hybrid", pieceLength: 32_768 });
  const { port } = await lab.seeder(meta, source);
  return { meta, v1: parseMagnet(meta.infoHashV1!.hex), v2: parseMagnet(meta.infoHashV2!.hex), port };
}

function withPeer(link: Magnet, port: number): Magnet {
  return { ...link, peers: [{ host: HOST, port }] };
}

/** Waits until a torrent has failed more often than before. */
async function failsAgain(session: Session, events: SessionEvent[], act: () => void): Promise<void> {
  events.length = 0;
  act();
  await eventOf(session, events, ({ event }) => event === "error");
}

Deno.test("a link with the info-hashes of two torrents ends neither of them, and teaches neither", async () => {
  await using lab = new Lab();
  const [one, other] = [await seeded(lab, "one"), await seeded(lab, "other")];
  const stateFolder = lab.make("state");
  const { session, events } = await lab.session({ stateFolder });
  const folder = lab.make("out");
  const seed = await session.add(withPeer(other.v2, other.port), { folder });
  await seed.finished;
  // Beside a link to one, it tells nothing.
  const torrent = await session.add(one.v1, { folder });
  assertStrictEquals(await session.add({ ...one.v1, infoHashV2: other.meta.infoHashV2 }, { folder }), torrent);
  torrent.addPeers([{ host: HOST, port: one.port }]);
  await torrent.finished;
  assertEquals([seed.state, torrent.state], ["seeding", "seeding"]);
  assertEquals(session.torrents, [seed, torrent]);
  assertEquals(events.filter(({ event }) => event === "error" || event === "warning"), []);
  await session.stop();
  const { session: next } = await lab.session({ stateFolder });
  const restored = await next.restore();
  await Promise.all(restored.map(({ finished }) => finished));
  assertEquals(restored.map(({ name }) => name), ["other", "one"]);
});

Deno.test("a link with a wrong second info-hash fails, and leaves it to the torrent that has it", async () => {
  await using lab = new Lab();
  const [one, other] = [await seeded(lab, "one"), await seeded(lab, "other")];
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const wrong = await session.add({ ...one.v1, infoHashV2: other.meta.infoHashV2 }, { folder });
  const torrent = await session.add(withPeer(other.v1, other.port), { folder });
  const error = await assertRejects(() => wrong.finished, ShoalError, "the wrong torrent");
  assertEquals(error.why, `its info-hash is ${other.meta.infoHashV1}, not ${one.meta.infoHashV1}`);
  await torrent.finished;
  assertEquals(events.filter(({ event }) => event === "error").length, 1);
  assertStrictEquals(session.get(other.meta.infoHashV2!), torrent);
  assertStrictEquals(session.get(one.meta.infoHashV1!), wrong);
  assertStrictEquals(await session.add(other.v2, { folder }), torrent);
  await session.remove(wrong);
  assertStrictEquals(session.get(other.meta.infoHashV2!), torrent);
  await (await session.add(withPeer(one.v1, one.port), { folder })).finished;
});

Deno.test("a link that fails beside the torrent with its data fails again when it is resumed, and takes over when that is gone", async () => {
  await using lab = new Lab();
  const { meta, v1, v2, port } = await seeded(lab, "one");
  const { session, events } = await lab.session();
  const [folder, elsewhere] = [lab.make("out"), lab.make("elsewhere")];
  const loser = await session.add(v2, { folder: elsewhere });
  const torrent = await session.add(withPeer(v1, port), { folder });
  await assertRejects(() => loser.finished, ShoalError, "the same torrent twice");
  await torrent.finished;
  for (let i = 0; i < 2; i++) {
    await failsAgain(session, events, () => {
      loser.resume();
      loser.addPeers([{ host: HOST, port }]);
    });
    assertEquals([loser.state, torrent.state], ["error", "seeding"]);
  }
  assertEquals([...Deno.readDirSync(elsewhere)], []);
  await session.remove(torrent);
  loser.resume();
  loser.addPeers([{ host: HOST, port }]);
  await loser.finished;
  assertEquals(Deno.readFileSync(`${elsewhere}/one`), noise(100_000, 3));
  for (const infoHash of [meta.infoHashV1!, meta.infoHashV2!]) assertStrictEquals(session.get(infoHash), loser);
});

Deno.test("a link that failed for its folder joins the torrent with the data once that is in its folder", async () => {
  await using lab = new Lab();
  const { meta, v1, v2, port } = await seeded(lab, "one");
  const { session } = await lab.session();
  const [folder, elsewhere] = [lab.make("out"), lab.make("elsewhere")];
  const loser = await session.add(v2, { folder: elsewhere });
  const torrent = await session.add(withPeer(v1, port), { folder });
  await assertRejects(() => loser.finished, ShoalError, "the same torrent twice");
  await torrent.finished;
  await torrent.move(elsewhere);
  loser.resume();
  loser.addPeers([{ host: HOST, port }]);
  await loser.finished;
  assertEquals(session.torrents, [torrent]);
  assertStrictEquals(session.get(meta.infoHashV2!), torrent);
  assert(torrent.state === "seeding");
});

for (const first of ["v1", "v2"] as const) {
  Deno.test(`Session.restore() of two links to a hybrid with two folders, ${first} first, brings the one with the data, and warns`, async () => {
    await using lab = new Lab();
    const { meta, v1, v2, port } = await seeded(lab, "one");
    const stateFolder = lab.make("state");
    const [folder, elsewhere] = [lab.make("out"), lab.make("elsewhere")];
    {
      const { session } = await lab.session({ stateFolder });
      const add = (link: Magnet) => session.add(link, { folder: link === v1 ? folder : elsewhere });
      const links = first === "v1" ? [v1, v2] : [v2, v1];
      const torrents = [await add(links[0]!), await add(links[1]!)];
      const [winner, loser] = first === "v1" ? torrents : torrents.toReversed();
      winner!.addPeers([{ host: HOST, port }]);
      await assertRejects(() => loser!.finished, ShoalError, "the same torrent twice");
      await winner!.finished;
      await session.stop();
    }
    const { session, events } = await lab.session({ stateFolder });
    const restored = await session.restore();
    assertEquals(restored.map((torrent) => [torrent.folder, torrent.infoHash.hex]), [[folder, meta.infoHashV1!.hex]]);
    await restored[0]!.finished;
    assertEquals(restored[0]!.snapshot().downloaded, 0);
    const said = events.flatMap((event) => event.event === "warning" ? [event.message] : []);
    assertEquals(said, [`the same torrent twice: it goes to ${folder} already, and is left out in ${elsewhere}`]);
    assertStrictEquals(session.get(meta.infoHashV2!), restored[0]);
    // With the torrent, the other link is gone as well.
    await session.remove(restored[0]!);
    await session.stop();
    const { session: last } = await lab.session({ stateFolder });
    assertEquals(await last.restore(), []);
  });
}

Deno.test("a torrent that has joined another says which, and its removal removes that one", async () => {
  await using lab = new Lab();
  const { meta, v1, v2, port } = await seeded(lab, "one");
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const twin = await session.add(v2, { folder });
  const torrent = await session.add(withPeer(v1, port), { folder });
  await Promise.all([twin.finished, torrent.finished]);
  const said = events.flatMap((event) => event.event === "warning" ? [[event.infohash, event.joined]] : []);
  assertEquals(said, [[twin.infoHash.hex, torrent.infoHash.hex]]);
  await session.remove(twin, { data: true });
  assertEquals([session.torrents, [...Deno.readDirSync(folder)]], [[], []]);
  for (const infoHash of [meta.infoHashV1!, meta.infoHashV2!]) assertEquals(session.get(infoHash), null);
  await assertRejects(() => session.remove(twin), ShoalError, "it isn't in this session");
});

for (const fails of [false, true]) {
  Deno.test(`no tracker hears that a link leaves which ${fails ? "fails beside" : "joins"} the torrent with the same info-hash`, async () => {
    const told: string[] = [];
    await using tracker = Deno.serve({ port: 0, hostname: HOST, onListen: () => {} }, ({ url }) => {
      told.push(new URL(url.replace(/info_hash=[^&]*/, "")).searchParams.get("event") ?? "");
      return new Response("d8:intervali1800e5:peers0:e");
    });
    await using lab = new Lab();
    const { v1, v2, port } = await seeded(lab, "one");
    const { session, events } = await lab.session();
    const folder = lab.make("out");
    const trackers = [[`http://${HOST}:${tracker.addr.port}/announce`]];
    const twin = await session.add({ ...v2, trackers }, { folder: fails ? lab.make("elsewhere") : folder });
    await eventOf(session, events, ({ event }) => event === "tracker");
    const torrent = await session.add(withPeer({ ...v1, trackers }, port), { folder });
    await torrent.finished;
    await eventOf(session, events, ({ event }) => event === (fails ? "error" : "stopped"));
    if (fails) await session.remove(twin);
    assert(!told.includes("stopped"), told.join());
    // The torrent itself leaves under both.
    await session.stop();
    assertEquals(told.filter((event) => event === "stopped").length, 2);
  });
}
