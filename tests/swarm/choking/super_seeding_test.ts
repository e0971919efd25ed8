/** The pieces that a lone super-seeding peer offers to each peer. */

import { assert, assertEquals } from "@std/assert";
import { SuperSeeding } from "../../../src/swarm/choking/super_seeding.ts";
import { seededRandom } from "../../support/random.ts";

const PIECE = 64 * 1024;

class FakePeer {
  readonly owned = new Set<number>();
  readonly told: number[] = [];
  amChoking = false;
  interested = true;
  isSeed = false;
  uploadOnly = false;
  unchokedAt = 0;
  farewells = 0;
  flushes = 0;
  writer = { length: 0 };
  up = { rate: 0 };
  readonly pieces = { has: (index: number) => this.owned.has(index) };
  readonly output = { flush: () => void this.flushes++ };
  have(index: number): void {
    this.told.push(index);
  }
  announceUploadOnly(): void {
    this.farewells++;
  }
}

/** Returns a seed with some peers that it hides its pieces from, and an early peer that it doesn't hide them from. */
function swarm(pieceCount: number, count: number) {
  /** Pieces that the seed has lost. */
  const gone = new Set<number>();
  const have = {
    has: (index: number) => !gone.has(index),
    get isFull() {
      return gone.size === 0;
    },
  };
  const early = new FakePeer();
  const peers = Array.from({ length: count }, () => new FakePeer());
  const all = [early, ...peers];
  const superSeeding = new SuperSeeding<FakePeer>({ pieceCount, pieceLength: PIECE }, {
    have,
    availability: (index) => all.filter((peer) => peer.owned.has(index)).length,
    random: seededRandom(7),
  });
  const hidden = all.map((peer, i) => superSeeding.joined(peer, { peers: all.slice(0, i + 1), now: 0 }));
  assertEquals(hidden, all.map((_, i) => i >= 1));
  const turn = (now: number) => superSeeding.turn(now, all);
  return { superSeeding, early, peers, all, turn, gone };
}

Deno.test("SuperSeeding.joined() hides nothing while there is nobody to spread pieces to", () => {
  const { superSeeding } = swarm(4, 0);
  const seeds = [new FakePeer(), new FakePeer(), new FakePeer()];
  for (const seed of seeds) seed.isSeed = true;
  assertEquals(superSeeding.joined(new FakePeer(), { peers: seeds, now: 0 }), false);
});

Deno.test("SuperSeeding ends when the seed has lost something, and tells nobody of that, nor that it wants nothing", () => {
  const { superSeeding, peers: [peer], turn, gone } = swarm(6, 1);
  turn(0);
  assertEquals(peer!.told.length, 2);
  const lost = [0, 1, 2, 3, 4, 5].find((index) => !peer!.told.includes(index))!;
  gone.add(lost);
  superSeeding.offer(peer!, 0);
  peer!.owned.add(peer!.told[0]!);
  superSeeding.seen(peer!, peer!.told[0]!);
  superSeeding.offer(peer!, 0);
  assertEquals(peer!.told.includes(lost), false);
  turn(100);
  assertEquals([peer!.told.toSorted(), peer!.farewells], [[0, 1, 2, 3, 4, 5].filter((index) => index !== lost), 0]);
});

Deno.test("SuperSeeding.turn() offers every peer that is served other pieces", () => {
  const { peers, turn } = swarm(100, 9);
  turn(0);
  const offered = peers.flatMap((peer) => peer.told);
  assertEquals(offered.length, 18);
  assertEquals(new Set(offered).size, 18);
  assert(peers.every((peer) => peer.flushes > 0));
});

Deno.test("SuperSeeding.turn() offers the next piece when one is there, and more to whom is served fast", () => {
  const { superSeeding, peers, turn } = swarm(100, 2);
  const [slow, fast] = peers as [FakePeer, FakePeer];
  fast.up.rate = 10 * PIECE;
  turn(0);
  assertEquals([slow.told.length, fast.told.length], [2, 32]);
  slow.owned.add(slow.told[0]!);
  superSeeding.seen(slow, slow.told[0]!);
  superSeeding.offer(slow, 1);
  superSeeding.offer(slow, 2); // once for all messages of a read
  assertEquals([slow.told.length, fast.told.length], [3, 32]);
});

Deno.test("SuperSeeding.turn() offers one piece to whom it chokes, and leaves that piece to others too", () => {
  const { peers, turn } = swarm(2, 2);
  const [choked, served] = peers as [FakePeer, FakePeer];
  choked.amChoking = true;
  turn(0);
  assertEquals([choked.told.length, served.told.length], [1, 2]);
});

Deno.test("SuperSeeding.turn() offers a piece that got nowhere to somebody else", () => {
  const { peers, turn } = swarm(2, 2);
  const [idle, other] = peers as [FakePeer, FakePeer];
  turn(0);
  assertEquals([idle.told.length, other.told.length], [2, 1], "nobody is to have nothing to fetch");
  turn(14_000);
  assertEquals(other.told.length, 1);
  turn(16_000);
  assertEquals(other.told.length, 2);
});

Deno.test("SuperSeeding tells everybody the rest once every piece is in the swarm", () => {
  const { superSeeding, early, peers, turn } = swarm(10, 3);
  turn(0);
  for (let index = 0; index < 10; index++) {
    early.owned.add(index);
    superSeeding.seen(early, index);
  }
  turn(500);
  for (const peer of peers) {
    assertEquals([...peer.told].sort((a, b) => a - b), Array.from({ length: 10 }, (_, i) => i), "each once");
    assertEquals(peer.farewells, 1);
  }
  assertEquals(early.told, [], "it knew");
  const late = new FakePeer();
  assertEquals(superSeeding.joined(late, { peers: [early, ...peers, late], now: 500 }), false);
});

Deno.test("SuperSeeding.left() frees what a peer was offered", () => {
  const { superSeeding, peers, turn } = swarm(2, 2);
  const [gone, stays] = peers as [FakePeer, FakePeer];
  turn(0);
  superSeeding.left(gone);
  turn(1);
  assertEquals(stays.told.length, 2);
});

Deno.test("SuperSeeding.turn() lets nobody wait for what crawls to somebody else", () => {
  const { peers, turn } = swarm(4, 2);
  const [crawling, fast] = peers as [FakePeer, FakePeer];
  turn(0);
  assertEquals([crawling.told.length, fast.told.length], [2, 2]);
  for (const index of fast.told) fast.owned.add(index);
  [crawling.up.rate, fast.up.rate] = [1_000, 1_500];
  turn(500);
  assertEquals(fast.told.length, 3, "not much faster: one, so as not to have nothing to fetch");
  fast.up.rate = 1_000_000;
  turn(1_000);
  assertEquals(fast.told.length, 4);
});

Deno.test("SuperSeeding.turn() tells everything to who wants nothing of what it was offered", () => {
  const { peers, turn } = swarm(100, 2);
  const [choosy, other] = peers as [FakePeer, FakePeer];
  choosy.amChoking = true;
  choosy.interested = false;
  turn(0);
  turn(4_000);
  assertEquals(choosy.told.length, 1);
  turn(5_500);
  assertEquals([choosy.told.length, choosy.farewells], [100, 1]);
  assert(other.told.length < 100);
});

Deno.test("SuperSeeding.turn() hides nothing any more when the audience has gone", () => {
  const { superSeeding, early, peers, all } = swarm(100, 1);
  superSeeding.turn(0, all);
  assertEquals(peers[0]!.told.length, 2);
  early.uploadOnly = true;
  superSeeding.turn(500, all);
  assertEquals(peers[0]!.told.length, 100);
});

Deno.test("SuperSeeding.end() tells of many pieces in portions, and waits for who doesn't read", () => {
  const { superSeeding, peers, turn } = swarm(10_000, 1);
  const peer = peers[0]!;
  superSeeding.end();
  assertEquals(peer.told.length, 4_000);
  peer.writer.length = 100_000;
  turn(500);
  assertEquals(peer.told.length, 4_000);
  peer.writer.length = 0;
  turn(1_000);
  turn(1_500);
  assertEquals([new Set(peer.told).size, peer.told.length, peer.farewells], [10_000, 10_000, 1]);
});

Deno.test("SuperSeeding.turn() counts again what is missing, since who leaves takes pieces along", () => {
  const { superSeeding, early, peers, all, turn } = swarm(2, 1);
  early.owned.add(0);
  superSeeding.seen(early, 0);
  turn(0);
  assertEquals(peers[0]!.told, [1]);
  peers[0]!.owned.add(1);
  superSeeding.seen(peers[0]!, 1);
  early.owned.clear();
  const late = new FakePeer();
  superSeeding.turn(5_000, [...all, late]);
  assertEquals(peers[0]!.told, [1, 0]);
});
