import { assert, assertEquals } from "@std/assert";
import { settle } from "../../support/virtual_clock.ts";
import { asked, BLOCK, BLOCKS, Lab } from "./download_lab.ts";

Deno.test("PieceDownload.fill() finishes started pieces before it starts others, whoever began them", () => {
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

Deno.test("PieceDownload.fill() asks for nothing that the peer hasn't, and nothing while it chokes", () => {
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

Deno.test("PieceDownload.unavailable() counts the missing pieces that nobody has, started or not", async () => {
  const lab = new Lab(20);
  const { download } = lab;
  assertEquals(download.unavailable(), 20);
  const some = lab.peer({ pieces: [3, 4, 7] });
  assertEquals(download.unavailable(), 17);
  assertEquals(download.unavailable((index) => index < 5), 14, "a web seed has 0 to 4, the peer has 7 besides");
  download.fill(some);
  assertEquals(download.unavailable(), 17, "the peer has what was started");
  lab.answerAll(some);
  await settle();
  assertEquals([download.have.count, download.unavailable()], [3, 17]);
  lab.peer();
  assertEquals(download.unavailable(), 0, "a seed has everything");
});

Deno.test("PieceDownload.fill() prefers the rarest piece once the first few are there", async () => {
  const lab = new Lab(20);
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  assertEquals(lab.download.have.count, 4);
  const rare = [...Array(20).keys()].findLast((index) => !lab.download.have.has(index))!;
  const common = [...Array(20).keys()].filter((index) => index !== rare);
  lab.peer({ pieces: common });
  lab.peer({ pieces: common });
  lab.download.fill(seed);
  assert(asked(seed).has(rare), "the piece that only the seed has is among the first four");
});

Deno.test("PieceDownload asks for wanted pieces only, and is complete when they are there", async () => {
  const lab = new Lab(10, { wanted: [2, 5, 6] });
  const seed = lab.peer();
  assertEquals([lab.download.complete, lab.download.wants(2), lab.download.wants(3)], [false, true, false]);
  lab.download.fill(seed);
  assertEquals([...asked(seed).keys()].sort(), [2, 5, 6]);
  lab.answerAll(seed);
  await settle();
  assertEquals([lab.download.complete, lab.download.wants(2), lab.download.have.count], [true, false, 3]);
  lab.download.fill(seed);
  assertEquals(seed.requests.size, 0);
  assertEquals(new Lab(10, { wanted: [] }).download.complete, true);
});

Deno.test("PieceDownload goes from the first piece on when it is sequential, but for what is urgent", () => {
  const lab = new Lab(20, { sequential: true });
  const [first, second] = [lab.peer(), lab.peer()];
  lab.download.fill(first);
  assertEquals([...asked(first).keys()], [0, 1, 2, 3]);
  lab.download.prioritise({ pieces: [15, 14], awaited: new Set() });
  assertEquals([...asked(second).keys()], [15, 14, 4, 5]);
});

Deno.test("PieceDownload writes a piece, then counts it", async () => {
  const lab = new Lab(1);
  const peer = lab.peer();
  let written = () => {};
  lab.write = () => new Promise((resolve) => written = resolve);
  lab.download.fill(peer);
  lab.answerAll(peer);
  await settle();
  assertEquals([lab.log, lab.download.have.count, lab.download.started.verifying], [[], 0, 1]);
  written();
  await settle();
  assertEquals([lab.log, lab.download.have.count, lab.download.started.verifying], [["done 0"], 1, 0]);
});

Deno.test("PieceDownload asks again, and others, for what a peer won't send", () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer(), lab.peer()];
  lab.download.fill(first);
  assertEquals(first.requests.size, BLOCKS);
  lab.download.takeBack(first);
  lab.download.fill(second);
  assertEquals([first.requests.size, second.requests.size], [0, BLOCKS]);
});

Deno.test("PieceDownload takes a block that comes after its request was given up, and wastes nothing", async () => {
  const lab = new Lab(1);
  const peer = lab.peer();
  lab.download.fill(peer);
  lab.download.takeBack(peer);
  for (let block = 0; block < BLOCKS; block++) lab.answer(peer, { index: 0, begin: block * BLOCK });
  await settle();
  assertEquals([lab.log, lab.download.wasted], [["done 0"], 0]);
});

Deno.test("PieceDownload asks two peers for the last blocks, and cancels with the slower", async () => {
  const lab = new Lab(1);
  const [slow, quick] = [lab.peer({ slow: true }), lab.peer()];
  lab.download.fill(slow);
  assertEquals(slow.requests.size, BLOCKS, "there is nothing else to ask for");
  lab.download.fill(quick);
  assertEquals([slow.requests.size, quick.requests.size], [BLOCKS, BLOCKS]);
  lab.answerAll(quick);
  await settle();
  assertEquals(slow.requests.size, 0, "cancelled");
  assertEquals([lab.log, lab.download.wasted], [["done 0"], 0]);
});

Deno.test("PieceDownload counts what comes twice as wasted, and survives it", async () => {
  const lab = new Lab(1);
  const [slow, quick] = [lab.peer({ fast: true, slow: true }), lab.peer({ fast: true })];
  lab.download.fill(slow);
  lab.download.fill(quick);
  lab.answer(slow);
  lab.answerAll(quick);
  lab.answerAll(slow);
  await settle();
  assertEquals(lab.log, ["done 0"]);
  assertEquals(lab.download.wasted, BLOCKS * BLOCK);
});

Deno.test("PieceDownload bans at once who sent the whole of a wrong piece", async () => {
  const lab = new Lab(1);
  const liar = lab.peer();
  lab.download.fill(liar);
  while (liar.requests.size > 0) lab.answer(liar, { wrong: true });
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.0.1", "10.0.0.1 lied about 0"]);
  assertEquals(lab.download.have.count, 0);
});

Deno.test("PieceDownload finds the liar among several senders by fetching the piece from one peer alone", async () => {
  const lab = new Lab(1);
  const [liar, honest] = [lab.peer(), lab.peer()];
  lab.download.fill(liar);
  // Two of the four blocks come from each peer.
  liar.requests.rejected(0, 2 * BLOCK, BLOCK);
  liar.requests.rejected(0, 3 * BLOCK, BLOCK);
  lab.download.rejected(liar, 0, 2 * BLOCK);
  lab.download.rejected(liar, 0, 3 * BLOCK);
  lab.download.fill(honest);
  while (liar.requests.size > 0) lab.answer(liar, { wrong: true });
  lab.answerAll(honest);
  await settle();
  // An idle peer gets requests again: from now on the piece belongs to one of the two peers.
  assertEquals(lab.log, ["failed 0 from 10.0.0.1+10.0.0.2"]);
  const [owner, other] = liar.requests.size > 0 ? [liar, honest] : [honest, liar];
  assertEquals([owner.requests.size, other.requests.size], [BLOCKS, 0], "one peer has the whole piece");
  lab.answerAll(owner);
  await settle();
  assertEquals(lab.log.slice(1), ["10.0.0.1 lied about 0", "done 0"]);
});

Deno.test("PieceDownload lets another peer have a suspect piece when its owner leaves", async () => {
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

Deno.test("PieceDownload keeps to its memory, and goes on when a piece is written", async () => {
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

Deno.test("PieceDownload gives up started pieces that nobody has any more, when their memory is needed", () => {
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
  assertEquals(lab.download.wasted, 0, "the piece of which nothing had come was given up");
});

Deno.test("PieceDownload waits long for peers that choke us, before it drops what they have sent", () => {
  const lab = new Lab(10, { budget: 2 });
  const choking = lab.peer({ pieces: [0, 1] });
  lab.download.fill(choking);
  for (let i = 0; i < 6; i++) lab.answer(choking, choking.requests.first);
  lab.choke(choking, true);
  const idle = lab.peer({ pieces: [5, 6] });
  for (let minute = 0; minute < 4; minute++) {
    lab.clock.advance(60_000);
    lab.download.tick(lab.clock.now());
  }
  assertEquals([lab.download.wasted, idle.requests.size], [0, 0]);
  lab.clock.advance(360_000);
  lab.download.tick(lab.clock.now());
  assert(idle.requests.size > 0, "but not for ever");
});

Deno.test("PieceDownload lets slow pieces have no more than half of the memory when a quick peer waits", () => {
  const lab = new Lab(20, { budget: 4 });
  const slow = [0, 1, 2, 3].map((i) => lab.peer({ pieces: [i, i + 4], slow: true }));
  for (const peer of slow) lab.download.fill(peer);
  const quick = lab.peer({ pieces: [10, 11, 12, 13] });
  lab.download.fill(quick);
  assertEquals(quick.requests.size, 0, "no memory");
  for (let turn = 0; turn < 2; turn++) {
    lab.clock.advance(6_000);
    lab.download.tick(lab.clock.now());
  }
  assert(quick.requests.size > 0);
  assert(slow.filter((peer) => peer.requests.size > 0).length >= 2, "the slow ones keep their half");
});

Deno.test("PieceDownload asks an idle peer for the blocks of slow pieces although one piece can't be had", () => {
  const lab = new Lab(3);
  const slow = lab.peer({ pieces: [0] });
  lab.download.fill(slow);
  const quick = lab.peer({ pieces: [0, 1] });
  lab.download.fill(quick);
  assertEquals([...asked(quick).keys()], [1]);
  lab.answerAll(quick);
  lab.download.fill(quick);
  assertEquals(quick.requests.size, 0, "piece 0 may still come, and piece 2 nobody has");
  lab.clock.advance(3_001);
  lab.download.fill(quick);
  assertEquals([...asked(quick).keys()], [0]);
});

Deno.test("PieceDownload takes no answer to our own cancel for a refusal", () => {
  const lab = new Lab(5);
  const [slow, quick] = [lab.peer({ fast: true, slow: true }), lab.peer({ fast: true })];
  lab.download.fill(slow);
  lab.download.fill(quick);
  for (let i = 0; i < 3; i++) {
    const { index, begin } = slow.requests.first;
    lab.answer(quick, { index, begin });
    slow.requests.rejected(index, begin, BLOCK);
    lab.download.rejected(slow, index, begin);
  }
  assertEquals(slow.turnedDown, 0);
});

Deno.test("PieceDownload sends away who sends blocks that nobody asked for", () => {
  const lab = new Lab(10);
  const peer = lab.peer();
  for (let i = 0; i < 100 && !peer.closed; i++) lab.answer(peer, { index: 5, begin: 0 });
  assertEquals(lab.log, ["closed 1: it answers what was not asked, over and over"]);
  assertEquals(lab.download.have.count, 0);
});

Deno.test("PieceDownload leaves a peer alone that turns requests down, until the next turn", () => {
  const lab = new Lab(10);
  const peer = lab.peer({ fast: true });
  peer.turnedDown = 16;
  lab.download.fill(peer);
  assertEquals(peer.requests.size, 0);
  peer.turnedDown = 0;
  lab.download.fill(peer);
  assert(peer.requests.size > 0);
});

Deno.test("PieceDownload reports a disk that fails, and doesn't claim the piece", async () => {
  const lab = new Lab(1);
  lab.write = () => Promise.reject(new Error("disk full"));
  const peer = lab.peer();
  lab.download.fill(peer);
  lab.answerAll(peer);
  await settle();
  assertEquals([lab.log, lab.download.have.count], [["broke: disk full"], 0]);
});
