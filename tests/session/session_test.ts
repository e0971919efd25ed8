import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { ShoalError } from "../../src/base/errors.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { Session } from "../../src/session/session.ts";
import type { SessionEvent } from "../../src/session/session_events.ts";
import { seededRandom } from "../support/random.ts";
import { eventOf, HOST, Lab, NAME, PIECE } from "../support/session_lab.ts";

Deno.test("Session downloads from several seeders at once and tells what happens", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(5_000_001);
  for (let i = 0; i < 3; i++) await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(meta, { folder });
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  const snapshot = torrent.snapshot();
  assertEquals([snapshot.state, snapshot.verified, snapshot.progress], ["seeding", data.length, 1]);
  const connected = events.filter((event) => event.event === "peer" && event.action === "connected");
  assertEquals(connected.length, 3);
  const completed = events.find((event) => event.event === "completed");
  assert(completed?.event === "completed" && completed.bytes >= data.length && completed.seconds > 0);
  assert(events.some((event) => event.event === "tracker" && event.status === "ok"));
});

Deno.test("Session encrypts the handshake where it can, and everything where that is required", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(700_001);
  const asked: string[] = [];
  const http: Platform["http"] = {
    ...platform.http,
    request: (request) => {
      asked.push(request.url);
      return platform.http.request(request);
    },
  };
  for (const [seeding, leeching, expected] of [["prefer", "prefer", "e"], ["prefer", "require", "E"]] as const) {
    const { session: seeder } = await lab.session({ encryption: seeding });
    const seed = await seeder.add(meta, { folder: source, seedOnly: true, trust: true });
    await seed.finished;
    const { session } = await lab.session({ encryption: leeching, platform: { ...platform, http } });
    const flags: string[] = [];
    // Flags are read on connecting: at the end the peers disconnect, since neither needs the other.
    session.subscribe((event) => {
      if (event.event === "peer" && event.action === "connected") flags.push(torrent.snapshot().peers[0]!.flags);
    });
    const folder = lab.make(expected);
    const torrent = await session.add(meta, { folder });
    await torrent.finished;
    assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
    assertEquals(flags.map((letters) => letters.replace(/[^Ee]/g, "")), [expected]);
    await Promise.all([session.stop(), seeder.stop()]);
  }
  assertEquals([...new Set(asked.map((url) => url.match(/\w+crypto=1/)?.[0]))], ["supportcrypto=1", "requirecrypto=1"]);
});

Deno.test("Session serves pieces that it has while it downloads the rest", async () => {
  await using lab = new Lab();
  const { meta, data } = await lab.payload(2_000_000);
  // Each of two leechers has one half of the pieces, and no peer has every piece.
  const half = Math.floor(meta.pieceCount / 2) * PIECE;
  const halves = [lab.make("left"), lab.make("right")];
  for (const [i, folder] of halves.entries()) {
    const part = data.slice();
    part.fill(0, i === 0 ? half : 0, i === 0 ? part.length : half);
    Deno.writeFileSync(`${folder}/${NAME}.part`, part);
  }
  const torrents = await Promise.all(halves.map(async (folder) => {
    const { session } = await lab.session();
    return await session.add(meta, { folder, check: true });
  }));
  await Promise.all(torrents.map((torrent) => torrent.finished));
  for (const folder of halves) assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  for (const torrent of torrents) assert(torrent.snapshot().uploaded > 900_000, "each gave its half to the other");
});

Deno.test("Session bans a peer that sends wrong data, and finishes with another", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(3_000_000);
  const wrong = lab.make("wrong");
  const random = seededRandom(7);
  Deno.writeFileSync(`${wrong}/${NAME}`, data.map((byte, i) => i % 65536 < 1000 ? Math.floor(random() * 256) : byte));
  // Bans are by address, so the liar has an address of its own.
  const { session: liar } = await lab.session({ bind: "127.0.0.2" });
  await (await liar.add(meta, { folder: wrong, seedOnly: true, trust: true })).finished;
  const honest = await lab.seeder(meta, source);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const peers = [liar.listenAddress, honest.listenAddress];
  const torrent = await session.add(meta, { folder, peers });
  const isBan = (event: SessionEvent) => event.event === "peer" && event.action === "banned";
  const [ban] = await Promise.all([eventOf(session, events, isBan), torrent.finished]);
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  assert(ban.event === "peer" && ban.address.startsWith("127.0.0.2:"), JSON.stringify(ban));
  assert(events.some((event) => event.event === "hash_failed"));
  assertEquals(events.filter(isBan).length, 1);
});

Deno.test("Session goes on where a stopped one left off", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(4_000_000);
  const seeder = await lab.seeder(meta, source);
  const folder = lab.make("out");
  const stateFolder = lab.make("state");
  // The first session finds and downloads only a part of the torrent before it is stopped.
  Deno.writeFileSync(`${folder}/${NAME}.part`, data.subarray(0, 30 * PIECE));
  const first = await lab.session({ stateFolder });
  const before = await first.session.add(meta, { folder });
  await eventOf(first.session, first.events, (event) => event.event === "tracker");
  await first.session.stop();
  const kept = before.snapshot().verified;
  assert(kept >= 30 * PIECE, `${kept} bytes`);
  const second = await lab.session({ stateFolder });
  const torrent = await second.session.add(meta, { folder, peers: [seeder.listenAddress] });
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  const { downloaded } = torrent.snapshot();
  assertEquals(downloaded, data.length - kept);
  assert(!second.events.some((event) => event.event === "checking"), "resume state was believed");
});

Deno.test("Session.stop() in the middle of a download or a check is no failure", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(6_000_000);
  const seeder = await lab.seeder(meta, source);
  for (const [name, begun] of [["download", "peer"], ["check", "checking"]] as const) {
    const folder = lab.make(name);
    if (name === "check") Deno.writeFileSync(`${folder}/${NAME}`, data);
    const { session, events } = await lab.session();
    const torrent = await session.add(meta, { folder, check: name === "check", peers: [seeder.listenAddress] });
    await eventOf(session, events, (event) => event.event === begun);
    await session.stop();
    assertEquals(torrent.snapshot().state, "stopped", name);
    assertEquals(events.filter((event) => event.event === "error"), [], name);
    assertEquals(events.at(-1)?.event, "stopped", name);
  }
});

Deno.test("Session.add() reports data that is missing when it may only seed", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(300_000);
  const { session, events } = await lab.session();
  const torrent = await session.add(meta, { folder: lab.make("empty"), seedOnly: true });
  const error = await assertRejects(() => torrent.finished, ShoalError);
  assertEquals(error.kind, "torrent");
  assertStringIncludes(error.message, `/empty): none of its files is in `);
  assertStringIncludes(error.message, `/empty, which is empty`);
  assertEquals(torrent.snapshot().state, "error");
  assert(events.some((event) => event.event === "error" && event.code === "torrent"));
});

Deno.test("Session serves what is there of a torrent that it may only seed, under any name, and says what is missing", async () => {
  await using lab = new Lab();
  const { meta, data } = await lab.payload(1_000_000);
  const part = data.slice();
  part.fill(0, 0, 3 * PIECE);
  const place = `${lab.make("partly")}/renamed.bin.part`;
  Deno.writeFileSync(place, part);
  const { session, events } = await lab.session();
  const isSeeding = (event: SessionEvent) => event.event === "state" && event.state === "seeding";
  const seeding = eventOf(session, events, isSeeding);
  const torrent = await session.add(meta, { folder: place, seedOnly: true });
  await seeding;
  const where = `${NAME} in ${place}`;
  assertEquals(events.filter(({ event }) => event === "warning"), [
    {
      event: "warning",
      infohash: meta.infoHash.hex,
      message: "3 of 16 pieces are missing or wrong; the rest is served",
      where,
    },
  ]);
  const { state, verified, size } = torrent.snapshot();
  assertEquals([state, verified, size], ["seeding", data.length - 3 * PIECE, data.length]);
  const leecher = await lab.session();
  const folder = lab.make("out");
  Deno.writeFileSync(`${folder}/${NAME}.part`, data.subarray(0, 3 * PIECE)); // what the seed lacks
  const download = await leecher.session.add(meta, { folder, check: true, peers: [session.listenAddress] });
  await download.finished;
  assertEquals(Deno.readFileSync(`${folder}/${NAME}`), data);
  assertEquals(events.filter(({ event }) => event === "completed" || event === "error"), []);
  assertEquals(Deno.readFileSync(place), part);
});

Deno.test("Session.start() names the port that is in use", async () => {
  await using lab = new Lab();
  const { session } = await lab.session();
  const second = new Session({ platform, port: session.port, bind: HOST });
  const error = await assertRejects(() => second.start(), ShoalError, "the port is in use");
  assertEquals(error.kind, "network");
});

Deno.test("Session downloads nothing when everything is there", async () => {
  await using lab = new Lab();
  const { meta, data, source } = await lab.payload(200_000);
  const { session } = await lab.session();
  const torrent = await session.add(meta, { folder: source });
  await torrent.finished;
  assertEquals(torrent.snapshot().downloaded, 0);
  assertEquals(Deno.readFileSync(`${source}/${NAME}`), data);
});

Deno.test("Torrent.setLimits() changes what it names, for that torrent alone, and refuses what is no rate", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(100_000);
  const { session } = await lab.session();
  const torrent = await session.add(meta, { folder: source });
  assertEquals(torrent.limits, { down: null, up: null });
  torrent.setLimits({ up: 1000 });
  torrent.setLimits({ down: 2000 });
  assertEquals([torrent.limits, session.limits], [{ down: 2000, up: 1000 }, { down: null, up: null }]);
  assertThrows(() => torrent.setLimits({ down: 1, up: 0 }), RangeError);
  assertEquals(torrent.limits, { down: 2000, up: 1000 });
  torrent.setLimits({ down: null });
  assertEquals(torrent.limits, { down: null, up: 1000 });
});

Deno.test("Session.setLimits() changes what it names, and refuses what is no rate", () => {
  const session = new Session({ platform, maxDown: 500_000 });
  assertEquals(session.limits, { down: 500_000, up: null });
  session.setLimits({ up: 1000 });
  assertEquals(session.limits, { down: 500_000, up: 1000 });
  session.setLimits({ down: null });
  assertEquals(session.limits, { down: null, up: 1000 });
  for (const rate of [0, -1, NaN, Infinity]) {
    assertThrows(() => session.setLimits({ down: 1, up: rate }), RangeError, `${rate}`);
    assertThrows(() => new Session({ platform, maxUp: rate }), RangeError, `${rate}`);
  }
  assertEquals(session.limits, { down: null, up: 1000 });
});

Deno.test("Session keeps all torrents within its connections, and lets each have its turn", async () => {
  await using lab = new Lab();
  const all = await Promise.all([1, 2, 3, 4, 5].map((n) => lab.payload(200_000 + n, `source${n}`)));
  const peers = await Promise.all(all.map(async ({ meta, source }) => {
    const { listenAddress } = await lab.seeder(meta, source);
    return [listenAddress];
  }));
  const { session } = await lab.session({ maxConnections: 2 });
  let most = 0;
  session.subscribe(() => most = Math.max(most, session.connections.used));
  const torrents = await Promise.all(all.map(({ meta }, n) => {
    const folder = lab.make(`out${n}`);
    return session.add(meta, { folder, peers: peers[n]! });
  }));
  await Promise.all(torrents.map((torrent) => torrent.finished));
  assertEquals([most, session.connections.limit], [2, 2]);
  all.forEach(({ data }, n) => assertEquals(Deno.readFileSync(`${lab.folder}/out${n}/${NAME}`), data));
});

Deno.test("Session.setMaxConnections() changes the limit, and refuses what is none", () => {
  const session = new Session({ platform });
  assertEquals(session.connections, { used: 0, limit: 500 });
  session.setMaxConnections(7);
  assertEquals(session.connections, { used: 0, limit: 7 });
  for (const count of [0, -1, NaN]) {
    assertThrows(() => session.setMaxConnections(count), RangeError, `${count}`);
    assertThrows(() => new Session({ platform, maxConnections: count }), RangeError, `${count}`);
  }
  // A limit per torrent above the default limit of the session raises the limit of the session.
  assertEquals(new Session({ platform, maxPeers: 800 }).connections.limit, 800);
});

Deno.test("Session refuses an amount of memory that is none: nothing would ever get any", () => {
  for (const cacheBytes of [-1, NaN, Infinity]) {
    assertThrows(() => new Session({ platform, cacheBytes }), RangeError, `${cacheBytes}`);
  }
});

Deno.test("Session.start() refuses to listen twice, and after the end", async () => {
  await using lab = new Lab();
  const { session } = await lab.session();
  const { port } = session;
  await assertRejects(() => session.start(), Error, "is started once");
  assertEquals(session.port, port);
  await session.stop();
  await assertRejects(() => session.start(), Error, "is started once");
});

Deno.test("Session.stop() in the middle of start() leaves nobody who listens", async () => {
  await using lab = new Lab();
  const blocklist = `${lab.folder}/blocklist`;
  Deno.writeTextFileSync(blocklist, "some:192.0.2.1-192.0.2.9\n");
  let listeners = 0;
  const listen = (...args: Parameters<Platform["net"]["listen"]>) => (listeners++, platform.net.listen(...args));
  const session = new Session({ platform: { ...platform, net: { ...platform.net, listen } }, port: 0, blocklist });
  const started = session.start();
  await session.stop();
  await started;
  assertEquals(listeners, 0);
});
