/**
 * What a peer said of its pieces before anybody knew how many there are.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_HEARSAY } from "../base/limits.ts";
import { MessageId, WireError } from "../wire/messages.ts";

/** Kept as it came, to be understood when the metadata is here. */
export class Hearsay {
  #all = false;
  #bits: Bytes | null = null;
  #haves: Set<number> | null = null; // made when needed, which is seldom

  /** A message without a body came. */
  signal(id: number): void {
    if (id === MessageId.haveAll) this.#all = true;
  }

  /** It has one piece more. What is too much is forgotten: the piece is then had from others. */
  have(index: number): void {
    this.#haves ??= new Set();
    if (this.#haves.size < MAX_HEARSAY) this.#haves.add(index);
  }

  /** It said what it has, all at once; copied. */
  bitfield(bits: Bytes): void {
    this.#bits = bits.slice();
  }

  /**
   * @param pieceCount How many pieces there are.
   * @returns What it has.
   * @throws {WireError} If that can't be.
   */
  understand(pieceCount: number): Bitfield {
    const pieces = this.#bits ? Bitfield.fromBytes(this.#bits, pieceCount) : new Bitfield(pieceCount);
    if (!pieces) throw new WireError(`the bitfield is none of ${pieceCount} pieces`);
    if (this.#all) pieces.setAll();
    for (const index of this.#haves ?? []) {
      if (index >= pieceCount) throw new WireError(`have names piece ${index} of ${pieceCount}`);
      pieces.set(index);
    }
    return pieces;
  }
}
