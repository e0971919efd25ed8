import { assertEquals } from "@std/assert";
import { toHex, utf8 } from "../../src/base/bytes.ts";
import { sha1, sha256 } from "../../src/platform/start_digest.ts";
import { fc } from "../support/property.ts";

const VECTORS: [text: string, digest: string][] = [
  ["", "da39a3ee5e6b4b0d3255bfef95601890afd80709"],
  ["abc", "a9993e364706816aba3e25717850c26c9cd0d89d"],
  ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"],
  ["a".repeat(1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"],
];

for (const [text, digest] of VECTORS) {
  Deno.test(`sha1() gives the published digest of ${text.length} bytes`, () =>
    assertEquals(toHex(sha1(utf8(text))), digest));
}

Deno.test("sha1() agrees with the system's, also on views", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(3), async (bytes, skip) => {
    const data = new Uint8Array([...new Uint8Array(skip), ...bytes]).subarray(skip);
    assertEquals(toHex(sha1(data)), toHex(new Uint8Array(await crypto.subtle.digest("SHA-1", data))));
  }));
});

Deno.test("sha256() agrees with the system's, also on views", async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(3), async (bytes, skip) => {
    const data = new Uint8Array([...new Uint8Array(skip), ...bytes]).subarray(skip);
    assertEquals(toHex(sha256(data)), toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", data))));
  }));
});
