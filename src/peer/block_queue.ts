/**
 * A queue of requested blocks in flat arrays, so that nothing is allocated per block.
 *
 * @module
 */

const INITIAL_CAPACITY = 16;
/** Index of an entry that was removed from the middle. */
const GONE = -1;

/**
 * A queue of blocks (index, begin, length) with the time at which each was added. Peers answer nearly always in the
 * order of the requests, so that a search from the head finds an entry at once. Removing an entry elsewhere costs a
 * scan.
 */
export class BlockQueue {
  readonly #limit: number;
  #index = new Int32Array(INITIAL_CAPACITY);
  #begin = new Int32Array(INITIAL_CAPACITY);
  #length = new Int32Array(INITIAL_CAPACITY);
  #time = new Float64Array(INITIAL_CAPACITY);
  #head = 0; // only ever grows; positions are taken modulo the capacity, a power of two
  #tail = 0;
  #size = 0;

  /** @param limit Most blocks in the queue. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Number of blocks in the queue. */
  get size(): number {
    return this.#size;
  }

  /** Piece of the first block. The queue must not be empty. */
  get index(): number {
    return this.#index[this.#at(this.#head)]!;
  }

  /** Offset of the first block in its piece. The queue must not be empty. */
  get begin(): number {
    return this.#begin[this.#at(this.#head)]!;
  }

  /** Length of the first block. The queue must not be empty. */
  get length(): number {
    return this.#length[this.#at(this.#head)]!;
  }

  /** Time at which the first block was added. The queue must not be empty. */
  get time(): number {
    return this.#time[this.#at(this.#head)]!;
  }

  /**
   * Adds a block at the end.
   *
   * @param time Current time, on any clock.
   * @returns `false` if the queue is full and the block wasn't added.
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

  /** Removes the first block. The queue must not be empty. */
  shift(): void {
    this.#index[this.#at(this.#head)] = GONE;
    this.#size--;
    this.#skipGone();
  }

  /** Returns `true` if a block is in the queue. */
  has(index: number, begin: number, length: number): boolean {
    return this.#find(index, begin, length) >= 0;
  }

  /**
   * Removes a block from any place in the queue.
   *
   * @returns Time at which the block was added, or -1 if it isn't in the queue.
   */
  remove(index: number, begin: number, length: number): number {
    const at = this.#find(index, begin, length);
    if (at < 0) return -1;
    this.#index[at] = GONE;
    this.#size--;
    this.#skipGone();
    return this.#time[at]!;
  }

  /** Calls `visit` for every block, first to last. The queue must not be changed meanwhile. */
  forEach(visit: (index: number, begin: number, length: number, time: number) => void): void {
    for (let i = this.#head; i < this.#tail; i++) {
      const at = this.#at(i);
      if (this.#index[at] !== GONE) visit(this.#index[at]!, this.#begin[at]!, this.#length[at]!, this.#time[at]!);
    }
  }

  /** Adds to the times of all blocks, for time that doesn't count. */
  postpone(milliseconds: number): void {
    for (let i = this.#head; i < this.#tail; i++) this.#time[this.#at(i)]! += milliseconds;
  }

  /** Removes all blocks. */
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

  /** Removes gaps, and doubles the arrays if that doesn't free enough space. */
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
