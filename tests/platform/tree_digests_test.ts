import { assertEquals } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { MERKLE_BLOCK, pieceLayer, rootLayer } from "../../src/base/merkle.ts";
import { merkle, sha1, startDigest } from "../../src/platform/start_digest.ts";
import { treeDigestBytes, TreeDigests } from "../../src/platform/tree_digests.ts";
import { noise } from "../support/payload.ts";
import { fc } from "../support/property.ts";
import { hashFile } from "../support/v2_torrents.ts";

Deno.test("TreeDigests gives the tree's hash and the SHA-1 digest of every piece, however its bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 4).map((blocks) => blocks * MERKLE_BLOCK),
      fc.array(fc.integer({ min: 0, max: 40_000 }), { minLength: 1, maxLength: 8 }),
      fc.option(fc.nat(50_000)),
      fc.nat(),
      (pieceLength, parts, padding, seed) => {
        const length = parts.reduce((sum, part) => sum + part, 0);
        fc.pre(length > 0);
        const data = noise(length, seed).subarray(0, length);
        const layer = length > pieceLength ? pieceLayer(pieceLength) : rootLayer(length);
        const pieces = new TreeDigests({ length, pieceLength, layer, padding, digest: startDigest, hasher: merkle });
        let at = 0;
        for (const part of parts) pieces.update(data.subarray(at, at += part));
        const expected = [];
        const file = hashFile(data, pieceLength);
        const hashes = length > pieceLength ? file.layer : file.root;
        for (let start = 0, piece = 0; start < length; start += pieceLength, piece++) {
          expected.push(hashes.subarray(piece * 32, piece * 32 + 32));
          const isLast = start + pieceLength >= length;
          const covered = [data.subarray(start, start + pieceLength), new Uint8Array(isLast ? padding ?? 0 : 0)];
          if (padding !== null) expected.push(sha1(concatBytes(covered)));
        }
        assertEquals(pieces.bytes, concatBytes(expected));
        assertEquals(treeDigestBytes({ padding }), padding === null ? 32 : 52);
      },
    ),
    { numRuns: 60 },
  );
});
