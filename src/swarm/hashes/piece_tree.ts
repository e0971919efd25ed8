/**
 * All hashes below one piece (BEP 52), so that no request for some of them has any computed again.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../base/bytes.ts";
import { merkle } from "../../base/merkle.ts";
import type { UnclesWanted } from "./file_proofs.ts";

/** Layers that are computed as the block hashes come: those of 64 blocks, a mebibyte. */
const PART_LAYERS = 6;

/** The Merkle tree of a piece, from its blocks to its root. */
export class PieceTree {
  /** Number of the root's layer. */
  readonly #height: number;
  /** The parts of each layer, while the hashes come. */
  #parts: Bytes[][];
  /** The layers, each without padding. */
  #layers: readonly Bytes[] = [];

  /** @param height Number of the layer in which one hash stands for the piece. */
  constructor(height: number) {
    this.#height = height;
    this.#parts = Array.from({ length: Math.min(height, PART_LAYERS) + 1 }, () => []);
  }

  /** Returns a tree with nothing but padding. */
  static padding(height: number): PieceTree {
    const tree = new PieceTree(height);
    tree.finish();
    return tree;
  }

  /** The hash of the piece. */
  get root(): Bytes {
    return this.#layers[this.#height]!;
  }

  /** Adds the hashes of the next blocks: of 64, or the last of the piece. */
  add(blocks: Bytes): void {
    let below = blocks;
    for (const [layer, parts] of this.#parts.entries()) {
      if (layer > 0) below = merkle.above(below, { from: layer - 1, to: layer });
      parts.push(below);
    }
  }

  /** Computes the upper layers. All blocks must have been added. */
  finish(): void {
    const layers = this.#parts.map((parts) => concatBytes(parts));
    this.#parts = [];
    for (let layer = layers.length; layer <= this.#height; layer++) {
      layers.push(merkle.above(layers[layer - 1]!, { from: layer - 1, to: layer }));
    }
    this.#layers = layers;
  }

  /** Returns the hashes of a layer, without padding. They must not be changed. */
  layer(layer: number): Bytes {
    return this.#layers[layer]!;
  }

  /** Returns the uncles of a node, from its sibling upwards. */
  uncles(wanted: UnclesWanted): Bytes {
    return merkle.unclesIn(this.#layers, { layer: 0, ...wanted });
  }
}
