import { assertEquals } from "@std/assert";
import { plural } from "../../src/base/plural.ts";

Deno.test("plural() has no s behind one", () => {
  assertEquals([0, 1, 2].map((count) => plural(count, "byte")), ["0 bytes", "1 byte", "2 bytes"]);
});
