import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { EXACT_SOURCE_HEDGE_MS, EXACT_SOURCES_AT_ONCE } from "../../src/base/defences.ts";
import { magnetOf, type Metainfo, parseMagnet, torrentFile } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { eventOf, HOST, Lab, NAME } from "../support/session_lab.ts";

function kinds(events: readonly SessionEvent[]): string[] {
  return events.map(({ event }) => event).filter((event) => !["tracker", "peer", "checking", "state"].includes(event));
}

function magnetTo(meta: Metainfo, more = "") {
  return parseMagnet(magnetOf(meta) + more);
}

Deno.test("Session downloads what a magnet link stands for, and remembers it", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(1_500_001);
  for (let i = 0; i < 2; i++) await lab.seeder(meta, source);
  const stateFolder = lab.make("state");
  const { session, events } = await lab.session({ stateFolder });
  const folder = lab.make("out");
  const torrent = await session.add(magnetTo(meta), { folder });
  assertEquals(torrent.snapshot().state, "metadata");
  assertEquals(events[0], {
    event: "added",
    infohash: meta.infoHash.hex,
    infohash_v2: null,
    name: NAME,
    size: null,
    files: null,
  });
  assertEquals((await torrent.metadata).info, meta.info);
  await torrent.finished;
  assertEquals(kinds(events), ["added", "metadata", "completed"]);
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  await session.stop();
  assertEquals(kinds(events), ["added", "metadata", "completed", "stopped"]);

  // The saved metadata is enough: no peer is needed.
  const { session: again, events: told } = await lab.session({ stateFolder });
  const bare = parseMagnet(meta.infoHash.hex);
  const known = await again.add(bare, { folder });
  await known.finished;
  assertEquals(kinds(told), ["added", "metadata", "completed"]);
  assertEquals((await known.metadata).trackers, meta.trackers);
});

Deno.test("Session gives the metadata on while it still downloads", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(300_000);
  const seeder = await lab.seeder(meta, source);
  const middle = await lab.session();
  const got = await middle.session.add(magnetTo(meta), { folder: lab.make("a") });
  await got.finished;
  await seeder.stop();
  const last = await lab.session();
  const peers = [{ host: HOST, port: middle.session.port }];
  const torrent = await last.session.add(parseMagnet(meta.infoHash.hex), { folder: lab.make("b"), peers });
  await torrent.finished;
  assertEquals((await torrent.metadata).size, 300_000);
});

Deno.test("Session takes the peers and the torrent file that a magnet link names", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  const seeder = await lab.seeder(meta, source);
  const peer = `&x.pe=${HOST}:${seeder.port}`;
  const one = await lab.session();
  await (await one.session.add(parseMagnet(`magnet:?xt=urn:btih:${meta.infoHash.hex}${peer}`), {
    folder: lab.make("a"),
  })).finished;

  const asked: string[] = [];
  const file = torrentFile(meta.info, meta);
  const server = platform.http.serve({ host: HOST, port: 0 }, (request) => {
    asked.push(new URL(request.url).pathname);
    return new Response(request.url.endsWith("/right") ? file : "nothing");
  });
  const exact = (path: string) => `&xs=${encodeURIComponent(`http://${HOST}:${server.address.port}/${path}`)}`;
  const two = await lab.session();
  const link = `magnet:?xt=urn:btih:${meta.infoHash.hex}${exact("wrong")}${exact("right")}`;
  const torrent = await two.session.add(parseMagnet(link), { folder: lab.make("b") });
  await torrent.finished; // found by the tracker in the torrent file; the link names none
  assertEquals(asked, ["/wrong", "/right"]);
  assert(two.events.some((event) => event.event === "warning" && event.message.startsWith("cannot fetch the torrent")));
  await server.close();
});

/** A server with a torrent at `/right`, no answer at `/silent` until the request is aborted, and nothing elsewhere. */
function torrentServer(meta: Metainfo) {
  const file = torrentFile(meta.info, meta);
  const asked: string[] = [];
  const givenUp = Promise.withResolvers<void>();
  const server = platform.http.serve({ host: HOST, port: 0 }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    if (pathname === "/right") return new Response(file);
    if (pathname !== "/silent") return new Response("nothing");
    request.signal.addEventListener("abort", () => givenUp.resolve());
    return givenUp.promise.then(() => new Response("too late"));
  });
  const xs = (path: string) => `&xs=${encodeURIComponent(`http://${HOST}:${server.address.port}/${path}`)}`;
  return { asked, givenUp: givenUp.promise, xs, close: () => server.close() };
}

Deno.test("Session asks peers while it fetches what a magnet link names, and gives the fetching up when they are first", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  const seeder = await lab.seeder(meta, source);
  const server = torrentServer(meta);
  const { session } = await lab.session();
  const link = `magnet:?xt=urn:btih:${meta.infoHash.hex}${server.xs("silent")}&x.pe=${HOST}:${seeder.port}`;
  const torrent = await session.add(parseMagnet(link), { folder: lab.make("out") });
  await torrent.finished;
  await server.givenUp;
  assertEquals(server.asked, ["/silent"]);
  await server.close();
});

Deno.test("Session fetches from one place more for each that a magnet link names and that is late", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  await lab.seeder(meta, source); // found by the tracker in the torrent file; the link names none
  const silent = platform.http.serve({ host: HOST, port: 0 }, () => new Promise<Response>(() => {}));
  const server = torrentServer(meta);
  const after: typeof platform.after = (milliseconds, run) =>
    platform.after(milliseconds === EXACT_SOURCE_HEDGE_MS ? 1 : milliseconds, run);
  const { session } = await lab.session({ platform: { ...platform, after } });
  const dead = Array.from(
    { length: EXACT_SOURCES_AT_ONCE },
    (_, i) => `&xs=${encodeURIComponent(`http://${HOST}:${silent.address.port}/${i}`)}`,
  );
  const link = `magnet:?xt=urn:btih:${meta.infoHash.hex}${dead.join("")}${server.xs("right")}`;
  const torrent = await session.add(parseMagnet(link), { folder: lab.make("out") });
  await torrent.finished;
  assertEquals(server.asked, ["/right"]);
  await server.close();
  await silent.close();
});

Deno.test("Session fetches the next place that a magnet link names when one is of no use, as long as peers give nothing", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  await lab.seeder(meta, source); // found by the tracker in the torrent file; the link names none
  const server = torrentServer(meta);
  const { session, events } = await lab.session();
  const others = ["silent", "a", "b", "c", "d", "right"].map(server.xs).join("");
  const torrent = await session.add(parseMagnet(`magnet:?xt=urn:btih:${meta.infoHash.hex}${others}`), {
    folder: lab.make("out"),
  });
  await torrent.finished;
  await server.givenUp;
  assertEquals(server.asked.slice(0, EXACT_SOURCES_AT_ONCE), ["/silent", "/a", "/b", "/c"]);
  assertEquals(server.asked.at(-1), "/right");
  assertEquals(events.filter(({ event }) => event === "warning").length, 4);
  await server.close();
});

Deno.test("Session follows the torrent file of a magnet link to other links of the same torrent, twice at most", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(100_000);
  const file = torrentFile(meta.info, { ...meta, trackers: [] });
  const server = platform.http.serve({ host: HOST, port: 0 }, (request) => {
    const { pathname, origin } = new URL(request.url);
    const [, hops = "", hash = meta.infoHash.hex] = pathname.split("/");
    if (hops === "0") return new Response(file);
    const next = `${origin}/${Number(hops) - 1}`;
    const location = `MAGNET:?xt=urn:btih:${hash}&xs=${encodeURIComponent(next)}&tr=http://${hops}.invalid/announce`;
    return new Response(null, { status: 302, headers: { location } });
  });
  const find = async (...paths: string[]) => {
    const { session, events } = await lab.session();
    const exact = paths.map((path) => `&xs=http://${HOST}:${server.address.port}/${path}`).join("");
    const link = parseMagnet(`magnet:?xt=urn:btih:${meta.infoHash.hex}${exact}`);
    const torrent = await session.add(link, { folder: ".", metadataOnly: true });
    const warned = eventOf(session, events, ({ event }) => event === "warning");
    const found = await Promise.race([torrent.metadata, warned]);
    await session.stop();
    return "trackers" in found ? found.trackers.flat() : (found as { message: string }).message;
  };
  assertEquals(await find("2"), ["http://2.invalid/announce", "http://1.invalid/announce"]);
  assertStringIncludes(`${await find("3")}`, "it redirects from one magnet link to the next");
  assertStringIncludes(`${await find(`1/${"b".repeat(40)}`)}`, "it redirects to the magnet link of another torrent");
  await server.close();
});

Deno.test("Session shows nothing of what the torrent file of a magnet link is instead, and asks no near server with a query", async () => {
  await using lab = new Lab();
  const asked: string[] = [];
  const server = platform.http.serve({ host: HOST, port: 0 }, (request) => {
    asked.push(new URL(request.url).pathname);
    return new Response("secret=1");
  });
  const { session, events } = await lab.session();
  const base = `http://${HOST}:${server.address.port}`;
  const exact = [`${base}/plain`, `${base}/query?do=it`].map((url) => `&xs=${encodeURIComponent(url)}`).join("");
  await session.add(parseMagnet(`magnet:?xt=urn:btih:${"a".repeat(40)}${exact}`), { folder: "." });
  const warnings = () => events.filter(({ event }) => event === "warning").map((event) => JSON.stringify(event)).sort();
  while (warnings().length < 2) await eventOf(session, events.slice(events.length), ({ event }) => event === "warning");
  assertStringIncludes(warnings()[1]!, "what the server sent is no torrent");
  assertStringIncludes(warnings()[0]!, "a URL may have no query");
  assert(!warnings().join().includes("secret"));
  assertEquals(asked, ["/plain"]);
  await session.stop();
  await server.close();
});

Deno.test("Session finds out what a magnet link stands for, and no more, when that is all that is asked", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(magnetTo(meta), { folder, metadataOnly: true });
  await torrent.finished;
  await session.stop();
  assertEquals(kinds(events), ["added", "metadata", "stopped"]);
  assertEquals([...Deno.readDirSync(folder)], []);
});

Deno.test("Session stops in good order while the metadata is missing", async () => {
  await using lab = new Lab();
  const { session, events } = await lab.session();
  const torrent = await session.add(parseMagnet("a".repeat(40)), { folder: lab.make("out") });
  await session.stop();
  assertEquals(torrent.snapshot().state, "stopped");
  assertEquals(kinds(events), ["added", "stopped"]);
});

Deno.test("a torrent of an earlier run that was tampered with is fetched again", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(100_000);
  await lab.seeder(meta, source);
  const stateFolder = lab.make("state");
  Deno.mkdirSync(`${stateFolder}/torrents`);
  const other = await lab.payload(50_000);
  Deno.writeFileSync(`${stateFolder}/torrents/${meta.infoHash.hex}.torrent`, torrentFile(other.meta.info, meta));
  const { session, events } = await lab.session({ stateFolder });
  const torrent = await session.add(magnetTo(meta), { folder: lab.make("out"), metadataOnly: true });
  assertEquals((await torrent.metadata).info, meta.info);
  assert(events.some((event) => event.event === "warning" && event.message.includes("the wrong torrent")));
});

Deno.test("a torrent that cannot be kept is worth a warning, and what follows has its own error", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(100_000);
  const stateFolder = lab.make("state");
  lab.make("state/session.db"); // a folder where a file should be
  const { session, events } = await lab.session({ stateFolder });
  const seeder = await lab.seeder(meta, lab.make("source"));
  Deno.writeTextFileSync(`${stateFolder}/out`, "a file where a folder should be");
  const torrent = await session.add(magnetTo(meta), {
    folder: `${stateFolder}/out`,
    peers: [{ host: HOST, port: seeder.port }],
  });
  const error = await assertRejects(() => torrent.finished, ShoalError);
  assertEquals(error.kind, "storage");
  assert(events.some((event) => event.event === "warning"));
});
