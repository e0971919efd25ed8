import { assert, assertEquals } from "@std/assert";
import { Bitfield } from "../../src/base/bitfield.ts";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { Peer, type PeerHost } from "../../src/peer/peer.ts";
import { BufferPool, MemoryBudget } from "../../src/swarm/buffer_pool.ts";
import { Download } from "../../src/swarm/download.ts";
import { WireError } from "../../src/wire/messages.ts";
import { settle, VirtualClock } from "../support/virtual_clock.ts";

const BLOCK = 16384;
const BLOCKS = 4;
const PIECE = BLOCKS * BLOCK;

/** The first bytes stand in for a digest: wrong data is data that begins with something else. */
const digest = (data: Uint8Array) => Promise.resolve(new Uint8Array(data.subarray(0, 4)));

/** A download with peers whose answers the test gives by hand. */
class Lab {
  readonly clock = new VirtualClock();
  readonly peers: Peer[] = [];
  readonly log: string[] = [];
  readonly download: Download;
  readonly #pieceCount: number;
  write = (): Promise<void> => Promise.resolve();

  readonly budget: MemoryBudget;

  constructor(pieceCount: number, options: { budget?: number } = {}) {
    this.#pieceCount = pieceCount;
    this.budget = new MemoryBudget((options.budget ?? 100) * PIECE);
    const pool = new BufferPool(this.budget, PIECE);
    this.download = new Download({
      pieceSize: () => PIECE,
      pieceHash: (index) => Uint8Array.of(index, 1, 1, 1),
      writePiece: () => this.write(),
      peers: () => this.peers,
      hostOf: (connection) => `10.0.0.${connection}`,
      pieceDone: (index) => void this.log.push(`done ${index}`),
      pieceFailed: (index, hosts) => void this.log.push(`failed ${index} from ${hosts.join("+")}`),
      lied: (host, index) => void this.log.push(`${host} lied about ${index}`),
      broke: (error) => void this.log.push(`broke: ${(error as Error).message}`),
    }, {
      have: new Bitfield(pieceCount),
      pool,
      platform: { now: () => this.clock.now(), random: () => this.clock.random(), sha1: digest },
    });
  }

  /** A peer that has some pieces (all when none are named) and doesn't choke us. */
  peer(options: { pieces?: number[]; fast?: boolean; choking?: boolean } = {}): Peer {
    const { download } = this;
    const host: PeerHost = {
      pieceCount: this.#pieceCount,
      pieceSize: () => PIECE,
      now: () => this.clock.now(),
      peerHas() {},
      peerPieces() {},
      peerChoke() {},
      peerInterest() {},
      peerIntroduced() {},
      peerBlock: (peer, block) => download.received(peer, block),
      peerRejected: (peer, index, begin) => download.rejected(peer, index, begin),
      canServe: () => false,
      readBlock: () => false,
      loadBlock: () => Promise.resolve(),
    };
    const infoHash = new InfoHash(new Uint8Array(20));
    const handshake = { infoHash, peerId: utf8("x".repeat(20)), fast: options.fast ?? false, extended: false };
    const number = this.peers.length + 1;
    const address = { host: `10.0.0.${number}`, port: 1 };
    const peer = new Peer(host, { address, incoming: false, handshake, number });
    peer.output = {
      flush() {},
      close: (reason) => {
        peer.closed = true;
        this.log.push(`closed ${number}: ${reason}`);
      },
    };
    if (options.pieces) { for (const index of options.pieces) peer.pieces.set(index); }
    else peer.pieces.setAll();
    peer.choking = options.choking ?? false;
    peer.amInterested = true;
    this.peers.push(peer);
    download.countPeer(peer, 1);
    return peer;
  }

  /** A peer answers one request: the first, or the one given. */
  answer(peer: Peer, options: { index?: number; begin?: number; wrong?: boolean } = {}): void {
    const index = options.index ?? peer.requests.first.index;
    const begin = options.begin ?? peer.requests.first.begin;
    const data: Bytes = new Uint8Array(BLOCK);
    data.set(options.wrong ? [66, peer.number, 0, 0] : [index, 1, 1, 1]);
    try {
      peer.onBlock(index, begin, data, 0, BLOCK);
    } catch (error) {
      peer.output.close((error as WireError).why); // as the link does
    }
  }

  /** The peer chokes or unchokes us. */
  choke(peer: Peer, choking: boolean): void {
    peer.choking = choking;
    this.download.choked(peer);
  }

  answerAll(peer: Peer): void {
    while (peer.requests.size > 0) this.answer(peer);
  }
}

/** The pieces that a peer was asked for, with how many blocks of each. */
function asked(peer: Peer): Map<number, number> {
  const counts = new Map<number, number>();
  peer.requests.forEach((index) => counts.set(index, (counts.get(index) ?? 0) + 1));
  return counts;
}

Deno.test("Download.fill() finishes started pieces before it starts others, whoever began them", () => {
  const lab = new Lab(50);
  const [first, second] = [lab.peer(), lab.peer()];
  lab.download.fill(first);
  assertEquals(first.requests.size, 16);
  const started = [...asked(first).keys()];
  assertEquals(started.length, 4);
  first.requests.rejected(started[3]!, 3 * BLOCK, BLOCK);
  lab.download.rejected(first, started[3]!, 3 * BLOCK);
  lab.download.fill(second);
  assertEquals(asked(second).get(started[3]!), 1, "the free block of the started piece");
});

Deno.test("Download.fill() asks for nothing that the peer hasn't, and nothing while it chokes", () => {
  const lab = new Lab(10);
  const some = lab.peer({ pieces: [3, 7] });
  lab.download.fill(some);
  assertEquals([...asked(some).keys()].sort(), [3, 7]);
  const choking = lab.peer({ choking: true });
  lab.download.fill(choking);
  assertEquals(choking.requests.size, 0);
  choking.allowedFast.add(5);
  lab.download.fill(choking);
  assertEquals([...asked(choking)], [[5, BLOCKS]]);
});

Deno.test("Download.fill() prefers the rarest piece once the first few are there", async () => {
  const lab = new Lab(20);
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  assertEquals(lab.download.have.count, 4);
  const rare = 19;
  const common = Array.from({ length: 19 }, (_, i) => i);
  lab.peer({ pieces: common });
  lab.peer({ pieces: common });
  if (lab.download.have.has(rare)) return;
  lab.download.fill(seed);
  assert(asked(seed).has(rare), "the piece that only the seed has is among the first four");
});

Deno.test("Download writes a piece, then counts it", async () => {
  const lab = new Lab(1);
  const peer = lab.peer();
  let written = () => {};
  lab.write = () => new Promise((resolve) => written = resolve);
  lab.download.fill(peer);
  lab.answerAll(peer);
  await settle();
  assertEquals([lab.log, lab.download.have.count, lab.download.verifying], [[], 0, 1]);
  written();
  await settle();
  assertEquals([lab.log, lab.download.have.count, lab.download.verifying], [["done 0"], 1, 0]);
});

Deno.test("Download asks again, and others, for what a peer won't send", () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer(), lab.peer()];
  lab.download.fill(first);
  assertEquals(first.requests.size, BLOCKS);
  lab.download.takeBack(first);
  lab.download.fill(second);
  assertEquals([first.requests.size, second.requests.size], [0, BLOCKS]);
});

Deno.test("Download takes a block that comes after its request was given up, and wastes nothing", async () => {
  const lab = new Lab(1);
  const peer = lab.peer();
  lab.download.fill(peer);
  lab.download.takeBack(peer);
  for (let block = 0; block < BLOCKS; block++) lab.answer(peer, { index: 0, begin: block * BLOCK });
  await settle();
  assertEquals([lab.log, lab.download.wasted], [["done 0"], 0]);
});

Deno.test("Download asks two peers for the last blocks, and cancels with the slower", async () => {
  const lab = new Lab(1);
  const [slow, quick] = [lab.peer(), lab.peer()];
  lab.download.fill(slow);
  assert(lab.download.endgame);
  lab.download.fill(quick);
  assertEquals([slow.requests.size, quick.requests.size], [BLOCKS, BLOCKS]);
  lab.answerAll(quick);
  await settle();
  assertEquals(slow.requests.size, 0, "cancelled");
  assertEquals([lab.log, lab.download.wasted], [["done 0"], 0]);
});

Deno.test("Download counts what comes twice as wasted, and survives it", async () => {
  const lab = new Lab(1);
  const [slow, quick] = [lab.peer({ fast: true }), lab.peer({ fast: true })];
  lab.download.fill(slow);
  lab.download.fill(quick);
  lab.answer(slow);
  lab.answerAll(quick);
  lab.answerAll(slow);
  await settle();
  assertEquals(lab.log, ["done 0"]);
  assertEquals(lab.download.wasted, BLOCKS * BLOCK);
});

Deno.test("Download bans at once who sent the whole of a wrong piece", async () => {
  const lab = new Lab(1);
  const liar = lab.peer();
  lab.download.fill(liar);
  while (liar.requests.size > 0) lab.answer(liar, { wrong: true });
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.0.1", "10.0.0.1 lied about 0"]);
  assertEquals(lab.download.have.count, 0);
});

Deno.test("Download finds the liar among several senders by fetching the piece from one peer alone", async () => {
  const lab = new Lab(1);
  const [liar, honest] = [lab.peer(), lab.peer()];
  lab.download.fill(liar);
  // Two of four blocks come from each.
  liar.requests.rejected(0, 2 * BLOCK, BLOCK);
  liar.requests.rejected(0, 3 * BLOCK, BLOCK);
  lab.download.rejected(liar, 0, 2 * BLOCK);
  lab.download.rejected(liar, 0, 3 * BLOCK);
  lab.download.fill(honest);
  while (liar.requests.size > 0) lab.answer(liar, { wrong: true });
  lab.answerAll(honest);
  await settle();
  // Whoever has nothing to do is asked again: from now on the piece belongs to one of the two.
  assertEquals(lab.log, ["failed 0 from 10.0.0.1+10.0.0.2"]);
  const [owner, other] = liar.requests.size > 0 ? [liar, honest] : [honest, liar];
  assertEquals([owner.requests.size, other.requests.size], [BLOCKS, 0], "one peer has the whole piece");
  lab.answerAll(owner);
  await settle();
  assertEquals(lab.log.slice(1), ["10.0.0.1 lied about 0", "done 0"]);
});

Deno.test("Download lets another peer have a suspect piece when its owner leaves", async () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer(), lab.peer()];
  lab.download.fill(first);
  first.requests.rejected(0, 3 * BLOCK, BLOCK);
  lab.download.rejected(first, 0, 3 * BLOCK);
  lab.download.fill(second);
  while (first.requests.size > 0) lab.answer(first, { wrong: true });
  lab.answerAll(second);
  await settle();
  const [owner, other] = first.requests.size > 0 ? [first, second] : [second, first];
  lab.download.takeBack(owner);
  owner.closed = true;
  lab.download.fillAll();
  assertEquals(other.requests.size, BLOCKS);
});

Deno.test("Download keeps to its memory, and goes on when a piece is written", async () => {
  const lab = new Lab(50, { budget: 3 });
  const peer = lab.peer();
  lab.download.fill(peer);
  assertEquals(asked(peer).size, 3);
  assertEquals(peer.requests.size, 3 * BLOCKS);
  lab.answerAll(peer);
  assertEquals(peer.requests.size, 0);
  await settle();
  assertEquals(lab.download.have.count, 3);
  assertEquals(asked(peer).size, 3, "the buffers were used again");
});

Deno.test("Download gives up started pieces that nobody has any more, when their memory is needed", () => {
  const lab = new Lab(10, { budget: 2 });
  const leaving = lab.peer({ pieces: [0, 1] });
  lab.download.fill(leaving);
  lab.answer(leaving);
  leaving.closed = true;
  lab.download.countPeer(leaving, -1);
  lab.download.takeBack(leaving);
  const other = lab.peer({ pieces: [5] });
  lab.download.fill(other);
  assertEquals(other.requests.size, 0, "no memory");
  lab.clock.advance(6_000);
  lab.download.tick(lab.clock.now());
  assertEquals([...asked(other).keys()], [5]);
  assertEquals(lab.download.wasted, BLOCK);
});

Deno.test("Download sends away who sends blocks that nobody asked for", () => {
  const lab = new Lab(10);
  const peer = lab.peer();
  for (let i = 0; i < 100 && !peer.closed; i++) lab.answer(peer, { index: 5, begin: 0 });
  assertEquals(lab.log, ["closed 1: it answers what was not asked, over and over"]);
  assertEquals(lab.download.have.count, 0);
});

Deno.test("Download leaves a peer alone that turns requests down, until the next turn", () => {
  const lab = new Lab(10);
  const peer = lab.peer({ fast: true });
  peer.turnedDown = 16;
  lab.download.fill(peer);
  assertEquals(peer.requests.size, 0);
  peer.turnedDown = 0;
  lab.download.fill(peer);
  assert(peer.requests.size > 0);
});

Deno.test("Download reports a disk that fails, and doesn't claim the piece", async () => {
  const lab = new Lab(1);
  lab.write = () => Promise.reject(new Error("disk full"));
  const peer = lab.peer();
  lab.download.fill(peer);
  lab.answerAll(peer);
  await settle();
  assertEquals([lab.log, lab.download.have.count], [["broke: disk full"], 0]);
});

/** Two peers have sent a piece together and it was wrong; now one of them has it alone. */
async function suspectPiece(options: { fast: boolean }): Promise<{ lab: Lab; owner: Peer; other: Peer }> {
  const lab = new Lab(1);
  const [first, second] = [lab.peer(options), lab.peer(options)];
  lab.download.fill(first);
  first.requests.rejected(0, 3 * BLOCK, BLOCK);
  lab.download.rejected(first, 0, 3 * BLOCK);
  lab.download.fill(second);
  while (second.requests.size > 1) lab.download.rejected(second, 0, takeLast(second));
  lab.answer(second, { begin: second.requests.first.begin });
  while (first.requests.size > 0) lab.answer(first, { wrong: true });
  await settle();
  const [owner, other] = first.requests.size > 0 ? [first, second] : [second, first];
  assertEquals([owner.requests.size, other.requests.size], [BLOCKS, 0]);
  return { lab, owner, other };
}

/** Rejects the first outstanding request of a peer that isn't the block which only it was asked for. */
function takeLast(peer: Peer): number {
  let begin = 0;
  peer.requests.forEach((_, at) => begin = at === 3 * BLOCK ? begin : at);
  peer.requests.rejected(0, begin, BLOCK);
  return begin;
}

Deno.test("Download takes a suspect piece from its owner when that one chokes us, rejects it or is slow", async () => {
  for (const how of ["chokes", "rejects", "is slow"]) {
    const { lab, owner, other } = await suspectPiece({ fast: true });
    if (how === "is slow") {
      lab.clock.advance(11_000);
      lab.download.tick(lab.clock.now());
      lab.clock.advance(20_000);
      lab.download.tick(lab.clock.now());
    } else {
      if (how === "chokes") lab.choke(owner, true);
      for (let block = 0; block < BLOCKS; block++) {
        owner.requests.rejected(0, block * BLOCK, BLOCK);
        lab.download.rejected(owner, 0, block * BLOCK);
      }
      if (how === "rejects") owner.turnedDown = 100;
    }
    lab.download.fillAll();
    assertEquals(other.requests.size, BLOCKS, how);
  }
});

Deno.test("Download takes no block of a suspect piece from anybody but its owner", async () => {
  const { lab, owner, other } = await suspectPiece({ fast: false });
  lab.answer(other, { index: 0, begin: 0, wrong: true });
  lab.answerAll(owner);
  await settle();
  assertEquals(lab.download.have.count, 1);
});

Deno.test("Download frees memory that is held for peers which choke us", () => {
  const lab = new Lab(10, { budget: 2 });
  const choking = lab.peer({ pieces: [0, 1], fast: true });
  lab.download.fill(choking);
  for (let i = 0; i < 3; i++) lab.answer(choking);
  lab.choke(choking, true);
  assertEquals(choking.requests.size, 5);
  while (choking.requests.size > 0) {
    const { index, begin } = choking.requests.first;
    choking.requests.rejected(index, begin, BLOCK);
    lab.download.rejected(choking, index, begin);
  }
  const useful = lab.peer({ pieces: [5, 6] });
  lab.download.fill(useful);
  assertEquals(useful.requests.size, 0);
  lab.clock.advance(6_000);
  lab.download.tick(lab.clock.now());
  assert(useful.requests.size >= BLOCKS, `${useful.requests.size} requests`);
});

Deno.test("Download gives up a request that a lively peer has dropped, and asks anew", () => {
  const lab = new Lab(40);
  const peer = lab.peer();
  lab.download.fill(peer);
  const { index, begin } = peer.requests.first;
  const askedAt = () => {
    let at = -1;
    peer.requests.forEach((i, b, _, time) => at = i === index && b === begin ? time : at);
    return at;
  };
  const first = askedAt();
  for (let second = 0; second < 60; second++) {
    lab.clock.advance(1000);
    let next = { index, begin };
    peer.requests.forEach((i, b) => next = i === index && b === begin ? next : { index: i, begin: b });
    lab.answer(peer, next);
    peer.down.tick(1);
    lab.download.tick(lab.clock.now());
  }
  assert(askedAt() > first, "asked again");
  assertEquals([peer.snubbed, peer.closed], [false, false]);
});

Deno.test("Download takes everything back from a peer that is silent, and tells it so", () => {
  const lab = new Lab(8);
  const peer = lab.peer();
  lab.download.fill(peer);
  const before = peer.writer.length;
  const count = peer.requests.size;
  lab.clock.advance(31_000);
  lab.download.tick(lab.clock.now());
  assertEquals(peer.snubbed, true);
  assertEquals(peer.writer.length, before + 17 * (count + 1), "a cancel for each, and one new request");
});

Deno.test("Download asks anew, at the unchoke, for what a peer with BEP 6 dropped without a word", () => {
  const lab = new Lab(1);
  const peer = lab.peer({ fast: true });
  lab.download.fill(peer);
  lab.choke(peer, true);
  assertEquals(peer.requests.size, BLOCKS, "rejects are awaited");
  lab.choke(peer, false);
  assertEquals(peer.requests.size, BLOCKS);
  assertEquals(peer.writer.length, 2 * BLOCKS * 17, "asked twice");
});

Deno.test("Download asks nothing of a peer that has nothing we want", () => {
  const lab = new Lab(4);
  const peer = lab.peer();
  peer.amInterested = false;
  lab.download.fill(peer);
  assertEquals(peer.requests.size, 0);
});

Deno.test("Download.stop() finishes what is complete and gives all memory back", async () => {
  const lab = new Lab(2);
  const peer = lab.peer();
  let written = () => {};
  lab.write = () => new Promise((resolve) => written = resolve);
  lab.download.fill(peer);
  for (let i = 0; i < BLOCKS; i++) lab.answer(peer);
  await settle();
  const stopped = lab.download.stop();
  written();
  await stopped;
  assertEquals(lab.download.have.count, 1);
  assertEquals(lab.budget.used, 0);
});
