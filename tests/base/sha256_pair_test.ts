import { assertEquals } from "@std/assert";
import { type Bytes, toHex } from "../../src/base/bytes.ts";
import { sha256Pair } from "../../src/base/sha256_pair.ts";
import { sha256 } from "../../src/platform/start_digest.ts";
import { fc } from "../support/property.ts";

Deno.test("sha256Pair() gives the digest of the system, wherever the halves and the result are", () => {
  const bytes = fc.uint8Array({ minLength: 64, maxLength: 64 });
  fc.assert(fc.property(bytes, fc.nat(9), fc.nat(9), fc.nat(9), (data, leftAt, rightAt, at) => {
    const placed = (part: Uint8Array, at: number): Bytes => {
      const buffer = new Uint8Array(50).fill(255);
      buffer.set(part, at);
      return buffer;
    };
    const pair = {
      left: placed(data.subarray(0, 32), leftAt),
      leftAt,
      right: placed(data.subarray(32), rightAt),
      rightAt,
    };
    const out = { bytes: new Uint8Array(50).fill(7), at };
    sha256Pair(pair, out);
    const expected = new Uint8Array(50).fill(7);
    expected.set(sha256(data), at);
    assertEquals(out.bytes, expected);
  }));
});

Deno.test("sha256Pair() may write where it has read", () => {
  const data = Uint8Array.from({ length: 64 }, (_, i) => i * 7);
  const expected = toHex(sha256(data));
  sha256Pair({ left: data, leftAt: 0, right: data, rightAt: 32 }, { bytes: data, at: 0 });
  assertEquals(toHex(data.subarray(0, 32)), expected);
});
