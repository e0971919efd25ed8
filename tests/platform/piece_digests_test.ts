import { assertEquals } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { PieceDigests } from "../../src/platform/piece_digests.ts";
import { startDigest } from "../../src/platform/start_digest.ts";
import { noise } from "../support/payload.ts";
import { fc } from "../support/property.ts";

Deno.test("PieceDigests gives the digest of every piece, however its bytes are cut", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 300 }),
    fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 20 }),
    fc.nat(),
    (pieceLength, parts, seed) => {
      const total = parts.reduce((sum, part) => sum + part, 0);
      fc.pre(total > 0);
      const data = noise(total, seed).subarray(0, total);
      const pieces = new PieceDigests(() => startDigest("sha1"), { pieceLength, total });
      let at = 0;
      for (const part of parts) pieces.update(data.subarray(at, at += part));
      const expected = [];
      for (let start = 0; start < total; start += pieceLength) {
        const digest = startDigest("sha1");
        digest.update(data.subarray(start, start + pieceLength));
        expected.push(digest.digest());
      }
      assertEquals(pieces.bytes, concatBytes(expected));
    },
  ));
});
