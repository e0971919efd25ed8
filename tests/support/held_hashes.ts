/**
 * A source of block hashes that answers when the test says so.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import type { BlockHashSource } from "../../src/swarm/pieces/block_hash_source.ts";

/** Hashes of blocks that a test gives by hand. */
export class HeldHashes implements BlockHashSource {
  /** Every piece whose hashes were asked for. */
  readonly asked: number[] = [];
  readonly #hashesOf: (piece: number) => Bytes;
  readonly #waiting = new Map<number, (hashes: Bytes | null) => void>();

  /** @param hashesOf Returns the right hashes of a piece's blocks. */
  constructor(hashesOf: (piece: number) => Bytes) {
    this.#hashesOf = hashesOf;
  }

  fetch(piece: number, known: (hashes: Bytes | null) => void): void {
    if (this.#waiting.has(piece)) throw new Error(`the hashes of piece ${piece} are asked for twice at a time`);
    this.asked.push(piece);
    this.#waiting.set(piece, known);
  }

  /** Answers a question, with the right hashes when absent. */
  answer(piece: number, hashes: Bytes | null = this.#hashesOf(piece)): void {
    const known = this.#waiting.get(piece)!;
    this.#waiting.delete(piece);
    known(hashes);
  }

  /** Answers all questions with the right hashes, or with none. */
  answerAll(none = false): void {
    for (const piece of [...this.#waiting.keys()]) this.answer(piece, none ? null : this.#hashesOf(piece));
  }
}
