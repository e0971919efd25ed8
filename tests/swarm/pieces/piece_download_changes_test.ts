/** Changes of the wanted, present or prioritised pieces while the download runs. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { encode } from "../../../src/bencode/mod.ts";
import { NotWantedError } from "../../../src/storage/mod.ts";
import { DontHave } from "../../../src/swarm/extensions.ts";
import { encodeDontHave } from "../../../src/wire/dont_have.ts";
import { MessageId } from "../../../src/wire/messages.ts";
import { frame } from "../../support/wire.ts";
import { settle } from "../../support/virtual_clock.ts";
import { asked, BLOCK, BLOCKS, Lab } from "./download_lab.ts";

const PIECES = 10;

function bits(...pieces: number[]): Bitfield {
  const field = new Bitfield(PIECES);
  for (const index of pieces) field.set(index);
  return field;
}

Deno.test("PieceDownload.setWanted() asks everybody for what is wanted now, and tells them that it is interested again", async () => {
  const lab = new Lab(PIECES, { wanted: [0, 1] });
  const seed = lab.peer();
  const other = lab.peer({ pieces: [0, 1] });
  lab.download.fillAll();
  lab.answerAll(seed);
  await settle();
  assertEquals([lab.download.complete, seed.wanted, seed.amInterested], [true, 0, false]);
  assertEquals(lab.budget.used, 0, "nothing is kept when all is there");
  lab.download.setWanted(bits(0, 1, 2, 3, 4));
  assertEquals([lab.download.complete, seed.wanted, seed.amInterested], [false, 3, true]);
  assertEquals([other.wanted, other.amInterested], [0, false]);
  assertEquals([...asked(seed).keys()].sort(), [2, 3, 4]);
  lab.answerAll(seed);
  await settle();
  assertEquals([lab.download.complete, lab.download.have.count, lab.download.wasted], [true, 5, 0]);
  assertEquals(lab.budget.used, 0);
});

Deno.test("PieceDownload.setWanted() takes back what is of no use, and finishes what has begun to come", async () => {
  const lab = new Lab(PIECES, { sequential: true });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answer(seed, { index: 0, begin: 0 });
  assertEquals([...asked(seed)], [[0, BLOCKS - 1], [1, BLOCKS], [2, BLOCKS], [3, BLOCKS]]);
  lab.download.setWanted(bits(3, 9));
  assertEquals([...asked(seed)].sort(), [[0, BLOCKS - 1], [3, BLOCKS], [9, BLOCKS]]);
  assertEquals([seed.wanted, lab.download.complete, lab.download.wasted], [3, false, 0]);
  lab.answerAll(seed);
  await settle();
  assertEquals([...lab.download.have], [0, 3, 9]);
  assertEquals([lab.download.complete, seed.wanted, seed.amInterested], [true, 0, false]);
});

Deno.test("PieceDownload.setWanted() gives up what the disk has no place for", () => {
  const lab = new Lab(PIECES, { sequential: true });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answer(seed, { index: 0, begin: 0 });
  lab.hasPlace = () => false;
  lab.download.setWanted(bits(9));
  assertEquals([...asked(seed).keys()], [9]);
  assertEquals(lab.download.wasted, BLOCK);
});

Deno.test("PieceDownload.setWanted() with nothing leaves the download complete, and nobody asked", () => {
  const lab = new Lab(PIECES);
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.download.setWanted(bits());
  assertEquals([lab.download.complete, seed.requests.size, seed.amInterested], [true, 0, false]);
  assertEquals(lab.budget.used, 0);
});

Deno.test("PieceDownload.setWanted() writes a piece that was being checked, though it isn't wanted any more", async () => {
  const lab = new Lab(PIECES, { wanted: [4] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  lab.download.setWanted(bits());
  assertEquals(lab.download.complete, false);
  await settle();
  assertEquals([[...lab.download.have], lab.download.complete, lab.log], [[4], true, ["done 4"]]);
});

Deno.test("PieceDownload.setWanted() forgets a piece that was being checked when there is no place for it", async () => {
  const lab = new Lab(PIECES, { wanted: [4] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  lab.hasPlace = () => false;
  lab.download.setWanted(bits());
  await settle();
  assertEquals([[...lab.download.have], lab.download.complete, lab.log], [[], true, ["forgotten 4"]]);
  assertEquals([seed.wanted, seed.amInterested, lab.budget.used], [0, false, 0]);
});

Deno.test("PieceDownload forgets a piece whose place is gone when it comes to be written", async () => {
  const lab = new Lab(PIECES, { wanted: [4] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.write = () => Promise.reject(new NotWantedError(4));
  lab.answerAll(seed);
  lab.download.setWanted(bits());
  await settle();
  assertEquals([[...lab.download.have], lab.download.complete, lab.log], [[], true, ["forgotten 4"]]);
  assertEquals(lab.download.wasted, BLOCKS * BLOCK);
});

Deno.test("PieceDownload gives up a piece that isn't wanted any more when nothing of it comes, and tells the torrent", () => {
  const lab = new Lab(PIECES, { wanted: [4] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answer(seed);
  lab.download.setWanted(bits());
  lab.clock.advance(59_000);
  lab.download.tick(lab.clock.now());
  assertEquals([lab.download.complete, seed.wanted], [false, 1]);
  lab.clock.advance(2_000);
  lab.download.tick(lab.clock.now());
  assertEquals([lab.download.complete, seed.wanted, seed.amInterested, seed.requests.size], [true, 0, false, 0]);
  assertEquals(lab.log, ["forgotten 4"]);
});

Deno.test("PieceDownload.setWanted() looks again for peers that had nothing that was wanted", () => {
  const lab = new Lab(PIECES, { wanted: [0] });
  const peer = lab.peer({ pieces: [7] });
  peer.amInterested = true; // so that fill() considers the peer
  lab.download.fill(peer);
  assertEquals(peer.requests.size, 0);
  lab.download.setWanted(bits(0, 7));
  assertEquals([...asked(peer)], [[7, BLOCKS]]);
});

Deno.test("PieceDownload fetches a piece that failed, however many failed before it that aren't wanted any more", async () => {
  const lab = new Lab(PIECES);
  for (let index = 0; index < 9; index++) {
    lab.download.setWanted(bits(index));
    const [a, b] = [lab.peer(), lab.peer()]; // two proven peers, each time
    lab.download.fill(a);
    lab.answer(a, { index, begin: 0, wrong: true });
    lab.choke(a, true);
    lab.download.fill(b);
    lab.answerAll(b);
    await settle();
    assertEquals(lab.log.splice(0), [`failed ${index} from ${a.address.host}+${b.address.host}`]);
    [a, b].forEach((peer) => peer.closed = true);
  }
  const { failed } = lab.download.started;
  assertEquals(failed.size, 9);
  lab.download.setWanted(bits());
  lab.download.setWanted(bits(8));
  const fresh = lab.peer();
  lab.download.fill(fresh);
  assertEquals([...asked(fresh)], [[8, BLOCKS]]);
});

Deno.test("PieceDownload.setPriorities() starts what comes first before all others, and goes on with what is started", async () => {
  const lab = new Lab(PIECES, { sequential: true });
  const seed = lab.peer();
  lab.download.fill(seed);
  assertEquals([...asked(seed).keys()], [0, 1, 2, 3]);
  const first = [9, 7];
  lab.download.setPriorities((index) => index === 4 ? -1 : first.includes(index) ? 1 : 0);
  assertEquals([...asked(seed).keys()], [0, 1, 2, 3]);
  lab.answerAll(seed);
  await settle();
  lab.download.fill(seed);
  assertEquals([...asked(seed).keys()], [7, 9, 5, 6]);
  lab.download.setPriorities(() => 0);
  lab.answerAll(seed);
  lab.download.fill(seed);
  assertEquals([...asked(seed).keys()], [4, 8]);
});

Deno.test("PieceDownload.setSequential() goes from the first piece on, and by rarity again", () => {
  const lab = new Lab(40);
  for (let index = 0; index < 4; index++) lab.download.have.set(index);
  lab.download.reset(lab.download.have);
  lab.peer({ pieces: Array.from({ length: 39 }, (_, index) => index) });
  const seed = lab.peer();
  seed.amInterested = false;
  lab.download.setSequential(true);
  seed.amInterested = true;
  lab.download.fill(seed);
  assertEquals([...asked(seed).keys()].slice(0, 3), [4, 5, 6]);
  lab.download.setSequential(false);
  lab.answerAll(seed);
  lab.download.fill(seed);
  assert(asked(seed).has(39), "the rarest");
});

Deno.test("PieceDownload.lost() fetches again what isn't there any more", async () => {
  const lab = new Lab(PIECES, { wanted: [0, 1, 2] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  assert(lab.download.complete);
  lab.download.setWanted(bits(0, 1));
  lab.download.lost([1, 2, 5]);
  assertEquals([[...lab.download.have], lab.download.complete, seed.wanted], [[0], false, 1]);
  assertEquals([...asked(seed)], [[1, BLOCKS]]);
  lab.answerAll(seed);
  await settle();
  assertEquals([[...lab.download.have], lab.download.complete], [[0, 1], true]);
  assertThrows(() => lab.download.lost([PIECES]), RangeError);
});

Deno.test("PieceDownload.lost() and setWanted() say that we download again, to whom was told that we don't (BEP 21)", async () => {
  const lab = new Lab(PIECES, { wanted: [0] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  const said: string[] = [];
  seed.announceUploadOnly = (uploadOnly = true) => void said.push(String(uploadOnly));
  lab.download.setWanted(bits(0, 1));
  lab.download.setWanted(bits(0, 1, 2));
  assertEquals(said, ["false"]);
});

Deno.test("PieceDownload.reset() goes on with what is started, drops what is there, and fetches what isn't", async () => {
  const lab = new Lab(PIECES, { sequential: true });
  const seed = lab.peer();
  lab.download.fill(seed);
  while (asked(seed).has(0)) lab.answer(seed);
  await settle();
  lab.answer(seed, { index: 1 });
  lab.answer(seed, { index: 2, begin: 0 });
  const { active } = lab.download.started;
  const [one, two] = [active.get(1), active.get(2)];
  assert(one && two);
  lab.download.reset(bits(2, 9));
  assertEquals([...lab.download.have], [2, 9]);
  assert(!active.has(2) && active.get(1) === one, "piece 1 goes on, with what is here of it");
  assert(!asked(seed).has(2));
  assertEquals([seed.wanted, lab.download.wasted], [8, BLOCK]);
  while (seed.requests.size > 0) {
    lab.answerAll(seed);
    await settle();
    lab.download.fill(seed);
  }
  assert(lab.download.have.isFull);
  assertEquals(lab.log.filter((line) => line === "done 0").length, 2, "it wasn't there any more");
  assert(!lab.log.includes("done 2"));
});

Deno.test("PieceDownload.reset() while a piece is being written counts it once", async () => {
  const lab = new Lab(PIECES, { wanted: [4] });
  const seed = lab.peer();
  const { promise, resolve } = Promise.withResolvers<void>();
  lab.write = () => promise;
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  lab.download.reset(bits(4));
  assertEquals([lab.download.complete, seed.wanted], [true, 0]);
  lab.download.lost([4]);
  assertEquals([lab.download.complete, seed.wanted, seed.requests.size], [false, 1, 0], "it is being written");
  resolve();
  await settle();
  assertEquals([[...lab.download.have], lab.log, seed.wanted], [[4], ["done 4"], 0]);
});

Deno.test("PieceDownload fetches a piece again that could not be written, should it go on", async () => {
  const lab = new Lab(PIECES, { wanted: [4] });
  const seed = lab.peer();
  lab.write = () => Promise.reject(new Error("the disk is full"));
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  assertEquals(lab.log, ["broke: the disk is full"]);
  lab.write = () => Promise.resolve();
  lab.answerAll(seed);
  await settle();
  assertEquals([[...lab.download.have], lab.download.complete], [[4], true]);
});

Deno.test("PieceDownload tells peers what it has lost or found, and turns down what they asked for of it", async () => {
  const lab = new Lab(PIECES, { wanted: [0, 1] });
  const seed = lab.peer();
  lab.download.fill(seed);
  lab.answerAll(seed);
  await settle();
  const peer = lab.peer({ pieces: [], fast: true });
  peer.amChoking = false;
  peer.extensions.received(0, encode({ m: { lt_donthave: 7, upload_only: 5 } }));
  lab.canServe = (index) => lab.download.have.has(index);
  for (const index of [0, 1]) peer.onBlockSignal(MessageId.request, index, 0, BLOCK);
  assertEquals(peer.uploads.size, 2);
  peer.setInterested(false);
  peer.writer.take();
  lab.download.lost([1]);
  // Some clients disconnect from an uninterested peer as soon as that peer has nothing for them, either.
  const lost = [...frame(MessageId.extended, 5, 0), ...frame(MessageId.extended, 7, 0, 0, 0, 1)];
  const reject = [...frame(MessageId.reject, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0)];
  assertEquals([[...peer.writer.take()], peer.uploads.size], [[...lost, ...reject], 1]);
  lab.download.reset(bits(1, 2));
  const news = [
    ...frame(MessageId.extended, 7, 0, 0, 0, 0),
    ...frame(MessageId.reject, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0),
  ];
  const found = [1, 2].flatMap((index) => [...frame(MessageId.have, 0, 0, 0, index)]);
  assertEquals([...peer.writer.take()], [...news, ...found]);
});

Deno.test("PieceDownload lets peers go that would have to be told of much, for them to come back and hear all at once", () => {
  const lab = new Lab(300);
  const peer = lab.peer({ pieces: [] });
  const have = new Bitfield(300);
  have.setAll();
  lab.download.reset(have);
  assertEquals([peer.closed, lab.log], [true, ["closed 1: what we have is no longer what we said"]]);
});

Deno.test("PieceDownload asks others for what a peer has lost (BEP 54)", () => {
  for (const fast of [true, false]) {
    const lab = new Lab(PIECES, { sequential: true });
    const [loser, other] = [lab.peer({ fast }), lab.peer({ pieces: [0, 1] })];
    lab.download.fill(loser);
    assertEquals([...asked(loser).keys()], [0, 1, 2, 3]);
    assertEquals([lab.download.availability(0), lab.download.availability(5), loser.wanted], [1, 0, PIECES]);
    const dontHave = new DontHave({
      pieceCount: PIECES,
      peerLost: (peer, index) => lab.download.peerLost(peer, index),
    });
    loser.allowedFast.add(0);
    dontHave.received(loser, encodeDontHave(0));
    assertEquals([loser.isSeed, loser.wanted, loser.allowedFast.size], [false, PIECES - 1, 0]);
    assertEquals(
      [lab.download.availability(0), lab.download.availability(5)],
      [1, 1],
      "it is counted piece by piece now",
    );
    dontHave.received(loser, encodeDontHave(0));
    assertEquals([loser.wanted, lab.download.availability(0)], [PIECES - 1, 1], "it hadn't got it any more");
    assert(!asked(loser).has(0));
    lab.download.parsed(loser);
    assertEquals(asked(other).get(0), BLOCKS);
    assertEquals(loser.requests.size, 16, "it gets something else to do");
    // The peer has the piece again, and leaves.
    loser.pieces.set(0);
    lab.download.peerHas(loser, 0);
    assertEquals([lab.download.availability(0), lab.download.availability(5), loser.wanted], [2, 1, PIECES]);
    loser.closed = true;
    lab.download.left(loser);
    assertEquals([lab.download.availability(0), lab.download.availability(5)], [1, 0]);
  }
});

Deno.test("PieceDownload counts all pieces of a seed once, however often it loses one and has it again", () => {
  const lab = new Lab(1000, { wanted: [] });
  const seed = lab.peer();
  const { download } = lab;
  let counted = 0;
  const countPiece = download.countPiece.bind(download);
  download.countPiece = (index, sign) => {
    counted++;
    countPiece(index, sign);
  };
  for (let i = 0; i < 100; i++) {
    seed.pieces.clear(7);
    download.peerLost(seed, 7);
    seed.pieces.set(7);
    download.peerHas(seed, 7);
  }
  assertEquals(counted, 999 + 1 + 99 * 2);
  assertEquals([download.availability(7), download.availability(8)], [1, 1]);
});

Deno.test("PieceDownload wants nothing of a peer that has lost all that was wanted of it", () => {
  const lab = new Lab(PIECES, { wanted: [3] });
  const peer = lab.peer({ pieces: [3, 4] });
  lab.download.fill(peer);
  lab.answer(peer);
  lab.download.setWanted(bits(9));
  assertEquals(peer.wanted, 1, "piece 3 is finished");
  peer.pieces.clear(3);
  lab.download.peerLost(peer, 3);
  assertEquals([peer.wanted, peer.amInterested, peer.requests.size], [0, false, 0]);
});

Deno.test("PieceDownload takes changes after its end, and does nothing", async () => {
  const lab = new Lab(PIECES);
  const seed = lab.peer();
  lab.download.fill(seed);
  await lab.download.stop();
  lab.download.setWanted(bits(1));
  lab.download.lost([1]);
  lab.download.reset(bits(1));
  assertEquals(lab.budget.used, 0);
});
