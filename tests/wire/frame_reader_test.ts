import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { MAX_HASHES, MAX_UNCLES } from "../../src/base/defences.ts";
import { FrameReader, type MessageHandler } from "../../src/wire/frame_reader.ts";
import { FrameWriter } from "../../src/wire/frame_writer.ts";
import { MessageId, WireError } from "../../src/wire/messages.ts";
import { PoisonedMemory } from "../support/poisoned_memory.ts";
import { fc } from "../support/property.ts";
import { frame, Recorder } from "../support/wire.ts";

const PIECES = 20;

/** Feeds a stream to a reader in parts of the given sizes, as reads do. */
function feed(reader: FrameReader, stream: Uint8Array, sizes: () => number): void {
  for (let at = 0; at < stream.length;) {
    const { space } = reader;
    assert(space.length > 0, "there is always room for a read");
    const count = Math.min(space.length, sizes(), stream.length - at);
    space.set(stream.subarray(at, at + count));
    reader.received(count);
    at += count;
  }
}

function parse(stream: Uint8Array, sizes: () => number = () => 65536): string[] {
  const recorder = new Recorder();
  const memory = new PoisonedMemory();
  const reader = new FrameReader(recorder, { pieceCount: PIECES, memory });
  try {
    feed(reader, stream, sizes);
  } finally {
    reader.close();
    assertEquals(memory.inUse, 0);
  }
  return recorder.log;
}

/** One of every message as the writer writes it, and the log of the reader. */
const message = fc.oneof(
  fc.constant({ write: (w: FrameWriter) => w.keepAlive(), log: "keep-alive" }),
  fc.constantFrom(0, 1, 2, 3, 14, 15).map((id) => ({ write: (w: FrameWriter) => w.signal(id), log: `signal ${id}` })),
  fc.tuple(fc.constantFrom(4, 13, 17), fc.nat(0xffffffff)).map(([id, index]) => ({
    write: (w: FrameWriter) => w.pieceSignal(id, index),
    log: `piece-signal ${id} ${index}`,
  })),
  fc.tuple(fc.constantFrom(6, 8, 16), fc.nat(), fc.nat(), fc.nat()).map(([id, index, begin, length]) => ({
    write: (w: FrameWriter) => w.blockSignal(id, index, begin, length),
    log: `block-signal ${id} ${index} ${begin} ${length}`,
  })),
  fc.uint8Array({ minLength: 3, maxLength: 3 }).map((bits) => ({
    write: (w: FrameWriter) => w.bitfield(bits),
    log: `bitfield ${[...bits].join(",")}`,
  })),
  fc.tuple(fc.nat(255), fc.nat(100_000)).map(([id, length]) => ({
    write: (w: FrameWriter) => w.extended(id, new Uint8Array(length)),
    log: `extended ${id} ${length}`,
  })),
  fc.tuple(fc.constantFrom(21, 23), fc.constant(48)).map(([id, length]) => ({
    write: (w: FrameWriter) => w.hashMessage(id, new Uint8Array(length)),
    log: `hash-message ${id} ${length} 0`,
  })),
  fc.nat(500).map((count) => ({
    write: (w: FrameWriter) => w.hashMessage(22, new Uint8Array(48 + 32 * count)),
    log: `hash-message 22 ${48 + 32 * count} 0`,
  })),
  fc.tuple(fc.nat(), fc.nat(), fc.constantFrom(0, 1, 13, 16384)).map(([index, begin, length]) => ({
    write: (w: FrameWriter) => {
      const at = w.reserveBlock(index, begin, length);
      w.buffer.fill(1, at, at + length);
    },
    log: `block ${index} ${begin} ${length} ${Array(length).fill(1).reduce((sum, one) => (sum * 31 + one) >>> 0, 0)}`,
  })),
);

Deno.test("FrameReader reads what FrameWriter wrote, however the stream is cut", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 30 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 40_000 })),
      (all, cuts) => {
        const memory = new PoisonedMemory();
        const writer = new FrameWriter(memory);
        for (const one of all) one.write(writer);
        const log = parse(writer.take(), () => cuts.next().value!);
        assertEquals(log, all.map((one) => one.log));
        for (const one of all.slice(10)) one.write(writer);
        const second = parse(writer.take(), () => cuts.next().value!);
        assertEquals(second, all.slice(10).map((one) => one.log), "the buffers take turns");
        writer.close();
        assertEquals(memory.inUse, 0);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("FrameReader takes arbitrary bytes without any error but WireError", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
      try {
        parse(bytes, () => size);
      } catch (error) {
        assert(error instanceof WireError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("FrameReader refuses a frame by its first five bytes, before the rest has come", () => {
  const cases: [number[], string][] = [
    [[0, 0, 0, 2, MessageId.choke], "choke has 2 bytes, not 1"],
    [[0, 0, 0, 4, MessageId.have], "have has 4 bytes, not 5"],
    [[0, 0, 0, 5, MessageId.bitfield], "bitfield has 5 bytes, not 4"],
    [[0, 0, 0, 8, MessageId.piece], "piece has 8 bytes, not 9 to 16393"],
    [[0, 0, 64, 10, MessageId.piece], "piece has 16394 bytes, not 9 to 16393"],
    [[255, 255, 255, 255, MessageId.extended], "extended has 4294967295 bytes, not 2 to 131072"],
    [[0, 2, 0, 0, 99], "message 99 has 131072 bytes, not 1 to 65536"],
  ];
  for (const [bytes, why] of cases) assertThrows(() => parse(Uint8Array.from(bytes)), WireError, why);
});

Deno.test("FrameReader takes memory for a long message only as it arrives", () => {
  const reader = new FrameReader(new Recorder(), { pieceCount: PIECES });
  const claim = Uint8Array.from([0, 1, 0, 0, MessageId.extended]);
  reader.space.set(claim);
  reader.received(claim.length);
  assert(reader.space.length < 8192, `room for ${reader.space.length} bytes after 5 came`);
});

Deno.test("FrameReader skips messages that it doesn't know", () => {
  assertEquals(parse(concatBytes([frame(99, 1, 2, 3), frame(MessageId.choke)])), ["unknown 99", "signal 0"]);
});

Deno.test("FrameReader stops parsing when the handler is closed", () => {
  const recorder = new Recorder();
  recorder.onSignal = (id) => {
    recorder.log.push(`signal ${id}`);
    recorder.closed = true;
  };
  const stream = concatBytes([frame(0), frame(1)]);
  const reader = new FrameReader(recorder, { pieceCount: PIECES });
  reader.space.set(stream);
  reader.received(stream.length);
  assertEquals(recorder.log, ["signal 0"]);
});

Deno.test("FrameWriter.take() keeps what it gave untouched while more is written", () => {
  const writer = new FrameWriter();
  writer.pieceSignal(MessageId.have, 7);
  const first: Bytes = writer.take();
  const copy = first.slice();
  for (let i = 0; i < 1000; i++) writer.pieceSignal(MessageId.have, i);
  assertEquals(first, copy);
  assertEquals(parse(writer.take()).length, 1000);
});

Deno.test("FrameWriter.unreserveBlock() takes the last block back", () => {
  const writer = new FrameWriter();
  writer.signal(MessageId.unchoke);
  writer.reserveBlock(1, 0, 16384);
  writer.reserveBlock(1, 16384, 16384);
  assertEquals(writer.payload, 32768);
  writer.unreserveBlock(16384);
  assertEquals(writer.payload, 16384);
  assertEquals(parse(writer.take()).length, 2);
});

Deno.test("FrameReader hands over messages about hashes, and refuses those of another length", () => {
  const read = (id: number, bytes: number, handler: MessageHandler = new Recorder()) => {
    const reader = new FrameReader(handler, { pieceCount: 1 });
    const stream = frame(id, ...new Uint8Array(bytes));
    for (let at = 0; at < stream.length;) {
      const { space } = reader;
      const count = Math.min(space.length, stream.length - at);
      space.set(stream.subarray(at, at + count));
      reader.received(count);
      at += count;
    }
    return (handler as Recorder).log;
  };
  const { hashRequest, hashes, hashReject } = MessageId;
  const most = 48 + 32 * (MAX_HASHES + MAX_UNCLES);
  for (
    const [id, bytes] of [[hashRequest, 48], [hashReject, 48], [hashes, 48], [hashes, 112], [hashes, most]] as const
  ) {
    assertEquals(read(id, bytes), [`hash-message ${id} ${bytes} 0`]);
    const old = new Recorder();
    Object.defineProperty(old, "onHashMessage", { value: undefined });
    assertEquals(read(id, bytes, old), [`unknown ${id}`]);
  }
  for (const [id, bytes] of [[hashRequest, 47], [hashReject, 49], [hashes, 47], [hashes, most + 1]] as const) {
    assertThrows(() => read(id, bytes), WireError, `has ${bytes + 1} bytes`);
  }
});
