import { assert, assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import type { Peer } from "../../../src/peer/mod.ts";
import { casesToTry, fc, tries } from "../../support/property.ts";
import { HeldHashes } from "../../support/held_hashes.ts";
import { MerkleTorrent } from "../../support/merkle_torrent.ts";
import { settle } from "../../support/virtual_clock.ts";
import { BLOCK, Lab } from "./download_lab.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A v2 torrent of one file whose verdicts name no blocks, and peers that answer when the test says so. */
function labOf(pieceLength: number, size: number, options: { budget?: number } = {}) {
  const torrent = new MerkleTorrent(pieceLength, { a: size });
  torrent.knowsBlocks = false;
  const source = new HeldHashes((piece) => torrent.blockHashes(piece));
  const memory = new MemoryBudget(options.budget ?? 1024 * MIB, { reading: 0 });
  const lab = new Lab(torrent.pieceCount, { torrent, blockHashes: source, memory });
  lab.banned = (host) => {
    const peer = lab.peers.find(({ address }) => address.host === host);
    if (peer === undefined) return; // banned already
    peer.closed = true;
    lab.peers.splice(lab.peers.indexOf(peer), 1);
    lab.download.left(peer);
  };
  return { lab, torrent, source, memory };
}

/** Answers the requests of all peers in turn until the download is complete; a liar flips one byte in each piece. */
async function run(lab: Lab, parts: { liar: Peer; source: HeldHashes }) {
  const spoilt = new Set<number>();
  for (const peer of lab.peers) lab.download.fill(peer);
  for (let idle = 0; !lab.download.complete;) {
    let answers = 0;
    for (const peer of [...lab.peers]) {
      for (let i = 0; i < 16 && peer.requests.size > 0 && !peer.closed; i++, answers++) {
        const wrong = peer === parts.liar && !spoilt.has(peer.requests.first.index);
        if (wrong) spoilt.add(peer.requests.first.index);
        lab.answer(peer, { wrong });
      }
      if (!peer.closed) lab.download.parsed(peer);
    }
    await settle();
    parts.source.answerAll();
    lab.clock.advance(10);
    if (idle % 100 === 99) lab.download.tick(lab.clock.now());
    idle = answers === 0 ? idle + 1 : 0;
    assertLess(idle, 2000, `it stands still: ${lab.log}`);
  }
}

for (const inParts of [false, true]) {
  for (const pieceLength of casesToTry([MIB, 256 * KIB, 4 * MIB, 16 * MIB])) {
    const name = `${pieceLength / KIB} KiB${inParts ? ", on disk in parts" : ""}`;
    Deno.test(`PieceDownload fetches only the wrong blocks of a liar again: pieces of ${name}`, async () => {
      const size = Math.max(16 * MIB, 2 * pieceLength) - 5;
      const { lab, source, memory } = labOf(pieceLength, size, inParts ? { budget: MIB } : {});
      const [honest, liar] = [lab.peer(), lab.peer()];
      const liarsHost = liar.address.host;
      await run(lab, { liar, source });
      const lies = lab.log.filter((line) => line.includes("lied"));
      assert(lies.length >= 1, `${lab.log}`);
      assert(lies.every((line) => line.startsWith(liarsHost)), `${lies}`);
      assert(liar.closed && !honest.closed);
      const lied = new Set(lies.map((line) => line.split(" ").at(-1)));
      assertLessOrEqual(lied.size, 3, "banned within its first three pieces");
      assertLess(lab.download.wasted, size / 50, `${lab.log}`);
      assertEquals(memory.pieces, 0, "all memory is given back");
    });
  }
}

/** Lets two peers send a piece, of which the second sends block 1 wrong. */
function mixed(lab: Lab, index = 0): [Peer, Peer] {
  const peers: [Peer, Peer] = [lab.peer(), lab.peer()];
  const piece = lab.download.started.start(index, 0);
  for (let block = 0; block < piece.blockCount; block++) {
    const peer = peers[block % 2]!;
    piece.ask(block);
    peer.request(index, block * BLOCK, piece.blockLength(block), 0);
    lab.answer(peer, { index, begin: block * BLOCK, wrong: block === 1 });
  }
  return peers;
}

Deno.test("PieceDownload has new peers wait for hashes, so that a liar is known by its first wrong block", async () => {
  const { lab, source } = labOf(64 * KIB, 40 * 64 * KIB);
  const [peer, other] = [lab.peer(), lab.peer()];
  const take = async (who: Peer, options: { wrong?: boolean } = {}) => {
    if (who.requests.size > 0) lab.answer(who, options);
    lab.download.parsed(who);
    await settle();
  };
  for (let i = 0; i < 40; i++) for (const who of [peer, other]) await take(who);
  assertEquals([source.asked.length, peer.requests.size, other.requests.size], [3, 0, 0]);
  assertEquals(lab.download.have.count, 3, "what they were asked for has come and is right");
  source.answerAll();
  await settle();
  assert(peer.requests.size > 0, "it goes on");
  await take(peer, { wrong: true });
  source.answerAll();
  await settle();
  assert(peer.closed && !other.closed, `${lab.log}`);
  assertEquals(lab.download.wasted, BLOCK);
  // Nobody waits for long.
  for (let i = 0; i < 40; i++) await take(other);
  assertEquals(other.requests.size, 0);
  lab.clock.advance(300);
  assert(other.requests.size > 0);
  for (let i = 0; !lab.download.complete; i++) {
    assertLess(i, 1000);
    source.answerAll();
    await take(other);
  }
  assertLess(source.asked.length, 20, "who has sent enough right pieces is trusted");
  await lab.download.stop();
});

Deno.test("PieceDownload does what v1 does if nobody gives the hashes of a wrong piece's blocks", async () => {
  const { lab, source } = labOf(64 * KIB, 64 * KIB);
  mixed(lab);
  await settle();
  assertEquals([lab.log, source.asked, lab.download.started.verifying], [[], [0], 1], "it waits with its memory");
  source.answer(0, null);
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.0.1+10.0.0.2"]);
  const piece = lab.download.started.active.get(0)!;
  assertEquals([piece.received, piece.failed], [0, true]);
});

Deno.test("PieceDownload keeps the blocks of a wrong piece that are right, and checks further ones when they arrive", async () => {
  const { lab, source } = labOf(64 * KIB, 64 * KIB);
  const [honest, liar] = mixed(lab);
  await settle();
  source.answer(0);
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.0.2", "10.0.0.2 lied about 0"]);
  assert(liar.closed);
  const piece = lab.download.started.active.get(0)!;
  assertEquals([piece.received, piece.has(1), piece.isProven(0), piece.failed], [3, false, true, false]);
  // Another liar is found by its block alone.
  const second = lab.peer();
  honest.requests.takeBack(() => true, { cancel: false, taken: (_, begin) => piece.release(begin / BLOCK) });
  piece.ask(1);
  second.request(0, BLOCK, BLOCK, 0);
  lab.answer(second, { begin: BLOCK, wrong: true });
  assert(!second.closed, "not while what it sent is being parsed");
  assertEquals([piece.has(1), piece.asked(1), piece.free, lab.download.wasted], [false, 0, 1, 2 * BLOCK]);
  await settle();
  assertEquals(lab.log.slice(2), [
    `failed 0 from ${second.address.host}`,
    `${second.address.host} lied about 0`,
  ]);
  lab.download.parsed(honest);
  lab.answerAll(honest);
  await settle();
  assertEquals([lab.log.at(-1), lab.download.wasted, source.asked], ["done 0", 2 * BLOCK, [0]]);
});

Deno.test("PieceDownload finds wrong blocks before a piece is whole when its hashes come while it arrives", async () => {
  for (const budget of [64 * MIB, 16 * MIB]) {
    const { lab, source } = labOf(4 * MIB, 4 * MIB, { budget });
    const [one, other] = [lab.peer(), lab.peer()];
    const piece = lab.download.started.start(0, 0);
    assertEquals(piece.parts === null, budget > 16 * MIB);
    lab.download.started.proofs.want(0);
    for (const [block, peer, wrong] of [[0, one, false], [1, other, true], [2, one, false]] as const) {
      piece.hold(block);
      piece.ask(block);
      peer.request(0, block * BLOCK, BLOCK, 0);
      lab.answer(peer, { begin: block * BLOCK, wrong });
    }
    const held = piece.hold(1);
    assertEquals([piece.received, held], [3, true]);
    source.answer(0);
    await settle();
    assert(other.closed && !one.closed, `${lab.log}`);
    assertEquals([piece.has(0), piece.has(1), piece.has(2)], [true, false, true]);
    for (let i = 0; i < 600 && !lab.download.complete; i++) {
      lab.download.parsed(one);
      lab.answerAll(one);
      await settle();
    }
    assertEquals([lab.log.at(-1), lab.download.wasted], ["done 0", BLOCK]);
  }
});

Deno.test("PieceDownload ends the wait for hashes when it is stopped, or when the piece isn't wanted any more", async () => {
  for (const how of ["stop", "deselect", "found", "moved", "memory"] as const) {
    const { lab, source, memory } = labOf(64 * KIB, 128 * KIB, how === "moved" ? { budget: 32 * KIB } : {});
    if (how === "moved") {
      // A piece that is on disk in parts.
      const peers = [lab.peer(), lab.peer()];
      const piece = lab.download.started.start(0, 0);
      for (let block = 0; block < piece.blockCount; block++) {
        while (!piece.hold(block)) await settle();
        const peer = peers[block % 2]!;
        piece.ask(block);
        peer.request(0, block * BLOCK, BLOCK, 0);
        lab.answer(peer, { begin: block * BLOCK, wrong: block === 1 });
      }
    } else mixed(lab);
    await settle();
    assertEquals([source.asked, lab.download.started.verifying], [[0], 1]);
    if (how === "stop") await lab.download.stop();
    else if (how === "deselect") {
      lab.hasPlace = () => false;
      lab.download.setWanted(new Bitfield(2));
    } else if (how === "found") {
      const have = new Bitfield(2);
      have.set(0);
      lab.download.reset(have);
    } else if (how === "moved") {
      lab.store.place = "elsewhere";
      const wanted = new Bitfield(2);
      wanted.setAll();
      lab.download.setWanted(wanted);
    } else lab.download.started.endWaits(true);
    await settle();
    assertEquals(lab.download.started.verifying, 0, how);
    source.answerAll();
    await settle();
    if (how === "memory") {
      assertEquals(lab.download.started.active.get(0)?.received, 0, "as in v1");
    } else if (how !== "moved") {
      assert(!lab.download.started.active.has(0), how);
    } else assertEquals(lab.log.filter((line) => line.includes("lied")), [], "what is elsewhere proves nothing");
    await lab.download.stop();
    assertEquals(memory.pieces, 0, how);
  }
});

Deno.test("PieceDownload lets half of the pieces in memory wait for hashes at most", async () => {
  const { lab, source } = labOf(64 * KIB, 16 * 64 * KIB, { budget: 4 * 64 * KIB });
  for (let index = 0; index < 4; index++) mixed(lab, index);
  await settle();
  assertEquals([source.asked.length, lab.download.started.verifying], [4, 2]);
  assert(!lab.download.started.pool.isBehind, "other pieces go on");
  await lab.download.stop();
});

Deno.test("PieceDownload completes with liars and hashes that come, or don't, at any time", async () => {
  const action = fc.record({
    peer: fc.nat(2),
    wrong: fc.boolean(),
    hashes: fc.constantFrom("none", "right", "later" as const),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 120 }), fc.constantFrom(MIB, 64 * KIB), async (actions, budget) => {
      const { lab, source, memory } = labOf(128 * KIB, 3 * 128 * KIB - 7, { budget });
      const [honest] = [lab.peer(), lab.peer(), lab.peer()];
      for (const { peer: at, wrong, hashes } of actions) {
        const peer = lab.peers[at % lab.peers.length]!;
        lab.download.parsed(peer);
        if (peer.requests.size > 0) lab.answer(peer, { wrong: wrong && peer !== honest });
        lab.download.started.proofs.want(at);
        await settle();
        if (hashes !== "later") source.answerAll(hashes === "none");
      }
      for (let i = 0; i < 400 && !lab.download.complete; i++) {
        source.answerAll(i % 3 === 0);
        for (const peer of [...lab.peers]) {
          if (peer.closed) continue;
          lab.download.parsed(peer);
          lab.answerAll(peer);
        }
        await settle();
        lab.clock.advance(1000);
        lab.download.tick(lab.clock.now());
      }
      assert(lab.download.complete, `${lab.log}`);
      assert(!honest!.closed && !lab.log.some((line) => line.startsWith(`${honest!.address.host} lied`)));
      assertEquals(memory.pieces, 0);
    }),
    { numRuns: tries(60) },
  );
});
