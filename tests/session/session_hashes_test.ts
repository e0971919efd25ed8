import { assert, assertEquals, assertMatch } from "@std/assert";
import { merkle, proofSteps, rootLayer } from "../../src/base/merkle.ts";
import { magnetOf, type Metainfo, parseMagnet, parseMetainfo, torrentFile } from "../../src/metainfo/mod.ts";
import { FrameReader } from "../../src/wire/frame_reader.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import {
  encodeHashes,
  encodeHashRequest,
  type Hashes,
  type HashRequest,
  parseHashes,
  parseHashRequest,
  proofLayersTo,
} from "../../src/wire/hash_messages.ts";
import { MessageId } from "../../src/wire/messages.ts";
import { Recorder } from "../support/wire.ts";
import { encodeHandshake, type Handshake, HANDSHAKE_LENGTH, parseHandshake } from "../../src/wire/handshake.ts";
import { noise } from "../support/payload.ts";
import { MadeTree } from "../support/made_tree.ts";
import { eventOf, HOST, Lab } from "../support/session_lab.ts";

/** Files by their paths: several pieces, empty, a part of a block, whole pieces, two blocks, and the first again. */
const LENGTHS = { "a": 200_000, "d/b": 0, "d/c": 5000, "d/\u00e9": 131_072, "e": 20_000, "f": 200_000 } as const;
const TREE = new MadeTree(LENGTHS);

/** The torrent without its piece layers. */
function withoutLayers(meta: Metainfo): Metainfo {
  return parseMetainfo(torrentFile(meta.info, { trackers: [], webSeeds: [] }));
}

/** A magnet link with the v2 info-hash alone. */
function btmh(meta: Metainfo) {
  return parseMagnet(magnetOf({ ...meta, infoHashV1: null, trackers: [] }));
}

for (const version of ["v2", "hybrid"] as const) {
  Deno.test(`Session takes a ${version} torrent by a magnet link with the v2 info-hash alone, and keeps its hashes`, async () => {
    await using lab = new Lab();
    const { meta, source } = await TREE.make(lab, version);
    const seeder = await lab.seeder(meta, source);
    const [folder, stateFolder] = [lab.make("out"), lab.make("state")];
    {
      const { session, events } = await lab.session({ stateFolder });
      const torrent = await session.add(btmh(meta), { folder, peers: [{ host: HOST, port: seeder.port }] });
      const found = await torrent.metadata;
      assertEquals(found.files.map(({ layer }) => layer), meta.files.map(({ layer }) => layer));
      await torrent.finished;
      TREE.assertIn(folder);
      assertEquals(torrent.infoHash, meta.infoHashV2!.truncated);
      assertEquals(session.get(meta.infoHash), torrent);
      assertEquals(events.filter(({ event }) => ["warning", "error", "hash_failed"].includes(event)), []);
      await session.stop();
    }
    await seeder.stop();
    // The next run finds everything without peers, and has nothing to check.
    const { session, events } = await lab.session({ stateFolder });
    const [torrent] = await session.restore();
    await torrent!.finished;
    assertEquals(torrent!.infoHash, meta.infoHashV2!.truncated);
    assertEquals(events.filter(({ event }) => ["warning", "error"].includes(event)), []);
    await session.remove(torrent!);
    await session.stop();
    const { session: last } = await lab.session({ stateFolder });
    assertEquals(await last.restore(), []);
  });
}

Deno.test("Session fetches the hashes that a torrent file lacks, and a session that has them from a magnet link serves them", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "v2");
  const seeder = await lab.seeder(meta, source);
  const { session: second } = await lab.session();
  const first = await second.add(btmh(meta), {
    folder: lab.make("first"),
    peers: [{ host: HOST, port: seeder.port }],
  });
  await first.finished;
  await seeder.stop();
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(withoutLayers(meta), { folder, files: new Set([0]) });
  assertEquals([torrent.state, torrent.name, torrent.snapshot().progress], ["metadata", "top", 0]);
  torrent.addPeers([{ host: HOST, port: second.port }]);
  await torrent.finished;
  assertEquals(Deno.readFileSync(`${folder}/top/a`), noise(200_000, 200_001));
  const states = events.flatMap((event) => event.event === "state" ? [event.state] : []);
  assertEquals(states, ["checking", "downloading", "seeding"]);
});

Deno.test("Session goes by the v1 hashes of a hybrid whose peers don't send the others", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "hybrid");
  const seeder = await lab.seeder(withoutLayers(meta), source);
  const { session } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(btmh(meta), { folder, peers: [{ host: HOST, port: seeder.port }] });
  assertEquals((await torrent.metadata).files.filter(({ layer }) => layer !== undefined), []);
  await torrent.finished;
  TREE.assertIn(folder);
});

Deno.test("Session says what it waits for while hashes are missing, keeps the torrent, and takes a torrent file that has them", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "v2");
  const [folder, stateFolder] = [lab.make("out"), lab.make("state")];
  {
    // A peer that has no more than we do.
    const { session: other } = await lab.session();
    await other.add(withoutLayers(meta), { folder: lab.make("other") });
    const { session, events } = await lab.session({ stateFolder });
    const torrent = await session.add(withoutLayers(meta), { folder });
    torrent.addPeers([{ host: HOST, port: other.port }]);
    await eventOf(session, events, (event) => event.event === "peer" && event.action === "connected");
    // Files with the same content count once.
    assertEquals(torrent.snapshot().waiting, "waiting for hashes from peers: 0 of 2 files");
    await session.stop();
  }
  const { session } = await lab.session({ stateFolder });
  const [torrent] = await session.restore();
  assertEquals([torrent!.state, torrent!.infoHash], ["metadata", meta.infoHash]);
  const seeder = await lab.seeder(meta, source);
  torrent!.addPeers([{ host: HOST, port: seeder.port }]);
  assertEquals(await session.add(meta, { folder }), torrent!);
  await torrent!.finished;
  TREE.assertIn(folder);
});

Deno.test("Session tells nobody but its trackers of a private torrent whose hashes are missing", async () => {
  await using lab = new Lab();
  const { meta } = await TREE.make(lab, "v2", { private: true, trackers: [["http://127.0.0.1:1/announce"]] });
  const { session, events } = await lab.session();
  const torrent = await session.add(withoutLayers(meta), {
    folder: lab.make("out"),
    trackers: [["http://127.0.0.1:2/x"]],
  });
  assertEquals([torrent.sources().isPrivate, torrent.sources().pex], [true, false]);
  assert(events.every((event) => event.event !== "tracker" || !event.url.includes(":2/")));
});

/** Dials a session and returns its answer to a handshake; `null` if it hangs up. */
async function dial(port: number, handshake: Handshake): Promise<{ line: Deno.TcpConn; answer: Handshake | null }> {
  const line = await Deno.connect({ hostname: HOST, port });
  await line.write(encodeHandshake(handshake));
  const answer = new Uint8Array(HANDSHAKE_LENGTH);
  for (let at = 0; at < answer.length;) {
    const count = await line.read(answer.subarray(at));
    if (count === null) return { line, answer: null };
    at += count;
  }
  return { line, answer: parseHandshake(answer) };
}

Deno.test("Session answers a hybrid's peers under the v2 info-hash if they offer v2, as libtorrent does", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "hybrid");
  const { port } = await lab.seeder(meta, source);
  const [v1, v2] = [meta.infoHashV1!, meta.infoHashV2!.truncated];
  for (
    const [id, [asked, offers, answered]]
      of ([[v1, false, v1], [v1, true, v2], [v2, false, v2], [v2, true, v2]] as const).entries()
  ) {
    const peerId = new Uint8Array(20).fill(65 + id);
    const { line, answer } = await dial(port, { infoHash: asked, peerId, fast: true, extended: true, v2: offers });
    assertEquals([answer?.infoHash.hex, answer?.v2], [answered.hex, true]);
    line.close();
  }
});

Deno.test("Session takes a peer that connects under both info-hashes for one, and offers v2 for no v1 torrent", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "hybrid");
  const { session, events } = await lab.session();
  await (await session.add(meta, { folder: source, seedOnly: true })).finished;
  const peer = { peerId: new Uint8Array(20).fill(65), fast: true, extended: true };
  using _first = (await dial(session.port, { ...peer, infoHash: meta.infoHashV1! })).line;
  using _second = (await dial(session.port, { ...peer, infoHash: meta.infoHashV2!.truncated })).line;
  const refused = await eventOf(session, events, (event) => event.event === "peer" && event.action === "refused");
  assertEquals("message" in refused && refused.message, "there is a connection to it already");
  assertEquals(session.get(meta.infoHash)!.snapshot().peerCount, 1);
  const old = await lab.payload(100_000, "old");
  const seeder = await lab.seeder(old.meta, old.source);
  const { line, answer } = await dial(seeder.port, { ...peer, infoHash: old.meta.infoHash });
  assertEquals(answer?.v2, false);
  line.close();
});

for (const version of ["v2", "hybrid"] as const) {
  Deno.test(`Session finds the peers of a ${version} torrent by its v2 info-hash alone: a tracker knows them by it`, async () => {
    await using lab = new Lab();
    const { meta, source } = await TREE.make(lab, version, { trackers: [[lab.tracker.url]] });
    const seeder = await lab.seeder(meta, source);
    const { session, events } = await lab.session();
    const link = parseMagnet(
      `magnet:?xt=urn:btmh:1220${meta.infoHashV2!.hex}&tr=${encodeURIComponent(lab.tracker.url)}`,
    );
    const folder = lab.make("out");
    await (await session.add(link, { folder })).finished;
    TREE.assertIn(folder);
    assert(events.some((event) => event.event === "peer" && event.address.endsWith(`:${seeder.port}`)));
  });
}

/** A peer that claims to have everything, and answers requests for hashes with its own. */
class FalsePeer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.9", port: 0 });
  readonly #lines: Deno.Conn[] = [];
  readonly asked: HashRequest[] = [];
  readonly #served: Promise<void>;

  constructor(meta: Metainfo) {
    this.#served = this.#serve(meta);
  }

  get address() {
    return { host: "127.0.0.9", port: (this.#listener.addr as Deno.NetAddr).port };
  }

  async #serve(meta: Metainfo): Promise<void> {
    for await (const line of this.#listener) {
      this.#lines.push(line);
      const theirs = new Uint8Array(HANDSHAKE_LENGTH);
      for (let at = 0; at < theirs.length;) at += (await line.read(theirs.subarray(at)))!;
      const infoHash = meta.infoHash;
      const writer = new FrameWriter();
      writer.raw(
        encodeHandshake({ infoHash, peerId: new Uint8Array(20).fill(70), fast: true, extended: true, v2: true }),
      );
      writer.signal(MessageId.haveAll);
      await line.write(writer.take());
      const recorder = new Recorder();
      recorder.onHashMessage = (_, payload) => {
        const request = parseHashRequest(payload);
        this.asked.push(request);
        const answer = encodeHashes(request, new Uint8Array((request.count + proofSteps(request)) * 32).fill(9));
        writer.hashMessage(MessageId.hashes, answer);
      };
      const reader = new FrameReader(recorder, { pieceCount: meta.pieceCount });
      for (;;) {
        const count = await line.read(reader.space).catch(() => null);
        if (count === null) break;
        reader.received(count);
        if (writer.length > 0) await line.write(writer.take()).catch(() => 0);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const line of this.#lines) {
      try {
        line.close();
      } catch (error) {
        if (!(error instanceof Deno.errors.BadResource)) throw error;
      }
    }
    await this.#served;
  }
}

Deno.test("Session bans a peer that sends wrong hashes, says what it did, and gets them from an honest one", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "v2");
  await using liar = new FalsePeer(meta);
  const { session, events } = await lab.session();
  const folder = lab.make("out");
  const torrent = await session.add(withoutLayers(meta), { folder, peers: [liar.address] });
  const banned = await eventOf(session, events, (event) => event.event === "peer" && event.action === "banned");
  assert(banned.event === "peer");
  assertMatch(banned.message, /^it sent wrong hashes: the proof of \d hashes of layer 1 from 0 is false$/);
  assertEquals(torrent.state, "metadata");
  const seeder = await lab.seeder(meta, source);
  torrent.addPeers([{ host: HOST, port: seeder.port }]);
  await torrent.finished;
  TREE.assertIn(folder);
});

Deno.test("Session disconnects a peer that floods it with requests for hashes that there are not, and serves others", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "v2");
  const { session, events } = await lab.session();
  await (await session.add(meta, { folder: source, seedOnly: true })).finished;
  const peer = { infoHash: meta.infoHash, peerId: new Uint8Array(20).fill(65), fast: true, extended: true, v2: true };
  const { line } = await dial(session.port, peer);
  const writer = new FrameWriter();
  for (let i = 0; i < 10_000; i++) {
    const request = { root: new Uint8Array(32), layer: 0, index: 2 * i, count: 2, proofLayers: 0 };
    writer.hashMessage(MessageId.hashRequest, encodeHashRequest(request));
  }
  const flood = writer.take();
  const sent = (async () => {
    for (let at = 0; at < flood.length;) at += await line.write(flood.subarray(at));
  })().catch((error) =>
    assert(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)
  );
  const gone = await eventOf(session, events, (event) => event.event === "peer" && event.action === "disconnected");
  assert(gone.event === "peer");
  assertMatch(gone.message, /brings nothing \(hashRequest messages/);
  await sent;
  line.close();
  const { session: other } = await lab.session();
  const torrent = await other.add(withoutLayers(meta), {
    folder: lab.make("out"),
    peers: [{ host: HOST, port: session.port }],
  });
  await torrent.finished;
});

Deno.test("Session serves hashes of every layer from the pieces on its disk", async () => {
  await using lab = new Lab();
  const { meta, source } = await TREE.make(lab, "v2");
  const { port } = await lab.seeder(meta, source);
  const peer = { infoHash: meta.infoHash, peerId: new Uint8Array(20).fill(65), fast: true, extended: true, v2: true };
  const { line } = await dial(port, peer);
  const answers: Hashes[] = [];
  const recorder = new Recorder();
  recorder.onHashMessage = (id, payload) => {
    assertEquals(id, MessageId.hashes);
    answers.push(parseHashes(payload));
  };
  const reader = new FrameReader(recorder, { pieceCount: meta.pieceCount });
  const ask = async (request: HashRequest) => {
    const writer = new FrameWriter();
    writer.hashMessage(MessageId.hashRequest, encodeHashRequest(request));
    await line.write(writer.take());
    const before = answers.length;
    while (answers.length === before) reader.received((await line.read(reader.space))!);
    return answers.at(-1)!;
  };
  for (const { root, length, pad } of meta.files) {
    if (pad || !root) continue;
    const height = rootLayer(length);
    for (let layer = 0; layer < height; layer++) {
      for (let count = 2; count <= 2 ** (height - layer); count *= 2) {
        for (let index = 0; index < 2 ** (height - layer); index += count) {
          const range = { layer, index, count };
          const hashes = await ask({ root, ...range, proofLayers: proofLayersTo(range, height) });
          assert(merkle.verify(range, { ...hashes, expected: root }), `layer ${layer}, ${count} from ${index}`);
        }
      }
    }
  }
  assert(answers.length > 30);
  line.close();
});
