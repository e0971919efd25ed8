/**
 * Blocks that were asked for, in order, in flat arrays: nothing is allocated per block.
 *
 * @module
 */

const INITIAL_CAPACITY = 16;
/** Index of an entry that was removed from the middle. */
const GONE = -1;

/**
 * A queue of blocks (index, begin, length) with the time at which each was put in. Answers come nearly always in the
 * order of the requests, so that looking from the head finds an entry at once; removing from elsewhere costs a scan.
 */
export class BlockQueue {
  readonly #limit: number;
  #index = new Int32Array(INITIAL_CAPACITY);
  #begin = new Int32Array(INITIAL_CAPACITY);
  #length = new Int32Array(INITIAL_CAPACITY);
  #time = new Float64Array(INITIAL_CAPACITY);
  #head = 0; // grows without end; positions are taken modulo the capacity, a power of two
  #tail = 0;
  #size = 0;

  /**
   * @param limit Most blocks that it holds.
   */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many blocks it holds. */
  get size(): number {
    return this.#size;
  }

  /** Piece of the first block; only when the queue isn't empty. */
  get index(): number {
    return this.#index[this.#at(this.#head)]!;
  }

  /** Offset in the piece of the first block; only when the queue isn't empty. */
  get begin(): number {
    return this.#begin[this.#at(this.#head)]!;
  }

  /** Length of the first block; only when the queue isn't empty. */
  get length(): number {
    return this.#length[this.#at(this.#head)]!;
  }

  /** When the first block was put in; only when the queue isn't empty. */
  get time(): number {
    return this.#time[this.#at(this.#head)]!;
  }

  /**
   * Adds a block at the end.
   *
   * @param block Which.
   * @param time When, on any clock.
   * @returns `false` when the queue is full, and then nothing was added.
   */
  push(index: number, begin: number, length: number, time: number): boolean {
    if (this.#size >= this.#limit) return false;
    if (this.#tail - this.#head === this.#index.length) this.#makeRoom();
    const at = this.#at(this.#tail++);
    this.#index[at] = index;
    this.#begin[at] = begin;
    this.#length[at] = length;
    this.#time[at] = time;
    this.#size++;
    return true;
  }

  /** Removes the first block; only when the queue isn't empty. */
  shift(): void {
    this.#index[this.#at(this.#head)] = GONE;
    this.#size--;
    this.#skipGone();
  }

  /**
   * @returns Whether a block is in the queue.
   */
  has(index: number, begin: number, length: number): boolean {
    return this.#find(index, begin, length) >= 0;
  }

  /**
   * Removes a block from wherever it is.
   *
   * @returns When it was put in, or -1 when it isn't there.
   */
  remove(index: number, begin: number, length: number): number {
    const at = this.#find(index, begin, length);
    if (at < 0) return -1;
    this.#index[at] = GONE;
    this.#size--;
    this.#skipGone();
    return this.#time[at]!;
  }

  /**
   * Calls back for every block, first to last. The queue must not be changed meanwhile.
   *
   * @param visit Takes each block.
   */
  forEach(visit: (index: number, begin: number, length: number, time: number) => void): void {
    for (let i = this.#head; i < this.#tail; i++) {
      const at = this.#at(i);
      if (this.#index[at] !== GONE) visit(this.#index[at]!, this.#begin[at]!, this.#length[at]!, this.#time[at]!);
    }
  }

  /** Moves the times of all blocks: what passed meanwhile doesn't count. */
  postpone(milliseconds: number): void {
    for (let i = this.#head; i < this.#tail; i++) this.#time[this.#at(i)]! += milliseconds;
  }

  /** Removes every block. */
  clear(): void {
    this.#head = this.#tail = this.#size = 0;
  }

  #find(index: number, begin: number, length: number): number {
    for (let i = this.#head; i < this.#tail; i++) {
      const at = this.#at(i);
      if (this.#index[at] === index && this.#begin[at] === begin && this.#length[at] === length) return at;
    }
    return -1;
  }

  #at(position: number): number {
    return position & (this.#index.length - 1);
  }

  #skipGone(): void {
    while (this.#head < this.#tail && this.#index[this.#at(this.#head)] === GONE) this.#head++;
  }

  /** Closes the gaps, and doubles the arrays when that isn't enough. */
  #makeRoom(): void {
    const capacity = this.#size > this.#index.length / 2 ? this.#index.length * 2 : this.#index.length;
    const index = new Int32Array(capacity);
    const begin = new Int32Array(capacity);
    const length = new Int32Array(capacity);
    const time = new Float64Array(capacity);
    let count = 0;
    this.forEach((i, b, l, t) => {
      index[count] = i;
      begin[count] = b;
      length[count] = l;
      time[count++] = t;
    });
    this.#index = index;
    this.#begin = begin;
    this.#length = length;
    this.#time = time;
    this.#head = 0;
    this.#tail = count;
  }
}
