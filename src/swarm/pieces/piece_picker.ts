/**
 * Which piece to start next: of those that come first the rarest, with ties broken at random, or the first.
 *
 * @module
 */

/** What a picker needs to know of a peer. */
export interface PieceSet {
  /** Whether the peer has a piece. */
  has(index: number): boolean;
}

/** Levels of pieces: those of a higher one are picked before all others. */
export const PieceLevel = { low: -1, normal: 0, high: 1 } as const;

/** Every level, the highest first. */
const LEVELS = [PieceLevel.high, PieceLevel.normal, PieceLevel.low];

/** The pieces of one level, one array cut into buckets of equal availability. */
interface Order {
  readonly pieces: Int32Array;
  /** Where each bucket begins; bucket n ends where n + 1 begins. */
  readonly begins: number[];
  size: number;
  /** No piece before this one is in the order; kept when pieces are picked from the first on. */
  first: number;
}

/**
 * The pieces that have not been started, by level, and in each ordered by how many peers have them. All steps but a pick take
 * constant time (adding and removing take as long as the number of peers that have the piece): a piece that gains or loses a peer
 * swaps places with its bucket's edge.
 *
 * Peers that have everything are not counted: they change no order.
 */
export class PiecePicker {
  /** Whether pieces are picked from the first on, however rare they are. */
  sequential = false;
  readonly #random: () => number;
  readonly #availability: Uint16Array;
  /** Where a piece is in its order; -1 when it isn't. */
  readonly #place: Int32Array;
  /** By piece; `null` while all are normal. */
  #levels: Int8Array | null = null;
  /** By level, the lowest first; `null` while no piece was of it. */
  readonly #orders: (Order | null)[] = [null, null, null];
  #size = 0;

  /**
   * @param pieceCount Pieces of the torrent; none is in the order at first.
   * @param random Uniform in 0 to 1; decides among pieces that are equally rare.
   */
  constructor(pieceCount: number, random: () => number) {
    this.#random = random;
    this.#availability = new Uint16Array(pieceCount);
    this.#place = new Int32Array(pieceCount).fill(-1);
  }

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

  /** The level of a piece: see {@linkcode PieceLevel}. */
  levelOf(index: number): number {
    return this.#levels === null ? PieceLevel.normal : this.#levels[index]!;
  }

  /**
   * Puts pieces into levels; each keeps its place among its equals, or gets one by chance where it is new.
   *
   * @param levelOf Gives the level of a piece; what is outside of {@linkcode PieceLevel} counts as the nearest.
   */
  setLevels(levelOf: (index: number) => number): void {
    this.#levels ??= new Int8Array(this.#place.length);
    for (let index = 0; index < this.#place.length; index++) {
      const level = Math.max(PieceLevel.low, Math.min(PieceLevel.high, levelOf(index)));
      if (level === this.#levels[index]) continue;
      const isIn = this.has(index);
      if (isIn) this.remove(index);
      this.#levels[index] = level;
      if (isIn) this.add(index);
    }
  }

  /** Puts a piece into the order, at a random place among its equals. */
  add(index: number): void {
    if (this.#place[index] !== -1) return;
    this.#size++;
    const order = this.#orderOf(index);
    order.first = Math.min(order.first, index);
    const { begins } = order;
    const bucket = this.#availability[index]!;
    makeBucket(order, bucket);
    // A hole opens at the end of the order and is moved down to the end of the piece's bucket.
    let hole = order.size++;
    for (let higher = begins.length - 1; higher > bucket; higher--) {
      const begin = begins[higher]!;
      if (begin !== hole) this.#put(order, order.pieces[begin]!, hole);
      hole = begin;
      begins[higher] = begin + 1;
    }
    this.#put(order, index, hole);
    const begin = begins[bucket]!;
    this.#swap(order, hole, begin + Math.floor(this.#random() * (hole - begin + 1)));
  }

  /** Takes a piece out of the order. */
  remove(index: number): void {
    let hole = this.#place[index]!;
    if (hole === -1) return;
    this.#place[index] = -1;
    this.#size--;
    const order = this.#orderOf(index);
    const { begins } = order;
    // The hole is moved up, bucket by bucket, to the end of the order.
    for (let bucket = this.#availability[index]! + 1; bucket < begins.length; bucket++) {
      const last = begins[bucket]! - 1;
      if (last !== hole) this.#put(order, order.pieces[last]!, hole);
      hole = last;
      begins[bucket] = last;
    }
    order.size--;
    if (hole !== order.size) this.#put(order, order.pieces[order.size]!, hole);
  }

  /** One peer more has a piece. */
  gained(index: number): void {
    const bucket = this.#availability[index]!++;
    const place = this.#place[index]!;
    if (place === -1) return;
    const order = this.#orderOf(index);
    const { begins } = order;
    makeBucket(order, bucket + 1);
    const last = begins[bucket + 1]! - 1;
    this.#swap(order, place, last);
    begins[bucket + 1] = last;
    // Landing at a random place among its new equals keeps two clients from walking in step.
    const end = bucket + 2 < begins.length ? begins[bucket + 2]! : order.size;
    this.#swap(order, last, last + Math.floor(this.#random() * (end - last)));
  }

  /** One peer fewer has a piece. */
  lost(index: number): void {
    if (this.#availability[index] === 0) return;
    const bucket = this.#availability[index]!--;
    const place = this.#place[index]!;
    if (place === -1) return;
    const order = this.#orderOf(index);
    const { begins } = order;
    const first = begins[bucket]!;
    this.#swap(order, place, first);
    begins[bucket] = first + 1;
    const begin = begins[bucket - 1]!;
    this.#swap(order, first, begin + Math.floor(this.#random() * (first - begin + 1)));
  }

  /**
   * The piece to start with a peer.
   *
   * @param from What the peer has.
   * @param options `anywhere`: any piece of the highest level at random instead, for the first pieces of a download, which are to
   * be whole soon so that there is something to trade.
   * @returns A piece, or -1 when the peer has none of them. It stays in the order.
   */
  pick(from: PieceSet, options: { readonly anywhere?: boolean } = {}): number {
    for (const level of LEVELS) {
      const order = this.#orders[level - PieceLevel.low];
      if (!order || order.size === 0) continue;
      const index = this.sequential ? this.#pickFirst(order, level, from) : this.#pickRarest(order, from, options);
      if (index >= 0) return index;
    }
    return -1;
  }

  #pickRarest(order: Order, from: PieceSet, { anywhere = false }: { readonly anywhere?: boolean }): number {
    const { pieces, size } = order;
    const start = anywhere ? Math.floor(this.#random() * size) : 0;
    for (let i = 0; i < size; i++) {
      const index = pieces[(start + i) % size]!;
      if (from.has(index)) return index;
    }
    return -1;
  }

  #pickFirst(order: Order, level: number, from: PieceSet): number {
    const isIn = (index: number) => this.has(index) && this.levelOf(index) === level;
    while (order.first < this.#place.length && !isIn(order.first)) order.first++;
    for (let index = order.first; index < this.#place.length; index++) {
      if (isIn(index) && from.has(index)) return index;
    }
    return -1;
  }

  #orderOf(index: number): Order {
    return this.#orders[this.levelOf(index) - PieceLevel.low] ??= {
      pieces: new Int32Array(this.#place.length),
      begins: [0],
      size: 0,
      first: 0,
    };
  }

  #put(order: Order, index: number, place: number): void {
    order.pieces[place] = index;
    this.#place[index] = place;
  }

  #swap(order: Order, a: number, b: number): void {
    if (a === b) return;
    const atA = order.pieces[a]!;
    this.#put(order, order.pieces[b]!, a);
    this.#put(order, atA, b);
  }
}

function makeBucket({ begins, size }: Order, bucket: number): void {
  while (begins.length <= bucket) begins.push(size);
}
