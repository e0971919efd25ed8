/**
 * A disk in memory for pieces that are written in parts.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";

/** The parts of a disk that a download needs. */
export class PartStore {
  /** Written bytes by piece. */
  readonly bytes = new Map<number, Bytes>();
  /** Every write: piece, offset, length. */
  readonly writes: [index: number, begin: number, length: number][] = [];
  /** Every read: piece, offset, length. */
  readonly reads: [index: number, begin: number, length: number][] = [];
  /** Verified pieces. */
  readonly claimed: number[] = [];
  /** Name of the place where every piece is stored; a change moves every piece. */
  place = "here";
  /** Awaited before each write. */
  beforeWrite = (): Promise<void> => Promise.resolve();
  /** Awaited after each read, before its bytes are returned. */
  afterRead = (): Promise<void> => Promise.resolve();
  readonly #pieceSize: (index: number) => number;

  /** @param pieceSize Returns the size of a piece in bytes. */
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
    return this.afterRead();
  };

  readonly claimPiece = (index: number, place: string): Promise<boolean> => {
    if (place !== this.place) return Promise.resolve(false);
    this.claimed.push(index);
    return Promise.resolve(true);
  };

  readonly placeOf = (): string => this.place;
}
