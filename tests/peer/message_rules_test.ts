import { assertEquals, assertThrows } from "@std/assert";
import { nextPhase } from "../../src/peer/message_rules.ts";
import { MessageId, WireError } from "../../src/wire/messages.ts";

Deno.test("nextPhase() lets a peer say that it has nothing only before anything else", () => {
  assertEquals(nextPhase("opening", MessageId.extended, true), "opening");
  assertEquals(nextPhase("opening", MessageId.unchoke, true), "opening");
  assertEquals(nextPhase("opening", MessageId.haveNone, true), "open");
  assertThrows(() => nextPhase("open", MessageId.haveNone, true), WireError, "haveNone comes too late");
});

Deno.test("nextPhase() takes bitfield and have-all at any time, since aria2 sends them in place of many haves", () => {
  assertEquals(nextPhase("open", MessageId.bitfield, false), "open");
  assertEquals(nextPhase("open", MessageId.haveAll, true), "open");
});

Deno.test("nextPhase() refuses the messages of BEP 6 from those who didn't offer it", () => {
  for (
    const id of [MessageId.haveAll, MessageId.haveNone, MessageId.suggest, MessageId.reject, MessageId.allowedFast]
  ) {
    assertThrows(() => nextPhase("opening", id, false), WireError, "without the Fast extension");
    nextPhase("opening", id, true);
  }
});
