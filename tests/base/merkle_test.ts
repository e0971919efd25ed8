import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Bytes, concatBytes, equalBytes, toHex } from "../../src/base/bytes.ts";
import {
  HASH_BYTES,
  heightOf,
  isPowerOfTwo,
  layerSize,
  merkle,
  MERKLE_BLOCK,
  MerkleHasher,
  type MerkleRange,
  pieceLayer,
  proofSteps,
  rootLayer,
} from "../../src/base/merkle.ts";
import { sha256 } from "../../src/platform/start_digest.ts";
import { fc } from "../support/property.ts";

/** Returns made-up hashes. */
function leaves(count: number, salt = 0): Bytes {
  return concatBytes(Array.from({ length: count }, (_, i) => sha256(Uint8Array.of(i & 255, i >> 8, salt))));
}

function hashAt(hashes: Bytes, index: number): Bytes {
  return hashes.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES);
}

/** Returns all layers of a tree with its padding, computed as BEP 52 says, from the blocks to the root. */
function wholeTree(blocks: Bytes): Bytes[][] {
  const width = 2 ** Math.ceil(Math.log2(blocks.length / HASH_BYTES));
  const layers = [Array.from({ length: width }, (_, i) => {
    return i * HASH_BYTES < blocks.length ? hashAt(blocks, i) : new Uint8Array(HASH_BYTES);
  })];
  for (let below = layers[0]!; below.length > 1; below = layers.at(-1)!) {
    layers.push(Array.from({ length: below.length / 2 }, (_, i) => {
      return sha256(concatBytes([below[2 * i]!, below[2 * i + 1]!]));
    }));
  }
  return layers;
}

const counts = fc.integer({ min: 1, max: 70 });

Deno.test("MerkleHasher computes every layer of trees of every size from every lower layer", () => {
  fc.assert(fc.property(counts, fc.nat(7), fc.nat(7), (count, a, b) => {
    const blocks = leaves(count);
    const tree = wholeTree(blocks);
    const top = tree.length - 1;
    assertEquals(heightOf(count), top);
    const [from, to] = [Math.min(a, b, top), Math.min(Math.max(a, b), top)];
    const size = (layer: number) => layerSize(count * MERKLE_BLOCK, layer);
    const lower = merkle.above(blocks, { from: 0, to: from });
    assertEquals(lower, concatBytes(tree[from]!.slice(0, size(from))));
    assertEquals(merkle.above(lower, { from, to }), concatBytes(tree[to]!.slice(0, size(to))));
    assertEquals(merkle.root(lower, { from, to: top }), tree[top]![0]!);
    assertEquals(lower, merkle.above(blocks, { from: 0, to: from }), "the hashes were changed");
  }));
});

Deno.test("MerkleHasher.padding() is the root of a tree of zeros", () => {
  const hasher = new MerkleHasher();
  for (const layer of [3, 0, 1, 5, 2]) {
    const zeros = new Uint8Array(HASH_BYTES * 2 ** layer);
    assertEquals(hasher.padding(layer), wholeTree(zeros).at(-1)![0]!);
  }
});

Deno.test("MerkleHasher.root() refuses what is no layer of such a tree", () => {
  for (const [bytes, to] of [[0, 3], [31, 3], [33, 3], [5 * 32, 2], [64, 0]] as const) {
    assertThrows(() => merkle.root(new Uint8Array(bytes), { from: 0, to }), RangeError, `${bytes} bytes`);
  }
});

/** A request for hashes of a file with `count` blocks that peers may send: any range in any layer. */
const requests = fc.tuple(counts, fc.nat(6), fc.nat(6), fc.nat(1000), fc.nat(7)).map(([count, l, power, at, above]) => {
  const top = heightOf(count);
  const layer = Math.min(l, top);
  const size = 2 ** Math.min(power, top - layer);
  const index = (at % (2 ** (top - layer) / size)) * size;
  const proofLayers = top - layer < 1 ? 0 : above % (top - layer);
  return { blocks: leaves(count), top, layer, index, count: size, proofLayers };
});

Deno.test("MerkleHasher.prove() gives the hashes and uncles of any range in any layer, and verify() accepts them", () => {
  fc.assert(fc.property(requests, ({ blocks, top, ...request }) => {
    const { layer, index, count } = request;
    const tree = wholeTree(blocks);
    const proof = merkle.prove(merkle.above(blocks, { from: 0, to: layer }), request);
    const steps = proofSteps(request);
    assertEquals(proof.length, (count + steps) * HASH_BYTES);
    assertEquals(proof.subarray(0, count * HASH_BYTES), concatBytes(tree[layer]!.slice(index, index + count)));
    const expectedLayer = layer + heightOf(count) + steps;
    assert(expectedLayer <= top);
    const expected = tree[expectedLayer]![Math.floor(index / 2 ** (expectedLayer - layer))]!;
    const [hashes, uncles] = [proof.subarray(0, count * HASH_BYTES), proof.subarray(count * HASH_BYTES)];
    // The trusted hash may be an inner one; relative to it, the range has a smaller index.
    const inside = { layer, count, index: index % 2 ** (expectedLayer - layer) };
    assert(merkle.verify(inside, { hashes, uncles, expected }));
  }));
});

Deno.test("MerkleHasher.verify() refuses every forgery", () => {
  fc.assert(
    fc.property(requests, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(5), (made, at, flip, kind) => {
      const { blocks, top, layer, index, count } = made;
      const steps = top - layer - heightOf(count);
      const hashes = merkle.slice(merkle.above(blocks, { from: 0, to: layer }), made);
      const uncles = merkle.uncles(blocks, { layer: 0, from: layer + heightOf(count), index: index / count, to: top });
      assertEquals(uncles.length, steps * HASH_BYTES);
      const expected = merkle.root(blocks, { from: 0 });
      const range = { layer, index, count };
      assert(merkle.verify(range, { hashes, uncles, expected }));
      const flipped = (bytes: Bytes): Bytes => {
        const copy = bytes.slice();
        if (copy.length > 0) copy[at % copy.length]! ^= flip;
        return copy;
      };
      const more = concatBytes([uncles, new Uint8Array(HASH_BYTES)]);
      const forgeries = [
        () => merkle.verify(range, { hashes: flipped(hashes), uncles, expected }),
        () => steps > 0 && merkle.verify(range, { hashes, uncles: flipped(uncles), expected }),
        () => merkle.verify(range, { hashes, uncles, expected: flipped(expected) }),
        // An inner hash taken for the hash of a lower layer, with one uncle too many or too few.
        () => merkle.verify(range, { hashes, uncles: more, expected }),
        () => steps > 0 && merkle.verify(range, { hashes, uncles: uncles.subarray(HASH_BYTES), expected }),
        () => {
          const other = (index / count ^ 1) * count;
          const sibling = merkle.slice(merkle.above(blocks, { from: 0, to: layer }), { layer, index: other, count });
          return steps > 0 && !equalBytes(sibling, hashes) &&
            merkle.verify({ ...range, index: other }, { hashes, uncles, expected });
        },
      ];
      assertEquals(forgeries[kind]!(), false);
    }),
    { numRuns: 400 },
  );
});

/** Calls a function for each range of each layer of small trees, with what proves it. */
function eachRange(
  visit: (
    proof: { tree: Bytes[][]; top: number; range: MerkleRange; hashes: Bytes; uncles: Bytes; expected: Bytes },
  ) => void,
): void {
  for (const blockCount of [1, 2, 3, 5, 8, 9]) {
    const blocks = leaves(blockCount);
    const tree = wholeTree(blocks);
    const top = tree.length - 1;
    for (let layer = 0; layer <= top; layer++) {
      for (let count = 1; count <= tree[layer]!.length; count *= 2) {
        for (let index = 0; index < tree[layer]!.length; index += count) {
          const range = { layer, index, count };
          const hashes = merkle.slice(merkle.above(blocks, { from: 0, to: layer }), range);
          const from = layer + heightOf(count);
          const uncles = merkle.uncles(blocks, { layer: 0, from, index: index / count, to: top });
          visit({ tree, top, range, hashes, uncles, expected: tree[top]![0]! });
        }
      }
    }
  }
}

Deno.test("MerkleHasher.verify() refuses another hash in each place of range and proof, and any other index", () => {
  eachRange(({ tree, range, hashes, uncles, expected }) => {
    assert(merkle.verify(range, { hashes, uncles, expected }));
    for (const [name, part] of Object.entries({ hashes, uncles })) {
      for (let at = 0; at < part.length; at += HASH_BYTES) {
        const forged = part.slice();
        forged[at + 31]! ^= 1;
        assert(!merkle.verify(range, { hashes, uncles, expected, [name]: forged }), `${name} at ${at}`);
        const swapped = part.slice();
        swapped.set(hashAt(part, 0), at);
        swapped.set(hashAt(part, at / HASH_BYTES), 0);
        if (!equalBytes(swapped, part)) {
          assert(!merkle.verify(range, { hashes, uncles, expected, [name]: swapped }), `${name} swapped at ${at}`);
        }
      }
    }
    const { layer, index, count } = range;
    for (let other = -count; other < 2 * tree[layer]!.length; other += count / 2) {
      const same = tree[layer]!.slice(other, other + count);
      // Where there is nothing but padding, one range is as good as the other.
      if (other === index || (other >= 0 && equalBytes(concatBytes(same), hashes))) continue;
      assert(!merkle.verify({ ...range, index: other }, { hashes, uncles, expected }), `${other} for ${index}`);
    }
  });
});

Deno.test("MerkleHasher.verify() takes no hashes of one layer for those of another", () => {
  eachRange(({ tree, top, range, uncles, expected }) => {
    const { layer, index, count } = range;
    for (let other = 0; other <= top; other++) {
      if (other === layer) continue;
      const from = Math.floor(index * 2 ** (layer - other) / count) * count;
      const hashes = tree[other]!.slice(from, from + count);
      if (hashes.length < count) continue;
      // A true proof of the other layer has another number of uncles, so that none of this length exists.
      assert(!merkle.verify(range, { hashes: concatBytes(hashes), uncles, expected }), `layer ${other} for ${layer}`);
    }
  });
});

Deno.test("MerkleHasher takes no block that consists of two hashes for the node above them", () => {
  for (const count of [2, 3, 4, 7]) {
    const blocks = leaves(count);
    const tree = wholeTree(blocks);
    // The hash of this block is a node of layer 1, and BEP 52 has no mark that tells leaves from nodes.
    const forged = sha256(concatBytes([tree[0]![0]!, tree[0]![1]!]));
    assertEquals(forged, tree[1]![0]!);
    const to = heightOf(count);
    const expected = merkle.root(blocks, { from: 0, to });
    const shorter = concatBytes([forged, ...tree[1]!.slice(1)]);
    assertEquals(merkle.root(shorter, { from: 1, to }), expected);
    // What protects is that the number of layers follows from the length of the file.
    assert(!equalBytes(merkle.root(shorter, { from: 0, to }), expected));
  }
});

Deno.test("MerkleHasher.prove() gives padding for what lies past the end of a file, and verify() takes nothing else", () => {
  const blocks = leaves(9); // seven places of padding
  const tree = wholeTree(blocks);
  for (const [layer, index, count] of [[0, 8, 8], [0, 12, 4], [1, 6, 2], [1, 4, 4], [2, 3, 1]] as const) {
    const range = { layer, index, count };
    const lower = merkle.above(blocks, { from: 0, to: layer });
    const proof = merkle.prove(lower, { ...range, proofLayers: 4 - layer - 1 });
    const [hashes, uncles] = [proof.subarray(0, count * HASH_BYTES), proof.subarray(count * HASH_BYTES)];
    assertEquals(hashes, concatBytes(tree[layer]!.slice(index, index + count)));
    assertEquals(hashAt(hashes, count - 1), merkle.padding(layer));
    const trusted = { uncles, expected: tree[4]![0]! };
    const missing = 4 - layer - heightOf(count) - uncles.length / HASH_BYTES;
    const more = merkle.uncles(blocks, { layer: 0, from: 4 - missing, index: 1, to: 4 });
    const whole = { ...trusted, uncles: concatBytes([uncles, more]) };
    assert(merkle.verify(range, { hashes, ...whole }));
    const forged = hashes.slice();
    forged.set(sha256(Uint8Array.of(1)), (count - 1) * HASH_BYTES);
    assert(!merkle.verify(range, { hashes: forged, ...whole }));
    // The padding of another layer is another hash.
    forged.set(merkle.padding(layer + 1), (count - 1) * HASH_BYTES);
    assert(!merkle.verify(range, { hashes: forged, ...whole }));
  }
});

Deno.test("MerkleHasher.verify() refuses ranges that can't be", () => {
  const [hashes, uncles] = [leaves(2), leaves(1, 9)];
  const expected = merkle.parent(merkle.root(hashes, { from: 0 }), uncles);
  assert(merkle.verify({ layer: 0, index: 0, count: 2 }, { hashes, uncles, expected }));
  const ranges = [[1, 2], [4, 2], [-2, 2], [0.5, 2], [NaN, 2], [2 ** 54, 2], [0, 3], [0, 1], [0, 0], [0, 4]] as const;
  for (const [index, count] of ranges) {
    assertEquals(merkle.verify({ layer: 0, index, count }, { hashes, uncles, expected }), false, `${index} ${count}`);
  }
  assertEquals(
    merkle.verify({ layer: 0, index: 0, count: 2 }, { hashes, uncles: uncles.subarray(1), expected }),
    false,
  );
});

Deno.test("the sizes of layers are those of BEP 52", () => {
  const KIB = 1024;
  assertEquals([0, 1, 16 * KIB, 16 * KIB + 1, 2 ** 50].map((bytes) => layerSize(bytes, 0)), [0, 1, 1, 2, 2 ** 36]);
  assertEquals([1, 16 * KIB, 16 * KIB + 1, 48 * KIB, 64 * KIB + 1, 2 ** 50].map(rootLayer), [0, 0, 1, 2, 3, 36]);
  assertEquals([16 * KIB, 32 * KIB, 2 ** 22].map(pieceLayer), [0, 1, 8]);
  assertEquals([0, 1, 2, 3, 4, 2 ** 40, 2 ** 40 + 1, 0.5, NaN, -2].map(isPowerOfTwo), [
    ...[false, true, true, false, true, true, false, false, false, false],
  ]);
});

Deno.test("MerkleHasher gives the root that libtorrent gives for five blocks of zeros", () => {
  const block = sha256(new Uint8Array(MERKLE_BLOCK));
  const root = merkle.root(concatBytes([block, block, block, block, block]), { from: 0 });
  assertEquals(toHex(root), "51e0e23fe66de23bd8fcaef6701c69df0d1df5c1ecfe66953cf071ddd026fb23");
});
