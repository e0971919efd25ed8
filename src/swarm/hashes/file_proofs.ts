/**
 * Hashes of one file from its piece layer upwards, and their uncles (BEP 52). The layers just above the piece layer are
 * computed for each request; those of a large file that are higher have few hashes, and are kept.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../../base/bytes.ts";
import { HASHES_A_TURN } from "../../base/defences.ts";
import { HASH_BYTES, merkle } from "../../base/merkle.ts";

/** Layers between the piece layer and the lowest that is kept: each of its hashes stands for 32 pieces. */
const STEP = 5;
const GROUP = 2 ** STEP;
/** Groups that are hashed before other work gets a turn. */
const GROUPS_A_TURN = HASHES_A_TURN / GROUP;

/** Hashes of a layer. */
export interface ProofRange {
  /** Number of the layer, the piece layer or above. */
  readonly layer: number;
  /** Index of the first hash. */
  readonly index: number;
  /** Number of hashes, a power of two. */
  readonly count: number;
}

/** Options for {@linkcode FileProofs}. */
export interface FileProofsOptions {
  /** Number of the piece layer; that of the root for a file of one piece. */
  readonly layer: number;
  /** Waits until a request may have so many hashes computed on this thread. */
  turn(hashes: number): Promise<void>;
  /** Gives other work a turn, while the layers are computed that are kept. */
  pause(): Promise<void>;
}

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
  readonly #options: FileProofsOptions;
  /** The layers from {@linkcode STEP} above the piece layer to the root, once they are needed. */
  #upper: Promise<readonly Bytes[]> | null = null;

  /**
   * @param hashes The piece layer without padding; the root alone for a file of one piece.
   * @param options See {@linkcode FileProofsOptions}.
   */
  constructor(hashes: Bytes, options: FileProofsOptions) {
    this.#hashes = hashes;
    this.#layer = options.layer;
    this.#options = options;
  }

  /** Number of pieces that have to be hashed for the layers that are kept: none if they are here, or not needed. */
  get unhashed(): number {
    const pieces = this.#hashes.length / HASH_BYTES;
    return this.#upper === null && pieces > GROUP ? pieces : 0;
  }

  /** Returns the number of hashes that {@linkcode FileProofs.range} computes, besides those that are kept. */
  costOfRange({ layer, index, count }: ProofRange): number {
    if (layer === this.#layer || layer >= this.#layer + STEP) return 0;
    const width = 2 ** (layer - this.#layer);
    return Math.max(0, Math.min(count * width, this.#hashes.length / HASH_BYTES - index * width));
  }

  /** Returns the number of hashes that {@linkcode FileProofs.uncles} computes, besides those that are kept. */
  costOfUncles({ from, to }: Pick<UnclesWanted, "from" | "to">): number {
    const pieces = this.#hashes.length / HASH_BYTES;
    return to <= from || (from >= this.#layer + STEP && pieces > GROUP) ? 0 : Math.min(pieces, GROUP);
  }

  /**
   * Returns hashes of a layer, the piece layer or one above, without the padding behind the layer's end.
   *
   * @param range The hashes.
   */
  async range({ layer, index, count }: ProofRange): Promise<Bytes> {
    const top = this.#layer + STEP;
    if (layer >= top) {
      const upper = await this.#upperLayers();
      return upper[layer - top]!.subarray(index * HASH_BYTES, (index + count) * HASH_BYTES);
    }
    if (layer === this.#layer) return above(this.#hashes, { from: layer, layer, index, count });
    // Whole groups are hashed in turns, so that a request for many hashes delays nobody.
    const turn = HASHES_A_TURN / 2 ** (layer - this.#layer);
    const parts: Bytes[] = [];
    for (let at = 0; at < count; at += turn) {
      const part = { layer, index: index + at, count: Math.min(turn, count - at) };
      await this.#options.turn(this.costOfRange(part));
      parts.push(above(this.#hashes, { from: this.#layer, ...part }));
    }
    return concatBytes(parts);
  }

  /** Returns the uncles of a node, from its sibling upwards. */
  async uncles({ from, index, to }: UnclesWanted): Promise<Bytes> {
    if (to <= from) return new Uint8Array(0);
    await this.#options.turn(this.costOfUncles({ from, to }));
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
    parts.push(merkle.unclesIn(upper, { layer: top, from: Math.max(from, top), index: node, to }));
    return concatBytes(parts);
  }

  #upperLayers(): Promise<readonly Bytes[]> {
    return this.#upper ??= this.#hashUpperLayers();
  }

  async #hashUpperLayers(): Promise<readonly Bytes[]> {
    const groups = new Uint8Array(Math.ceil(this.#hashes.length / GROUP / HASH_BYTES) * HASH_BYTES);
    for (let group = 0; group * HASH_BYTES < groups.length; group++) {
      if (group % GROUPS_A_TURN === GROUPS_A_TURN - 1) await this.#options.pause();
      const at = group * GROUP * HASH_BYTES;
      const hashes = this.#hashes.subarray(at, at + GROUP * HASH_BYTES);
      groups.set(merkle.root(hashes, { from: this.#layer, to: this.#layer + STEP }), group * HASH_BYTES);
    }
    const layers: Bytes[] = [groups];
    for (let from = this.#layer + STEP; layers.at(-1)!.length > HASH_BYTES; from++) {
      const below = layers.at(-1)!;
      const parts: Bytes[] = [];
      for (let at = 0; at < below.length; at += 2 * HASHES_A_TURN * HASH_BYTES) {
        if (at > 0) await this.#options.pause();
        parts.push(merkle.above(below.subarray(at, at + 2 * HASHES_A_TURN * HASH_BYTES), { from, to: from + 1 }));
      }
      layers.push(concatBytes(parts));
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
