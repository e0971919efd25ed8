import { assert, assertEquals, assertRejects } from "@std/assert";
import { HASHES_AT_ONCE, MAX_HASH_REQUESTS } from "../../../src/base/defences.ts";
import { pieceLayer } from "../../../src/base/merkle.ts";
import { type Metainfo, MetainfoError, type MetainfoFile } from "../../../src/metainfo/mod.ts";
import { LayerFetch, rangesOf } from "../../../src/swarm/hashes/layer_fetch.ts";
import { type FakePeer, fileOf, type HashedFile, HashLab, layerOf, someHashes } from "./hash_peers.ts";

const PIECE = 32_768;
const BLOCKS_OF_PIECE = 2;

/** A file of a number of pieces, the last of which has one byte. */
function file(pieces: number, seed: number): HashedFile {
  const length = (pieces - 1) * PIECE + 1;
  return fileOf(length, someHashes(pieces * BLOCKS_OF_PIECE, seed));
}

function metaOf(files: readonly HashedFile[]): Metainfo {
  const listed = files.map(({ root, length }) => ({ root, length, path: ["x"] } as unknown as MetainfoFile));
  return {
    name: "top",
    version: "v2",
    pieceLength: PIECE,
    pieces: new Uint8Array(0),
    files: listed,
  } as unknown as Metainfo;
}

function make(sizes: readonly number[]) {
  const lab = new HashLab();
  const files = sizes.map((pieces, i) => file(pieces, i));
  lab.add(...files);
  const layers = new LayerFetch<FakePeer>(metaOf(files), lab.fetch);
  let found: Metainfo | null = null;
  const done = layers.run();
  done.then((meta) => found = meta, () => {});
  const assertFound = () => {
    assert(found !== null, "not everything was found");
    for (const [i, hashed] of files.entries()) {
      const { layer } = found.files[i]!;
      assertEquals(layer, sizes[i]! > 1 ? layerOf(hashed, pieceLayer(PIECE)) : undefined, `file ${i}`);
    }
  };
  return { lab, layers, done, files, assertFound, found: () => found };
}

Deno.test("rangesOf() covers every piece with ranges that a tree has", () => {
  for (const pieces of [2, 3, 511, 512, 513, 514, 600, 1024, 1025, 5000]) {
    let next = 0;
    for (const { layer, index, count } of rangesOf(pieces * PIECE, PIECE)) {
      assertEquals([layer, index, index % count, Math.log2(count) % 1], [1, next, 0, 0]);
      assert(count >= 2 && count <= 512);
      next = index + count;
    }
    assert(next >= pieces);
  }
});

Deno.test("LayerFetch fetches the layers of many files, from several peers at a time", async () => {
  const sizes = [1, 2, 3, 512, 513, 1700, ...Array.from({ length: 1500 }, (_, i) => 2 + i % 5)];
  const { lab, layers, assertFound } = make(sizes);
  assertEquals([layers.progress, layers.files], [0, { done: 0, total: sizes.length - 1 }]);
  const peers = ["a", "b", "c"].map((host) => lab.join(host));
  await lab.pass(250);
  assert(layers.progress > 0 && layers.progress < 1);
  assert(layers.files.done > 0);
  await lab.pass(10_000);
  assertFound();
  assertEquals([layers.progress, layers.files.done, lab.fetch.size], [1, sizes.length - 1, 0]);
  for (const peer of peers) assert(peer.asked.length > 300, `${peer.asked.length}`);
  const ranges = 1 + 1 + 1 + 2 + 4 + 1500;
  assertEquals(peers.reduce((sum, { asked }) => sum + asked.length, 0), ranges, "nothing is asked for twice");
});

Deno.test("LayerFetch bounds what one peer is asked for", async () => {
  const { lab, assertFound } = make(Array.from({ length: 16 }, () => 512 * 4));
  let most = 0;
  const peer = lab.join("a", 100);
  peer.react = () => {
    most = Math.max(most, peer.hashRequests.size);
    return 100;
  };
  await lab.pass(30_000);
  assertFound();
  assert(most > 4 && most <= Math.min(MAX_HASH_REQUESTS, HASHES_AT_ONCE / 512), `${most}`);
});

Deno.test("LayerFetch bans who sends a false proof, says what it did, and gets the hashes from others", async () => {
  const { lab, assertFound } = make([2000]);
  lab.join("liar", "lie");
  await lab.pass(1_000);
  assertEquals(lab.banned, ["liar it sent wrong hashes: the proof of 512 hashes of layer 1 from 0 is false"]);
  assertEquals(lab.fetch.peerCount, 0);
  lab.join("honest");
  await lab.pass(1_000);
  assertFound();
  assertEquals(lab.banned.length, 1);
});

Deno.test("LayerFetch asks others when a peer is silent or leaves, and takes late answers", async () => {
  const { lab, assertFound } = make([3000]);
  const silent = lab.join("silent", "silence");
  await lab.pass(10_000);
  assertEquals(silent.asked.length, 4, "a silent peer gets no more requests");
  const other = lab.join("honest");
  await lab.pass(2_000);
  assertFound();
  assertEquals(other.asked.length, 6);

  const late = make([3000]);
  late.lab.join("late", 6_000);
  await late.lab.pass(60_000);
  late.assertFound();

  const leaving = make([3000]);
  const first = leaving.lab.join("first", "silence");
  await leaving.lab.pass(250);
  leaving.lab.join("second");
  leaving.lab.leave(first);
  await leaving.lab.pass(1_000);
  leaving.assertFound();
});

Deno.test("LayerFetch leaves peers alone that reject everything, and comes back when they have hashes", async () => {
  const { lab, assertFound } = make(Array.from({ length: 40 }, () => 600));
  const peer = lab.join("a", "reject");
  await lab.pass(60_000);
  assert(peer.asked.length < 60, `${peer.asked.length} requests in a minute`);
  peer.react = () => 50;
  await lab.pass(90_000);
  assertFound();
  assertEquals(lab.banned, []);
});

Deno.test("LayerFetch asks only peers that use v2", async () => {
  const { lab, layers } = make([5]);
  const peer = lab.join("a");
  const old = lab.join("b");
  lab.leave(old);
  old.v2 = false;
  lab.fetch.joined(old);
  const before = old.asked.length;
  await lab.pass(1_000);
  assertEquals([old.asked.length, peer.asked.length, layers.peerCount], [before, 1, 1]);
});

Deno.test("LayerFetch.stop() takes back all wants", async () => {
  const { lab, layers } = make([2000, 3]);
  lab.join("a");
  layers.stop();
  await lab.pass(1_000);
  assertEquals([lab.fetch.size, layers.over], [0, true]);
});

Deno.test("LayerFetch refuses files of different lengths that claim the same root", async () => {
  const { lab, files } = make([4]);
  const [first] = files;
  const layers = new LayerFetch<FakePeer>(metaOf([first!, { ...first!, length: first!.length + PIECE }]), lab.fetch);
  const done = layers.run();
  lab.join("a");
  await lab.pass(1_000);
  await assertRejects(() => done, MetainfoError, "have the same root");
});
