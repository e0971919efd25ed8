/** Limits on requests by the trust in a peer: exclusive pieces, parole, and the repair of wrong pieces. */

import { assert, assertEquals } from "@std/assert";
import { PeerTrust } from "../../../src/swarm/pieces/peer_trust.ts";
import { settle } from "../../support/virtual_clock.ts";
import { asked, BLOCK, BLOCKS, Lab } from "./download_lab.ts";

/** Lets time pass, with a tick every half second. */
function pass(lab: Lab, milliseconds: number): void {
  for (let left = milliseconds; left > 0; left -= 500) {
    lab.clock.advance(Math.min(500, left));
    lab.download.tick(lab.clock.now());
  }
}

/**
 * The only piece of a download comes from two peers: a wrong block from a liar, and the right rest from a proven peer.
 */
function spoilPiece(lab: Lab) {
  const liar = lab.peer({ unknown: true });
  lab.download.fill(liar);
  lab.answer(liar, { wrong: true });
  const proven = lab.peer();
  pass(lab, 3_500);
  lab.answerAll(proven);
  return { liar, proven };
}

Deno.test("PieceDownload gives whoever isn't proven pieces of its own, so that a liar is known by its first one", async () => {
  const lab = new Lab(40);
  const [liar, honest, proven] = [lab.peer({ unknown: true }), lab.peer({ unknown: true }), lab.peer()];
  for (const peer of [liar, honest, proven]) lab.download.fill(peer);
  const [mine, theirs, others] = [liar, honest, proven].map((peer) => new Set(asked(peer).keys()));
  assert(mine!.size > 0 && theirs!.size > 0 && others!.size > 0);
  assert(mine!.isDisjointFrom(theirs!) && mine!.isDisjointFrom(others!) && theirs!.isDisjointFrom(others!));
  for (let i = 0; i < BLOCKS; i++) lab.answer(liar, { wrong: true });
  await settle();
  const [first] = mine!;
  assertEquals(lab.log, [`failed ${first} from 10.0.0.1`, `10.0.0.1 lied about ${first}`]);
});

Deno.test("PieceDownload leaves a peer that no longer chokes us the pieces that it sent while it did (BEP 6)", () => {
  const lab = new Lab(3);
  const peer = lab.peer({ unknown: true, fast: true, choking: true });
  for (const index of [0, 1]) peer.allowedFast.add(index);
  lab.download.fill(peer);
  const before = [...asked(peer)];
  assertEquals(before, [[0, BLOCKS], [1, BLOCKS]]);
  lab.choke(peer, false);
  assertEquals([...asked(peer)].slice(0, 2), before);
  lab.answerAll(peer);
  assertEquals(lab.download.wasted, 0);
});

Deno.test("PieceDownload gives what a peer owned to others when it chokes us", () => {
  const lab = new Lab(1);
  const [one, other] = [lab.peer({ unknown: true }), lab.peer({ unknown: true })];
  lab.download.fill(one);
  lab.choke(one, true);
  lab.download.fill(other);
  assertEquals([...asked(other)], [[0, BLOCKS]]);
});

Deno.test("PieceDownload takes whoever sent a right piece for proven at once, and mixes it with others", async () => {
  const lab = new Lab(40);
  const peer = lab.peer({ unknown: true });
  lab.download.fill(peer);
  assertEquals(peer.proven, false);
  while (lab.download.have.isEmpty) {
    lab.answer(peer);
    await settle();
  }
  assertEquals(peer.proven, true);
});

Deno.test("PieceDownload counts a wrong piece that is fetched anew among the started ones or those being checked, never among both", async () => {
  const lab = new Lab(1);
  spoilPiece(lab);
  const { started } = lab.download;
  const seen = new Set<string>();
  // Other events may come between any two steps of the check.
  for (let turn = 0; turn < 40; turn++) {
    assertEquals(started.active.size + started.verifying, started.pool.lent, `turn ${turn}`);
    seen.add(`${started.active.size} started, ${started.verifying} checked`);
    await undefined;
  }
  assertEquals([...seen], ["0 started, 1 checked", "1 started, 0 checked"]);
});

Deno.test("PieceDownload repairs a wrong piece: only what came from whoever isn't proven is fetched again", async () => {
  const lab = new Lab(1);
  const { liar, proven } = spoilPiece(lab);
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.0.1+10.0.0.2"]);
  assertEquals(asked(proven), new Map([[0, 1]]), "one block, of the proven one, at once");
  assertEquals([...asked(liar)], [], "and none of the other");
  lab.answerAll(proven);
  await settle();
  assertEquals(lab.log.slice(1), ["10.0.0.1 lied about 0", "done 0"]);
  assertEquals(lab.download.wasted, BLOCK);
});

Deno.test("PieceDownload lets others repair a piece when all who are proven have gone quiet, one of them with nothing to do", async () => {
  const lab = new Lab(1);
  const { liar } = spoilPiece(lab);
  await settle();
  assertEquals(lab.download.started.active.get(0)?.provenOnly, true);
  liar.closed = true;
  const quiet = lab.peer(); // it owes a block that was withdrawn and requested from other peers
  quiet.requests.ask(0, BLOCK, BLOCK, lab.clock.now());
  quiet.requests.withdraw(0, BLOCK, BLOCK);
  const honest = lab.peer({ unknown: true });
  for (let second = 0; second < 60; second++) {
    pass(lab, 1_000);
    lab.answerAll(honest);
    await settle();
  }
  assertEquals(lab.log.slice(1), ["10.0.0.1 lied about 0", "done 0"]);
});

Deno.test("PieceDownload fetches a piece whole, from one, when its repair fails, too", async () => {
  const lab = new Lab(1);
  const stranger = lab.peer({ unknown: true });
  lab.download.fill(stranger);
  lab.answer(stranger, { begin: BLOCK });
  const turncoat = lab.peer();
  pass(lab, 3_500);
  while (turncoat.requests.size > 0) lab.answer(turncoat, { wrong: true });
  await settle();
  assertEquals(asked(turncoat), new Map([[0, 1]]), "what came from the stranger");
  turncoat.amInterested = stranger.amInterested = false; // no requests for the moment
  lab.answerAll(turncoat);
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.0.2+10.0.0.1", "failed 0 from 10.0.0.2", "10.0.0.2 lied about 0"]);
  assertEquals(lab.download.started.wants(0), true);
});

Deno.test("PieceDownload lets nobody who isn't proven have a piece alone for more than 3 s", () => {
  const lab = new Lab(1);
  lab.clock.advance(1_000); // later than all answers of the peers so far
  const silent = lab.peer({ unknown: true });
  lab.download.fill(silent);
  assertEquals(silent.requests.size, BLOCKS);
  const idle = lab.peer({ unknown: true });
  lab.download.fill(idle);
  assertEquals(idle.requests.size, 0, "it isn't needed yet");
  pass(lab, 3_000);
  assert(idle.requests.size > 0);
  assertEquals(silent.requests.size, BLOCKS, "late is better than never");
});

Deno.test("PieceDownload lets a proven peer that has nothing else to do join in at once", () => {
  const lab = new Lab(1);
  lab.download.fill(lab.peer({ unknown: true }));
  const proven = lab.peer();
  lab.download.fill(proven);
  assert(proven.requests.size > 0);
});

Deno.test("PieceDownload gives a failed piece to a proven peer, whoever asks first", async () => {
  const lab = new Lab(1);
  const [first, second] = [lab.peer({ unknown: true }), lab.peer({ unknown: true })];
  lab.download.fill(first);
  lab.answer(first, { wrong: true });
  pass(lab, 3_000);
  assert(second.requests.size > 0, "it joins in");
  first.amInterested = second.amInterested = false; // no requests for the moment
  while (!lab.log.length) {
    lab.answer(second.requests.size > 0 ? second : first);
    await settle();
  }
  assertEquals(lab.log, ["failed 0 from 10.0.0.1+10.0.0.2"]);
  first.amInterested = second.amInterested = true;
  const proven = lab.peer();
  for (const peer of [first, second, proven]) lab.download.fill(peer);
  assertEquals([first, second, proven].map((peer) => peer.requests.size), [0, 0, BLOCKS]);
  lab.answerAll(proven);
  await settle();
  assertEquals(lab.log.slice(1), ["10.0.0.1 lied about 0", "done 0"]);
});

Deno.test("PieceDownload gives a silent peer's piece to the next, and the next, and a slow one alone comes to its end", async () => {
  const lab = new Lab(2);
  const slow = lab.peer({ unknown: true });
  lab.download.fill(slow);
  for (let i = 0; i < 2 * BLOCKS; i++) {
    pass(lab, 8_000);
    if (slow.requests.size > 0) lab.answer(slow);
    lab.download.parsed(slow);
    await settle();
  }
  assertEquals(lab.download.have.count, 2, lab.log.join());
  assertEquals(lab.download.wasted, 0);
});

Deno.test("PieceDownload asks a connection for one block when others of its address kept a piece for nothing", () => {
  const lab = new Lab(40);
  const silent = lab.peer({ unknown: true });
  lab.download.fill(silent);
  pass(lab, 3_500);
  silent.closed = true;
  const again = lab.peer({ unknown: true });
  Object.defineProperty(again, "network", { value: silent.network });
  lab.download.fill(again);
  assertEquals(again.down.total > 0 || again.requests.size <= 1, true, `${again.requests.size} requests`);
});

Deno.test("PieceDownload tries a newcomer with four blocks of a piece that a proven peer completes, and fetches only those again", async () => {
  const lab = new Lab(3, { blocks: 16 });
  const proven = lab.peer();
  const liar = lab.peer({ unknown: true });
  lab.download.fill(liar);
  assertEquals([...asked(liar).values()], [4], "four blocks of one piece");
  const [tried] = asked(liar).keys();
  while (liar.requests.size > 0) lab.answer(liar, { wrong: true });
  lab.download.fill(liar);
  assertEquals(liar.requests.size, 0, "it waits for the verdict");
  lab.download.fill(proven);
  assertEquals(asked(proven).get(tried!), 12, "the rest comes from the proven one, before anything else");
  lab.download.fill(liar);
  assertEquals(liar.requests.size, 0);
  while (lab.log.length === 0) {
    lab.answer(proven);
    await settle();
  }
  assertEquals(lab.log, [`failed ${tried} from 10.0.0.2+10.0.0.1`]);
  assertEquals(asked(proven).get(tried!), 4, "only what came from the newcomer is fetched again");
  lab.answerAll(proven);
  await settle();
  assertEquals(lab.log[1], `10.0.0.2 lied about ${tried}`);
  assertEquals(lab.download.wasted, 4 * BLOCK);
});

Deno.test("PieceDownload lets a newcomer go on alone after a moment when nobody completes what it was tried with", () => {
  const lab = new Lab(3, { blocks: 16 });
  lab.clock.advance(1_000);
  const proven = lab.peer();
  const newcomer = lab.peer({ unknown: true });
  lab.download.fill(newcomer);
  while (newcomer.requests.size > 0) lab.answer(newcomer);
  proven.amInterested = false; // busy for the moment
  lab.download.fill(newcomer);
  assertEquals(newcomer.requests.size, 0);
  pass(lab, 2_000);
  assert(newcomer.requests.size > 0);
});

Deno.test("PieceDownload gives a newcomer all of its first piece while nobody is proven, and little of a second", () => {
  const lab = new Lab(3, { blocks: 12 });
  const newcomer = lab.peer({ unknown: true });
  lab.download.fill(newcomer);
  assertEquals([...asked(newcomer).values()], [12, 4]);
});

Deno.test("PeerTrust: right data proves, a part in wrong data casts doubt, and a whole right piece clears", () => {
  const trust = new PeerTrust();
  let changes = 0;
  trust.changed = () => changes++;
  const all = (...sources: string[]) => new Set(sources);
  trust.passed(0, all("a", "b"));
  assertEquals([trust.proven("a"), trust.proven("b"), trust.proven("c")], [true, true, false]);
  assertEquals(trust.suspects(all("a", "c")), all("c"), "who isn't proven comes first");
  trust.failed(1, all("a", "b"));
  assertEquals([trust.proven("a"), trust.onParole("a"), trust.failures("a")], [false, false, 1]);
  trust.failed(2, all("a", "c"));
  assertEquals([trust.onParole("a"), trust.onParole("b"), trust.onParole("c")], [true, false, true]);
  trust.passed(1, all("b"));
  assertEquals([trust.failures("a"), trust.proven("b")], [1, true]);
  trust.passed(3, all("a"));
  assertEquals([trust.proven("a"), trust.onParole("c")], [true, true]);
  trust.passed(2, all("b"));
  assertEquals(trust.onParole("c"), false);
  assertEquals(changes, 6);
});

Deno.test("PeerTrust.suspects() suspects whoever is known for much less first, and all when that tells nobody apart", () => {
  const trust = new PeerTrust();
  for (let i = 0; i < 8; i++) trust.passed(i, new Set(["old"]));
  trust.passed(9, new Set(["new"]));
  assertEquals(trust.suspects(new Set(["old", "new"])), new Set(["new"]));
  for (let i = 10; i < 14; i++) trust.passed(i, new Set(["new"]));
  assertEquals(trust.suspects(new Set(["old", "new"])), new Set(["old", "new"]));
  assertEquals(trust.suspects(new Set(["x", "y"])), new Set(["x", "y"]));
});
