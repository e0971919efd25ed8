/**
 * A row of bytes that a web seed is to send, one after the other, and where they go.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "../pieces/partial_piece.ts";
import { cancelElsewhere } from "../pieces/endgame.ts";
import type { PartialPieces } from "../pieces/partial_pieces.ts";

/** What a run needs to know. */
export interface WebRunHost {
  /** Pieces in the works. */
  readonly started: PartialPieces;
  /** Bytes in every piece but the last. */
  readonly pieceLength: number;
  /** Bytes in all. */
  readonly totalLength: number;
  /** Every connected peer. */
  peers(): Iterable<Peer>;
  /** Milliseconds. */
  now(): number;
  /** Makes a web seed, by its number, the owner of a piece that has failed, if it may be. */
  mayOwn(piece: PartialPiece, source: number): boolean;
  /** A run has ended, or become shorter. */
  changed(run: WebRun): void;
}

/**
 * Bytes of a torrent from `at` to `end`, blocks and pieces that nobody else fetches: pieces that it will come to are out of the
 * order, and the one that it is at is started, with its blocks asked for. Memory is taken when a piece's first byte comes.
 */
export class WebRun {
  /** Number of the web seed, below 0: the numbers of peers are above. */
  readonly source: number;
  readonly #host: WebRunHost;
  #at: number;
  #end: number;
  #piece: PartialPiece | null = null;
  /** The block that is coming, of a piece that isn't held whole. */
  #block: Bytes | null = null;
  #over = false;

  /**
   * @param host The download.
   * @param options `source`: number of the web seed. `begin`, `end`: which bytes; whole blocks, the torrent's last one
   * excepted. `piece`: the started piece that they lie in; else they are whole pieces, which are out of the order already.
   */
  constructor(
    host: WebRunHost,
    options: {
      readonly source: number;
      readonly begin: number;
      readonly end: number;
      readonly piece?: PartialPiece;
    },
  ) {
    this.#host = host;
    this.source = options.source;
    this.#at = options.begin;
    this.#end = options.end;
    if (options.piece) this.#take(options.piece);
  }

  /** The next byte that is wanted, counted over the whole torrent. */
  get at(): number {
    return this.#at;
  }

  /** The byte after the last that is wanted. */
  get end(): number {
    return this.#end;
  }

  /** Whether nothing more is wanted. */
  get over(): boolean {
    return this.#over || this.#at >= this.#end;
  }

  /** Pieces ahead that aren't started. */
  get ahead(): number {
    if (this.over) return 0;
    const { pieceLength } = this.#host;
    return Math.ceil(this.#end / pieceLength) - Math.ceil((this.#at + (this.#piece ? 1 : 0)) / pieceLength);
  }

  /** Whether it will come to a piece that isn't started, or is at it. */
  holds(index: number): boolean {
    const start = index * this.#host.pieceLength;
    return !this.over && start < this.#end && start + this.#host.pieceLength > this.#at;
  }

  /** The piece that it is at, if it is started. */
  get piece(): PartialPiece | null {
    return this.#piece;
  }

  /**
   * Makes room for the next byte; goes past pieces that somebody else has finished, or may finish alone.
   *
   * @returns `false` when there is no memory. Then it is to be called again when there is.
   */
  ready(): boolean {
    const { started } = this.#host;
    while (!this.over) {
      if (this.#piece) {
        if (started.active.get(this.#piece.index) === this.#piece) return this.#holdNext(this.#piece);
        this.#leave();
        continue;
      }
      if (!started.pool.available) return false;
      const index = Math.floor(this.#at / this.#host.pieceLength);
      const piece = started.start(index, this.#host.now());
      if (!started.suspects(index) || this.#host.mayOwn(piece, this.source)) {
        this.#take(piece);
        return this.#holdNext(piece);
      }
      started.drop(piece);
      this.#at = Math.min(this.#end, (index + 1) * this.#host.pieceLength);
    }
    return true;
  }

  /**
   * Takes bytes in, at {@linkcode WebRun.at}. Only after {@linkcode WebRun.ready}, and while it isn't over.
   *
   * @param source Where they are.
   * @param from First of them.
   * @param to After the last.
   * @returns How many were taken: no more than the current piece has room for.
   */
  put(source: Bytes, from: number, to: number): number {
    const piece = this.#piece!;
    const start = piece.index * this.#host.pieceLength;
    const end = Math.min(this.#end, start + piece.size);
    const taken = Math.min(to - from, end - this.#at);
    for (let left = taken; left > 0;) {
      const offset = this.#at - start;
      const block = Math.floor(offset / BLOCK_SIZE);
      const length = piece.blockLength(block);
      const count = Math.min(left, block * BLOCK_SIZE + length - offset);
      if (piece.has(block)) this.#host.started.wasted += count;
      // The rest has to wait for memory.
      else if (offset === block * BLOCK_SIZE && !piece.hold(block)) return taken - left;
      else {
        this.#put(piece, source.subarray(from, from + count), offset);
        if (offset + count === block * BLOCK_SIZE + length) this.#received(piece, block);
      }
      from += count;
      left -= count;
      this.#at += count;
    }
    const { started } = this.#host;
    if (piece.complete && started.active.get(piece.index) === piece) started.finish(piece);
    if (this.#at === end) this.#leave();
    return taken;
  }

  /**
   * Lets others have the last of the pieces ahead.
   *
   * @param count How many; no more than {@linkcode WebRun.ahead}.
   */
  yieldLast(count: number): void {
    const { started, pieceLength } = this.#host;
    for (; count > 0; count--) {
      const index = Math.ceil(this.#end / pieceLength) - 1;
      this.#end = index * pieceLength;
      started.putBack(index);
    }
    this.#host.changed(this);
  }

  /** Ends before the first of the pieces ahead that isn't wanted any more. */
  trim(): void {
    if (this.over) return;
    const end = Math.ceil(this.#end / this.#host.pieceLength);
    let index = end - this.ahead;
    while (index < end && this.#host.started.reserved.has(index)) index++;
    if (index < end) this.yieldLast(end - index);
  }

  /** Ends it: what isn't here is free for others. Harmless when it has ended. */
  release(): void {
    if (this.#over) return;
    const { started, pieceLength } = this.#host;
    const piece = this.#piece;
    if (piece && started.active.get(piece.index) === piece) this.#giveBack(piece);
    const first = Math.ceil((this.#at + (piece ? 1 : 0)) / pieceLength);
    for (let index = first; index * pieceLength < this.#end; index++) started.putBack(index);
    this.#piece = null;
    this.#over = true;
    this.#host.changed(this);
  }

  /**
   * Tells how long the blocks of the current piece will take.
   *
   * @param tell Takes each block.
   * @param perBlock Milliseconds for a block; Infinity when nothing comes.
   */
  waits(tell: (index: number, block: number, wait: number) => void, perBlock: number): void {
    const piece = this.#piece;
    if (!piece) return;
    let place = 0;
    this.#forEachBlock(piece, (block) => {
      if (!piece.has(block)) tell(piece.index, block, ++place * perBlock);
    });
  }

  /** Makes sure that there is memory for the next byte. */
  #holdNext(piece: PartialPiece): boolean {
    const block = Math.floor((this.#at - piece.index * this.#host.pieceLength) / BLOCK_SIZE);
    return piece.has(block) || piece.hold(block);
  }

  /** Puts bytes into a piece. A part of one may lose its memory at any time, but for whole blocks: they are put together here. */
  #put(piece: PartialPiece, bytes: Bytes, offset: number): void {
    if (piece.parts === null) return piece.put(bytes, offset);
    const at = offset % BLOCK_SIZE;
    const length = piece.blockLength((offset - at) / BLOCK_SIZE);
    if (at === 0 && bytes.length === length) return piece.put(bytes, offset);
    this.#block ??= new Uint8Array(BLOCK_SIZE);
    this.#block.set(bytes, at);
    if (at + bytes.length < length) return;
    piece.hold((offset - at) / BLOCK_SIZE, { force: true });
    piece.put(this.#block.subarray(0, length), offset - at);
  }

  #take(piece: PartialPiece): void {
    this.#piece = piece;
    this.#forEachBlock(piece, (block) => {
      if (!piece.has(block)) piece.ask(block);
    });
    if (piece.free === 0) this.#host.started.open.delete(piece);
  }

  /** The current piece is done with, here or elsewhere. */
  #leave(): void {
    const end = Math.min((this.#piece!.index + 1) * this.#host.pieceLength, this.#host.totalLength);
    this.#piece = null;
    this.#at = Math.min(this.#end, Math.max(this.#at, end));
    if (this.#at < this.#end) return;
    this.#over = true;
    this.#host.changed(this);
  }

  #giveBack(piece: PartialPiece): void {
    const { started } = this.#host;
    let asked = 0;
    this.#forEachBlock(piece, (block) => {
      if (!piece.has(block)) started.release(piece, block);
    });
    for (let block = 0; block < piece.blockCount; block++) asked += piece.asked(block);
    // Memory for a piece of which nothing is here would be held for whoever may come to it some time.
    if (piece.owner === this.source || (piece.received === 0 && asked === 0)) started.drop(piece);
  }

  #received(piece: PartialPiece, block: number): void {
    // Somebody else may have been asked in the endgame, and our own request may have been taken back by nobody but us.
    piece.receive(block, { sender: this.source, asked: true, now: this.#host.now() });
    if (piece.free === 0) this.#host.started.open.delete(piece);
    if (piece.asked(block) > 0) cancelElsewhere(piece, block, { peers: this.#host.peers(), sender: null });
  }

  /** Blocks of a piece from the one that it is at to its end, or to the piece's. */
  #forEachBlock(piece: PartialPiece, visit: (block: number) => void): void {
    const start = piece.index * this.#host.pieceLength;
    const end = Math.min(this.#end - start, piece.size);
    for (let block = Math.floor((this.#at - start) / BLOCK_SIZE); block * BLOCK_SIZE < end; block++) visit(block);
  }
}
