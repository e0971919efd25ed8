/** Who is offered what, by a seed that is alone. */

import { assert, assertEquals } from "@std/assert";
import { SuperSeeding } from "../../src/swarm/super_seeding.ts";
import { seededRandom } from "../support/random.ts";

const PIECE = 64 * 1024;

class FakePeer {
  readonly owned = new Set<number>();
  readonly told: number[] = [];
  amChoking = false;
  isSeed = false;
  unchokedAt = 0;
  uploadOnly = 0;
  flushes = 0;
  up = { rate: 0 };
  readonly pieces = { has: (index: number) => this.owned.has(index) };
  readonly output = { flush: () => void this.flushes++ };
  have(index: number): void {
    this.told.push(index);
  }
  announceUploadOnly(): void {
    this.uploadOnly++;
  }
}

/** A seed with some peers that it hides from, and an early one that it doesn't. */
function swarm(pieceCount: number, count: number) {
  const early = new FakePeer();
  const peers = Array.from({ length: count }, () => new FakePeer());
  const all = [early, ...peers];
  const superSeeding = new SuperSeeding<FakePeer>({ pieceCount, pieceLength: PIECE }, {
    availability: (index) => all.filter((peer) => peer.owned.has(index)).length,
    random: seededRandom(7),
  });
  const hidden = all.map((peer, i) => superSeeding.joined(peer, all.slice(0, i + 1)));
  assertEquals(hidden, all.map((_, i) => i >= 1));
  return { superSeeding, early, peers };
}

Deno.test("SuperSeeding.joined() hides nothing while there is nobody to spread pieces to", () => {
  const { superSeeding } = swarm(4, 0);
  const seeds = [new FakePeer(), new FakePeer(), new FakePeer()];
  for (const seed of seeds) seed.isSeed = true;
  assertEquals(superSeeding.joined(new FakePeer(), seeds), false);
});

Deno.test("SuperSeeding.turn() offers every peer that is served other pieces", () => {
  const { superSeeding, peers } = swarm(100, 9);
  superSeeding.turn(0);
  const offered = peers.flatMap((peer) => peer.told);
  assertEquals(offered.length, 18);
  assertEquals(new Set(offered).size, 18);
  assert(peers.every((peer) => peer.flushes > 0));
});

Deno.test("SuperSeeding.turn() offers the next piece when one is there, and more to whom is served fast", () => {
  const { superSeeding, peers } = swarm(100, 2);
  const [slow, fast] = peers as [FakePeer, FakePeer];
  fast.up.rate = 10 * PIECE;
  superSeeding.turn(0);
  assertEquals([slow.told.length, fast.told.length], [2, 32]);
  slow.owned.add(slow.told[0]!);
  superSeeding.turn(1, slow);
  assertEquals([slow.told.length, fast.told.length], [3, 32]);
});

Deno.test("SuperSeeding.turn() offers one piece to whom it chokes, and leaves that piece to others too", () => {
  const { superSeeding, peers } = swarm(2, 2);
  const [choked, served] = peers as [FakePeer, FakePeer];
  choked.amChoking = true;
  superSeeding.turn(0);
  assertEquals([choked.told.length, served.told.length], [1, 2]);
});

Deno.test("SuperSeeding.turn() offers a piece that got nowhere to somebody else", () => {
  const { superSeeding, peers } = swarm(2, 2);
  const [idle, other] = peers as [FakePeer, FakePeer];
  superSeeding.turn(0);
  assertEquals([idle.told.length, other.told.length], [2, 1], "nobody is to have nothing to fetch");
  superSeeding.turn(14_000);
  assertEquals(other.told.length, 1);
  superSeeding.turn(16_000);
  assertEquals(other.told.length, 2);
});

Deno.test("SuperSeeding tells everybody the rest once every piece is in the swarm", () => {
  const { superSeeding, early, peers } = swarm(10, 3);
  superSeeding.turn(0);
  for (let index = 0; index < 10; index++) early.owned.add(index);
  superSeeding.turn(500);
  for (const peer of peers) {
    assertEquals([...peer.told].sort((a, b) => a - b), Array.from({ length: 10 }, (_, i) => i), "each once");
    assertEquals(peer.uploadOnly, 1);
  }
  assertEquals(early.told, [], "it knew");
  const late = new FakePeer();
  assertEquals(superSeeding.joined(late, [early, ...peers, late]), false);
});

Deno.test("SuperSeeding.left() frees what a peer was offered", () => {
  const { superSeeding, peers } = swarm(2, 2);
  const [gone, stays] = peers as [FakePeer, FakePeer];
  superSeeding.turn(0);
  superSeeding.left(gone);
  superSeeding.turn(1);
  assertEquals(stays.told.length, 2);
});

Deno.test("SuperSeeding.turn() lets nobody wait for what crawls to somebody else", () => {
  const { superSeeding, peers } = swarm(4, 2);
  const [crawling, fast] = peers as [FakePeer, FakePeer];
  superSeeding.turn(0);
  assertEquals([crawling.told.length, fast.told.length], [2, 2]);
  for (const index of fast.told) fast.owned.add(index);
  [crawling.up.rate, fast.up.rate] = [1_000, 1_500];
  superSeeding.turn(500);
  assertEquals(fast.told.length, 3, "not much faster: one, so as not to have nothing to fetch");
  fast.up.rate = 1_000_000;
  superSeeding.turn(1_000);
  assertEquals(fast.told.length, 4);
});
