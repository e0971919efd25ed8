import { assert, assertEquals, assertMatch } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import type { InfoHash } from "../../src/base/info_hash.ts";
import { encodeTorrent } from "../../src/metainfo/encode_torrent.ts";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo, torrentFile } from "../../src/metainfo/mod.ts";
import { denoPlatform as platform } from "../../src/platform/deno_platform.ts";
import type { TorrentHandle } from "../../src/session/session.ts";
import type { TorrentSnapshot } from "../../src/session/session_events.ts";
import { encodeHandshake, HANDSHAKE_LENGTH } from "../../src/wire/handshake.ts";
import { serve } from "../support/http.ts";
import { eventOf, HOST, Lab, NAME } from "../support/session_lab.ts";
import { frame } from "../support/wire.ts";

const DEADLINE_MS = 20_000;

/** Waits until a torrent says that it waits for something, and returns the snapshot. */
async function waits(torrent: TorrentHandle, pattern: RegExp): Promise<TorrentSnapshot> {
  const deadline = performance.now() + DEADLINE_MS;
  for await (const { event } of torrent.events({ progressMs: 20 })) {
    if (event !== "progress") continue;
    const snapshot = torrent.snapshot();
    if (pattern.test(snapshot.waiting ?? "")) return snapshot;
    if (performance.now() > deadline) break;
  }
  throw new Error(`It says: ${torrent.snapshot().waiting}`);
}

/** Returns the torrent with other trackers and web seeds. */
function elsewhere(meta: Metainfo, trackers: readonly string[], webSeeds: readonly string[] = []): Metainfo {
  return parseMetainfo(torrentFile(meta.info, { trackers: trackers.map((url) => [url]), webSeeds }));
}

/** Returns a port on which nothing listens. */
function closedPort(): number {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** A peer that shakes hands, sends messages and then only listens. */
class SilentPeer implements AsyncDisposable {
  readonly address: { readonly host: string; readonly port: number };
  readonly #listener = Deno.listen({ hostname: HOST, port: 0 });
  readonly #connections: Deno.TcpConn[] = [];
  readonly #work: Promise<void>;

  constructor(infoHash: InfoHash, ...messages: Uint8Array[]) {
    this.address = { host: HOST, port: this.#listener.addr.port };
    const peerId = new Uint8Array(20).fill(7);
    const ours = encodeHandshake({ infoHash, peerId, fast: false, extended: false, dht: false });
    const words = concatBytes([ours, ...messages.map((message) => Uint8Array.from(message))]);
    this.#work = this.#serve(words);
  }

  async #serve(words: Uint8Array): Promise<void> {
    const talks: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      this.#connections.push(connection);
      talks.push(this.#talk(connection, words));
    }
    await Promise.all(talks);
  }

  async #talk(connection: Deno.TcpConn, words: Uint8Array): Promise<void> {
    const into = new Uint8Array(4096);
    let heard = 0;
    try {
      for (;;) {
        const count = await connection.read(into);
        if (count === null) return;
        if (heard < HANDSHAKE_LENGTH && heard + count >= HANDSHAKE_LENGTH) await connection.write(words);
        heard += count;
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections) connection.close();
    await this.#work;
  }
}

const NO_SOURCES = "it has no trackers, the DHT and local discovery are off: nobody can be found";

Deno.test("a torrent whose tracker is down says what failed and when it is asked again", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  const { session } = await lab.session();
  const dead = `http://${HOST}:${closedPort()}/secretpasskey123/announce`;
  const torrent = await session.add(elsewhere(meta, [dead]), { folder: lab.make("out") });
  const { waiting } = await waits(torrent, /failed/);
  assertMatch(waiting!, /^127\.0\.0\.1:\d+ failed: .*refused.*, asked again in \d+ s$/i);
  const { trackers: [tracker], dht, lsd, pex, port, active } = torrent.sources();
  assertEquals([active, dht, lsd, pex], [true, null, null, false]);
  assertEquals(port, { tcp: session.port, udp: session.port, mapping: "off", external: null, message: "" });
  assertEquals([tracker!.status, tracker!.state, tracker!.failures], ["error", "waiting", 1]);
  assert(tracker!.secondsUntilNext! > 0 && tracker!.secondsUntilNext! <= 10, `${tracker!.secondsUntilNext}`);
  assert(!tracker!.url.includes("secretpasskey123"), tracker!.url);
  torrent.pause();
  assertEquals(torrent.snapshot().waiting, "it is paused");
});

Deno.test("a torrent whose tracker knows nobody says so", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  const { session } = await lab.session();
  const torrent = await session.add(meta, { folder: lab.make("out") });
  const { waiting } = await waits(torrent, /knows/);
  assertMatch(waiting!, /^127\.0\.0\.1:\d+ knows no other peer, asked again in \d+ (s|min)$/);
});

Deno.test("a torrent says that all its peers are on the blocklist, and how many", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  const seeder = await lab.session();
  await seeder.session.add(meta, { folder: source, seedOnly: true, trust: true });
  await eventOf(seeder.session, seeder.events, ({ event }) => event === "tracker");
  const blocklist = `${lab.folder}/blocked.txt`;
  Deno.writeTextFileSync(blocklist, "127.0.0.0/8\n192.0.2.0/24\n");
  const { session } = await lab.session({ blocklist });
  const torrent = await session.add(meta, { folder: lab.make("out") });
  const { waiting } = await waits(torrent, /named/);
  assertMatch(waiting!, /^the only peer that was found is blocked \u00b7 127\.0\.0\.1:\d+ named \d peers?/);

  const peers = [7, 8, 8].map((last) => ({ host: `192.0.2.${last}`, port: 6881 }));
  const alone = await session.add(elsewhere((await lab.payload(100_000, "other")).meta, []), {
    folder: lab.make("other_out"),
    peers,
  });
  assertEquals((await waits(alone, /blocked/)).waiting, `all 2 peers that were found are blocked \u00b7 ${NO_SOURCES}`);
});

Deno.test("a torrent whose only peer refuses names the peer, and when it is tried again", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  const { session } = await lab.session();
  const port = closedPort();
  const torrent = await session.add(elsewhere(meta, []), { folder: lab.make("out"), peers: [{ host: HOST, port }] });
  const { waiting } = await waits(torrent, /refused/);
  assertMatch(waiting!, new RegExp(`^${HOST}:${port} refused the connection, tried again in \\d s \u00b7 it has no`));
});

Deno.test("a bare info-hash with everything off, and a private torrent without trackers, say that nobody can be found", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  const { session } = await lab.session();
  const bare = await session.add(parseMagnet(meta.infoHash.hex), { folder: lab.make("out") });
  assertEquals((await waits(bare, /./)).waiting, NO_SOURCES);
  const parts = { name: "secret", pieceLength: 16384, pieces: new Uint8Array(20), content: 5, private: true };
  const torrent = await session.add(parseMetainfo(encodeTorrent(parts)), { folder: lab.make("private") });
  const { waiting } = await waits(torrent, /./);
  assertEquals(waiting, "it is private and has no trackers, so nobody can be found");
  assert(torrent.sources().isPrivate);
});

Deno.test("a torrent says after some seconds that no node of the DHT answers", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  let ahead = 0;
  const later = { ...platform, now: () => platform.now() + ahead };
  const discovery = { dht: { bootstrap: [{ host: HOST, port: closedPort() }] } };
  const { session } = await lab.session({ platform: later, discovery });
  const torrent = await session.add(elsewhere(meta, []), { folder: lab.make("out") });
  assertEquals((await waits(torrent, /DHT/)).waiting, "DHT: joining");
  ahead = 11_000;
  assertEquals((await waits(torrent, /answers/)).waiting, "DHT: no node answers");
  const { dht } = torrent.sources();
  assertEquals([dht!.state, dht!.nodes, dht!.last], ["joining", 0, null]);
});

Deno.test("a web seed that fails is told once for each kind of failure, and named while nothing arrives", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  await using gone = serve(() => new Response("no", { status: 404 }));
  await using busy = serve(() => new Response("no", { status: 503, headers: { "retry-after": "1" } }));
  const { session, events } = await lab.session();
  const urls = [`${gone.url}/${NAME}`, `${busy.url}/${NAME}`];
  const torrent = await session.add(elsewhere(meta, [], urls), { folder: lab.make("out") });
  const { waiting } = await waits(torrent, /503.*404/);
  const [name, lost] = [busy, gone].map(({ url }) => url.slice("http://".length)) as [string, string];
  const said = `web seed ${name}: it answers 503, tried again in 1 s, web seed ${lost}: it answers 404, given up`;
  assertEquals(waiting, `${said} \u00b7 ${NO_SOURCES}`);
  assertEquals(torrent.sources().webSeeds.map(({ status, message }) => [status, message]), [
    ["given up", "it answers 404"],
    ["failed", "it answers 503"],
  ]);
  // Asked again, the busy server says the same, which isn't told again.
  const isRefusal = (name: string) => events.filter((event) => event.event === "peer" && event.address === name).length;
  while (isRefusal(name) < 2) await eventOf(session, [], ({ event }) => event === "peer");
  const told = events.flatMap((event) => event.event === "warning" ? [`${event.where}: ${event.message}`] : []);
  assertEquals(
    told.toSorted(),
    [
      `${gone.url}/${NAME}: a web seed failed: it answers 404; it is not used any more`,
      `${busy.url}/${NAME}: a web seed failed: it answers 503; it is tried again in 1 s`,
    ].toSorted(),
  );
});

Deno.test("a torrent says that all peers choke it, or that nobody has what is missing", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000); // 4 pieces
  let ahead = 0;
  const later = { ...platform, now: () => platform.now() + ahead };
  const { session } = await lab.session({ platform: later });
  await using seed = new SilentPeer(meta.infoHash, frame(5, 0xf0));
  const choked = await session.add(elsewhere(meta, []), { folder: lab.make("out"), peers: [seed.address] });
  assertEquals((await waits(choked, /choke/)).waiting, "1 peer, which chokes us");
  await choked.stop();
  await using half = new SilentPeer(meta.infoHash, frame(5, 0x80));
  const short = await session.add(elsewhere(meta, []), { folder: lab.make("short"), peers: [half.address] });
  const { waiting } = await waits(short, /nobody has/);
  assertEquals(waiting, "1 peer, which chokes us \u00b7 nobody has 3 of the 4 missing pieces");
  await short.stop();
  await using empty = new SilentPeer(meta.infoHash);
  const none = await session.add(elsewhere(meta, []), { folder: lab.make("none"), peers: [empty.address] });
  assertEquals((await waits(none, /nobody has/)).waiting, "1 peer, nobody has the 4 pieces that are missing");
  ahead = 40_000;
  const stalled = await waits(none, /^stalled/);
  assertMatch(stalled.waiting!, /^stalled for 4\d s: nobody has the 4 pieces that are missing$/);
});

Deno.test("a magnet link whose only peer has no metadata says so", async () => {
  await using lab = new Lab();
  const { meta } = await lab.payload(200_000);
  const link = parseMagnet(magnetOf(elsewhere(meta, [])));
  const other = await lab.session();
  await other.session.add(link, { folder: lab.make("other") });
  const { session } = await lab.session();
  const peers = [{ host: HOST, port: other.session.port }];
  const torrent = await session.add(link, { folder: lab.make("out"), peers });
  assertEquals((await waits(torrent, /metadata/)).waiting, "1 peer, which doesn't offer the metadata");
});

Deno.test("a failed torrent says why, and one that is complete waits for nothing", async () => {
  await using lab = new Lab();
  const { meta, source } = await lab.payload(200_000);
  const { session } = await lab.session();
  const seed = await session.add(meta, { folder: source });
  await seed.finished;
  assertEquals(seed.snapshot().waiting, null);
  await session.remove(seed);
  const file = `${lab.folder}/file`;
  Deno.writeTextFileSync(file, "");
  const torrent = await session.add(meta, { folder: `${file}/out` });
  await torrent.finished.catch(() => {});
  const { error, waiting } = torrent.snapshot();
  assertEquals(waiting, `${error} (${torrent.error!.where})`);
});
