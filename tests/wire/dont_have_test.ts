import { assertEquals, assertThrows } from "@std/assert";
import { encodeDontHave, parseDontHave } from "../../src/wire/dont_have.ts";
import { WireError } from "../../src/wire/messages.ts";

Deno.test("lt_donthave (BEP 54) is the index of a piece in four bytes", () => {
  assertEquals(encodeDontHave(0x01020304), Uint8Array.of(1, 2, 3, 4));
  assertEquals(parseDontHave(Uint8Array.of(0, 0, 1, 2), 259), 258);
});

Deno.test("parseDontHave() says what is wrong with a message", () => {
  assertThrows(() => parseDontHave(Uint8Array.of(0, 0, 1, 2), 258), WireError, "piece 258 of 258");
  assertThrows(() => parseDontHave(Uint8Array.of(255, 255, 255, 255), 10), WireError, "piece 4294967295 of 10");
  for (const length of [0, 3, 5]) {
    assertThrows(() => parseDontHave(new Uint8Array(length), 1), WireError, "bytes, not 4");
  }
});
