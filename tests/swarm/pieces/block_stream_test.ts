import { assert, assertEquals, assertLess, assertLessOrEqual, assertRejects } from "@std/assert";
import type { Metainfo } from "../../../src/metainfo/mod.ts";
import { type Peer, ReadTurns } from "../../../src/peer/mod.ts";
import type { Content } from "../../../src/swarm/content.ts";
import { openFile, ReadSource, type TorrentReader } from "../../../src/swarm/torrent_reader.ts";
import { MemoryBudget } from "../../../src/base/memory_budget.ts";
import { HeldHashes } from "../../support/held_hashes.ts";
import { MerkleTorrent } from "../../support/merkle_torrent.ts";
import { fc, tries } from "../../support/property.ts";
import { settle } from "../../support/virtual_clock.ts";
import { BLOCK, Lab } from "./download_lab.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** A download of a v2 torrent of one file with readers. */
class StreamLab {
  readonly torrent: MerkleTorrent;
  readonly hashes: HeldHashes;
  readonly lab: Lab;
  readonly reads: ReadSource;
  readonly #meta: Metainfo;

  constructor(pieceLength: number, size: number, budget = 256 * MIB) {
    const torrent = new MerkleTorrent(pieceLength, { a: size });
    torrent.knowsBlocks = false;
    this.torrent = torrent;
    this.hashes = new HeldHashes((piece) => torrent.blockHashes(piece));
    const memory = new MemoryBudget(budget, { reading: 0 });
    const lab = new Lab(torrent.pieceCount, { torrent, blockHashes: this.hashes, memory });
    this.lab = lab;
    const content = {
      download: lab.download,
      have: lab.download.have,
      readBlock: (
        { index, begin, length }: { index: number; begin: number; length: number },
        into: Uint8Array,
        at: number,
      ) => {
        assert(lab.download.have.has(index));
        into.set(torrent.piece(index).subarray(begin, begin + length), at);
        return true;
      },
    } as unknown as Content;
    const platform = { now: () => lab.clock.now() } as never;
    const shared = { platform, reads: new ReadTurns(() => Promise.resolve()) };
    this.reads = new ReadSource({ shared, content: () => content });
    lab.arrived = (index) => this.reads.readers.arrived(index);
    lab.download.started.proofs.readable = (index) => this.reads.readers.readable(index);
    this.#meta = { ...torrent.layout, name: "t" } as unknown as Metainfo;
  }

  open(): TorrentReader {
    return openFile(0, { source: this.reads, meta: this.#meta, choice: null, options: {} });
  }

  /** Answers requests of peers, one at a time each, until a condition holds. */
  async serve(until: () => boolean, peers: readonly Peer[] = this.lab.peers): Promise<void> {
    for (let i = 0; !until(); i++) {
      assertLess(i, 20_000, "it stands still");
      if (peers.every(({ requests }) => requests.size === 0)) {
        this.lab.clock.advance(1000);
        this.lab.download.tick(this.lab.clock.now());
      }
      for (const peer of peers) {
        if (peer.closed) continue;
        if (peer.requests.size > 0) this.lab.answer(peer);
        this.lab.download.parsed(peer);
      }
      await settle();
    }
  }

  right(begin: number, end: number): Uint8Array {
    return this.torrent.data.slice(begin, end);
  }
}

/** The blocks that are requested from a peer, in order. */
function blocksOf(peer: Peer): number[] {
  const blocks: number[] = [];
  peer.requests.forEach((_, begin) => void blocks.push(begin / BLOCK));
  return blocks;
}

/** Notes when a read has settled. */
function watch(read: Promise<Uint8Array>): { done: boolean; read: Promise<Uint8Array> } {
  const watched = { done: false, read };
  void read.then(() => watched.done = true, () => watched.done = true);
  return watched;
}

for (const [where, budget] of [["in memory", 256 * MIB], ["on disk in parts", 2 * MIB]] as const) {
  Deno.test(`TorrentReader gives blocks of a piece that isn't whole, ${where}, from the reader's position on`, async () => {
    const lab = new StreamLab(16 * MIB, 32 * MIB - 3, budget);
    const peer = lab.lab.peer();
    const position = 9 * MIB + 77;
    const reader = lab.open();
    const read = watch(reader.read(position, { length: 100_000 }));
    await settle();
    assertEquals(lab.hashes.asked, [0], "the window of 4 MiB ends within the piece");
    assertEquals(blocksOf(peer).slice(0, 4), [576, 577, 578, 579]);
    lab.lab.answer(peer);
    await settle();
    assert(!read.done, "the block isn't proven yet");
    lab.hashes.answer(0);
    const bytes = await read.read;
    assertEquals(bytes, lab.right(position, position + BLOCK - 77));
    const piece = lab.lab.download.started.active.get(0)!;
    assertEquals([piece.received, piece.parts === null], [1, budget > 2 * MIB]);
    // It reads on, a block after the other, and what it doesn't need comes later.
    let at = position + bytes.length;
    while (at < 9 * MIB + 40 * BLOCK) {
      const next = watch(reader.read(at));
      await lab.serve(() => next.done);
      const part = await next.read;
      assertEquals(part, lab.right(at, at + part.length));
      at += part.length;
    }
    assertLess(piece.received, 80);
    reader.close();
    await lab.serve(() => lab.lab.download.complete);
    assertEquals(lab.lab.download.wasted, 0);
    await lab.lab.download.stop();
  });
}

Deno.test("TorrentReader takes requests back when it seeks within a piece, and both of two readers are served", async () => {
  const lab = new StreamLab(16 * MIB, 16 * MIB);
  const peer = lab.lab.peer();
  const [one, two] = [lab.open(), lab.open()];
  const first = watch(one.read(0, { length: BLOCK }));
  await settle();
  lab.hashes.answerAll();
  await lab.serve(() => first.done);
  assertLess(Math.max(...blocksOf(peer)), 40);
  const seek = watch(one.read(8 * MIB, { length: BLOCK }));
  await settle();
  assertEquals(Math.min(...blocksOf(peer)), 512, "requests for the place that it has left are taken back");
  const other = watch(two.read(12 * MIB, { length: BLOCK }));
  await lab.serve(() => seek.done && other.done);
  assertEquals([await seek.read, await other.read], [
    lab.right(8 * MIB, 8 * MIB + BLOCK),
    lab.right(12 * MIB, 12 * MIB + BLOCK),
  ]);
  assertLessOrEqual(lab.lab.download.started.active.get(0)!.received, 120);
  await lab.lab.download.stop();
});

Deno.test("TorrentReader serves two reads at a time as soon as the block of each is proven", async () => {
  const lab = new StreamLab(16 * MIB, 16 * MIB);
  const peer = lab.lab.peer();
  const reader = lab.open();
  const one = watch(reader.read(0, { length: BLOCK }));
  const two = watch(reader.read(8 * MIB, { length: BLOCK }));
  await settle();
  lab.hashes.answerAll();
  lab.lab.answer(peer, { begin: 0 });
  await settle();
  assertEquals([one.done, two.done], [true, false]);
  await lab.serve(() => two.done);
  assertEquals([await one.read, await two.read], [lab.right(0, BLOCK), lab.right(8 * MIB, 8 * MIB + BLOCK)]);
  await lab.lab.download.stop();
});

Deno.test("TorrentReader gives no wrong block, and gets it from another peer at once", async () => {
  const lab = new StreamLab(4 * MIB, 4 * MIB);
  const liar = lab.lab.peer();
  lab.lab.banned = () => {
    liar.closed = true;
    lab.lab.peers.splice(lab.lab.peers.indexOf(liar), 1);
    lab.lab.download.left(liar);
  };
  const reader = lab.open();
  const read = watch(reader.read(MIB, { length: BLOCK }));
  await settle();
  lab.hashes.answerAll();
  lab.lab.answer(liar, { wrong: true });
  await settle();
  assert(!read.done && liar.closed, `${lab.lab.log}`);
  lab.lab.peer();
  await lab.serve(() => read.done);
  assertEquals(await read.read, lab.right(MIB, MIB + BLOCK));
  await lab.lab.download.stop();
});

Deno.test("TorrentReader waits for the whole piece if nobody gives hashes of its blocks", async () => {
  const lab = new StreamLab(MIB, 2 * MIB);
  lab.lab.peer();
  const reader = lab.open();
  const read = watch(reader.read(500_000, { length: BLOCK }));
  await settle();
  lab.hashes.answerAll(true);
  await lab.serve(() => lab.lab.download.have.count === 1);
  assertEquals(lab.lab.download.have.has(0), true, "it comes first");
  assertEquals(await read.read, lab.right(500_000, 500_000 + BLOCK));
  await lab.lab.download.stop();
});

Deno.test("TorrentReader asks for hashes again when a peer comes, and reads single blocks from then on", async () => {
  const lab = new StreamLab(4 * MIB, 4 * MIB);
  const reader = lab.open();
  const read = watch(reader.read(2 * MIB, { length: BLOCK }));
  await settle();
  lab.hashes.answerAll(true);
  const peer = lab.lab.peer();
  assertEquals(lab.hashes.asked, [0, 0]);
  lab.lab.download.parsed(peer);
  assertEquals(blocksOf(peer)[0], 128);
  lab.hashes.answerAll();
  await lab.serve(() => read.done);
  assertEquals(await read.read, lab.right(2 * MIB, 2 * MIB + BLOCK));
  assertLess(lab.lab.download.started.active.get(0)!.received, 40);
  await lab.lab.download.stop();
});

Deno.test("TorrentReader reads right bytes of pieces that come, are dropped, or go to disk, or fails as it must", async () => {
  const step = fc.record({
    what: fc.constantFrom("read", "answer", "hashes", "none", "tick", "room", "seek"),
    at: fc.nat(3 * 512 * KIB - 10),
    count: fc.integer({ min: 1, max: 30 }),
  });
  const budgets = fc.constantFrom(64 * MIB, 512 * KIB);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), budgets, async (steps, budget) => {
      const lab = new StreamLab(512 * KIB, 3 * 512 * KIB - 9, budget);
      const peer = lab.lab.peer();
      const reader = lab.open();
      const reads: Promise<void>[] = [];
      const stop = new AbortController();
      for (const { what, at, count } of steps) {
        if (what === "read" || what === "seek") {
          reads.push(
            reader.read(at, { length: count * 5000, signal: stop.signal }).then((bytes) => {
              assert(bytes.length > 0);
              assertEquals(bytes, lab.right(at, at + bytes.length));
            }),
          );
        } else if (what === "answer") {
          for (let i = 0; i < count && peer.requests.size > 0; i++) lab.lab.answer(peer);
          lab.lab.download.parsed(peer);
        } else if (what === "tick") {
          lab.lab.clock.advance(count * 1000);
          lab.lab.download.tick(lab.lab.clock.now());
        } else if (what === "room") {
          for (const piece of lab.lab.download.started.active.values()) {
            if (!lab.lab.download.started.releaseMemory(piece)) lab.lab.download.started.drop(piece);
            peer.requests.takeBack((index) => index === piece.index, { cancel: false, taken: () => {} });
          }
        } else lab.hashes.answerAll(what === "none");
        await settle();
      }
      await lab.serve(() => lab.lab.download.complete);
      await Promise.all(reads);
      await lab.lab.download.stop();
    }),
    { numRuns: tries(90) },
  );
});

Deno.test("TorrentReader's reads that wait fail with the torrent", async () => {
  const lab = new StreamLab(MIB, MIB);
  const reader = lab.open();
  const read = assertRejects(() => reader.read(0), Error, "stopped");
  await settle();
  lab.reads.readers.end();
  await read;
  await lab.lab.download.stop();
});
