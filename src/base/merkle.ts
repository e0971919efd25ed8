/**
 * Merkle trees of files (BEP 52): block hashes, layers, roots and proofs.
 *
 * Layer 0 has the SHA-256 of each block of 16 KiB, and a hash of a higher layer is the SHA-256 of two hashes of the
 * layer below. The tree is padded to a power of two with hashes of zeros, as if there were blocks whose hash is zero. A
 * layer is stored without its padding, as 32 bytes for each hash.
 *
 * @module
 */

import { type Bytes, concatBytes, equalBytes } from "./bytes.ts";
import { sha256Pair } from "./sha256_pair.ts";

/** Bytes of a SHA-256 digest. */
export const HASH_BYTES = 32;
/** Bytes of the data below one hash of layer 0. The last block of a file may be shorter. */
export const MERKLE_BLOCK = 16 * 1024;

/**
 * Returns the number of hashes that a layer has without its padding.
 *
 * @param bytes Length of the file in bytes.
 * @param layer Number of the layer; 0 for the blocks.
 */
export function layerSize(bytes: number, layer: number): number {
  return Math.ceil(bytes / (MERKLE_BLOCK * 2 ** layer));
}

/**
 * Returns the layer of the root above a number of hashes.
 *
 * @param count Number of hashes in layer 0, at least 1.
 */
export function heightOf(count: number): number {
  let height = 0;
  for (let width = 1; width < count; width *= 2) height++;
  return height;
}

/**
 * Returns the layer of a file's root.
 *
 * @param bytes Length of the file in bytes, at least 1.
 */
export function rootLayer(bytes: number): number {
  return heightOf(layerSize(bytes, 0));
}

/**
 * Returns the layer in which a hash stands for a piece.
 *
 * @param pieceLength Length of a piece in bytes: a power of two, at least {@linkcode MERKLE_BLOCK}.
 */
export function pieceLayer(pieceLength: number): number {
  return heightOf(pieceLength / MERKLE_BLOCK);
}

/** Consecutive hashes of one layer that have a common ancestor. */
export interface MerkleRange {
  /** Number of the layer; 0 for the blocks. */
  readonly layer: number;
  /** Index of the first hash, a multiple of `count`. */
  readonly index: number;
  /** Number of hashes, a power of two. */
  readonly count: number;
}

/**
 * Returns the number of uncles that prove a range. BEP 52 counts the layers above the range's own, and leaves out the
 * uncles that can be computed from the range.
 *
 * @param options Number of hashes in the range, at least 2, and the number of layers above it.
 */
export function proofSteps({ count, proofLayers }: { readonly count: number; readonly proofLayers: number }): number {
  return Math.max(0, proofLayers - Math.max(0, heightOf(count) - 1));
}

/** Options for {@linkcode MerkleHasher.uncles}. */
export interface UnclesOptions {
  /** Layer of the given hashes. */
  readonly layer: number;
  /** Layer of the node whose uncles are wanted, at least `layer`. The first uncle is its sibling. */
  readonly from: number;
  /** Index of the node in its layer. */
  readonly index: number;
  /** Layer of the node that the uncles lead to, at least `from`. */
  readonly to: number;
}

/** Options for {@linkcode MerkleHasher.verify}. */
export interface VerifyRangeOptions {
  /** The hashes of the range, padding included. */
  readonly hashes: Uint8Array;
  /** The siblings of the range's ancestors, from the range's own root upwards. */
  readonly uncles: Uint8Array;
  /** The trusted hash that range and uncles have to lead to. */
  readonly expected: Uint8Array;
}

/** Computes hashes of Merkle trees. Needs memory for half a layer at most. */
export class MerkleHasher {
  readonly #zeros: Bytes[] = [new Uint8Array(HASH_BYTES)];

  /** Returns the hash above two others. */
  parent(left: Uint8Array, right: Uint8Array): Bytes {
    const bytes = new Uint8Array(HASH_BYTES);
    sha256Pair({ left, leftAt: 0, right, rightAt: 0 }, { bytes, at: 0 });
    return bytes;
  }

  /**
   * Returns the hash of a layer that has only padding below it.
   *
   * @param layer Number of the layer; 0 for the blocks.
   * @returns 32 bytes that must not be changed.
   */
  padding(layer: number): Bytes {
    for (let i = this.#zeros.length; i <= layer; i++) {
      this.#zeros.push(this.parent(this.#zeros[i - 1]!, this.#zeros[i - 1]!));
    }
    return this.#zeros[layer]!;
  }

  /**
   * Computes a higher layer.
   *
   * @param hashes Hashes of a layer, without padding. They are not changed.
   * @param layers Number of the layer of `hashes`, and of the wanted layer.
   * @returns The hashes of the wanted layer, without padding.
   */
  above(hashes: Uint8Array, layers: { readonly from: number; readonly to: number }): Bytes {
    let below = hashes;
    let result: Bytes | null = null;
    for (let layer = layers.from; layer < layers.to; layer++) {
      const size = Math.ceil(below.length / HASH_BYTES / 2);
      result ??= new Uint8Array(size * HASH_BYTES);
      const pair = { left: below, leftAt: 0, right: below, rightAt: HASH_BYTES };
      const out = { bytes: result, at: 0 };
      for (let i = 0; i < size; i++) {
        if (pair.rightAt >= below.length) Object.assign(pair, { right: this.padding(layer), rightAt: 0 });
        // A hash is written no later than where it was read, so that all layers but the first share their memory.
        sha256Pair(pair, out);
        pair.leftAt += 2 * HASH_BYTES;
        pair.rightAt += 2 * HASH_BYTES;
        out.at += HASH_BYTES;
      }
      result = result.subarray(0, size * HASH_BYTES);
      below = result;
    }
    return result ?? new Uint8Array(hashes);
  }

  /**
   * Computes the root of a tree.
   *
   * @param hashes Hashes of a layer, without padding, at least one.
   * @param layers Number of the layer of `hashes`, and of the root's layer; the lowest that the hashes allow when absent.
   * @returns The root, 32 bytes.
   * @throws {RangeError} If there are no hashes, or more than a tree of that height has.
   */
  root(hashes: Uint8Array, layers: { readonly from: number; readonly to?: number }): Bytes {
    const count = hashes.length / HASH_BYTES;
    const { from, to = from + heightOf(count) } = layers;
    if (!Number.isInteger(count) || count < 1 || count > 2 ** (to - from)) {
      throw new RangeError(`${hashes.length} bytes are not the layer ${from} of a tree with its root in layer ${to}`);
    }
    return this.above(hashes, { from, to });
  }

  /**
   * Finds the uncles of a node: the siblings of the node and of its ancestors.
   *
   * @param hashes All hashes of a layer, without padding, from which the uncles are computed.
   * @param options See {@linkcode UnclesOptions}.
   * @returns One hash for each layer from `from` to the one below `to`.
   */
  uncles(hashes: Uint8Array, { layer, from, index, to }: UnclesOptions): Bytes {
    let [below, known] = [hashes, layer];
    return this.#unclesOf({ from, index, to }, (at) => {
      below = this.above(below, { from: known, to: at });
      known = at;
      return below;
    });
  }

  /**
   * Finds the uncles of a node in layers that are known.
   *
   * @param layers Consecutive layers, without padding.
   * @param options See {@linkcode UnclesOptions}; `layer` is the lowest of the layers.
   * @returns As {@linkcode MerkleHasher.uncles}.
   */
  unclesIn(layers: readonly Uint8Array[], { layer, ...node }: UnclesOptions): Bytes {
    return this.#unclesOf(node, (at) => layers[at - layer]!);
  }

  #unclesOf({ from, index, to }: Omit<UnclesOptions, "layer">, layerAt: (layer: number) => Uint8Array): Bytes {
    const uncles = new Uint8Array(Math.max(0, to - from) * HASH_BYTES);
    for (let layer = from, node = index; layer < to; layer++, node = Math.floor(node / 2)) {
      uncles.set(this.#hashAt(layerAt(layer), layer, siblingOf(node)), (layer - from) * HASH_BYTES);
    }
    return uncles;
  }

  /**
   * Copies a range of a layer, with padding behind the layer's end.
   *
   * @param hashes All hashes of the layer, without padding.
   * @param range The wanted hashes.
   */
  slice(hashes: Uint8Array, { layer, index, count }: MerkleRange): Bytes {
    const range = new Uint8Array(count * HASH_BYTES);
    for (let i = 0; i < count; i++) range.set(this.#hashAt(hashes, layer, index + i), i * HASH_BYTES);
    return range;
  }

  /**
   * Returns hashes with their proof, as the message `hashes` has them.
   *
   * @param hashes All hashes of the range's layer, without padding.
   * @param options The range, and the number of layers above it whose uncles are wanted. The lowest of these can be
   * computed from the range, and are left out: see {@linkcode proofSteps}.
   * @returns The hashes of the range, padding included, and their uncles.
   */
  prove(hashes: Uint8Array, options: MerkleRange & { readonly proofLayers: number }): Bytes {
    const { layer, index, count } = options;
    const from = layer + heightOf(count);
    const uncles = this.uncles(hashes, { layer, from, index: index / count, to: from + proofSteps(options) });
    return concatBytes([this.slice(hashes, options), uncles]);
  }

  /**
   * Returns `true` if hashes and their proof lead to a trusted hash. Uncles lead one layer up each, so that their number
   * says in which layer the trusted hash has to be; the caller has to know that it is there.
   *
   * @param range Where the hashes are.
   * @param options See {@linkcode VerifyRangeOptions}.
   */
  verify({ index, count }: MerkleRange, { hashes, uncles, expected }: VerifyRangeOptions): boolean {
    if (hashes.length !== count * HASH_BYTES || uncles.length % HASH_BYTES !== 0) return false;
    if (!isPowerOfTwo(count) || !Number.isSafeInteger(index) || index < 0 || index % count !== 0) return false;
    const steps = uncles.length / HASH_BYTES;
    let node = index / count;
    if (node >= 2 ** steps) return false; // The node would be right of the tree below the trusted hash.
    let hash = this.root(hashes, { from: 0 });
    for (let i = 0; i < steps; i++) {
      const uncle = uncles.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
      hash = node % 2 === 0 ? this.parent(hash, uncle) : this.parent(uncle, hash);
      node = Math.floor(node / 2);
    }
    return equalBytes(hash, expected);
  }

  #hashAt(hashes: Uint8Array, layer: number, index: number): Uint8Array {
    const at = index * HASH_BYTES;
    return at < hashes.length ? hashes.subarray(at, at + HASH_BYTES) : this.padding(layer);
  }
}

/** Computes Merkle trees. */
export const merkle = new MerkleHasher();

function siblingOf(index: number): number {
  return index % 2 === 0 ? index + 1 : index - 1;
}

/** Returns `true` for 1, 2, 4 and so on. */
export function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1 && 2 ** Math.round(Math.log2(value)) === value;
}
