import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { magnetOf, parseMagnet } from "../../src/metainfo/mod.ts";
import type { Session, TorrentHandle } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { eventOf, HOST, Lab, NAME } from "../support/session_lab.ts";

/** Waits for the next event that matches. */
function next(session: Session, wanted: (event: SessionEvent) => boolean): Promise<SessionEvent> {
  return eventOf(session, [], wanted);
}

const isConnected = (event: SessionEvent) => event.event === "peer" && event.action === "connected";
const isTracker = (event: SessionEvent) => event.event === "tracker" && event.status === "ok";

/** Pauses a torrent as soon as it has a verified piece. */
function pauseAtFirstPiece(torrent: TorrentHandle): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (torrent.snapshot().verified === 0) return void setTimeout(look);
      torrent.pause();
      resolve();
    };
    look();
  });
}

Deno.test("a torrent that is paused leaves everybody, keeps what it has, and goes on from there", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(40_000_000);
  const seeder = await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder });
  await pauseAtFirstPiece(torrent);
  const paused = torrent.snapshot();
  assertEquals([paused.state, paused.peerCount, paused.rateDown, torrent.paused], ["paused", 0, 0, true]);
  assertLess(paused.verified, data.length);
  const map = torrent.pieceMap(10)!;
  assertEquals([map.pieces, map.cells.length], [meta.pieceCount, 10]);
  assertEquals(map.have + map.missing, meta.pieceCount);

  // A connection from a seed is refused.
  const { session: other } = await lab.session();
  const refused = next(other, (event) => event.event === "peer" && event.action === "refused");
  await other.add(meta, { folder: source, trust: true, peers: [{ host: HOST, port: session.port }] });
  await refused;
  await other.stop();
  const { verified } = torrent.snapshot();
  assertEquals(torrent.snapshot().peerCount, 0);

  torrent.resume();
  torrent.resume();
  assertEquals(torrent.snapshot().state, "downloading");
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  const completed = events.find((event) => event.event === "completed");
  // Blocks from before the pause aren't downloaded again, except blocks that were on their way.
  assert(completed?.event === "completed" && completed.bytes < data.length + 4_000_000, JSON.stringify(completed));
  assertGreater(verified, 0);
  assertEquals(seeder.torrents[0]!.files(), [{ path: NAME, size: data.length, verified: data.length, wanted: true }]);
});

Deno.test("a torrent that is paused while it is checked, or as a seed, serves nobody until it goes on", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(500_000);
  const { session } = await lab.session();
  const seed = await session.add(meta, { folder: source });
  seed.pause();
  assertEquals(seed.snapshot().state, "checking");
  await seed.finished;
  assertEquals(seed.snapshot().state, "paused");

  const peers = [{ host: HOST, port: session.port }];
  const { session: early } = await lab.session();
  const refused = next(early, (event) => event.event === "peer" && event.action === "refused");
  await early.add(meta, { folder: lab.make("early"), peers });
  await refused;
  await early.stop();
  const announced = next(session, isTracker);
  seed.resume();
  await announced;
  const { session: other } = await lab.session();
  await (await other.add(meta, { folder: lab.make("out"), peers })).finished;
  assertEquals([seed.snapshot().state, seed.snapshot().uploaded], ["seeding", data.length]);
  seed.pause();
  seed.resume();
  seed.pause();
  await session.stop();
  assertEquals([seed.snapshot().state, seed.paused], ["stopped", true]);
  seed.resume();
  assertEquals(seed.snapshot().state, "stopped");
});

Deno.test("a search for metadata can be paused, and so can what comes of it", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(300_000);
  const seeder = await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const peers = [{ host: HOST, port: seeder.port }];
  const torrent = await session.add(parseMagnet(magnetOf(meta)), { folder, peers });
  torrent.pause();
  assertEquals([torrent.snapshot().state, torrent.pieceMap(8), torrent.files()], ["paused", null, []]);
  const { session: witness, events: seen } = await lab.session();
  await witness.add(meta, { folder: lab.make("witness") });
  await eventOf(witness, seen, isConnected);
  assertEquals(events.filter(isConnected), []);
  torrent.resume();
  assertEquals((await torrent.metadata).size, 300_000);
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
});
