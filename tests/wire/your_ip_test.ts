import { assertEquals } from "@std/assert";
import { utf8 } from "../../src/base/bytes.ts";
import { encodeExtensionHandshake, parseExtensionHandshake } from "../../src/wire/extension.ts";

Deno.test("parseExtensionHandshake() reads how the other end sees us, and skips what is no address", () => {
  for (const host of ["9.8.7.6", "2001:4860::8"]) {
    assertEquals(parseExtensionHandshake(encodeExtensionHandshake({}, { remoteHost: host })).yourIp, host);
  }
  for (const bad of ["d6:yourip3:abce", "d6:youripi4ee", "de"]) {
    assertEquals(parseExtensionHandshake(utf8(bad)), {});
  }
});
