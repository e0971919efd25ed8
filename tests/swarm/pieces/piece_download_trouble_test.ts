import { assert, assertEquals } from "@std/assert";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import type { Peer } from "../../../src/peer/peer.ts";
import { settle } from "../../support/virtual_clock.ts";
import { asked, BLOCK, BLOCKS, Lab, PIECE } from "./download_lab.ts";

/** Returns a lab in which two peers have sent a wrong piece together, and one of them now has the piece exclusively. */
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

/** Rejects the last request of a peer, except the request for block 3, which only this peer has. */
function takeLast(peer: Peer): number {
  let begin = 0;
  peer.requests.forEach((_, at) => begin = at === 3 * BLOCK ? begin : at);
  peer.requests.rejected(0, begin, BLOCK);
  return begin;
}

Deno.test("PieceDownload takes a suspect piece from its owner when that one chokes us, rejects it or is slow", async () => {
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
        if (!owner.requests.rejected(0, block * BLOCK, BLOCK)) continue;
        lab.download.rejected(owner, 0, block * BLOCK);
      }
      if (how === "rejects") owner.turnedDown = 100;
    }
    lab.download.fillAll();
    assertEquals(other.requests.size, BLOCKS, how);
  }
});

Deno.test("PieceDownload soon bans a liar that owns a piece, sends one wrong block and rejects the rest", async () => {
  const { lab, owner, other } = await suspectPiece({ fast: true });
  for (let round = 0; round < 5 && owner.requests.size > 0; round++) {
    lab.answer(owner, { wrong: true });
    while (owner.requests.size > 0) {
      const { index, begin } = owner.requests.first;
      owner.requests.rejected(index, begin, BLOCK);
      lab.download.rejected(owner, index, begin);
    }
    lab.download.fillAll();
  }
  assertEquals([owner.requests.size, other.requests.size], [0, BLOCKS], "it doesn't get the piece again");
  lab.answerAll(other);
  await settle();
  assertEquals(lab.download.have.count, 1, lab.log.join());
});

Deno.test("PieceDownload takes no answer to an old request for a piece that another peer owns by now", async () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer({ fast: true, slow: true }), lab.peer({ fast: true })];
  lab.download.fill(first);
  lab.download.fill(second); // the endgame: every block is requested from both peers
  for (let block = 0; block < BLOCKS; block++) {
    lab.answer(block < 2 ? first : second, { index: 0, begin: block * BLOCK, wrong: block === 0 });
  }
  await settle();
  // The owner has new requests; the other peer only has cancelled ones.
  const [owner, other] = first.requests.size > second.requests.size ? [first, second] : [second, first];
  while (other.requests.size > 0) lab.answer(other, { wrong: true });
  lab.answerAll(owner);
  await settle();
  assertEquals(lab.download.have.count, 1, lab.log.join());
});

Deno.test("PieceDownload takes no block of a suspect piece from anybody but its owner", async () => {
  const { lab, owner, other } = await suspectPiece({ fast: false });
  lab.answer(other, { index: 0, begin: 0, wrong: true });
  lab.answerAll(owner);
  await settle();
  assertEquals(lab.download.have.count, 1);
});

Deno.test("PieceDownload frees memory that is held for peers which choke us", () => {
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

Deno.test("PieceDownload gives up a request that a lively peer has dropped, and asks anew", () => {
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
  for (let second = 0; second < 20 && askedAt() <= first; second++) {
    lab.clock.advance(1000);
    const others: { index: number; begin: number }[] = [];
    peer.requests.forEach((i, b) => i === index && b === begin || others.push({ index: i, begin: b }));
    lab.answer(peer, others[0]!);
    peer.down.tick(1);
    lab.download.tick(lab.clock.now());
  }
  assert(askedAt() > first, "asked again");
  assertEquals([peer.snubbed, peer.closed], [false, false]);
});

Deno.test("PieceDownload finds out how many requests a peer holds that drops the others, and asks for no more", async () => {
  const lab = new Lab(400);
  const peer = lab.peer();
  const holds = 4;
  const held: { index: number; begin: number }[] = [];
  let seen = new Set<string>();
  let answered = 0;
  for (let ms = 0; ms < 20_000; ms += 50) {
    // New requests enter the peer's queue as far as there is room.
    const now = new Set<string>();
    peer.requests.forEach((index, begin, _, time) => {
      const key = `${index} ${begin} ${time}`;
      now.add(key);
      if (!seen.has(key) && held.length < holds) held.push({ index, begin });
    });
    seen = now;
    lab.clock.advance(50);
    const next = held.shift();
    if (next && peer.requests.has(next.index, next.begin, BLOCK)) {
      lab.answer(peer, next);
      answered++;
      await settle(); // complete pieces are written meanwhile
    }
    if (ms % 500 === 0) lab.download.tick(lab.clock.now());
    lab.download.parsed(peer);
  }
  assert(answered > 300, `${answered} of 400 that it could have sent`);
  assert(peer.requests.depth <= holds + 1, `${peer.requests.depth} requests`);
});

Deno.test("PieceDownload doesn't take a slow line for a small queue", () => {
  const lab = new Lab(100);
  const peer = lab.peer();
  const line: { index: number; begin: number; due: number }[] = [];
  let seen = new Set<string>();
  let free = 0;
  for (let ms = 0; ms < 60_000; ms += 100) {
    const time = lab.clock.now();
    const now = new Set<string>();
    peer.requests.forEach((index, begin) => {
      now.add(`${index} ${begin}`);
      // A round trip of two seconds, and 20 KB per second.
      if (!seen.has(`${index} ${begin}`)) line.push({ index, begin, due: free = Math.max(free, time + 2_000) + 820 });
    });
    seen = now;
    lab.clock.advance(100);
    for (; line[0] && line[0].due <= lab.clock.now(); line.shift()) lab.answer(peer, line[0]);
    peer.down.tick(0.1);
    if (ms % 500 === 0) lab.download.tick(lab.clock.now());
    lab.download.parsed(peer);
  }
  assertEquals([peer.requests.found, lab.download.wasted, peer.snubbed], [Infinity, 0, false]);
});

Deno.test("PieceDownload takes everything back from a peer that is silent, and tells it so", () => {
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

Deno.test("PieceDownload asks anew, at the unchoke, for what a peer with BEP 6 dropped without a word", () => {
  const lab = new Lab(1);
  const peer = lab.peer({ fast: true });
  lab.download.fill(peer);
  lab.choke(peer, true);
  assertEquals(peer.requests.size, BLOCKS, "rejects are awaited");
  lab.choke(peer, false);
  assertEquals(peer.requests.size, BLOCKS);
  assertEquals(peer.writer.length, 3 * BLOCKS * 17, "asked, cancelled in case that it kept them, asked again");
});

Deno.test("PieceDownload asks nothing of a peer that has nothing we want", () => {
  const lab = new Lab(4);
  const peer = lab.peer();
  peer.amInterested = false;
  lab.download.fill(peer);
  assertEquals(peer.requests.size, 0);
});

Deno.test("PieceDownload.stop() finishes what is complete and gives all memory back", async () => {
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

Deno.test("PieceDownload asks others for what a peer rejects as soon as the read is parsed", () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer({ fast: true }), lab.peer({ fast: true })];
  lab.download.fill(first);
  assertEquals([first.requests.size, second.requests.size], [BLOCKS, 0]);
  first.requests.rejected(0, 0, BLOCK);
  lab.download.rejected(first, 0, 0);
  first.turnedDown = 100; // no requests for now
  lab.download.parsed(first);
  assertEquals([...asked(second)], [[0, 1]]);
});

Deno.test("PieceDownload gives memory that it holds in vain to another torrent that waits for some", async () => {
  const memory = new MemoryBudget(4 * PIECE, { reading: 0 });
  const [left, busy] = [new Lab(10, { memory }), new Lab(10, { memory })];
  const gone = left.peer();
  left.download.parsed(gone);
  for (let i = 0; i < 4; i++) left.answer(gone, { index: i, begin: 0 });
  assertEquals([memory.pieces, left.download.started.active.size], [4 * PIECE, 4]);
  gone.closed = true;
  left.download.left(gone);
  const peer = busy.peer();
  busy.download.parsed(peer);
  assert(busy.download.started.pool.used < PIECE, "there is memory for a part of a piece, as always");
  for (const lab of [left, busy]) await lab.clock.play(25_000);
  busy.answer(peer);
  busy.download.parsed(peer);
  await settle();
  assertEquals([left.download.started.pool.used, left.download.started.active.size], [0, 0]);
  assert(busy.download.started.pool.used >= PIECE);
});

Deno.test("PieceDownload gives memory to peers that answer before it gives it to those that don't", () => {
  const lab = new Lab(4, { budget: 1 });
  const [silent, other] = [lab.peer(), lab.peer()];
  silent.quiet = true;
  lab.download.fillAll();
  assertEquals([...asked(silent)], []);
  assertEquals([...asked(other).values()], [BLOCKS]);
});
