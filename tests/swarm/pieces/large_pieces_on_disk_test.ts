import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { Bitfield } from "../../../src/base/bitfield.ts";
import type { PieceVerifier } from "../../../src/base/piece_verifier.ts";
import { V1Verifier } from "../../../src/metainfo/v1_verifier.ts";
import type { Bytes } from "../../../src/base/bytes.ts";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import { startDigest } from "../../../src/platform/start_digest.ts";
import type { PartialPiece } from "../../../src/swarm/pieces/partial_piece.ts";
import { BufferPool } from "../../../src/swarm/pieces/buffer_pool.ts";
import { PartialPieces } from "../../../src/swarm/pieces/partial_pieces.ts";
import { sha1 } from "../../storage/fixture.ts";
import { PartStore } from "../../support/part_store.ts";
import { noise } from "../../support/payload.ts";
import { fc, longTest, tries } from "../../support/property.ts";
import { MerkleTorrent } from "../../support/merkle_torrent.ts";
import { settle } from "../../support/virtual_clock.ts";

const BLOCK = 16384;
const MIB = 1024 * 1024;

/** Started pieces of a torrent that are too large to be held in memory as a whole, and the disk. */
class PartsLab {
  readonly data: Bytes;
  readonly store: PartStore;
  readonly budget: MemoryBudget;
  readonly pool: BufferPool;
  readonly started: PartialPieces;
  readonly log: string[] = [];
  writePiece = (): Promise<void> => Promise.reject(new Error("it is never whole"));

  constructor(
    options: { size?: number; budget?: number; memory?: MemoryBudget; data?: Bytes; verifier?: PieceVerifier } = {},
  ) {
    const { size = MIB, budget = MIB, data = noise(size, 7) } = options;
    this.data = data;
    this.store = new PartStore(() => size);
    this.budget = options.memory ?? new MemoryBudget(budget, { reading: 0 });
    this.pool = new BufferPool(this.budget, size);
    const wanted = new Bitfield(1);
    wanted.setAll();
    this.started = new PartialPieces({
      ...this.store,
      writePiece: () => this.writePiece(),
      hostOf: (connection) => `10.0.${connection}.1`,
      pieceDone: (index) => void this.log.push(`done ${index}`),
      pieceForgotten: () => {},
      pieceFailed: (index, hosts) => void this.log.push(`failed ${index} from ${hosts.join("+")}`),
      sentWrongData: (host, index) => void this.log.push(`${host} lied about ${index}`),
      diskFailed: (error) => void this.log.push(`broke: ${(error as Error).message}`),
    }, {
      have: new Bitfield(1),
      wanted,
      pool: this.pool,
      verifier: options.verifier ?? new V1Verifier(
        { pieceCount: 1, pieceLength: size, pieceSize: () => size, pieceHash: () => sha1(data) },
        { digest: startDigest, sha1: () => Promise.reject(new Error("it is never whole")) },
      ),
      platform: {
        now: () => 0,
        random: () => 0.5,
        digest: startDigest,
        yieldToEventLoop: () => Promise.resolve(),
      },
    });
  }

  /** Receives a block if there is memory for it. */
  bring(piece: PartialPiece, block: number, options: { sender?: number; wrong?: boolean } = {}): boolean {
    if (!piece.hold(block)) return false;
    const begin = block * BLOCK;
    const bytes = this.data.slice(begin, begin + piece.blockLength(block));
    if (options.wrong) bytes[5]! ^= 1;
    piece.put(begin, bytes, 0, bytes.length);
    piece.receive(block, { sender: options.sender ?? 1, asked: true, now: 0 });
    if (piece.complete) this.started.finish(piece);
    return true;
  }

  /** Requests and receives block after block until the piece is complete. */
  async bringRest(piece: PartialPiece, sender = 1): Promise<void> {
    while (!piece.complete) {
      const block = piece.takeFree();
      if (block >= 0) assert(this.bring(piece, block, { sender }));
      else await settle();
    }
  }

  /** Asserts that the piece is right and claimed on disk. */
  assertDone(): void {
    assertEquals(this.store.claimed, [0]);
    assert(this.log.includes("done 0"), `${this.log}`);
    assertEquals(this.store.bytes.get(0), this.data);
    assertEquals(this.budget.pieces, 0, "all memory is given back");
  }
}

Deno.test("PartialPieces fetches only blocks again that are known to be wrong, and names who sent them", async () => {
  for (const memory of [16 * MIB, MIB / 2]) {
    for (const knowsBlocks of [true, false]) {
      const torrent = new MerkleTorrent(MIB, { a: MIB - 5 });
      torrent.knowsBlocks = knowsBlocks;
      const lab = new PartsLab({ size: MIB - 5, budget: memory, data: torrent.data, verifier: torrent });
      lab.writePiece = () => Promise.resolve();
      const piece = lab.started.start(0, 0);
      assertEquals(piece.parts === null, memory > MIB, "one is held whole, the other goes to disk");
      const bring = async (block: number, options: { sender: number; wrong?: boolean }) => {
        while (!lab.bring(piece, block, options)) await settle();
      };
      for (let block = 0; block < 64; block++) {
        const isWrong = block === 3 || block === 63;
        await bring(block, { sender: isWrong || block === 20 ? 2 : 1, wrong: isWrong });
      }
      await settle();
      assertEquals(lab.started.active.get(0), piece, "it goes on");
      if (knowsBlocks) {
        assertEquals(lab.log, ["failed 0 from 10.0.2.1", "10.0.2.1 lied about 0"]);
        assertEquals([piece.free, piece.has(3), piece.has(63), piece.failed, piece.provenOnly], [
          2,
          false,
          false,
          false,
          false,
        ]);
        assertEquals(lab.started.wasted, 2 * BLOCK - 5);
        assertEquals(lab.started.failed.size, 0, "nothing is left to find out");
      } else {
        assertEquals(lab.log, ["failed 0 from 10.0.1.1+10.0.2.1"]);
        assertEquals(piece.free, 64);
      }
      await lab.bringRest(piece, 3);
      await settle();
      if (!knowsBlocks) {
        assertEquals(lab.log.slice(1, 2), ["10.0.2.1 lied about 0"], "told by the digests of its blocks");
      }
      assert(lab.log.includes("done 0"), `${lab.log}`);
    }
  }
});

Deno.test("PartialPieces takes a large piece to disk in parts, front to back, and reads nothing back", async () => {
  const lab = new PartsLab({ size: 4 * MIB, budget: MIB });
  assertEquals(lab.pool.unit, BLOCK);
  const piece = lab.started.start(0, 0);
  await lab.bringRest(piece);
  await settle();
  lab.assertDone();
  assertLessOrEqual(lab.budget.used, MIB);
  assertEquals(lab.store.reads, []);
  assertEquals(lab.store.writes.length, 4 * MIB / BLOCK);
});

Deno.test("PartialPieces has a large piece come in any order, with memory for a part of it", async () => {
  const order = fc.shuffledSubarray(Array.from({ length: 64 }, (_, i) => i), { minLength: 64 });
  await fc.assert(
    fc.asyncProperty(order, fc.integer({ min: 4, max: 40 }), async (blocks, memory) => {
      const lab = new PartsLab({ budget: memory * BLOCK, size: MIB - 100 });
      const piece = lab.started.start(0, 0);
      const left = new Set(blocks);
      while (left.size > 0) {
        for (const block of left) {
          assertLessOrEqual(lab.budget.used, Math.max(memory * BLOCK, BLOCK) + 128 * 1024);
          if (lab.bring(piece, block)) left.delete(block);
        }
        await settle();
      }
      await settle();
      lab.assertDone();
    }),
    { numRuns: tries(30) },
  );
});

Deno.test("PartialPieces reads back what came before its turn, once", async () => {
  const lab = new PartsLab({ budget: 32 * MIB, size: 8 * MIB });
  assertEquals(lab.pool.unit, 128 * 1024);
  const piece = lab.started.start(0, 0);
  for (let block = 511; block >= 0; block--) {
    assert(lab.bring(piece, block));
    await settle();
  }
  await settle();
  lab.assertDone();
  const read = lab.store.reads.reduce((sum, [, , length]) => sum + length, 0);
  assertEquals(read, 8 * MIB - 128 * 1024, "all but the first part");
});

Deno.test("PartialPieces fetches anew what suspects sent of a large piece, tells who lied, and keeps the rest", async () => {
  const lab = new PartsLab({ budget: 4 * MIB });
  const piece = lab.started.start(0, 0);
  lab.started.trust.passed(9, new Set([lab.started.sourceOf(1)]));
  for (let block = 0; block < 64; block++) {
    const liar = block % 16 === 3;
    assert(lab.bring(piece, block, { sender: liar ? 2 : 1, wrong: block === 19 }));
    await settle();
  }
  await settle();
  assertEquals(lab.log, ["failed 0 from 10.0.1.1+10.0.2.1"]);
  assertEquals(lab.started.active.get(0), piece);
  const free = [3, 19, 35, 51];
  assertEquals([piece.free, piece.received], [4, 60]);
  assertEquals(lab.budget.pieces, 0);
  lab.store.writes.length = 0;
  for (const block of free) {
    assertEquals(piece.takeFree(), block);
    assert(lab.bring(piece, block));
  }
  await settle();
  lab.assertDone();
  assertEquals(lab.store.writes, free.map((block) => [0, block * BLOCK, BLOCK]), "nothing else is written again");
  assertEquals(lab.log.slice(1), ["10.0.2.1 lied about 0", "done 0"]);
});

Deno.test("PartialPieces takes what came of a large piece to disk when others need its memory, and goes on with it", async () => {
  const lab = new PartsLab({ budget: 4 * MIB });
  const piece = lab.started.start(0, 0);
  for (const block of [0, 1, 5, 17, 40]) assert(lab.bring(piece, block));
  for (let i = 0; i < 10; i++) piece.takeFree();
  assert(lab.budget.pieces > 0);
  assert(lab.started.releaseMemory(piece));
  await settle();
  assertEquals([lab.budget.pieces, piece.received, piece.free], [0, 5, 59]);
  await lab.bringRest(piece);
  await settle();
  lab.assertDone();
});

Deno.test("PartialPieces lets nobody start a large piece anew while what was written before is under way", async () => {
  const lab = new PartsLab({ budget: 4 * MIB });
  const gate = Promise.withResolvers<void>();
  lab.store.beforeWrite = () => gate.promise;
  const piece = lab.started.start(0, 0);
  for (let block = 0; block < 8; block++) assert(lab.bring(piece, block));
  lab.started.drop(piece);
  assertEquals([lab.started.active.size, lab.started.picker.has(0)], [0, false]);
  gate.resolve();
  await settle();
  assert(lab.started.picker.has(0));
  assertEquals(lab.budget.pieces, 0);
  await lab.bringRest(lab.started.start(0, 0));
  await settle();
  lab.assertDone();
});

Deno.test("PartialPieces blames nobody for a large piece that lies elsewhere since other files are wanted", async () => {
  const lab = new PartsLab({ budget: 4 * MIB });
  const piece = lab.started.start(0, 0);
  for (let block = 0; block < 32; block++) assert(lab.bring(piece, block));
  await settle();
  lab.store.place = "elsewhere";
  lab.store.bytes.clear();
  await lab.bringRest(piece);
  await settle();
  assertEquals([lab.log, lab.store.claimed, lab.started.picker.has(0)], [[], [], true]);
  await lab.bringRest(lab.started.start(0, 0));
  await settle();
  lab.assertDone();
});

Deno.test("PartialPieces tells when a part can't be written, and claims nothing", async () => {
  const lab = new PartsLab({ budget: 4 * MIB });
  for (const blocks of [8, 64]) {
    lab.log.length = 0;
    lab.store.beforeWrite = () => Promise.reject(new Error("the disk is full"));
    const piece = lab.started.start(0, 0);
    for (let block = 0; block < blocks; block++) assert(lab.bring(piece, block));
    await settle();
    assertEquals(lab.log, ["broke: the disk is full"], `after ${blocks} blocks`);
    assertEquals([lab.store.claimed, lab.budget.pieces, lab.started.active.size], [[], 0, 0]);
    assert(lab.started.picker.has(0), "with room it is fetched anew");
  }
  lab.store.beforeWrite = () => Promise.resolve();
  await lab.bringRest(lab.started.start(0, 0));
  await settle();
  lab.assertDone();
});

longTest("20 torrents with pieces of 16 MiB share 48 MiB, all go on, and none has more than its share", async () => {
  const memory = new MemoryBudget(48 * MIB);
  const data = noise(16 * MIB, 7);
  const labs = Array.from({ length: 20 }, () => new PartsLab({ memory, size: data.length, data }));
  const most = memory.limit + 20 * BLOCK;
  let highest = 0;
  // Every torrent requests as many blocks as it may, before any block arrives.
  const pieces = labs.map(({ started }) => started.start(0, 0));
  const asked: number[][] = labs.map(() => []);
  const ask = (i: number) => {
    for (let block = pieces[i]!.takeFree(); block >= 0; block = pieces[i]!.takeFree()) asked[i]!.push(block);
    labs[i]!.pool.wants();
    highest = Math.max(highest, memory.used);
  };
  labs.forEach((_, i) => ask(i));
  assert(asked.every((blocks) => blocks.length > 0), "everybody has some");
  // Memory freed by the first torrents goes to the others until every torrent has its share.
  for (let turn = 0; turn < 40; turn++) {
    for (const [i, lab] of labs.entries()) {
      for (const block of asked[i]!.splice(0, 32)) assert(lab.bring(pieces[i]!, block));
      highest = Math.max(highest, memory.used);
    }
    await settle();
    labs.forEach((_, i) => ask(i));
  }
  const received = pieces.map((piece) => piece.received);
  assert(Math.min(...received) > 0.5 * Math.max(...received), `${received}`);
  assertLessOrEqual(highest, most);
  // Two of the torrents are completed while the others keep their memory.
  for (const [i, lab] of [...labs.entries()].slice(0, 2)) {
    while (asked[i]!.length > 0) assert(lab.bring(pieces[i]!, asked[i]!.shift()!));
    await lab.bringRest(pieces[i]!);
    await settle();
    assertEquals(lab.log, ["done 0"]);
  }
});
