import { assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { crc32c } from "../../src/base/crc32c.ts";

Deno.test("crc32c() gives the check value of the polynomial", () => {
  assertEquals(crc32c(utf8("123456789")), 0xe3069283);
});
