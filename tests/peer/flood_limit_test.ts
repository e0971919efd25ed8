import { assert, assertEquals, assertThrows } from "@std/assert";
import { FloodError, FloodLimit } from "../../src/peer/flood_limit.ts";
import { MessageId } from "../../src/wire/messages.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

function make() {
  const clock = new VirtualClock({ now: 1e6 });
  return { clock, flood: new FloodLimit(() => clock.now()) };
}

/** Returns the number of times that `act` is allowed in a row. */
function untilRefused(act: () => void, limit = 100_000): number {
  for (let i = 0; i < limit; i++) {
    try {
      act();
    } catch (error) {
      assert(error instanceof FloodError, String(error));
      return i;
    }
  }
  return Infinity;
}

Deno.test("FloodLimit has an end for every kind of message, and a sooner one for those that cost more", () => {
  const counts = [null, 99, ...Object.values(MessageId)].map((id) => {
    const { flood } = make();
    return untilRefused(() => flood.messageReceived(id));
  });
  assertEquals([Math.max(...counts), Math.min(...counts)], [5000, 98]);
});

Deno.test("FloodLimit says what it was that was too much", () => {
  const heard = (id: number | null) => {
    const { flood } = make();
    return () => untilRefused(() => flood.messageReceived(id)) && flood.messageReceived(id);
  };
  assertThrows(heard(MessageId.have), FloodError, "it says too much that brings nothing (have messages at last)");
  assertThrows(heard(99), FloodError, "(message 99 messages at last)");
  assertThrows(heard(null), FloodError, "(keep-alives at last)");
  const { flood } = make();
  assertThrows(() => flood.read(6 * 1024 * 1024), FloodError, "(bytes at last)");
});

Deno.test("FloodLimit bears two hundred words a second for ever", () => {
  const { clock, flood } = make();
  for (let i = 0; i < 100_000; i++) {
    flood.messageReceived(MessageId.have);
    clock.advance(5);
  }
  assert(untilRefused(() => flood.messageReceived(MessageId.have)) <= 5000);
});

Deno.test("FloodLimit counts bytes that come in unknown messages, and reads of next to nothing", () => {
  const { flood } = make();
  assertEquals(untilRefused(() => flood.read(64 * 1024)), 76);
  const other = make();
  assert(untilRefused(() => other.flood.read(1)) < 5000);
});

Deno.test("FloodLimit never minds a peer that trades, however it splits its packets", () => {
  const { flood } = make();
  const act = () => {
    for (let read = 0; read < 12; read++) flood.read(1400); // one block over a slow line
    flood.messageReceived(MessageId.piece);
    flood.blockReceived(16 * 1024);
    for (let i = 0; i < 3; i++) flood.messageReceived(MessageId.have);
  };
  assertEquals(untilRefused(act), Infinity);
});

/** Receives one block of 16 KiB and the haves around it, in reads of `size` bytes. */
function bring(flood: FloodLimit, size: number): void {
  for (let left = 16 * 1024; left > 0; left -= size) flood.read(Math.min(size, left));
  flood.messageReceived(MessageId.piece);
  flood.blockReceived(16 * 1024);
  for (let i = 0; i < 20; i++) flood.messageReceived(MessageId.have);
}

Deno.test("FloodLimit lets a block pay for the reads that brought it, be they as small as the smallest packets", () => {
  for (const size of [536, 100, 40, 8, 4]) {
    const { flood } = make();
    assertEquals(untilRefused(() => bring(flood, size), 3000), Infinity, `reads of ${size} bytes`);
  }
});

Deno.test("FloodLimit lets hashes that were asked for pay for themselves, be they few, and for the reads that brought them", () => {
  for (const [bytes, size] of [[117, 117], [16_500, 1_400], [16_500, 60]] as const) {
    const { flood } = make();
    const act = () => {
      for (let left = bytes; left > 0; left -= size) flood.read(Math.min(size, left));
      flood.messageReceived(MessageId.hashes);
      flood.hashesReceived();
    };
    assertEquals(untilRefused(act, 20_000), Infinity, `${bytes} bytes in reads of ${size}`);
  }
  // One read may bring many answers: it is accounted after them.
  const { flood } = make();
  const act = () => {
    for (let i = 0; i < 64; i++) {
      flood.messageReceived(MessageId.hashes);
      flood.hashesReceived();
    }
    flood.read(64 * 117);
  };
  assertEquals(untilRefused(act, 2_000), Infinity);
});

Deno.test("FloodLimit lets no block pay for reads that brought something else", () => {
  const { flood } = make();
  const act = () => {
    for (let i = 0; i < 100; i++) flood.read(1);
    flood.messageReceived(99);
    bring(flood, 536);
  };
  assert(untilRefused(act) < 100);
  const other = make();
  const give = () => {
    for (let i = 0; i < 100; i++) other.flood.read(1);
    other.flood.uploaded(16 * 1024);
  };
  assert(untilRefused(give) < 100);
});

Deno.test("FloodLimit lets interest change with every piece that either end gets", () => {
  const { flood } = make();
  const act = () => {
    flood.pieceAnnounced();
    flood.read(14);
    flood.messageReceived(MessageId.have);
    flood.messageReceived(MessageId.interested);
  };
  assertEquals(untilRefused(act), Infinity);
});
