import { assert, assertEquals, assertThrows } from "@std/assert";
import { concatBytes } from "../../src/base/bytes.ts";
import { encodeSingleFile } from "../../src/metainfo/encode_torrent.ts";
import { digestsOf, parseMetainfo, verifierOf } from "../../src/metainfo/mod.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { noise } from "../support/payload.ts";

const PIECE = 32 * 1024;
const DATA = noise(2 * PIECE + 100, 1);
const PIECES = [0, 1, 2].map((index) => DATA.slice(index * PIECE, (index + 1) * PIECE));
const META = parseMetainfo(
  encodeSingleFile({
    name: "a",
    length: DATA.length,
    pieceLength: PIECE,
    digests: PIECES.map(sha1),
    announce: "http://t.test/announce",
  }),
  { source: "a.torrent" },
);
const VERIFIER = verifierOf(META, {
  digest: startDigest,
  sha1: (data) => Promise.resolve(sha1(data)),
  blockHashes: () => Promise.reject(new Error("it is a v1 torrent")),
});

Deno.test("verifierOf() tells the pieces of a v1 torrent, which are hashed as one stream", () => {
  assertEquals([VERIFIER.pieceCount, VERIFIER.pieceLength], [3, PIECE]);
  assertEquals([0, 1, 2].map((index) => VERIFIER.pieceSize(index)), [PIECE, PIECE, 100]);
  assertThrows(() => VERIFIER.pieceSize(3), RangeError);
  assert(VERIFIER.hashing(0) === VERIFIER.hashing(2));
  assertEquals(VERIFIER.hashing(0), { digest: "sha1" });
});

Deno.test("verifierOf() verifies pieces of a v1 torrent whole, in parts and by their digests", async () => {
  const right = { isRight: true, wrongBlocks: [], blockDigests: null };
  const wrong = { isRight: false, wrongBlocks: null, blockDigests: null };
  for (const [index, piece] of PIECES.entries()) {
    const bad = piece.slice();
    bad[99]! ^= 1;
    for (const [data, verdict] of [[piece, right], [bad, wrong]] as const) {
      assertEquals(await VERIFIER.check(index, data), verdict);
      const hasher = VERIFIER.start(index);
      for (let at = 0; at < data.length; at += 10_000) hasher.update(data.subarray(at, at + 10_000));
      assertEquals(hasher.verdict(), verdict);
      assertEquals(VERIFIER.matches(index, sha1(data)), verdict.isRight);
      assertEquals(digestsOf(META).matches(index, sha1(data)), verdict.isRight);
    }
    assert(!VERIFIER.matches(index, concatBytes([sha1(piece), new Uint8Array(12)])), "a digest of another kind");
  }
});
