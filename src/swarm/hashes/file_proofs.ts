/**
 * Hashes of one file from its piece layer upwards, and their uncles (BEP 52). The layers just above the piece layer are
 * computed for each request; those of a large file that are higher have few hashes, and are kept.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../base/bytes.ts";
import { HASH_BYTES } from "../../base/merkle.ts";
import { merkle } from "../../platform/start_digest.ts";

/** Layers between the piece layer and the lowest that is kept: each of its hashes stands for 512 pieces. */
const STEP = 9;
const GROUP = 2 ** STEP;
/** Groups that are hashed before other work gets a turn: about ten milliseconds. */
const GROUPS_A_TURN = 16;

/** A node of the tree, and the layer up to which its uncles are wanted. */
export interface UnclesWanted {
  /** Layer of the node, the piece layer or above. */
  readonly from: number;
  /** Index of the node in its layer. */
  readonly index: number;
  /** Layer of the node that the uncles lead to. */
  readonly to: number;
}

/** The tree of one file above its pieces. */
export class FileProofs {
  readonly #hashes: Bytes;
  readonly #layer: number;
  readonly #pause: () => Promise<void>;
  /** The layers from {@linkcode STEP} above the piece layer to the root, once they are needed. */
  #upper: Promise<readonly Bytes[]> | null = null;

  /**
   * @param hashes The piece layer without padding; the root alone for a file of one piece.
   * @param layer Number of the piece layer; that of the root for a file of one piece.
   * @param pause Gives other work a turn.
   */
  constructor(hashes: Bytes, layer: number, pause: () => Promise<void>) {
    this.#hashes = hashes;
    this.#layer = layer;
    this.#pause = pause;
  }

  /**
   * Returns hashes of a layer, the piece layer or one above, without the padding behind the layer's end.
   *
   * @param layer Number of the layer.
   * @param index Index of the first hash.
   * @param count Number of hashes, a power of two.
   */
  async range({ layer, index, count }: { layer: number; index: number; count: number }): Promise<Bytes> {
    const top = this.#layer + STEP;
    if (layer >= top) {
      const upper = await this.#upperLayers();
      return upper[layer - top]!.subarray(index * HASH_BYTES, (index + count) * HASH_BYTES);
    }
    // Whole groups are hashed in turns, so that a request for many hashes delays nobody.
    const width = 2 ** (layer - this.#layer);
    const turn = Math.max(1, GROUPS_A_TURN * GROUP / width);
    const parts: Bytes[] = [];
    for (let at = 0; at < count; at += turn) {
      if (at > 0) await this.#pause();
      const part = { from: this.#layer, layer, index: index + at, count: Math.min(turn, count - at) };
      parts.push(above(this.#hashes, part));
    }
    return concatBytes(parts);
  }

  /** Returns the uncles of a node, from its sibling upwards. */
  async uncles({ from, index, to }: UnclesWanted): Promise<Bytes> {
    if (to <= from) return new Uint8Array(0);
    if (this.#hashes.length <= GROUP * HASH_BYTES) {
      return merkle.uncles(this.#hashes, { layer: this.#layer, from, index, to });
    }
    const top = this.#layer + STEP;
    const parts: Bytes[] = [];
    let node = index;
    if (from < top) {
      const inGroup = 2 ** (top - from);
      const group = Math.floor(index / inGroup);
      const begin = group * GROUP * HASH_BYTES;
      const hashes = this.#hashes.subarray(begin, begin + GROUP * HASH_BYTES);
      parts.push(
        merkle.uncles(hashes, { layer: this.#layer, from, index: index % inGroup, to: Math.min(to, top) }),
      );
      node = group;
    }
    const upper = to > top ? await this.#upperLayers() : [];
    for (let layer = Math.max(from, top); layer < to; layer++) {
      const sibling = node % 2 === 0 ? node + 1 : node - 1;
      parts.push(merkle.slice(upper[layer - top]!, { layer, index: sibling, count: 1 }));
      node = Math.floor(node / 2);
    }
    return concatBytes(parts);
  }

  #upperLayers(): Promise<readonly Bytes[]> {
    return this.#upper ??= this.#hashUpperLayers();
  }

  async #hashUpperLayers(): Promise<readonly Bytes[]> {
    const groups: Bytes[] = [];
    for (let at = 0; at < this.#hashes.length; at += GROUP * HASH_BYTES) {
      if (groups.length % GROUPS_A_TURN === GROUPS_A_TURN - 1) await this.#pause();
      const hashes = this.#hashes.subarray(at, at + GROUP * HASH_BYTES);
      groups.push(merkle.root(hashes, { from: this.#layer, to: this.#layer + STEP }));
    }
    const layers = [concatBytes(groups)];
    for (let from = this.#layer + STEP; layers.at(-1)!.length > HASH_BYTES; from++) {
      layers.push(merkle.above(layers.at(-1)!, { from, to: from + 1 }));
    }
    return layers;
  }
}

/** Computes a range of a layer from a lower one. */
function above(
  hashes: Bytes,
  { from, layer, index, count }: { from: number; layer: number; index: number; count: number },
): Bytes {
  const width = 2 ** (layer - from) * HASH_BYTES;
  return merkle.above(hashes.subarray(index * width, (index + count) * width), { from, to: layer });
}
