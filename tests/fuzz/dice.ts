/**
 * Random numbers for fuzzing: cheap, and the same in every run.
 *
 * @module
 */

/** Random numbers that depend on three integers only (sfc32, seeded with the integers). */
export class Dice {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  /**
   * Starts a sequence of numbers.
   *
   * @param seed Seed of the whole run.
   * @param stream Number of the sequence's purpose, such as {@linkcode streamOf} returns.
   * @param index Number within the stream.
   * @returns These dice.
   */
  start(seed: number, stream: number, index: number): this {
    this.#a = seed | 0;
    this.#b = stream | 0;
    // The two words of an index above 2^32 are mixed, so that inputs don't repeat from there on.
    this.#c = (index ^ Math.imul(Math.floor(index / 2 ** 32), 0x9e3779b1)) | 0;
    this.#counter = 1;
    for (let i = 0; i < 12; i++) this.next();
    return this;
  }

  /** Returns an integer from 0 to 2^32 - 1. */
  next(): number {
    const mixed = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + mixed | 0;
    return mixed >>> 0;
  }

  /**
   * Returns an integer from 0 (inclusive) to `count` (exclusive).
   *
   * @param count At least 1.
   */
  below(count: number): number {
    return Math.floor(this.next() / 2 ** 32 * count);
  }

  /**
   * Returns `true` once in `odds` times on average.
   *
   * @param odds At least 1.
   */
  oneIn(odds: number): boolean {
    return this.below(odds) === 0;
  }

  /**
   * Returns one of the choices.
   *
   * @param choices At least one value.
   */
  pick<T>(choices: ArrayLike<T>): T {
    return choices[this.below(choices.length)]!;
  }

  /**
   * Returns random bytes.
   *
   * @param count Number of bytes.
   */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(count);
    for (let i = 0; i < count; i++) out[i] = this.next();
    return out;
  }
}

/** Returns a number for a name, for use in {@linkcode Dice.start} (FNV-1a). */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}
