/** What happens to every block on its way in and out. */

import { FrameReader, type MessageHandler } from "../src/wire/frame_reader.ts";
import { FrameWriter } from "../src/wire/frame_writer.ts";
import { BlockQueue } from "../src/peer/block_queue.ts";
import { denoPlatform } from "../src/platform/deno_platform.ts";

const BLOCK = 16384;
const BLOCKS = 64;

/** Takes messages and does as little as possible with them. */
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

const piece = new Uint8Array(1024 * 1024);

Deno.bench("SHA-1 of a 1 MiB piece", async () => {
  await denoPlatform.sha1(piece);
});
