/** Benchmarks of the code that every block passes on its way in and out. */

import { FrameReader, type MessageHandler } from "../src/wire/frame_reader.ts";
import { FrameWriter } from "../src/wire/frame_writer.ts";
import { BlockQueue } from "../src/peer/block_queue.ts";
import { PipelineDepth } from "../src/peer/pipeline_depth.ts";
import { Requests } from "../src/peer/requests.ts";
import { MessageId } from "../src/wire/messages.ts";
import { BlockLab } from "../tests/support/block_lab.ts";

const BLOCK = 16384;
const BLOCKS = 64;

/** Discards messages with as little work as possible. */
class Sink implements MessageHandler {
  closed = false;
  bytes = 0;
  onKeepAlive() {}
  onSignal() {}
  onPieceSignal() {}
  onBlockSignal() {}
  onBitfield() {}
  onBlock(_index: number, _begin: number, _source: Uint8Array, _at: number, length: number) {
    this.bytes += length;
  }
  onPort() {}
  onExtended() {}
  onUnknown() {}
}

function stream(): Uint8Array {
  const writer = new FrameWriter();
  for (let i = 0; i < BLOCKS; i++) writer.reserveBlock(0, i * BLOCK, BLOCK);
  return writer.take().slice();
}

const bytes = stream();

Deno.bench("FrameReader: 1 MiB of blocks in 64 KiB reads", (b) => {
  const sink = new Sink();
  const reader = new FrameReader(sink, { pieceCount: 1000 });
  b.start();
  for (let at = 0; at < bytes.length;) {
    const { space } = reader;
    const count = Math.min(space.length, 65536, bytes.length - at);
    space.set(bytes.subarray(at, at + count));
    reader.received(count);
    at += count;
  }
  b.end();
  if (sink.bytes !== BLOCKS * BLOCK) throw new Error(`${sink.bytes} bytes came out`);
});

Deno.bench("FrameWriter: 1 MiB of blocks, headers only", (b) => {
  const writer = new FrameWriter();
  b.start();
  for (let i = 0; i < BLOCKS; i++) writer.reserveBlock(0, i * BLOCK, BLOCK);
  writer.take();
  b.end();
});

const queue = new BlockQueue(2048);

Deno.bench("BlockQueue: 1,000 requests in and out, in order", () => {
  for (let i = 0; i < 1000; i++) queue.push(i >> 6, (i & 63) * BLOCK, BLOCK, i);
  for (let i = 0; i < 1000; i++) queue.remove(i >> 6, (i & 63) * BLOCK, BLOCK);
});

const depth = new PipelineDepth(500);
let time = 0;

Deno.bench("PipelineDepth: 1,000 blocks", () => {
  for (let i = 0; i < 1000; i++) depth.arrived(BLOCK, 5, time += 0.02);
});

const requestWriter = new FrameWriter();
const requests = new Requests({ fast: true, writer: requestWriter });

Deno.bench("Requests: 1,000 asked, 16 to a write, and answered", () => {
  for (let i = 0; i < 1000; i++) {
    requests.ask(i >> 6, (i & 63) * BLOCK, BLOCK, time);
    if (i % 16 === 15) requestWriter.take();
  }
  time += 5;
  for (let i = 0; i < 1000; i++) requests.answered(i >> 6, (i & 63) * BLOCK, BLOCK, time);
});

Deno.bench("FrameWriter: 1,000 requests, 16 to a write", () => {
  for (let i = 0; i < 1000; i++) {
    requestWriter.blockSignal(MessageId.request, i >> 6, (i & 63) * BLOCK, BLOCK);
    if (i % 16 === 15) requestWriter.take();
  }
});

// A download without sockets, hashing and disk, so only our own code is measured: 64 MiB a run. With 300 peers the
// memory budget is the limit.
for (const peers of [1, 300]) {
  for (const readLength of [256 * 1024, 64 * 1024]) {
    const name = `Download: 64 MiB from ${peers === 1 ? "one peer" : `${peers} peers`}, reads of ${
      readLength / 1024
    } KiB`;
    Deno.bench(name, { n: 10 }, async (b) => {
      const lab = new BlockLab({ peers, pieceCount: 64, pieceLength: 1024 * 1024, readLength });
      b.start();
      await lab.run();
      b.end();
    });
  }
}
