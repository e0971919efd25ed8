import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { type Metainfo, parseMagnet, parseMetainfo } from "../../src/metainfo/mod.ts";
import { encodeTorrent } from "../../src/metainfo/encode_torrent.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import { TrackerServer } from "../../src/tracker_server/server.ts";
import { eventOf, HOST, Lab, NAME } from "../support/session_lab.ts";

/** Returns the same torrent with other trackers. */
function elsewhere(meta: Metainfo, trackers: readonly string[]): Metainfo {
  return { ...meta, trackers: trackers.map((url) => [url]) };
}

function magnetTo({ infoHash }: Metainfo, more = "") {
  return parseMagnet(`magnet:?xt=urn:btih:${infoHash.hex}${more}`);
}

Deno.test("Session.add() gives a torrent that is there what another source knows: its trackers are asked, too", async () => {
  await using lab = new Lab();
  const other = TrackerServer.start(platform, { host: HOST, port: 0, interval: 1 });
  const { meta, source } = await lab.payload(300_000);
  await lab.seeder(elsewhere(meta, [other.url]), source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  // The first tracker knows no peer that has any piece. A link, or a second torrent file, names the second tracker.
  const torrent = await session.add(meta, { folder });
  const link = magnetTo(meta, `&tr=${encodeURIComponent(other.url)}`);
  assertStrictEquals(await session.add(link, { folder }), torrent);
  await torrent.finished;
  assertEquals(session.torrents, [torrent]);
  const asked = new Set(
    events.flatMap((event) => event.event === "tracker" && event.status === "ok" ? [event.url] : []),
  );
  assertEquals(asked, new Set([lab.tracker.url, other.url]));
  assertEquals(events.filter(({ event }) => event === "added").length, 1);
  await other.close();
});

Deno.test("Session.add() asks a source's trackers after a pause, and takes its web seeds and peers at any time", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(400_000);
  const seeder = await lab.seeder(meta, source);
  const { session } = await lab.session();
  const alone = elsewhere(meta, []);
  const one = await session.add(alone, { folder: lab.make("a") });
  one.pause();
  await session.add(meta, { folder: `${lab.folder}/a` });
  one.resume();
  await one.finished;

  const two = await lab.session();
  const byPeer = await two.session.add(alone, { folder: lab.make("b") });
  await two.session.add(magnetTo(meta, `&x.pe=${HOST}:${seeder.port}`), { folder: `${lab.folder}/b` });
  await byPeer.finished;

  const asked: string[] = [];
  const server = platform.http.serve({ host: HOST, port: 0 }, (request) => {
    asked.push(request.url);
    const [from = 0, to = data.length - 1] =
      /(\d+)-(\d+)/.exec(request.headers.get("range") ?? "")?.slice(1).map(Number) ??
        [];
    const headers = { "content-range": `bytes ${from}-${to}/${data.length}` };
    return new Response(data.slice(from, to + 1), { status: 206, headers });
  });
  const three = await lab.session();
  const byWeb = await three.session.add(alone, { folder: lab.make("c") });
  const url = encodeURIComponent(`http://${HOST}:${server.address.port}/${NAME}`);
  await three.session.add(magnetTo(meta, `&ws=${url}`), { folder: `${lab.folder}/c` });
  await byWeb.finished;
  assert(asked.length > 0);
  await server.close();
});

Deno.test("Session.add() of a torrent file tells a magnet link at once what it stands for", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(300_000);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(magnetTo(meta), { folder });
  assertEquals(torrent.snapshot().state, "metadata");
  assertStrictEquals(await session.add(meta, { folder }), torrent);
  assertEquals((await torrent.metadata).info, meta.info);
  // Until now no peer had the torrent.
  await lab.seeder(meta, source);
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  assertEquals(events.filter(({ event }) => event === "metadata").length, 1);
});

Deno.test("Session.add() keeps other trackers and web seeds from a private torrent, and says so", async () => {
  await using lab = new Lab();
  const pieces = new Uint8Array(20);
  const trackers = [[lab.tracker.url]];
  const parts = { name: "p", pieceLength: 16_384, pieces, content: 5, private: true };
  const meta = parseMetainfo(encodeTorrent({ ...parts, trackers }));
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  await session.add(meta, { folder });
  await session.add(meta, { folder });
  assertEquals(events.filter(({ event }) => event === "warning"), []);
  await session.add(magnetTo(meta, `&tr=${encodeURIComponent("http://127.0.0.1:1/announce")}`), { folder });
  await eventOf(session, events, ({ event }) => event === "tracker");
  const warning = events.find(({ event }) => event === "warning");
  assertEquals(warning?.event === "warning" && [warning.message, warning.where], [
    "other trackers and web seeds are left out, since the torrent is private",
    "p",
  ]);
  assert(events.every((event) => event.event !== "tracker" || event.url === lab.tracker.url));
});

Deno.test("Session.add() announces to the user's trackers as well, but not for a private torrent with its own", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(100_000);
  const other = TrackerServer.start(platform, { host: HOST, port: 0, interval: 1 });
  const askedFor = async (source: Metainfo): Promise<{ urls: string[]; warnings: string[] }> => {
    const { session, events } = await lab.session();
    const torrent = await session.add(source, { folder: lab.make("out"), trackers: [[other.url]] });
    for (const url of torrent.trackers.flat()) {
      await eventOf(session, events, (event) => event.event === "tracker" && event.url === url);
    }
    await session.stop();
    const warnings = events.flatMap((event) => event.event === "warning" ? [event.message] : []);
    return { urls: torrent.trackers.flat(), warnings };
  };
  const both = [lab.tracker.url, other.url];
  assertEquals(await askedFor(meta), { urls: both, warnings: [] });
  assertEquals(await askedFor({ ...meta, private: true, trackers: [] }), { urls: [other.url], warnings: [] });
  assertEquals(await askedFor({ ...meta, private: true }), {
    urls: [lab.tracker.url],
    warnings: ["other trackers and web seeds are left out, since the torrent is private"],
  });
  await other.close();
});

Deno.test("a private torrent whose trackers become known with its metadata leaves the user's out, and says so", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(100_000);
  const { session, events } = await lab.session();
  const [of, mine] = ["http://link.test/", "http://mine.test/"];
  const link = parseMagnet(`magnet:?xt=urn:btih:${meta.infoHash.hex}&tr=${encodeURIComponent(of!)}`);
  const torrent = await session.add(link, { folder: lab.make("out"), trackers: [[mine!]] });
  assertEquals(torrent.trackers.flat(), [of, mine]);
  await session.add({ ...meta, private: true }, { folder: lab.make("out") });
  await torrent.metadata;
  assertEquals(torrent.trackers.flat(), [of, lab.tracker.url]);
  const warnings = events.flatMap((event) => event.event === "warning" ? [event.message] : []);
  assertEquals(warnings, ["other trackers and web seeds are left out, since the torrent is private"]);
});

Deno.test("Session.add() refuses what a torrent that is there can't be as well, and leaves it as it is", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(100_000);
  const { session } = await lab.session();
  const folder = lab.make("out");
  const files = new Set<number>();
  const torrent = await session.add(meta, { folder, files });
  const refused = async (source: Metainfo, options: Parameters<typeof session.add>[1]) => {
    const error = await assertRejects(() => session.add(source, options), ShoalError, "the same torrent twice");
    assertEquals(error.kind, "usage");
    return error.why;
  };
  assertEquals(
    await refused(meta, { folder: "/elsewhere" }),
    `it goes to ${folder} already, and can't go to /elsewhere as well`,
  );
  assertEquals(await refused(meta, { folder }), "other files of it have been chosen already");
  assertEquals(await refused(meta, { folder, files, seedOnly: true }), "it can't be downloaded and only be seeded");
  assertStrictEquals(await session.add(meta, { folder, files: new Set<number>() }), torrent);
  const stopping = torrent.stop();
  assertEquals(await refused(meta, { folder, files }), "it is being stopped");
  await stopping;
  assert(await session.add(meta, { folder }) !== torrent);
});
