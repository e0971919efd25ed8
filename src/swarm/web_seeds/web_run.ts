/**
 * A run of bytes that a web seed sends in order, and the pieces in which the bytes are stored.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE, type Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "../pieces/partial_piece.ts";
import { cancelElsewhere } from "../pieces/endgame.ts";
import type { PartialPieces } from "../pieces/partial_pieces.ts";

/** What {@linkcode WebRun} needs from the torrent. */
export interface WebRunHost {
  /** Started pieces. */
  readonly started: PartialPieces;
  /** Bytes of every piece but the last. */
  readonly pieceLength: number;
  /** Bytes of the torrent. */
  readonly totalLength: number;
  /** Returns every connected peer. */
  peers(): Iterable<Peer>;
  /** Returns the current time in milliseconds. */
  now(): number;
  /** Tries to make a web seed, given by its number, the owner of a failed piece. Returns `true` if it is now. */
  mayOwn(piece: PartialPiece, source: number): boolean;
  /** Called when a run has ended or become shorter. */
  changed(run: WebRun): void;
}

/** Options for {@linkcode WebRun}. */
export interface WebRunOptions {
  /** Number of the web seed. */
  readonly source: number;
  /** Offset of the first byte in the torrent, at the beginning of a block. */
  readonly begin: number;
  /** Offset after the last byte, at the end of a block. */
  readonly end: number;
  /** The started piece that contains the bytes. When absent, the bytes are whole pieces that have been reserved. */
  readonly piece?: PartialPiece;
}

/**
 * Bytes of the torrent from `at` to `end`, in blocks and pieces that no other source fetches. The pieces ahead are
 * reserved. The current piece is started, with its blocks marked as requested. Memory for a piece is taken when its
 * first byte arrives.
 */
export class WebRun {
  /** Number of the web seed, which is negative; the numbers of peers are positive. */
  readonly source: number;
  readonly #host: WebRunHost;
  #at: number;
  #end: number;
  #piece: PartialPiece | null = null;
  /** The block that is arriving, of a piece that isn't held whole. */
  #block: Bytes | null = null;
  /** Whether the piece was restarted while the block was arriving, so that its first bytes may be another source's. */
  #isTorn = false;
  #over = false;

  constructor(host: WebRunHost, options: WebRunOptions) {
    this.#host = host;
    this.source = options.source;
    this.#at = options.begin;
    this.#end = options.end;
    if (options.piece) this.#take(options.piece);
  }

  /** Offset of the next wanted byte in the torrent. */
  get at(): number {
    return this.#at;
  }

  /** Offset after the last wanted byte. */
  get end(): number {
    return this.#end;
  }

  /** Whether no more bytes are wanted. */
  get over(): boolean {
    return this.#over || this.#at >= this.#end;
  }

  /** Number of pieces ahead that haven't been started. */
  get ahead(): number {
    if (this.over) return 0;
    const { pieceLength } = this.#host;
    return Math.ceil(this.#end / pieceLength) - Math.ceil((this.#at + (this.#piece ? 1 : 0)) / pieceLength);
  }

  /** Returns `true` if a piece is ahead or is the current piece. */
  holds(index: number): boolean {
    const start = index * this.#host.pieceLength;
    return !this.over && start < this.#end && start + this.#host.pieceLength > this.#at;
  }

  /** The current piece, if it has been started. */
  get piece(): PartialPiece | null {
    return this.#piece;
  }

  /**
   * Takes memory for the next byte. Skips pieces that another source has finished, or that only another source may
   * send.
   *
   * @returns `false` if there is no memory. The caller calls again when there may be some.
   */
  ready(): boolean {
    const { started } = this.#host;
    while (!this.over) {
      if (this.#piece) {
        if (started.active.get(this.#piece.index) === this.#piece) return this.#holdNext(this.#piece);
        this.#leave();
        continue;
      }
      if (!started.pool.available || started.pool.isBehind) return false;
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
   * Stores bytes at {@linkcode WebRun.at}. May be called only after {@linkcode WebRun.ready}, and while the run isn't
   * over.
   *
   * @param source Buffer with the bytes.
   * @param from Index of the first byte.
   * @param to Index after the last byte.
   * @returns How many bytes were stored, at most to the end of the current piece.
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
      if (offset === block * BLOCK_SIZE) this.#isTorn = false;
      if (piece.has(block) || this.#isTorn) this.#host.started.wasted += count;
      // The remaining bytes wait for memory.
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
   * Gives up the last pieces ahead, for other sources.
   *
   * @param count Number of pieces, at most {@linkcode WebRun.ahead}.
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

  /** Shortens the run to end before the first piece ahead that isn't wanted any more. */
  trim(): void {
    if (this.over) return;
    const end = Math.ceil(this.#end / this.#host.pieceLength);
    let index = end - this.ahead;
    while (index < end && this.#host.started.reserved.has(index)) index++;
    if (index < end) this.yieldLast(end - index);
  }

  /**
   * Called when a piece has lost blocks and forgotten who was asked for the missing ones. The run goes on with those
   * that it will send from their first byte on, unless the piece has to come from one source alone.
   */
  restarted(piece: PartialPiece): void {
    if (piece !== this.#piece) return;
    if (piece.failed) return this.#leave();
    const offset = this.#at % this.#host.pieceLength % BLOCK_SIZE;
    this.#isTorn = offset > 0;
    this.#ask(piece);
  }

  /** Ends the run and frees the blocks that haven't been received. May be called again. */
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
   * Reports how long each block of the current piece will take.
   *
   * @param tell Called with each block.
   * @param perBlock Milliseconds for a block; `Infinity` if nothing arrives.
   */
  waits(tell: (index: number, block: number, wait: number) => void, perBlock: number): void {
    const piece = this.#piece;
    if (!piece) return;
    let place = 0;
    this.#forEachBlock(piece, (block) => {
      if (!piece.has(block)) tell(piece.index, block, ++place * perBlock);
    });
  }

  /** Takes memory for the next byte. Returns `true` if there is some. */
  #holdNext(piece: PartialPiece): boolean {
    const block = Math.floor((this.#at - piece.index * this.#host.pieceLength) / BLOCK_SIZE);
    return piece.has(block) || piece.hold(block);
  }

  /** Stores bytes in a piece. Blocks are assembled here, since a part may lose its memory unless a block is whole. */
  #put(piece: PartialPiece, bytes: Bytes, offset: number): void {
    if (piece.parts === null) return piece.put(offset, bytes, 0, bytes.length);
    const at = offset % BLOCK_SIZE;
    const length = piece.blockLength((offset - at) / BLOCK_SIZE);
    if (at === 0 && bytes.length === length) return piece.put(offset, bytes, 0, length);
    this.#block ??= new Uint8Array(BLOCK_SIZE);
    this.#block.set(bytes, at);
    if (at + bytes.length < length) return;
    piece.hold((offset - at) / BLOCK_SIZE, { force: true });
    piece.put(offset - at, this.#block, 0, length);
  }

  #take(piece: PartialPiece): void {
    this.#piece = piece;
    this.#ask(piece);
  }

  /** Marks the blocks that the run will bring as requested. */
  #ask(piece: PartialPiece): void {
    this.#forEachBlock(piece, (block) => {
      if (!piece.has(block)) piece.ask(block);
    });
    if (piece.free === 0) this.#host.started.open.delete(piece);
  }

  /** Leaves the current piece, which is finished or dropped. */
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
    // An empty piece would keep its memory until a source happens to start it again.
    if (piece.owner === this.source || (piece.received === 0 && asked === 0)) started.drop(piece);
  }

  #received(piece: PartialPiece, block: number): void {
    // The block may also have been requested from a peer in the endgame, but our own request stands until we take it
    // back.
    const { started } = this.#host;
    const isRight = piece.hashes === null ||
      started.accepts(piece, block, { bytes: piece.bytesOf(block)!, sender: this.source });
    if (!isRight) return started.release(piece, block);
    started.receive(piece, block, { sender: this.source, asked: true, now: this.#host.now() });
    if (piece.free === 0) started.open.delete(piece);
    if (piece.asked(block) > 0) cancelElsewhere(piece, block, { peers: this.#host.peers(), sender: null });
  }

  /**
   * Visits the blocks of a piece from the current position to the end of the run or of the piece, without the one that
   * has begun if the run won't bring it.
   */
  #forEachBlock(piece: PartialPiece, visit: (block: number) => void): void {
    const start = piece.index * this.#host.pieceLength;
    const end = Math.min(this.#end - start, piece.size);
    const at = (this.#at - start) / BLOCK_SIZE;
    for (let block = this.#isTorn ? Math.ceil(at) : Math.floor(at); block * BLOCK_SIZE < end; block++) visit(block);
  }
}
