import { assertEquals, assertThrows } from "@std/assert";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import { hashBlocks, MerkleDigest } from "../../src/platform/merkle_digest.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { noise } from "../support/payload.ts";
import { fc } from "../support/property.ts";

const BLOCK = 16 * 1024;
const start = startDigest;

function sha256(...parts: Bytes[]): Bytes {
  const digest = start("sha256");
  for (const part of parts) digest.update(part);
  return digest.digest();
}

/** Returns the root as BEP 52 words it: all leaves, the missing ones zeros, hashed in pairs. */
function rootOf(layer: readonly Bytes[]): Bytes {
  if (layer.length === 1) return layer[0]!;
  return rootOf(Array.from({ length: layer.length / 2 }, (_, i) => sha256(layer[2 * i]!, layer[2 * i + 1]!)));
}

function leavesOf(data: Bytes): Bytes[] {
  return Array.from(
    { length: Math.ceil(data.length / BLOCK) },
    (_, i) => sha256(data.subarray(i * BLOCK, (i + 1) * BLOCK)),
  );
}

Deno.test("MerkleDigest gives the digests of all blocks and the root, however the bytes are cut", () => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: 40_000 }), fc.integer({ min: 1, max: 10 }).map((n) => n * BLOCK));
  const cuts = fc.array(fc.integer({ min: 1, max: 60_000 }), { maxLength: 12 });
  fc.assert(
    fc.property(sizes, cuts, fc.nat(3), fc.option(fc.nat(40_000)), (size, cuts, more, sha1Padding) => {
      const data = noise(size, size);
      const blocks = leavesOf(data);
      let leaves = 1;
      while (leaves < blocks.length) leaves *= 2;
      leaves <<= more;
      const digest = new MerkleDigest(start, { length: size, leaves, sha1Padding });
      let at = 0;
      for (const cut of [...cuts, size]) digest.update(data.subarray(at, at = Math.min(size, at + cut)));
      const zeros = Array.from({ length: leaves - blocks.length }, () => new Uint8Array(32));
      const padded = sha1Padding === null ? null : sha1(concatBytes([data, new Uint8Array(sha1Padding)]));
      const expected = { blocks: concatBytes(blocks), root: rootOf([...blocks, ...zeros]) };
      const all = { ...expected, ...(padded !== null && { sha1: padded }) };
      assertEquals(digest.hashes(), all);
      assertEquals(hashBlocks(data, leaves, start), expected);
      assertEquals(hashBlocks(data, leaves, start, { sha1Padding }), all);
    }),
    { numRuns: 60 },
  );
});

Deno.test("MerkleDigest refuses a tree with fewer leaves than blocks", () => {
  const digest = new MerkleDigest(start, { length: 3 * BLOCK, leaves: 2 });
  digest.update(new Uint8Array(3 * BLOCK));
  assertThrows(() => digest.digest(), RangeError, "96 bytes");
});
