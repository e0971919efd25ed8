/**
 * Chance for fuzzing: cheap, and the same in every run.
 *
 * @module
 */

/** Random numbers that depend on three integers alone (sfc32, seeded with them). */
export class Dice {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  /**
   * Starts another series.
   *
   * @param seed Of the whole run.
   * @param stream Which of the series of that seed: for what it is used.
   * @param index Which number in the stream.
   * @returns These dice.
   */
  start(seed: number, stream: number, index: number): this {
    this.#a = seed | 0;
    this.#b = stream | 0;
    // Two words of an index past 2^32 are mixed, so that inputs don't begin to repeat there.
    this.#c = (index ^ Math.imul(Math.floor(index / 2 ** 32), 0x9e3779b1)) | 0;
    this.#counter = 1;
    for (let i = 0; i < 12; i++) this.next();
    return this;
  }

  /** @returns An integer from 0 to 2^32 - 1. */
  next(): number {
    const mixed = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + mixed | 0;
    return mixed >>> 0;
  }

  /**
   * @param count At least 1.
   * @returns An integer from 0 (included) to `count` (excluded).
   */
  below(count: number): number {
    return Math.floor(this.next() / 2 ** 32 * count);
  }

  /**
   * @param odds At least 1.
   * @returns `true` once in so many times.
   */
  oneIn(odds: number): boolean {
    return this.below(odds) === 0;
  }

  /**
   * @param choices At least one.
   * @returns One of them.
   */
  pick<T>(choices: ArrayLike<T>): T {
    return choices[this.below(choices.length)]!;
  }

  /**
   * @param count How many.
   * @returns Random bytes.
   */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(count);
    for (let i = 0; i < count; i++) out[i] = this.next();
    return out;
  }
}

/**
 * A name as a number, for {@linkcode Dice.start} (FNV-1a).
 *
 * @param name Any text.
 * @returns An integer.
 */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash;
}
