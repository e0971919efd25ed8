import { assert, assertEquals, assertThrows } from "@std/assert";
import { Chatter, ChatterError } from "../../src/peer/flood_limit.ts";
import { MessageId } from "../../src/wire/messages.ts";
import { VirtualClock } from "../support/virtual_clock.ts";

function make() {
  const clock = new VirtualClock({ now: 1e6 });
  return { clock, chatter: new Chatter(() => clock.now()) };
}

/** How many times something may be done in a row. */
function untilRefused(act: () => void, limit = 100_000): number {
  for (let i = 0; i < limit; i++) {
    try {
      act();
    } catch (error) {
      assert(error instanceof ChatterError, String(error));
      return i;
    }
  }
  return Infinity;
}

Deno.test("Chatter has an end for every kind of message, and a sooner one for those that cost more", () => {
  const counts = [null, 99, ...Object.values(MessageId)].map((id) => {
    const { chatter } = make();
    return untilRefused(() => chatter.heard(id));
  });
  assertEquals([Math.max(...counts), Math.min(...counts)], [5000, 98]);
});

Deno.test("Chatter says what it was that was too much", () => {
  const heard = (id: number | null) => {
    const { chatter } = make();
    return () => untilRefused(() => chatter.heard(id)) && chatter.heard(id);
  };
  assertThrows(heard(MessageId.have), ChatterError, "it says too much that brings nothing (have messages at last)");
  assertThrows(heard(99), ChatterError, "(message 99 messages at last)");
  assertThrows(heard(null), ChatterError, "(keep-alives at last)");
  const { chatter } = make();
  assertThrows(() => chatter.read(6 * 1024 * 1024), ChatterError, "(bytes at last)");
});

Deno.test("Chatter bears two hundred words a second for ever", () => {
  const { clock, chatter } = make();
  for (let i = 0; i < 100_000; i++) {
    chatter.heard(MessageId.have);
    clock.advance(5);
  }
  assert(untilRefused(() => chatter.heard(MessageId.have)) <= 5000);
});

Deno.test("Chatter counts bytes that come in unknown messages, and reads of next to nothing", () => {
  const { chatter } = make();
  assertEquals(untilRefused(() => chatter.read(64 * 1024)), 76);
  const other = make();
  assert(untilRefused(() => other.chatter.read(1)) < 5000);
});

Deno.test("Chatter never minds a peer that trades, however it splits its packets", () => {
  const { chatter } = make();
  const act = () => {
    for (let read = 0; read < 12; read++) chatter.read(1400); // one block, as a slow line brings it
    chatter.heard(MessageId.piece);
    chatter.brought(16 * 1024);
    for (let i = 0; i < 3; i++) chatter.heard(MessageId.have);
  };
  assertEquals(untilRefused(act), Infinity);
});

/** One block of 16 KiB and the haves around it, in reads of so many bytes. */
function bring(chatter: Chatter, size: number): void {
  for (let left = 16 * 1024; left > 0; left -= size) chatter.read(Math.min(size, left));
  chatter.heard(MessageId.piece);
  chatter.brought(16 * 1024);
  for (let i = 0; i < 20; i++) chatter.heard(MessageId.have);
}

Deno.test("Chatter lets a block pay for the reads that brought it, be they as small as the smallest packets", () => {
  for (const size of [536, 100, 40, 8, 4]) {
    const { chatter } = make();
    assertEquals(untilRefused(() => bring(chatter, size), 3000), Infinity, `reads of ${size} bytes`);
  }
});

Deno.test("Chatter lets no block pay for reads that brought something else", () => {
  const { chatter } = make();
  const act = () => {
    for (let i = 0; i < 100; i++) chatter.read(1);
    chatter.heard(99);
    bring(chatter, 536);
  };
  assert(untilRefused(act) < 100);
  const other = make();
  const give = () => {
    for (let i = 0; i < 100; i++) other.chatter.read(1);
    other.chatter.gave(16 * 1024);
  };
  assert(untilRefused(give) < 100);
});

Deno.test("Chatter lets interest change with every piece that either end gets", () => {
  const { chatter } = make();
  const act = () => {
    chatter.news();
    chatter.read(14);
    chatter.heard(MessageId.have);
    chatter.heard(MessageId.interested);
  };
  assertEquals(untilRefused(act), Infinity);
});
