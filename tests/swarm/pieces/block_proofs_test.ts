import { assert, assertEquals } from "@std/assert";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import type { PartialPiece } from "../../../src/swarm/pieces/partial_piece.ts";
import { HeldHashes } from "../../support/held_hashes.ts";
import { MerkleTorrent } from "../../support/merkle_torrent.ts";
import { settle } from "../../support/virtual_clock.ts";
import { BLOCK, Lab } from "./download_lab.ts";

const MIB = 1024 * 1024;
const PIECE = 2 * MIB;

/** A v2 torrent of one piece, which goes to disk in parts of two blocks. */
class DiskLab {
  readonly torrent = new MerkleTorrent(PIECE, { a: PIECE });
  readonly hashes = new HeldHashes((piece) => this.torrent.blockHashes(piece));
  readonly lab: Lab;
  readonly piece: PartialPiece;

  constructor() {
    const { torrent, hashes } = this;
    torrent.knowsBlocks = false;
    this.lab = new Lab(1, { torrent, blockHashes: hashes, memory: new MemoryBudget(8 * MIB, { reading: 0 }) });
    this.piece = this.lab.download.started.start(0, 0);
  }

  get proofs() {
    return this.lab.download.started.proofs;
  }

  async learn(): Promise<void> {
    this.proofs.want(0);
    this.hashes.answerAll();
    await settle();
  }

  /** Lets a new peer send blocks, and waits until they are on disk. */
  async send(first: number, end: number, options: { readonly wrong?: boolean } = {}): Promise<void> {
    const peer = this.lab.peer();
    for (let block = first; block < end; block++) {
      if (this.piece.has(block)) continue;
      while (!this.piece.hold(block)) await settle();
      this.piece.ask(block);
      peer.request(0, block * BLOCK, BLOCK, 0);
      this.lab.answer(peer, { begin: block * BLOCK, ...options });
    }
    await settle();
  }

  /** Spoils a block on disk. */
  spoil(block: number): void {
    this.lab.store.bytes.get(0)![block * BLOCK]! ^= 1;
  }

  get blamed(): string[] {
    return this.lab.log.filter((line) => line.includes("lied")).map((line) => line.split(" ")[0]!);
  }
}

Deno.test("BlockProofs.load() says nothing of a block that came again while its earlier bytes were being read", async () => {
  const stage = new DiskLab();
  const { lab, piece, proofs } = stage;
  await stage.send(0, 2, { wrong: true });
  await stage.learn();
  const { promise, resolve } = Promise.withResolvers<void>();
  lab.store.afterRead = () => promise;
  const slow = proofs.load(0, 0);
  lab.store.afterRead = () => Promise.resolve();
  assertEquals(await proofs.load(0, 0), null);
  await settle();
  assertEquals([piece.has(0), stage.blamed], [false, ["10.0.0.1"]]);
  await stage.send(0, 1);
  assert(piece.parts!.isOnDisk(0), "it is there again");
  resolve();
  assertEquals(await slow, null);
  await settle();
  assertEquals([piece.has(0), stage.blamed], [true, ["10.0.0.1"]]);
  assertEquals(await proofs.load(0, 0), stage.torrent.block(0, 0));
  await lab.download.stop();
});

Deno.test("BlockProofs.load() blames nobody for what was right when it arrived and is wrong on disk", async () => {
  const stage = new DiskLab();
  const { lab, piece, proofs } = stage;
  await stage.learn();
  await stage.send(0, 2);
  stage.spoil(0);
  assertEquals(await proofs.load(0, 0), null);
  await settle();
  assertEquals([piece.has(0), piece.has(1), lab.log], [false, true, ["failed 0 from "]]);
  await stage.send(0, 1);
  assertEquals(await proofs.load(0, 0), stage.torrent.block(0, 0));
  await lab.download.stop();
});

for (const count of [1, 4]) {
  const end = count === 1 ? "fetches it again" : "fails if that are several blocks";
  Deno.test(`PieceDownload blames nobody for what the disk has spoilt of a complete piece, and ${end}`, async () => {
    const stage = new DiskLab();
    const { lab, piece } = stage;
    await stage.learn();
    await stage.send(4, piece.blockCount);
    for (let i = 0; i < count; i++) stage.spoil(20 + i);
    await stage.send(0, 4);
    while (lab.download.started.verifying > 0) await settle();
    if (count === 1) {
      assertEquals([piece.has(20), piece.received], [false, piece.blockCount - 1]);
      await stage.send(20, 21);
      while (!lab.download.complete) await settle();
      assertEquals(lab.log, ["failed 0 from ", "done 0"]);
    } else {assertEquals(lab.log, [
        "failed 0 from ",
        "broke: cannot read what was written (piece 0): the data was right when it arrived, and is wrong on disk",
      ]);}
    await lab.download.stop();
  });
}
