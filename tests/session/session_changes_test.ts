import { assertEquals, assertGreater, assertRejects, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { encodeTorrent } from "../../src/metainfo/encode_torrent.ts";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import type { Session, TorrentHandle } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { seededRandom } from "../support/random.ts";
import { eventOf, HOST, Lab, NAME, PIECE } from "../support/session_lab.ts";

/** Returns the events of a torrent in words, without peers, trackers and progress. */
function steps(events: readonly SessionEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.event === "state") return [event.state];
    if (event.event === "changed") return [`changed ${event.what}`];
    return ["completed", "error", "stopped", "removed"].includes(event.event) ? [event.event] : [];
  });
}

/** Returns a torrent of several files. */
async function several(lab: Lab, sizes: Record<string, number>): Promise<{ meta: Metainfo; source: string }> {
  const source = lab.make("several");
  const random = seededRandom(3);
  const files = Object.entries(sizes).map(([name, length]) => ({ path: [name], length }));
  const bytes = new Uint8Array(files.reduce((sum, { length }) => sum + length, 0)).map(() =>
    Math.floor(random() * 256)
  );
  const digests: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) digests.push(await platform.sha1(bytes.slice(at, at + PIECE)));
  Deno.mkdirSync(`${source}/t`, { recursive: true });
  let at = 0;
  for (const { path, length } of files) {
    Deno.writeFileSync(`${source}/t/${path[0]}`, bytes.subarray(at, at + length));
    at += length;
  }
  const pieces = new Uint8Array(digests.length * 20);
  digests.forEach((digest, i) => pieces.set(digest, i * 20));
  const trackers = [[lab.tracker.url]];
  return {
    meta: parseMetainfo(encodeTorrent({ name: "t", pieceLength: PIECE, pieces, content: files, trackers })),
    source,
  };
}

async function untilState(session: Session, torrent: TorrentHandle, state: string): Promise<void> {
  if (torrent.state === state) return;
  await eventOf(session, [], (event) => event.event === "state" && event.state === state);
}

Deno.test("a torrent goes through its states, each told by an event, and says at any time which it is in", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(300_000);
  await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const torrent = await session.add(parseMagnet(magnetOf(meta)), { folder: lab.make("out") });
  assertEquals([torrent.state, session.get(meta.infoHash)], ["metadata", torrent]);
  await torrent.finished;
  assertEquals(torrent.state, "seeding");
  torrent.pause();
  torrent.resume();
  await torrent.recheck();
  await session.remove(torrent);
  assertEquals([torrent.state, session.get(meta.infoHash)], ["stopped", null]);
  assertEquals(steps(events), [
    ...["checking", "downloading", "seeding", "completed", "paused", "seeding", "checking", "seeding"],
    ...["stopping", "stopped", "stopped", "removed"],
  ]);
  await assertRejects(() => session.remove(torrent), ShoalError, "it isn't in this session");
  await assertRejects(() => torrent.setFiles(null), ShoalError, "it has been stopped");
});

Deno.test("Session.stop() waits until a torrent that is being removed is gone with its data", async () => {
  await using lab = new Lab();
  const { meta, source } = await several(lab, { a: 3 * PIECE, b: 3 * PIECE });
  const { session } = await lab.session();
  const torrent = await session.add(meta, { folder: source });
  await torrent.finished;
  let isRemoved = false;
  const removed = session.remove(torrent, { data: true }).then(() => isRemoved = true);
  await session.stop();
  assertEquals([isRemoved, [...Deno.readDirSync(source)]], [true, []]);
  await removed;
});

Deno.test("a torrent survives an error: it stays listed, says why, connects to nobody, and goes on when it is resumed", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(400_000);
  const seeder = await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  // A folder is in the place of the file.
  Deno.mkdirSync(`${folder}/${NAME}`);
  const torrent = await session.add(meta, { folder, peers: [seeder.listenAddress] });
  const error = await assertRejects(() => torrent.finished, ShoalError);
  assertEquals([torrent.state, session.torrents, torrent.error?.code], ["error", [torrent], "storage"]);
  assertEquals(torrent.snapshot().error, `${error.what}: ${error.why}`);
  assertEquals([torrent.snapshot().peerCount, events.filter(({ event }) => event === "tracker")], [0, []]);
  torrent.pause();
  assertEquals(torrent.state, "error");
  // Resuming fails as long as nothing has changed.
  torrent.resume();
  await assertRejects(() => torrent.finished, ShoalError);
  Deno.removeSync(`${folder}/${NAME}`);
  torrent.resume();
  assertEquals([torrent.state, torrent.error], ["checking", null]);
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  assertEquals(steps(events), [
    ...["error", "error", "checking", "error", "error", "checking", "downloading", "seeding", "completed"],
  ]);
});

Deno.test("a seed whose data can't be read any more counts it as missing, and serves the rest", async () => {
  await using lab = new Lab();
  const { meta, source } = await several(lab, { a: 6 * PIECE, b: 6 * PIECE });
  const { session, events } = await lab.session();
  const seed = await session.add(meta, { folder: source, seedOnly: true, trust: true });
  await seed.finished;
  Deno.truncateSync(`${source}/t/b`, 2 * PIECE);
  const { session: other } = await lab.session();
  const leecher = await other.add(meta, { folder: lab.make("out"), peers: [session.listenAddress] });
  const have = () => leecher.files().map(({ verified }) => verified / PIECE);
  const warned = eventOf(session, events, ({ event }) => event === "warning");
  await eventOf(other, [], (event) => event.event === "peer" && event.action === "connected");
  await warned;
  while (have()[0]! + have()[1]! < 8) await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(have(), [6, 2]);
  while (seed.snapshot().verified > 8 * PIECE) await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals([seed.state, seed.snapshot().verified], ["seeding", 8 * PIECE]);
  assertEquals(events.filter(({ event }) => event === "error"), []);
});

Deno.test("a seed of whose data nothing can be read any more is in error, and goes on when it is there again", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(PIECE);
  const { session } = await lab.session();
  const seed = await session.add(meta, { folder: source, seedOnly: true, trust: true });
  await seed.finished;
  Deno.renameSync(`${source}/${NAME}`, `${source}/elsewhere`);
  const { session: other } = await lab.session();
  const leecher = await other.add(meta, { folder: lab.make("out"), peers: [session.listenAddress] });
  await untilState(session, seed, "error");
  await assertRejects(() => seed.finished, ShoalError);
  Deno.renameSync(`${source}/elsewhere`, `${source}/${NAME}`);
  seed.resume();
  await seed.finished;
  leecher.addPeers([session.listenAddress]);
  await leecher.finished;
});

Deno.test("Torrent.setFiles() fetches more, or less, while it runs, and nothing twice", async () => {
  await using lab = new Lab();
  const { meta, source } = await several(lab, { a: 3 * PIECE - 1000, b: 5 * PIECE, c: 4 * PIECE + 5000 });
  await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder, files: new Set([0]) });
  await torrent.finished;
  const first = torrent.snapshot().downloaded;
  await torrent.setFiles(new Set([0, 2]));
  assertEquals([torrent.state, torrent.wantedFiles], ["downloading", [0, 2]]);
  await torrent.finished;
  await torrent.setFiles(null);
  await torrent.finished;
  for (const name of ["a", "b", "c"]) {
    assertEquals(Deno.readFileSync(`${folder}/t/${name}`), Deno.readFileSync(`${source}/t/${name}`), name);
  }
  assertGreater(first, 0);
  assertEquals(torrent.snapshot().downloaded, meta.size);
  await torrent.setFiles(new Set([1]));
  assertEquals([torrent.state, torrent.snapshot().size], ["seeding", 5 * PIECE]);
  assertEquals(steps(events).filter((step) => step === "completed").length, 3);
  await assertRejects(() => torrent.setFiles(new Set([3])), ShoalError, "the torrent has 3 files");
  await assertRejects(() => torrent.setFiles(new Set()), ShoalError, "at least one has to be");
});

for (const what of ["setFiles", "recheck"] as const) {
  Deno.test(`a torrent that is stopped in the middle of ${what}() stays so, and nothing fails`, async () => {
    await using lab = new Lab();
    const { meta } = await several(lab, { a: 3 * PIECE, b: 3 * PIECE });
    const { session, events } = await lab.session();
    const torrent = await session.add(meta, { folder: lab.make("out") });
    await untilState(session, torrent, "downloading");
    const done = (what === "recheck" ? torrent.recheck() : torrent.setFiles(new Set([0]))).then(() => null, String);
    for (let turns = 0; turns < 10; turns++) await Promise.resolve(); // begun, but its file calls take longer
    await torrent.stop();
    assertEquals([await done, torrent.state], [null, "stopped"]);
    assertEquals(steps(events).filter((step) => !step.startsWith("changed")), [
      ...["downloading", ...(what === "recheck" ? ["checking"] : []), "stopping", "stopped", "stopped"],
    ]);
  });
}

Deno.test("Torrent.recheck() finds what was changed underneath, and has it fetched again", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(10 * PIECE);
  await lab.seeder(meta, source);
  const { session } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder });
  await torrent.finished;
  const file = Deno.openSync(`${folder}/${NAME}`, { write: true });
  file.seekSync(3 * PIECE + 7, Deno.SeekMode.Start);
  file.writeSync(Uint8Array.of(1, 2, 3, 4));
  file.close();
  await torrent.recheck();
  assertEquals([torrent.state, torrent.snapshot().verified], ["downloading", 9 * PIECE]);
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  assertEquals(torrent.snapshot().downloaded, 11 * PIECE);
  await untilState(session, torrent, "seeding");
});

Deno.test("trackers, peers, order, priorities and limits of a torrent can be changed, each told by an event", async () => {
  await using lab = new Lab();
  const { meta, source } = await several(lab, { a: 3 * PIECE, b: 3 * PIECE });
  const seeder = await lab.seeder({ ...meta, trackers: [] }, source);
  const { session, events } = await lab.session();
  const torrent = await session.add({ ...meta, trackers: [] }, { folder: lab.make("out") });
  torrent.setLimits({ down: 1_000_000 });
  torrent.setSequential(true);
  torrent.setPriority([1], "high");
  torrent.setTrackers([[lab.tracker.url]]);
  assertEquals([torrent.limits, torrent.sequential], [{ down: 1_000_000, up: null }, true]);
  assertEquals([[...torrent.priorities], torrent.trackers], [[[1, "high"]], [[lab.tracker.url]]]);
  await eventOf(session, events, (event) => event.event === "tracker" && event.status === "ok");
  torrent.setTrackers([]);
  torrent.addPeers([{ host: HOST, port: seeder.port }]);
  await torrent.finished;
  assertThrows(() => torrent.setPriority([0, 2], "low"), ShoalError, "the torrent has 2 files");
  assertThrows(() => torrent.setPriority([0], "urgent" as "high"), RangeError, '"urgent"');
  // A file number from JSON may be text.
  await assertRejects(() => torrent.setFiles(new Set(["0" as unknown as number])), ShoalError, "there is no such file");
  assertThrows(() => torrent.setLimits({ up: 0 }), RangeError);
  assertEquals([...torrent.priorities], [[1, "high"]]);
  assertEquals(steps(events).filter((step) => step.startsWith("changed")), [
    ...["limits", "sequential", "priority", "trackers", "trackers", "peers"].map((what) => `changed ${what}`),
  ]);
});

Deno.test("what is asked of a torrent before it is known what it holds is done when it is", async () => {
  await using lab = new Lab();
  const { meta, source } = await several(lab, { a: 3 * PIECE, b: 3 * PIECE });
  const seeder = await lab.seeder(meta, source);
  const { session } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(parseMagnet(meta.infoHash.hex), { folder });
  torrent.setPriority([1, 2], "high");
  torrent.setSequential(true);
  const chosen = torrent.setFiles(new Set([1]));
  torrent.addPeers([seeder.listenAddress]);
  await chosen;
  await torrent.finished;
  assertEquals([torrent.wantedFiles, [...Deno.readDirSync(`${folder}/t`)].map(({ name }) => name)], [[1], ["b"]]);
  assertEquals([torrent.sequential, [...torrent.priorities]], [true, [[1, "high"]]]);
});

Deno.test("Torrent.move() moves a download under way, a seed, and what has run into an error", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(40 * PIECE);
  const seeder = await lab.seeder(meta, source);
  const { session, events } = await lab.session({ stateFolder: lab.make("state") });
  const [first, second, third] = [lab.make("first"), `${lab.folder}/second`, `${lab.folder}/third`];
  const torrent = await session.add(meta, { folder: first });
  torrent.setLimits({ down: 4_000_000 });
  torrent.addPeers([seeder.listenAddress]);
  await eventOf(session, events, (event) => event.event === "peer" && event.action === "connected");
  await torrent.move(second);
  assertEquals([torrent.folder, [...Deno.readDirSync(first)]], [second, []]);
  torrent.setLimits({ down: null });
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${second}/${NAME}`), data);
  await torrent.move(third);
  assertEquals([torrent.state, Deno.readFileSync(`${third}/${NAME}`).length], ["seeding", data.length]);
  assertEquals([...Deno.readDirSync(second)], []);
  Deno.mkdirSync(`${second}/${NAME}`);
  await assertRejects(() => torrent.move(second), ShoalError);
  assertEquals([torrent.folder, torrent.state], [third, "seeding"]);
  const { session: other } = await lab.session();
  await (await other.add(meta, { folder: lab.make("other"), peers: [session.listenAddress] })).finished;
});

Deno.test("Session.remove() with data removes a torrent's files, and nothing else", async () => {
  await using lab = new Lab();
  const { meta, source } = await several(lab, { a: 3 * PIECE, b: 3 * PIECE });
  await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder });
  await torrent.finished;
  Deno.writeTextFileSync(`${folder}/t/mine.txt`, "mine");
  await session.remove(torrent, { data: true });
  assertEquals([...Deno.readDirSync(`${folder}/t`)].map(({ name }) => name), ["mine.txt"]);
  const again = await session.add(meta, { folder });
  await again.finished;
  await session.remove(again);
  assertEquals([...Deno.readDirSync(`${folder}/t`)].map(({ name }) => name).sort(), ["a", "b", "mine.txt"]);
  assertEquals(steps(events).filter((step) => step === "removed").length, 2);
});
