import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { type Bytes, concatBytes } from "../../../src/base/bytes.ts";
import { PLAIN_MEMORY } from "../../../src/base/data_memory.ts";
import { HASH_TURN_MS, HASH_WORK, HASHES_A_TURN, HASHES_PER_WORK } from "../../../src/base/defences.ts";
import { ShoalError } from "../../../src/base/errors.ts";
import { HASH_BYTES, heightOf, merkle, pieceLayer, rootLayer } from "../../../src/base/merkle.ts";
import { type Metainfo, type MetainfoFile, parseMetainfo, V2Pieces } from "../../../src/metainfo/mod.ts";
import { denoPlatform } from "../../../src/platform/deno_platform.ts";
import { sha256 } from "../../../src/platform/start_digest.ts";
import { FileProofs } from "../../../src/swarm/hashes/file_proofs.ts";
import { HashTurns } from "../../../src/swarm/hashes/hash_turns.ts";
import { HashServer } from "../../../src/swarm/hashes/hash_server.ts";
import { encodeHashes, type HashRequest, parseHashes, proofLayersTo } from "../../../src/wire/hash_messages.ts";
import { noise } from "../../support/payload.ts";
import { hashFile, layersOf, leaf, v2 } from "../../support/v2_torrents.ts";
import { settle, VirtualClock } from "../../support/virtual_clock.ts";

const PIECE = 65_536;
/** Lengths in bytes: a block, two, a piece, less than that, 21 blocks in six pieces, eight pieces. */
const LENGTHS = [16_384, 20_000, 65_536, 40_000, 20 * 16_384 + 777, 8 * PIECE];

class Lab {
  readonly clock = new VirtualClock();
  readonly datas = LENGTHS.map((length, i) => noise(length, i));
  readonly meta: Metainfo;
  readonly pieces: V2Pieces;
  readonly missing = new Set<number>();
  readonly reads: number[] = [];
  broken = false;
  readonly server: HashServer;

  constructor(pieces?: V2Pieces) {
    const hashed = this.datas.map((data) => hashFile(data, PIECE));
    const tree = Object.fromEntries(hashed.map((hashes, i) => [`f${i}`, leaf(hashes)]));
    this.meta = parseMetainfo(
      v2(tree, {
        info: { "piece length": PIECE },
        layers: layersOf(...hashed.filter(({ layer }) => layer.length > 0)),
      }),
    );
    this.pieces = pieces ?? new V2Pieces(this.meta);
    this.server = new HashServer({
      platform: {
        now: () => this.clock.now(),
        after: (milliseconds, call) => this.clock.after(milliseconds, call),
        blockHashes: (data, leaves) => denoPlatform.blockHashes(data, leaves),
        yieldToEventLoop: () => Promise.resolve(),
      },
      memory: PLAIN_MEMORY,
      pieces: this.pieces,
      has: (index) => !this.missing.has(index),
      read: (index, begin, into) => {
        this.reads.push(index);
        if (this.broken) return Promise.reject(new ShoalError("storage", { what: "cannot read", why: "it is broken" }));
        const { file, indexInFile } = this.pieces.placeOf(index);
        const data = this.datas[this.meta.files.filter(({ pad }) => !pad).indexOf(file)]!;
        into.set(data.subarray(indexInFile * PIECE + begin).subarray(0, into.length));
        return Promise.resolve();
      },
    });
  }

  root(file: number): Bytes {
    return this.meta.files.filter(({ pad }) => !pad)[file]!.root!;
  }

  ask(file: number, range: Omit<HashRequest, "root">, network = "10.0.0.1"): Promise<Bytes | null> {
    return this.server.prove(network, { root: this.root(file), ...range });
  }
}

Deno.test("HashServer proves every range of every layer of every file, up to the root and up to any layer below", async () => {
  const lab = new Lab();
  let asked = 0;
  for (const [file, length] of LENGTHS.entries()) {
    const height = rootLayer(length);
    const root = lab.root(file);
    const blocks = hashesOfBlocks(lab.datas[file]!);
    for (let layer = 0; layer < height; layer++) {
      for (let count = 2; count <= 2 ** (height - layer); count *= 2) {
        for (let index = 0; index < 2 ** (height - layer); index += count) {
          for (let trusted = layer + heightOf(count); trusted <= height; trusted++) {
            const range = { layer, index, count };
            const request = { root, ...range, proofLayers: proofLayersTo(range, trusted) };
            const proof = await lab.server.prove("10.0.0.1", request);
            const what = `file ${file}, layer ${layer}, ${count} from ${index} to ${trusted}`;
            assert(proof !== null, what);
            const hashes = parseHashes(encodeHashes(request, proof));
            const layerOfTrusted = merkle.above(blocks, { from: 0, to: trusted });
            const node = Math.floor(index / 2 ** (trusted - layer));
            const expected = merkle.slice(layerOfTrusted, { layer: trusted, index: node, count: 1 });
            assert(merkle.verify({ ...range, index: index % 2 ** (trusted - layer) }, { ...hashes, expected }), what);
            const above = merkle.above(blocks, { from: 0, to: layer });
            assertEquals(hashes.hashes, merkle.slice(above, range), what);
            asked++;
          }
        }
      }
    }
  }
  assert(asked > 200);
});

function hashesOfBlocks(data: Bytes): Bytes {
  const blocks: Bytes[] = [];
  for (let at = 0; at < data.length; at += 16_384) blocks.push(sha256(data.subarray(at, at + 16_384)));
  return concatBytes(blocks);
}

Deno.test("HashServer refuses what there is not, and the layers below pieces that we lack", async () => {
  const lab = new Lab();
  const height = rootLayer(LENGTHS[4]!);
  const piece = pieceLayer(PIECE);
  const fine = { layer: 0, index: 4, count: 4, proofLayers: height - 1 };
  assert(await lab.ask(4, fine) !== null);
  for (
    const request of [
      { ...fine, layer: height },
      { ...fine, index: 2 },
      { ...fine, count: 3 },
      { ...fine, count: 0 },
      { ...fine, count: 2 ** 32 - 1 },
      { ...fine, count: 16_384, index: 0 },
      { ...fine, index: 2 ** 31 },
      { ...fine, proofLayers: height },
      { ...fine, proofLayers: 2 ** 32 - 1 },
    ]
  ) assertEquals(await lab.ask(4, request), null, JSON.stringify(request));
  assertEquals(await lab.ask(0, { layer: 0, index: 0, count: 2, proofLayers: 0 }), null, "a file of one block");
  assertEquals(await lab.server.prove("10.0.0.1", { ...fine, root: new Uint8Array(32) }), null, "an unknown root");

  const fresh = new Lab();
  const first = fresh.pieces.placeOf(4).indexInFile; // the fifth file begins with the fifth piece
  assertEquals(first, 0);
  fresh.missing.add(5);
  assertEquals(await fresh.ask(4, fine), null, "the second piece is missing");
  assertEquals(await fresh.ask(4, { ...fine, index: 0, count: 8 }), null);
  assert(await fresh.ask(4, { ...fine, index: 0 }) !== null);
  assert(await fresh.ask(4, { layer: piece, index: 0, count: 8, proofLayers: 0 }) !== null, "the layer itself is here");
});

Deno.test("HashServer reads a piece once for several requests, and none for the piece layer", async () => {
  const lab = new Lab();
  await lab.ask(5, { layer: 2, index: 0, count: 8, proofLayers: 0 });
  assertEquals(lab.reads, []);
  const ranges = [0, 1].flatMap((layer) => [0, 2].map((index) => ({ layer, index, count: 2, proofLayers: 2 })));
  await Promise.all(ranges.slice(0, 3).map((range) => lab.ask(5, range)));
  assertEquals(lab.reads.length, 1);
});

Deno.test("HashServer sends no hashes of a piece that is wrong on disk or can't be read", async () => {
  const lab = new Lab();
  lab.datas[5]![0]! ^= 1;
  assertEquals(await lab.ask(5, { layer: 0, index: 0, count: 4, proofLayers: 0 }), null);
  assert(await lab.ask(5, { layer: 0, index: 4, count: 4, proofLayers: 0 }) !== null);
  lab.broken = true;
  assertEquals(await lab.ask(5, { layer: 0, index: 8, count: 4, proofLayers: 0 }), null);
  lab.broken = false;
  assert(await lab.ask(5, { layer: 0, index: 8, count: 4, proofLayers: 0 }) !== null);
});

Deno.test("HashServer makes a network wait that wants much, and nobody else", async () => {
  const lab = new Lab();
  const cheap = { layer: 2, index: 0, count: 2, proofLayers: 0 };
  for (let i = 0; i < HASH_WORK.burst; i++) void lab.ask(5, cheap);
  let isServed = false;
  void lab.ask(5, cheap).then(() => isServed = true);
  let isOtherServed = false;
  void lab.ask(5, cheap, "10.0.0.2").then(() => isOtherServed = true);
  await settle();
  assertEquals([isServed, isOtherServed], [false, true]);
  lab.clock.advance(3_600_000);
  await settle();
  assert(isServed);
});

Deno.test("HashServer.stop() ends the waiting", async () => {
  const lab = new Lab();
  const cheap = { layer: 2, index: 0, count: 2, proofLayers: 0 };
  for (let i = 0; i < HASH_WORK.burst; i++) void lab.ask(5, cheap);
  const last = lab.ask(5, cheap);
  await settle();
  lab.server.stop();
  assertEquals(await last, null);
});

Deno.test("FileProofs proves ranges of large files as the whole layer does, in turns", async () => {
  const from = 4;
  const count = 512 * 17 + 13;
  const layer = noise(count * HASH_BYTES, 3);
  let pauses = 0;
  let computed = 0;
  let most = 0;
  const proofs = new FileProofs(layer, {
    layer: from,
    turn: (hashes) => {
      computed += hashes;
      most = Math.max(most, hashes);
      return Promise.resolve();
    },
    pause: () => {
      pauses++;
      return Promise.resolve();
    },
  });
  assertEquals(proofs.unhashed, count);
  const height = from + heightOf(count);
  for (const at of [4, 7, 13]) {
    const width = 2 ** (height - at);
    for (const size of [2, 512, 8192].filter((size) => size <= width)) {
      for (const index of [0, Math.floor(width / 2 / size) * size]) {
        const range = { layer: at, index, count: size };
        const all = merkle.above(layer, { from, to: at });
        computed = 0;
        const got = await proofs.range(range);
        assertEquals(computed, proofs.costOfRange(range));
        assertLessOrEqual(
          Math.max(0, got.length / HASH_BYTES * (2 ** (at - from) - 1)),
          at < from + 5 ? computed : Infinity,
        );
        assertEquals(merkle.slice(got, { ...range, index: 0 }), merkle.slice(all, range));
        const own = at + heightOf(size);
        for (const to of [own, own + 1, height].filter((to) => to >= own && to <= height)) {
          const wanted = { from: own, index: index / size, to };
          computed = 0;
          assertEquals(await proofs.uncles(wanted), merkle.uncles(layer, { ...wanted, layer: from }));
          assertEquals(computed, proofs.costOfUncles(wanted));
        }
      }
    }
  }
  assert(pauses > 0);
  assertLessOrEqual(most, HASHES_A_TURN);
  assertEquals(proofs.unhashed, 0);
});

Deno.test("HashServer charges the hashes that it computes, and computes none twice below a piece that it keeps", async () => {
  // A large file, of which nothing is read: each request is about its piece layer and above.
  const count = 2 ** 14;
  const layer = noise(count * HASH_BYTES, 4);
  const root = merkle.root(layer, { from: 2 });
  const file = { path: ["large"], length: count * PIECE, pad: false, root, layer } as unknown as MetainfoFile;
  const lab = new Lab({ pieceLength: PIECE, filesWithPieces: () => [{ file, first: 0 }] } as unknown as V2Pieces);
  const sent = 8192 / HASHES_PER_WORK + 1;
  for (let left = HASH_WORK.burst; left > sent; left -= sent) {
    await lab.server.prove("10.0.0.1", { root, layer: 2, index: 0, count: 8192, proofLayers: 0 });
  }
  // It sends 1024 hashes, and computes 16,384: more than is left of the burst, and half of what a second allows.
  let isDone = false;
  void lab.server.prove("10.0.0.1", { root, layer: 6, index: 0, count: 1024, proofLayers: 0 }).then((proof) => {
    isDone = proof !== null;
  });
  const pass = async (milliseconds: number) => {
    for (let at = 0; at < milliseconds; at += HASH_TURN_MS) {
      lab.clock.advance(HASH_TURN_MS);
      await settle();
    }
  };
  await pass(300);
  assert(!isDone);
  await pass(300 + count / HASHES_A_TURN * HASH_TURN_MS);
  assert(isDone);

  const small = new Lab();
  await small.ask(5, { layer: 0, index: 0, count: 2, proofLayers: 4 });
  let isServed = false;
  for (let i = 0; i < 100; i++) {
    void small.ask(5, { layer: 0, index: 0, count: 2, proofLayers: 1 }).then(() => isServed = true);
  }
  await settle();
  assert(isServed, "none of these needs a rest");
  assertEquals(small.reads.length, 1);
});

Deno.test("HashTurns lets hashes be computed in turns, with a rest after each, and none after stop()", async () => {
  const clock = new VirtualClock();
  const turns = new HashTurns(clock);
  const taken: number[] = [];
  for (const [i, hashes] of [HASHES_A_TURN / 2, HASHES_A_TURN / 2, 1, 0, HASHES_A_TURN, 5].entries()) {
    void turns.take(hashes).then(() => taken.push(i));
  }
  await settle();
  assertEquals(taken.toSorted(), [0, 1, 3]);
  clock.advance(HASH_TURN_MS - 1);
  await settle();
  assertEquals(taken.length, 3);
  clock.advance(1);
  await settle();
  assertEquals(taken.at(-1), 2);
  clock.advance(HASH_TURN_MS);
  await settle();
  assertEquals(taken.at(-1), 4);
  turns.stop();
  await settle();
  assertEquals(taken.length, 6);
});
