/**
 * Which piece to start next: the rarest, with ties broken at random, or the first.
 *
 * @module
 */

/** What a picker needs to know of a peer. */
export interface PieceSet {
  /** Whether the peer has a piece. */
  has(index: number): boolean;
}

/**
 * The pieces that have not been started, ordered by how many peers have them. All steps but a pick take constant time
 * (adding and removing take as long as the number of peers that have the piece): the order is one array cut into
 * buckets of equal availability, and a piece that gains or loses a peer swaps places with its bucket's edge.
 *
 * Peers that have everything are not counted: they change no order.
 */
export class PiecePicker {
  readonly #availability: Uint16Array;
  readonly #order: Int32Array;
  /** Where a piece is in the order; -1 when it isn't. */
  readonly #place: Int32Array;
  /** Where each bucket begins in the order; bucket n ends where n + 1 begins. */
  readonly #begins: number[] = [0];
  /** Whether pieces are picked from the first on, however rare they are. */
  sequential: boolean;
  /** No piece before this one is in the order; kept when pieces are picked from the first on. */
  #first = 0;
  #size = 0;

  /**
   * @param pieceCount Pieces of the torrent; none is in the order at first.
   * @param random Uniform in 0 to 1; decides among pieces that are equally rare.
   * @param options `sequential`: whether pieces are picked from the first on, however rare they are.
   */
  constructor(pieceCount: number, random: () => number, options: { readonly sequential?: boolean } = {}) {
    this.sequential = options.sequential ?? false;
    this.#availability = new Uint16Array(pieceCount);
    this.#order = new Int32Array(pieceCount);
    this.#place = new Int32Array(pieceCount).fill(-1);
    this.#random = random;
  }

  readonly #random: () => number;

  /** How many pieces are in the order. */
  get size(): number {
    return this.#size;
  }

  /** Whether a piece is in the order. */
  has(index: number): boolean {
    return this.#place[index] !== -1;
  }

  /** How many peers that don't have everything have a piece. */
  availability(index: number): number {
    return this.#availability[index]!;
  }

  /** Puts a piece into the order, at a random place among its equals. */
  add(index: number): void {
    if (this.#place[index] !== -1) return;
    this.#first = Math.min(this.#first, index);
    const level = this.#availability[index]!;
    this.#makeBucket(level);
    // A hole opens at the end of the order and is moved down to the end of the piece's bucket.
    let hole = this.#size++;
    for (let bucket = this.#begins.length - 1; bucket > level; bucket--) {
      const begin = this.#begins[bucket]!;
      if (begin !== hole) this.#put(this.#order[begin]!, hole);
      hole = begin;
      this.#begins[bucket] = begin + 1;
    }
    this.#put(index, hole);
    const begin = this.#begins[level]!;
    this.#swap(hole, begin + Math.floor(this.#random() * (hole - begin + 1)));
  }

  /** Takes a piece out of the order. */
  remove(index: number): void {
    let hole = this.#place[index]!;
    if (hole === -1) return;
    this.#place[index] = -1;
    // The hole is moved up, bucket by bucket, to the end of the order.
    for (let bucket = this.#availability[index]! + 1; bucket < this.#begins.length; bucket++) {
      const last = this.#begins[bucket]! - 1;
      if (last !== hole) this.#put(this.#order[last]!, hole);
      hole = last;
      this.#begins[bucket] = last;
    }
    this.#size--;
    if (hole !== this.#size) this.#put(this.#order[this.#size]!, hole);
  }

  /** One peer more has a piece. */
  gained(index: number): void {
    const level = this.#availability[index]!++;
    const place = this.#place[index]!;
    if (place === -1) return;
    this.#makeBucket(level + 1);
    const last = this.#begins[level + 1]! - 1;
    this.#swap(place, last);
    this.#begins[level + 1] = last;
    // Landing at a random place among its new equals keeps two clients from walking in step.
    const end = level + 2 < this.#begins.length ? this.#begins[level + 2]! : this.#size;
    this.#swap(last, last + Math.floor(this.#random() * (end - last)));
  }

  /** One peer fewer has a piece. */
  lost(index: number): void {
    if (this.#availability[index] === 0) return;
    const level = this.#availability[index]!--;
    const place = this.#place[index]!;
    if (place === -1) return;
    const first = this.#begins[level]!;
    this.#swap(place, first);
    this.#begins[level] = first + 1;
    const begin = this.#begins[level - 1]!;
    this.#swap(first, begin + Math.floor(this.#random() * (first - begin + 1)));
  }

  /**
   * The piece to start with a peer.
   *
   * @param from What the peer has.
   * @param options `anywhere`: any piece at random instead, for the first pieces of a download, which are to be whole
   * soon so that there is something to trade.
   * @returns A piece, or -1 when the peer has none of them. It stays in the order.
   */
  pick(from: PieceSet, options: { readonly anywhere?: boolean } = {}): number {
    if (this.sequential) return this.#pickFirst(from);
    const start = options.anywhere ? Math.floor(this.#random() * this.#size) : 0;
    for (let i = 0; i < this.#size; i++) {
      const index = this.#order[(start + i) % this.#size]!;
      if (from.has(index)) return index;
    }
    return -1;
  }

  #pickFirst(from: PieceSet): number {
    while (this.#first < this.#place.length && !this.has(this.#first)) this.#first++;
    for (let index = this.#first; index < this.#place.length; index++) {
      if (this.has(index) && from.has(index)) return index;
    }
    return -1;
  }

  #makeBucket(level: number): void {
    while (this.#begins.length <= level) this.#begins.push(this.#size);
  }

  #put(index: number, place: number): void {
    this.#order[place] = index;
    this.#place[index] = place;
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    const atA = this.#order[a]!;
    this.#put(this.#order[b]!, a);
    this.#put(atA, b);
  }
}
