/**
 * Checks the design's limits for the hot path by counting, so that the figures don't depend on the machine or its load.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { type Bytes, utf8 } from "../../src/base/bytes.ts";
import { PLAIN_MEMORY } from "../../src/base/data_memory.ts";
import { InfoHash } from "../../src/base/info_hash.ts";
import { Peer } from "../../src/peer/peer.ts";
import { PeerLink } from "../../src/peer/peer_link.ts";
import { ReadTurns } from "../../src/peer/read_turns.ts";
import type { Connection } from "../../src/platform/platform.ts";
import { FileMap } from "../../src/storage/layout.ts";
import { OpenFiles } from "../../src/storage/open_files.ts";
import { PieceWriter } from "../../src/storage/piece_writer.ts";
import { BLOCK_SIZE, MessageId } from "../../src/wire/messages.ts";
import { layoutOf } from "../storage/fixture.ts";
import { type BlockCounts, BlockLab } from "../support/block_lab.ts";
import { MemoryFiles } from "../support/memory_files.ts";
import { idleHost } from "../support/peer_host.ts";
import { settle } from "../support/virtual_clock.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/**
 * Downloads 256 MiB from one fast peer. The counts leave out the first quarter, in which the peer isn't known to be
 * fast yet.
 */
async function steady(readLength: number, copied?: () => number) {
  const lab = new BlockLab({ peers: 1, pieceCount: 256, pieceLength: MIB, readLength });
  await lab.run(64 * 64);
  const before = { ...lab.counts };
  const copiedBefore = copied?.() ?? 0;
  await lab.run();
  const of = (name: keyof BlockCounts) => lab.counts[name] - before[name];
  return { of, all: lab.counts, copied: (copied?.() ?? 0) - copiedBefore, payload: of("blocks") * BLOCK_SIZE };
}

Deno.test("a fast peer is asked for blocks in batches, sixteen and more to a write", async () => {
  const { of, all } = await steady(256 * KIB);
  assertEquals(all.requests, all.blocks, "none is asked for twice");
  assertLess(16 * of("writes"), of("requests"));
});

Deno.test("the clock is looked at for reads, not for blocks", async () => {
  const { of } = await steady(256 * KIB);
  assert(of("looks") <= 2 * of("reads"), `${of("looks")} times for ${of("reads")} reads`);
});

Deno.test("a piece is hashed once, when it is complete", async () => {
  const { all } = await steady(256 * KIB);
  assertEquals(all.digests, all.pieces);
});

Deno.test("each byte is copied once, and what a read cuts in two a second time", async () => {
  for (const [readLength, most] of [[256 * KIB, 1.08], [64 * KIB, 1.3]] as const) {
    using copies = new CopyCounter();
    const { copied, payload } = await steady(readLength, () => copies.bytes);
    assert(copied >= payload, `${copied} of ${payload}: the counter doesn't count`);
    const each = copied / payload;
    assert(each <= most, `${each.toFixed(2)} copies with reads of ${readLength / KIB} KiB`);
  }
});

Deno.test("blocks are served sixteen to a write", async () => {
  let clock = 0;
  const writes: number[] = [];
  const connection: Connection = {
    remote: { host: "10.0.0.1", port: 1 },
    local: { host: "10.0.0.2", port: 2 },
    read: () => new Promise(() => {}),
    write: (bytes) => {
      writes.push(bytes.length);
      return Promise.resolve(bytes.length);
    },
    close() {},
  };
  const host = idleHost({
    pieceCount: 100,
    pieceSize: () => MIB,
    now: () => clock += 0.01,
    canServe: () => true,
    readBlock: () => true,
  });
  const handshake = {
    infoHash: new InfoHash(new Uint8Array(20)),
    peerId: utf8("x".repeat(20)),
    fast: true,
    extended: false,
  };
  const peer = new Peer(host, { address: connection.remote, incoming: true, handshake, number: 1 });
  const link = new PeerLink(peer, {
    connection,
    now: host.now,
    reads: new ReadTurns(() => Promise.resolve()),
    events: { batch() {}, closed() {} },
  });
  void link.run();
  peer.unchoke();
  const served = 64 * MIB;
  for (let at = 0; at < served;) {
    for (let i = 0; i < 256; i++, at += BLOCK_SIZE) {
      peer.onBlockSignal(MessageId.request, Math.floor(at / MIB), at % MIB, BLOCK_SIZE);
    }
    link.flush();
    while (peer.uploads.size > 0 || peer.writer.length > 0) await settle();
  }
  assertEquals(peer.up.total, served);
  assert(writes.length <= 4 * served / MIB + 8, `${writes.length} writes for ${served / MIB} MiB`);
});

Deno.test("a piece of 1 MiB is written in one go, small ones that come together in few", async () => {
  const large = await fileWrites(MIB, 16);
  assertEquals(large, 16);
  const small = await fileWrites(16 * KIB, 1024);
  assert(small <= 32, `${small} writes for 1024 small pieces that came 64 at a time`);
});

/** Writes a torrent of one file, at most 64 pieces at a time, and returns the number of writes. */
async function fileWrites(pieceLength: number, pieces: number): Promise<number> {
  const map = new FileMap(layoutOf(pieceLength, [{ path: "a", length: pieceLength * pieces }]));
  const files = new MemoryFiles();
  const writer = new PieceWriter(map, {
    memory: PLAIN_MEMORY,
    open: new OpenFiles((file) => files.open(`/${file}`, "write"), 8),
    beforeEnd: () => Promise.resolve(),
    onWrote() {},
    onPiece() {},
  });
  const piece = new Uint8Array(pieceLength);
  const together = Math.min(64, pieces);
  for (let at = 0; at < pieces; at += together) {
    await Promise.all(Array.from({ length: together }, (_, i) => writer.write(at + i, piece)));
  }
  return files.calls.filter(({ operation }) => operation === "write").length;
}

/** Counts the bytes copied between arrays or within an array, until the counter is disposed of. */
class CopyCounter implements Disposable {
  bytes = 0;
  readonly #set = Uint8Array.prototype.set;
  readonly #copyWithin = Uint8Array.prototype.copyWithin;
  readonly #slice = Uint8Array.prototype.slice;

  constructor() {
    // deno-lint-ignore no-this-alias -- the methods below have their own `this`
    const counter = this;
    Uint8Array.prototype.set = function (source, offset) {
      counter.bytes += source.length;
      counter.#set.call(this, source, offset);
    };
    Uint8Array.prototype.copyWithin = function (target, start, end) {
      counter.bytes += (end ?? this.length) - start;
      return counter.#copyWithin.call(this, target, start, end);
    };
    Uint8Array.prototype.slice = function (start, end): Bytes {
      const taken = counter.#slice.call(this, start, end) as Bytes;
      counter.bytes += taken.length;
      return taken;
    };
  }

  [Symbol.dispose](): void {
    Uint8Array.prototype.set = this.#set;
    Uint8Array.prototype.copyWithin = this.#copyWithin;
    Uint8Array.prototype.slice = this.#slice;
  }
}
