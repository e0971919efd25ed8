/**
 * Picks the piece to start next: among the pieces of the highest level the rarest, with ties broken at random or in favour
 * of the piece after the last one, or the first.
 *
 * @module
 */

/** The pieces of a peer. */
export interface PieceSet {
  /** Returns `true` if the peer has a piece. */
  has(index: number): boolean;
}

/** Levels of pieces. Pieces of a higher level are picked before all others. */
export const PieceLevel = { low: -1, normal: 0, high: 1 } as const;

/** Every level, highest first. */
const LEVELS = [PieceLevel.high, PieceLevel.normal, PieceLevel.low];

/** The pieces of one level, one array cut into buckets of equal availability. */
interface Order {
  readonly pieces: Int32Array;
  /** Where each bucket begins; bucket n ends where n + 1 begins. */
  readonly begins: number[];
  size: number;
  /** No piece with a lower index is in the order. Used by sequential picks. */
  first: number;
}

/** Options for {@linkcode PiecePicker}. */
export interface PiecePickerOptions {
  /**
   * Number of adjacent pieces that a peer is asked for in a row, aligned to multiples of it, as long as they are equally
   * rare; 1 when absent. Small pieces in random order cost both ends much: a seeder reads them one by one, and the
   * downloader writes them one by one.
   */
  readonly run?: number;
}

/** Options for {@linkcode PiecePicker.pick}. */
export interface PickOptions {
  /**
   * Whether a random piece of the highest level is picked, for the first pieces of a download: they should be complete
   * soon, so that there is something to trade. `false` when absent.
   */
  readonly anywhere?: boolean;
}

/**
 * The pieces that haven't been started, by level and within each level by availability. Each step but a pick takes
 * constant time (adding and removing a piece takes time proportional to its availability): a piece that gains or loses
 * a peer swaps places with the edge of its bucket.
 *
 * Peers that have everything aren't counted, since they don't change the order.
 */
export class PiecePicker {
  /** Whether pieces are picked by index instead of rarest first. */
  sequential = false;
  readonly #random: () => number;
  readonly #availability: Uint16Array;
  /** Where each piece is in its order, or -1. */
  readonly #place: Int32Array;
  /** Level of each piece; `null` while all are normal. */
  #levels: Int8Array | null = null;
  /** The order of each level, lowest first; `null` while the level has had no piece. */
  readonly #orders: (Order | null)[] = [null, null, null];
  #size = 0;
  readonly #run: number;
  /** The last piece picked for each peer, where pieces are picked in runs. */
  readonly #last = new WeakMap<PieceSet, number>();

  /**
   * @param pieceCount Pieces of the torrent. None is in the order at first.
   * @param random Returns a number from 0 to 1, uniformly distributed, which decides among equally rare pieces.
   */
  constructor(pieceCount: number, random: () => number, options: PiecePickerOptions = {}) {
    this.#random = random;
    this.#run = options.run ?? 1;
    this.#availability = new Uint16Array(pieceCount);
    this.#place = new Int32Array(pieceCount).fill(-1);
  }

  /** Number of pieces in the order. */
  get size(): number {
    return this.#size;
  }

  /** Returns `true` if a piece is in the order. */
  has(index: number): boolean {
    return this.#place[index] !== -1;
  }

  /** Returns how many peers have a piece, without those that have everything. */
  availability(index: number): number {
    return this.#availability[index]!;
  }

  /** Number of pieces in the order that no counted peer has. */
  get unavailable(): number {
    let sum = 0;
    for (const order of this.#orders) if (order) sum += order.begins[1] ?? order.size;
    return sum;
  }

  /** Returns the level of a piece. See {@linkcode PieceLevel}. */
  levelOf(index: number): number {
    return this.#levels === null ? PieceLevel.normal : this.#levels[index]!;
  }

  /**
   * Assigns levels to all pieces. A piece whose level changes gets a random place in its bucket; the others keep
   * theirs.
   *
   * @param levelOf Returns the level of a piece. Values outside of {@linkcode PieceLevel} count as the nearest level.
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

  /** Adds a piece to the order, at a random place in its bucket. */
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

  /** Removes a piece from the order. */
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

  /** Notes that one more peer has a piece. */
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
    // A random place in the new bucket keeps clients from picking the same pieces in the same order.
    const end = bucket + 2 < begins.length ? begins[bucket + 2]! : order.size;
    this.#swap(order, last, last + Math.floor(this.#random() * (end - last)));
  }

  /** Notes that one peer fewer has a piece. */
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
   * Returns the piece to start with a peer, or -1 if the peer has none. The piece stays in the order.
   *
   * @param from The peer's pieces.
   */
  pick(from: PieceSet, options: PickOptions = {}): number {
    for (const level of LEVELS) {
      const order = this.#orders[level - PieceLevel.low];
      if (!order || order.size === 0) continue;
      const index = this.sequential ? this.#pickFirst(order, level, from) : this.#pickRarest(order, from, options);
      if (index >= 0) return index;
    }
    return -1;
  }

  #pickRarest(order: Order, from: PieceSet, { anywhere = false }: PickOptions): number {
    const { pieces, size } = order;
    const start = anywhere ? Math.floor(this.#random() * size) : 0;
    for (let i = 0; i < size; i++) {
      const index = pieces[(start + i) % size]!;
      if (from.has(index)) return this.#run > 1 && !anywhere ? this.#inRun(index, from) : index;
    }
    return -1;
  }

  /**
   * Returns the piece after the last one that was picked for a peer if it is as good as `index` and in the same run, or
   * else the first piece of the run of `index` that is as good.
   */
  #inRun(index: number, from: PieceSet): number {
    const isAsGood = (other: number) =>
      this.has(other) && from.has(other) && this.#availability[other] === this.#availability[index] &&
      this.levelOf(other) === this.levelOf(index);
    let picked = (this.#last.get(from) ?? -1) + 1;
    if (picked % this.#run === 0 || !isAsGood(picked)) {
      picked = index - index % this.#run;
      while (picked < index && !isAsGood(picked)) picked++;
    }
    this.#last.set(from, picked);
    return picked;
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
