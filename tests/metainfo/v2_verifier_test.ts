import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Bytes, concatBytes } from "../../src/base/bytes.ts";
import type { PieceVerifier } from "../../src/base/piece_verifier.ts";
import { digestsOf, layoutOf, type Metainfo, parseMetainfo, verifierOf } from "../../src/metainfo/mod.ts";
import { hashBlocks } from "../../src/platform/merkle_digest.ts";
import type { BlockHashOptions } from "../../src/platform/platform.ts";
import { denoPlatform } from "../../src/platform/deno_platform.ts";
import { sha1, startDigest } from "../../src/platform/start_digest.ts";
import { createTorrent } from "../../src/session/create_torrent.ts";
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
  blockHashes: (data: Bytes, leaves: number, options?: BlockHashOptions) =>
    Promise.resolve(hashBlocks(data, leaves, startDigest, options)),
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
  const meta = parseMetainfo(padded ? hybrid(list, tree, options) : v2(tree, options));
  return { model, meta: padded ? { ...meta, pieces: v1HashesOf(model) } : meta };
}

/** Returns the SHA-1 digests of all pieces, which cover the padding behind a file. */
function v1HashesOf(model: MerkleTorrent): Bytes {
  return concatBytes(Array.from({ length: model.pieceCount }, (_, index) => {
    const padding = new Uint8Array(model.servedSize(index) - model.pieceSize(index));
    return sha1(concatBytes([model.piece(index), padding]));
  }));
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

Deno.test("verifierOf() takes no two hashes for the blocks below them", async () => {
  const { meta, model } = pairOf({ padded: false });
  const verifier = verifierOf(meta, platform);
  for (let index = 0; index < model.pieceCount; index++) {
    const { leaves } = model.hashing(index) as { leaves: number };
    const { blocks, root } = await platform.blockHashes(model.piece(index), leaves);
    if (blocks.length !== 2 * 32) continue;
    // The SHA-256 of these 64 bytes is the root of the piece, but the piece has two blocks, and not one.
    assertEquals(hashBlocks(blocks, 1, () => startDigest("sha256")).root, root);
    assert(!(await verifier.check(index, blocks)).isRight);
    const hasher = verifier.start(index);
    hasher.update(blocks);
    assert(!hasher.verdict().isRight);
  }
});

Deno.test("verifierOf() verifies a hybrid without piece layers by its v1 half, whose padding nobody is asked for", async () => {
  const { meta: bare, model } = pairOf({ padded: true, layers: false });
  const wholeOf = (index: number) => model.data.slice(index * PIECE, Math.min((index + 1) * PIECE, bare.totalLength));
  const digests = Array.from({ length: bare.pieceCount }, (_, index) => sha1(wholeOf(index)));
  const meta: Metainfo = { ...bare, pieces: concatBytes(digests) };
  const verifier = verifierOf(meta, platform);
  assertEquals(verifier.hashing(0), { digest: "sha1" });
  for (let index = 0; index < meta.pieceCount; index++) {
    const whole = wholeOf(index);
    assertEquals([verifier.pieceSize(index), verifier.servedSize(index)], [model.pieceSize(index), whole.length]);
    assertEquals(layoutOf(meta).pieceSize(index), whole.length, "on the disk it reads as zeros");
    assert(verifier.matches(index, sha1(whole)));
    const data = whole.slice(0, model.pieceSize(index));
    for (const bytes of [data, flipped(data)]) {
      const hasher = verifier.start(index);
      for (let at = 0; at < bytes.length; at += 5000) hasher.update(bytes.slice(at, at + 5000));
      for (const verdict of [await verifier.check(index, bytes), hasher.verdict()]) {
        assertEquals([verdict.isRight, verdict.wrongBlocks], bytes === data ? [true, []] : [false, null]);
      }
    }
  }
  assertThrows(() =>
    verifierOf(pairOf({ padded: false, layers: false }).meta, platform).matches(0, new Uint8Array(32))
  );
});

Deno.test("verifierOf() finds that a hybrid's halves disagree, in either direction, and not if both find the piece wrong", async () => {
  const { meta: right, model } = pairOf({ padded: true });
  const v1 = right.pieces.slice();
  const [good, bad] = [model.piece(4), flipped(model.piece(4))];
  const padding = new Uint8Array(model.servedSize(4) - model.pieceSize(4));
  assert(padding.length > 0);
  const judge = async (verifier: PieceVerifier, data: Bytes) => {
    const hasher = verifier.start(4);
    hasher.update(data);
    const verdict = hasher.verdict();
    assertEquals(await verifier.check(4, data), verdict);
    return [verdict.isRight, verdict.isContradictory ?? false];
  };
  const agreeing = verifierOf(right, platform);
  assertEquals([await judge(agreeing, good), await judge(agreeing, bad)], [[true, false], [false, false]]);
  v1.set(sha1(concatBytes([bad, padding])), 4 * 20);
  const other = verifierOf({ ...right, pieces: v1 }, platform);
  assertEquals([await judge(other, good), await judge(other, bad)], [[true, true], [false, true]]);
  v1[4 * 20]! ^= 1;
  const broken = verifierOf({ ...right, pieces: v1 }, platform);
  assertEquals([await judge(broken, good), await judge(broken, bad)], [[true, true], [false, false]]);
});

Deno.test("verifierOf() hashes no more zeros behind a hybrid's small file than its data takes", async () => {
  const pieceLength = 2 ** 20;
  const files = { small: 1000, half: 600_000, quarter: 800_000 };
  const model = new MerkleTorrent(pieceLength, files, { padded: true });
  const folder = await Deno.makeTempDir();
  try {
    for (const [index, [name, length]] of Object.entries(files).entries()) {
      await Deno.writeFile(`${folder}/${name}`, model.piece(index).subarray(0, length));
    }
    const options = { platform: denoPlatform, version: "hybrid", pieceLength } as const;
    const { meta } = await createTorrent(folder, options);
    const asked: (number | null | undefined)[] = [];
    const verifier = verifierOf(meta, {
      ...platform,
      blockHashes: (data, leaves, options) => {
        asked.push(options?.sha1Padding);
        return platform.blockHashes(data, leaves, options);
      },
    });
    for (const { offset, length } of meta.files.filter(({ pad, length }) => !pad && length > 0)) {
      const data = await Deno.readFile(`${folder}/${meta.files.find((file) => file.offset === offset)!.path.at(-1)}`);
      assertEquals(data.length, length);
      assert((await verifier.check(offset / pieceLength, data)).isRight);
    }
    const gap = (length: number) => pieceLength - length;
    assertEquals(asked, [gap(600_000), gap(800_000), null]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
