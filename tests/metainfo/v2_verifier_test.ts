import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Bytes } from "../../src/base/bytes.ts";
import { digestsOf, layoutOf, type Metainfo, parseMetainfo, verifierOf } from "../../src/metainfo/mod.ts";
import { hashBlocks } from "../../src/platform/merkle_digest.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { MerkleTorrent } from "../support/merkle_torrent.ts";
import {
  type Dict,
  type FileHashes,
  hashFile,
  hybrid,
  layersOf,
  leaf,
  pad,
  PIECE,
  v2,
} from "../support/v2_torrents.ts";

/** Files of several pieces, of whole pieces, of a part of a block, of two blocks, and empty. */
const LENGTHS: Readonly<Record<string, number>> = { a: 100_000, b: 0, c: 5000, d: 20_000, e: 65_536, f: PIECE, g: 3 };
const platform = {
  digest: startDigest,
  sha1: (data: Bytes) => Promise.resolve(sha1(data)),
  blockHashes: (data: Bytes, leaves: number) => Promise.resolve(hashBlocks(data, leaves, () => startDigest("sha256"))),
};

/** A torrent with data, and a model of its verifier. */
interface Pair {
  readonly meta: Metainfo;
  readonly model: MerkleTorrent;
}

function pairOf({ padded, layers = true }: { padded: boolean; layers?: boolean }): Pair {
  const model = new MerkleTorrent(PIECE, LENGTHS, { padded });
  model.knowsBlocks = false;
  const tree: Record<string, Dict> = {};
  const list: Dict[] = [];
  const hashed: FileHashes[] = [];
  for (const file of model.layout.files) {
    const { path, length, offset } = file;
    list.push(file.pad ? pad(length) : { length, path: [path[1]!] });
    if (file.pad) continue;
    const hashes = length > 0 ? hashFile(model.data.slice(offset, offset + length), PIECE) : null;
    tree[path[1]!] = leaf(hashes ?? { length });
    if (hashes !== null && hashes.layer.length > 0) hashed.push(hashes);
  }
  const options = { layers: layers ? layersOf(...hashed) : null };
  return { model, meta: parseMetainfo(padded ? hybrid(list, tree, options) : v2(tree, options)) };
}

function flipped(data: Bytes): Bytes {
  const bad = data.slice();
  bad[bad.length - 1]! ^= 1;
  return bad;
}

for (const padded of [false, true]) {
  const { meta, model } = pairOf({ padded });
  const verifier = verifierOf(meta, platform);
  const indexes = Array.from({ length: model.pieceCount }, (_, index) => index);

  Deno.test(`verifierOf() tells the pieces of a ${meta.version} torrent, which end with their file`, () => {
    assertEquals([verifier.pieceCount, verifier.pieceLength], [model.pieceCount, PIECE]);
    for (const index of indexes) {
      assertEquals(verifier.pieceSize(index), model.pieceSize(index));
      assertEquals(layoutOf(meta).pieceSize(index), model.pieceSize(index));
      assertEquals(verifier.servedSize(index), padded ? model.servedSize(index) : PIECE, "padding is served");
      assertEquals(layoutOf(meta).servedSize(index), verifier.servedSize(index));
      assertEquals(verifier.hashing(index), model.hashing(index));
      const isOneStream = index > 0 && verifier.hashing(index) === verifier.hashing(index - 1);
      assert(!isOneStream || model.pieceSize(index - 1) === PIECE);
    }
    assert(verifier.hashing(0) === verifier.hashing(3), "pieces of one file are hashed in one go");
    for (const index of [-1, model.pieceCount, 0.5]) assertThrows(() => verifier.pieceSize(index), RangeError);
  });

  Deno.test(`verifierOf() verifies pieces of a ${meta.version} torrent whole, in parts and by their digests`, async () => {
    for (const index of indexes) {
      const piece = model.piece(index);
      for (const data of [piece, flipped(piece)]) {
        const expected = await model.check(index, data);
        const isBlock = piece.length <= 16_384 && !expected.isRight;
        const verdict = { ...expected, ...(isBlock && { wrongBlocks: [0] }) };
        assertEquals(verdict.isRight, data === piece);
        assertEquals(await verifier.check(index, data), verdict);
        const hasher = verifier.start(index);
        for (let at = 0; at < data.length; at += 10_000) hasher.update(data.subarray(at, at + 10_000));
        assertEquals(hasher.verdict(), verdict);
        const { root } = await platform.blockHashes(data, (model.hashing(index) as { leaves: number }).leaves);
        assertEquals(verifier.matches(index, root), verdict.isRight);
        assertEquals(digestsOf(meta).matches(index, root), verdict.isRight);
      }
    }
  });
}

Deno.test("verifierOf() verifies a hybrid without piece layers by its v1 half, with padding", () => {
  const { meta } = pairOf({ padded: true, layers: false });
  const verifier = verifierOf(meta, platform);
  assertEquals(verifier.hashing(0), { digest: "sha1" });
  assertEquals([verifier.pieceSize(3), layoutOf(meta).pieceSize(3)], [PIECE, PIECE]);
  assertThrows(() =>
    verifierOf(pairOf({ padded: false, layers: false }).meta, platform).matches(0, new Uint8Array(32))
  );
});
