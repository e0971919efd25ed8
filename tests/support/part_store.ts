/**
 * Where pieces go that are written in parts, in memory.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";

/** Takes the parts of pieces; what a download needs of a disk. */
export class PartStore {
  /** What was written, by piece. */
  readonly bytes = new Map<number, Bytes>();
  /** Every write: piece, first byte, length. */
  readonly writes: [index: number, begin: number, length: number][] = [];
  /** Every read. */
  readonly reads: [index: number, begin: number, length: number][] = [];
  /** Pieces that are verified. */
  readonly claimed: number[] = [];
  /** Where pieces are. */
  place = "here";
  /** Settles when a write may go on. */
  beforeWrite = (): Promise<void> => Promise.resolve();
  readonly #pieceSize: (index: number) => number;

  /** @param pieceSize Bytes of a piece. */
  constructor(pieceSize: (index: number) => number) {
    this.#pieceSize = pieceSize;
  }

  readonly writePart = async (index: number, begin: number, data: Bytes): Promise<void> => {
    this.writes.push([index, begin, data.length]);
    await this.beforeWrite();
    let bytes = this.bytes.get(index);
    if (bytes === undefined) this.bytes.set(index, bytes = new Uint8Array(this.#pieceSize(index)));
    bytes.set(data, begin);
  };

  readonly readPart = (index: number, begin: number, into: Bytes): Promise<void> => {
    this.reads.push([index, begin, into.length]);
    into.set(this.bytes.get(index)!.subarray(begin, begin + into.length));
    return Promise.resolve();
  };

  readonly claimPiece = (index: number, place: string): Promise<boolean> => {
    if (place !== this.place) return Promise.resolve(false);
    this.claimed.push(index);
    return Promise.resolve(true);
  };

  readonly placeOf = (): string => this.place;
}
