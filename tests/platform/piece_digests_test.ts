import { assertEquals } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { MERKLE_BLOCK, pieceLayer, rootLayer } from "../../src/base/merkle.ts";
import { MerkleDigest } from "../../src/platform/merkle_digest.ts";
import { digestBytes, optionsOfTree, PieceDigests } from "../../src/platform/piece_digests.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { noise } from "../support/payload.ts";
import { fc } from "../support/property.ts";
import { hashFile } from "../support/v2_torrents.ts";

Deno.test("PieceDigests gives the digest of every piece, however its bytes are cut", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 300 }),
    fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 20 }),
    fc.nat(),
    (pieceLength, parts, seed) => {
      const total = parts.reduce((sum, part) => sum + part, 0);
      fc.pre(total > 0);
      const data = noise(total, seed).subarray(0, total);
      const pieces = new PieceDigests(startDigest, { hashing: { digest: "sha1" }, pieceLength, total });
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

Deno.test("PieceDigests gives the root of every piece's Merkle tree", () => {
  const pieceLength = 64 * 1024;
  for (const total of [1, 16_384, 20_000, 65_536, 3 * 65_536 + 40_000]) {
    for (const leaves of [4, 16]) {
      const data = noise(total, total);
      const pieces = new PieceDigests(startDigest, { hashing: { digest: "merkle", leaves }, pieceLength, total });
      for (let at = 0; at < total; at += 30_001) pieces.update(data.subarray(at, at + 30_001));
      const expected = [];
      for (let start = 0; start < total; start += pieceLength) {
        const piece = data.subarray(start, start + pieceLength);
        const digest = new MerkleDigest(() => startDigest("sha256"), { length: piece.length, leaves });
        digest.update(piece);
        expected.push(digest.digest());
      }
      assertEquals(pieces.bytes, concatBytes(expected), `${total} bytes, ${leaves} leaves`);
    }
  }
});

Deno.test("PieceDigests gives the tree's hash and the SHA-1 digest of every piece of a new torrent, however its bytes are cut", () => {
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
        const pieces = new PieceDigests(startDigest, optionsOfTree({ length, pieceLength, layer, padding }));
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
        assertEquals(digestBytes({ digest: "merkle", leaves: 1 }, padding), padding === null ? 32 : 52);
      },
    ),
    { numRuns: 60 },
  );
});
