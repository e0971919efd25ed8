import { assertEquals } from "@std/assert";
import { plural } from "../../src/base/plural.ts";

Deno.test("plural() has no s behind one", () => {
  assertEquals([0, 1, 2].map((count) => plural(count, "byte")), ["0 bytes", "1 byte", "2 bytes"]);
  assertEquals([1, 2].map((count) => plural(count, "address")), ["1 address", "2 addresses"]);
});
