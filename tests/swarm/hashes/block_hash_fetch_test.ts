import { assert, assertEquals } from "@std/assert";
import type { Bytes } from "../../../src/base/bytes.ts";
import { BLOCK_HASHES_MS } from "../../../src/base/defences.ts";
import { MERKLE_BLOCK, pieceLayer } from "../../../src/base/merkle.ts";
import { type Metainfo, type MetainfoFile, V2Pieces } from "../../../src/metainfo/mod.ts";
import { BlockHashFetch } from "../../../src/swarm/hashes/block_hash_fetch.ts";
import { settle } from "../../support/virtual_clock.ts";
import { type FakePeer, fileOf, HashLab, layerOf, someHashes } from "./hash_peers.ts";

const PIECE = 16 * 1024 * 1024;
const BLOCKS = PIECE / MERKLE_BLOCK;
/** Lengths: three pieces, the last of 1.5 blocks; 700 blocks; one block. */
const LENGTHS = [2 * PIECE + 1.5 * MERKLE_BLOCK, 700 * MERKLE_BLOCK, 9];

function make(pieceLength = PIECE) {
  const lab = new HashLab();
  const files = LENGTHS.map((length, i) => fileOf(length, someHashes(3 * BLOCKS, i)));
  lab.add(...files);
  let next = 0;
  const listed = files.map((file): MetainfoFile => {
    const offset = next * pieceLength;
    next += Math.ceil(file.length / pieceLength);
    const layer = file.length > pieceLength ? layerOf(file, pieceLayer(pieceLength)) : undefined;
    return { ...file, offset, layer, path: ["x"], pad: false, symlink: null, executable: false };
  });
  const meta = { version: "v2", pieceLength, pieceCount: next, totalLength: next * pieceLength, files: listed };
  const pieces = new V2Pieces(meta as unknown as Metainfo);
  const source = new BlockHashFetch<FakePeer>({ platform: lab.clock, pieces, fetch: lab.fetch });
  const ask = (piece: number) => {
    const got: (Bytes | null)[] = [];
    source.fetch(piece, (hashes) => void got.push(hashes));
    assertEquals(got, [], "not within the call");
    return got;
  };
  return { lab, files, source, ask };
}

Deno.test("BlockHashFetch fetches the hashes of pieces of any size, in ranges of 512, without padding", async () => {
  const { lab, files, ask } = make();
  const peer = lab.join("a");
  const got = [0, 1, 2, 3, 4].map((piece) => ask(piece));
  await lab.pass(1_000);
  const [large, middle, small] = files;
  assertEquals(got, [
    [large!.blocks.subarray(0, BLOCKS * 32)],
    [large!.blocks.subarray(BLOCKS * 32, 2 * BLOCKS * 32)],
    [large!.blocks.subarray(2 * BLOCKS * 32)],
    [middle!.blocks],
    [small!.root],
  ]);
  assertEquals(peer.asked.map(({ index, count }) => [index, count]), [
    [0, 512],
    [512, 512],
    [1024, 512],
    [1536, 512],
    [2048, 2],
    [0, 512],
    [512, 256],
  ]);
});

Deno.test("BlockHashFetch knows the hashes of pieces of one block without asking", async () => {
  const { files, ask } = make(MERKLE_BLOCK);
  const got = ask(5);
  await settle();
  assertEquals(got, [files[0]!.blocks.slice(5 * 32, 6 * 32)]);
});

Deno.test("BlockHashFetch asks peers that have the piece, and gives up at once where nobody has it", async () => {
  const { lab, ask } = make();
  const peer = lab.join("a");
  peer.pieces.clear(1);
  const got = ask(1);
  await settle();
  assertEquals([got, peer.asked], [[null], []]);
  const other = lab.join("b");
  const again = ask(1);
  await lab.pass(250);
  assertEquals([again.length, again[0]?.length, peer.asked.length, other.asked.length], [1, BLOCKS * 32, 0, 2]);
});

Deno.test("BlockHashFetch prefers peers that aren't suspects, and of these who answers fastest", async () => {
  const { lab, ask } = make();
  const peers = [lab.join("suspect", 10), lab.join("slow", 400), lab.join("fast", 20)];
  const counts = () => peers.map(({ asked }) => asked.length);
  ask(0);
  await lab.pass(1_000);
  assertEquals(counts(), [2, 0, 0]);
  peers[0]!.onParole = true;
  ask(1);
  await lab.pass(1_000);
  assertEquals(counts(), [2, 2, 0]);
  ask(3);
  await lab.pass(1_000);
  ask(2);
  await lab.pass(1_000);
  assertEquals(counts(), [2, 2, 3]);
});

Deno.test("BlockHashFetch goes to the next peer when one is silent, rejects or lies, and gives up after some seconds", async () => {
  const { lab, ask } = make();
  const silent = lab.join("silent", "silence");
  const got = ask(0);
  await lab.pass(250);
  assertEquals(silent.asked.length, 2);
  lab.join("rejects", "reject");
  lab.join("liar", "lie");
  const honest = lab.join("honest", 100);
  await lab.pass(2_000);
  assertEquals([got.length, got[0]?.length], [1, BLOCKS * 32]);
  assert(honest.asked.length > 0);

  const alone = make();
  alone.lab.join("silent", "silence");
  const never = [alone.ask(0), alone.ask(0), alone.ask(2)];
  await alone.lab.pass(BLOCK_HASHES_MS - 500);
  assertEquals(never, [[], [], []]);
  await alone.lab.pass(1_000);
  assertEquals(never, [[null], [null], [null]]);
  assertEquals(alone.lab.fetch.size, 0);
});

Deno.test("BlockHashFetch bans liars and tells what they did", async () => {
  const { lab, ask } = make();
  lab.join("liar", "lie");
  const got = ask(3);
  await lab.pass(BLOCK_HASHES_MS + 500);
  assertEquals(got, [null]);
  assertEquals(lab.banned, ["liar it sent wrong hashes: the proof of 512 hashes of layer 0 from 0 is false"]);
});

Deno.test("BlockHashFetch asks once for a piece that is wanted twice, and gives up everything when it is stopped", async () => {
  const { lab, source, ask } = make();
  const peer = lab.join("a", 1_000);
  const got = [ask(0), ask(0)];
  assertEquals(peer.asked.length, 2);
  source.stop();
  assertEquals(got, [[null], [null]]);
  const late = ask(1);
  await lab.pass(2_000);
  assertEquals([late, peer.asked.length], [[null], 2]);
});

Deno.test("BlockHashFetch gives up as soon as all peers have rejected, and asks nobody who rejects all the time", async () => {
  const { lab, ask } = make();
  const peers = [lab.join("a", "reject"), lab.join("b", "reject")];
  const got = ask(0);
  await lab.pass(500);
  assertEquals(got, [null]);
  assertEquals(peers.map(({ asked }) => asked.length), [2, 2]);
  for (let i = 0; i < 5; i++) {
    ask(1);
    await lab.pass(500);
    ask(3);
    await lab.pass(500);
  }
  const before = peers.map(({ asked }) => asked.length);
  const late = ask(2);
  await settle();
  assertEquals([late, peers.map(({ asked }) => asked.length)], [[null], before]);
  const honest = lab.join("c");
  const found = ask(2);
  await lab.pass(500);
  assertEquals([found[0]?.length, honest.asked.length], [64, 1]);
});
