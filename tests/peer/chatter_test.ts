import { assert, assertEquals, assertThrows } from "@std/assert";
import { Chatter } from "../../src/peer/chatter.ts";
import { MessageId, WireError } from "../../src/wire/messages.ts";
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
      assert(error instanceof WireError, String(error));
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
  assertThrows(heard(MessageId.have), WireError, "it says too much that brings nothing (have messages at last)");
  assertThrows(heard(99), WireError, "(message 99 messages at last)");
  assertThrows(heard(null), WireError, "(keep-alives at last)");
  const { chatter } = make();
  assertThrows(() => chatter.read(6 * 1024 * 1024), WireError, "(bytes at last)");
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
    chatter.traded(16 * 1024);
    for (let i = 0; i < 3; i++) chatter.heard(MessageId.have);
  };
  assertEquals(untilRefused(act), Infinity);
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
