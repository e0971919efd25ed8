/**
 * What a peer said of its pieces before anybody knew how many there are.
 *
 * @module
 */

import { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { MAX_UNKNOWN_BITFIELD } from "../base/limits.ts";
import { MessageId, WireError } from "../wire/messages.ts";

/** Kept as it came, to be understood when the metadata is here. */
export class Hearsay {
  #all = false;
  #bits: Bytes | null = null;
  /** A bit for each piece that was named by itself, up to the highest; made when needed, which is seldom. */
  #haves: Bytes | null = null;

  /** A message without a body came. */
  signal(id: number): void {
    if (id === MessageId.haveAll) this.#all = true;
  }

  /**
   * It has one piece more.
   *
   * @throws {WireError} If no metadata that we take could have so many pieces.
   */
  have(index: number): void {
    const at = index >> 3;
    if (index >= 8 * MAX_UNKNOWN_BITFIELD) {
      throw new WireError(`have names piece ${index}, which is more than there can be`);
    }
    const bits = this.#haves;
    if (bits === null || at >= bits.length) {
      this.#haves = new Uint8Array(Math.min(MAX_UNKNOWN_BITFIELD, 2 * at + 64));
      if (bits) this.#haves.set(bits);
    }
    this.#haves![at]! |= 128 >> (index & 7);
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
    for (const [at, byte] of (this.#haves ?? []).entries()) {
      if (byte === 0) continue;
      for (let bit = 0; bit < 8; bit++) {
        if ((byte & (128 >> bit)) === 0) continue;
        const index = 8 * at + bit;
        if (index >= pieceCount) throw new WireError(`have names piece ${index} of ${pieceCount}`);
        pieces.set(index);
      }
    }
    return pieces;
  }
}
