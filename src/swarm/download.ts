/**
 * From blocks to verified pieces: which block to ask whom for, what to do with one that comes, who lied.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { BLOCK_SIZE, type Peer, type ReceivedBlock } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { ActivePiece } from "./active_piece.ts";
import { Blame } from "./blame.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { PiecePicker, type PieceSet } from "./piece_picker.ts";

/** Pieces that are chosen at random rather than by rarity, so that there is soon something to trade. */
const RANDOM_FIRST = 4;
/** Peers that one block is asked from at the same time in the endgame. */
const ENDGAME_COPIES = 2;
/** Blocks that a peer is asked for in the endgame although others were asked before. */
const ENDGAME_DEPTH = 8;
/** A started piece that nobody has any more is given up after this many milliseconds, if its memory is needed. */
const STALE_MS = 30_000;
/** While memory is used up, a block is asked for twice when its piece has had no block for this many milliseconds. */
const SLOW_PIECE_MS = 3_000;
/**
 * Requests that a peer may turn down before it is left alone until the next regular turn. Some clients reject what they
 * have no time for; asked again at once, they and we would do nothing else.
 */
const MAX_TURNED_DOWN = 16;
/** Blocks that nobody asked for, after which a peer is sent away. */
const MAX_UNREQUESTED = 64;

/** What a download needs from the torrent. */
export interface DownloadHost {
  /** Bytes of a piece. */
  pieceSize(index: number): number;
  /** SHA-1 of a piece. */
  pieceHash(index: number): Uint8Array;
  /** Writes a verified piece; resolves when it can be read back. */
  writePiece(index: number, data: Bytes): Promise<void>;
  /** Every connected peer. */
  peers(): Iterable<Peer>;
  /** The address of a connection, over or not. */
  hostOf(connection: number): string;
  /** A piece is verified and written. */
  pieceDone(index: number): void;
  /** A piece failed its hash; `hosts` sent its blocks. */
  pieceFailed(index: number, hosts: readonly string[]): void;
  /** An address sent wrong data for certain. */
  lied(host: string, index: number): void;
  /** The disk failed: the download cannot go on. */
  broke(error: unknown): void;
}

/** The downloading half of a torrent. */
export class Download {
  /** Pieces that are verified and written. */
  readonly have: Bitfield;
  /** Payload that came and was of no use, in bytes. */
  wasted = 0;
  readonly #platform: Pick<Platform, "now" | "random" | "sha1">;
  readonly #host: DownloadHost;
  readonly #pool: BufferPool;
  readonly #picker: PiecePicker;
  readonly #active = new Map<number, ActivePiece>();
  /** Active pieces that have free blocks, in the order in which they were started. */
  readonly #open = new Set<ActivePiece>();
  readonly #blame = new Blame();
  #verifying = 0;
  #stopped = false;

  /**
   * @param host The torrent.
   * @param options `have`: what is on disk; changed as pieces are finished. `pool`: buffers. `platform`: the outside.
   */
  constructor(
    host: DownloadHost,
    options: {
      readonly have: Bitfield;
      readonly pool: BufferPool;
      readonly platform: Pick<Platform, "now" | "random" | "sha1">;
    },
  ) {
    this.#host = host;
    this.have = options.have;
    this.#pool = options.pool;
    this.#platform = options.platform;
    this.#picker = new PiecePicker(this.have.length, () => options.platform.random());
    for (let index = 0; index < this.have.length; index++) if (!this.have.has(index)) this.#picker.add(index);
  }

  /** Whether every block that is missing has been asked for. */
  get endgame(): boolean {
    return this.#picker.size === 0 && this.#open.size === 0;
  }

  /** Pieces that are being checked or written. */
  get verifying(): number {
    return this.#verifying;
  }

  /** Blocks are neither asked for nor taken any more. */
  stop(): void {
    this.#stopped = true;
    for (const piece of this.#active.values()) this.#pool.give(piece.buffer);
    this.#active.clear();
    this.#open.clear();
    this.#pool.drain();
  }

  /** A peer told all that it has at once, or left; `sign` is 1 or -1. */
  countPeer(peer: Peer, sign: 1 | -1): void {
    if (peer.isSeed) return;
    for (const index of peer.pieces) this.countPiece(index, sign);
  }

  /** One peer more, or fewer, has a piece. */
  countPiece(index: number, sign: 1 | -1): void {
    if (sign === 1) this.#picker.gained(index);
    else this.#picker.lost(index);
  }

  /**
   * Asks a peer for as many blocks as it should be working on. The requests wait in its send buffer.
   *
   * @param peer One that isn't closed.
   */
  fill(peer: Peer): void {
    if (this.#stopped || (peer.choking && peer.allowedFast.size === 0)) return;
    if (peer.turnedDown >= MAX_TURNED_DOWN) return;
    const depth = peer.snubbed ? 1 : peer.pipeline.depth;
    let want = depth - peer.requests.size;
    // Asking in batches: nothing is said until a quarter of the queue is free.
    if (want <= 0 || (want < depth / 4 && peer.requests.size > 0)) return;
    for (const piece of this.#open) {
      if (want <= 0) return;
      if (peer.pieces.has(piece.index) && peer.wouldSend(piece.index)) want = this.#ask(peer, piece, want);
    }
    const from: PieceSet = peer.choking ? { has: (i) => peer.allowedFast.has(i) && peer.pieces.has(i) } : peer.pieces;
    while (want > 0 && this.#picker.size > 0 && this.#pool.available) {
      const index = this.#picker.pick(from, { anywhere: this.have.count < RANDOM_FIRST });
      if (index < 0) break;
      want = this.#ask(peer, this.#start(index), want);
    }
    if (want > 0 && peer.requests.size < ENDGAME_DEPTH) this.#askAgain(peer);
  }

  /** Asks every peer that could do more: blocks or memory have become free. */
  fillAll(): void {
    for (const peer of this.#host.peers()) {
      if (peer.closed) continue;
      const before = peer.requests.size;
      this.fill(peer);
      if (peer.requests.size > before) peer.output.flush();
    }
  }

  /** A block came. */
  received(peer: Peer, block: ReceivedBlock): void {
    const number = block.begin / BLOCK_SIZE;
    const piece = this.#active.get(block.index);
    const asked = block.latency >= 0;
    if (!asked && ++peer.unrequested > MAX_UNREQUESTED) {
      return peer.output.close("it sends blocks that were not asked for");
    }
    if (!piece || piece.has(number) || block.length !== piece.blockLength(number)) {
      if (asked) piece?.release(number);
      this.wasted += block.length;
      return;
    }
    piece.buffer.set(block.source.subarray(block.at, block.at + block.length), block.begin);
    piece.receive(number, { sender: peer.number, asked, now: this.#platform.now() });
    peer.snubbed = false;
    if (piece.free === 0) this.#open.delete(piece);
    if (piece.asked(number) > 0) this.#cancelElsewhere(peer, piece, number);
    if (piece.complete) this.#finish(piece);
  }

  /** A peer won't send a block that it was asked for. */
  rejected(index: number, begin: number): void {
    const piece = this.#active.get(index);
    if (piece) this.#release(piece, begin / BLOCK_SIZE);
  }

  /** Takes back everything that a peer was asked for: it choked us, is too slow, or left. */
  releaseAll(peer: Peer): void {
    // What is on its way already may still come, and is welcome.
    peer.unrequested -= peer.requests.size;
    peer.requests.forEach((index, begin) => this.rejected(index, begin));
    peer.requests.clear();
    for (const piece of this.#active.values()) if (piece.owner === peer.number) piece.owner = null;
  }

  /** Gives up pieces that nobody has any more, when others could use their memory. */
  giveUpStale(now: number): void {
    if (this.#pool.available) return;
    for (const piece of this.#active.values()) {
      const abandoned = piece.free === piece.blockCount - piece.received && now - piece.touched > STALE_MS;
      if (!abandoned || [...this.#host.peers()].some((peer) => peer.pieces.has(piece.index) && !peer.closed)) continue;
      this.wasted += piece.received * BLOCK_SIZE;
      this.#close(piece);
      this.#pool.give(piece.buffer);
      this.#picker.add(piece.index);
    }
  }

  #ask(peer: Peer, piece: ActivePiece, want: number): number {
    if (piece.owner !== null && piece.owner !== peer.number) return want;
    if (piece.owner === null && this.#blame.suspects(piece.index)) piece.owner = peer.number;
    for (; want > 0; want--) {
      const block = piece.takeFree();
      if (block < 0) break;
      peer.request(piece.index, block * BLOCK_SIZE, piece.blockLength(block));
    }
    if (piece.free === 0) this.#open.delete(piece);
    return want;
  }

  #start(index: number): ActivePiece {
    const buffer = this.#pool.take();
    if (!buffer) throw new Error("The pool has no buffer although it said so");
    this.#picker.remove(index);
    const piece = new ActivePiece(index, { size: this.#host.pieceSize(index), buffer, now: this.#platform.now() });
    this.#active.set(index, piece);
    this.#open.add(piece);
    return piece;
  }

  /**
   * The endgame (BEP 3), and its like when memory is used up by slow pieces: asks for blocks that others were asked for.
   * Only a peer that has next to nothing to do is asked, so that little is fetched twice.
   */
  #askAgain(peer: Peer): void {
    const ending = this.#picker.size === 0;
    if (!ending && this.#pool.available) return;
    let want = ENDGAME_DEPTH - peer.requests.size;
    const now = this.#platform.now();
    for (const piece of this.#active.values()) {
      if (!peer.pieces.has(piece.index) || !peer.wouldSend(piece.index) || piece.owner !== null) continue;
      if (!ending && now - piece.touched < SLOW_PIECE_MS) continue;
      for (let block = 0; block < piece.blockCount && want > 0; block++) {
        if (piece.has(block) || piece.asked(block) === 0 || piece.asked(block) >= ENDGAME_COPIES) continue;
        const begin = block * BLOCK_SIZE;
        const length = piece.blockLength(block);
        if (peer.requests.has(piece.index, begin, length)) continue;
        piece.ask(block);
        peer.request(piece.index, begin, length);
        want--;
      }
      if (want === 0) return;
    }
  }

  #cancelElsewhere(sender: Peer, piece: ActivePiece, block: number): void {
    const begin = block * BLOCK_SIZE;
    const length = piece.blockLength(block);
    for (const peer of this.#host.peers()) {
      if (peer === sender || peer.closed || !peer.requests.has(piece.index, begin, length)) continue;
      peer.cancel(piece.index, begin, length);
      // The answer to a cancel may be the block itself, when it was on its way.
      if (!peer.fast) peer.unrequested--;
      piece.release(block);
      peer.output.flush();
    }
  }

  #release(piece: ActivePiece, block: number): void {
    piece.release(block);
    if (piece.free > 0) this.#open.add(piece);
  }

  #close(piece: ActivePiece): void {
    this.#active.delete(piece.index);
    this.#open.delete(piece);
  }

  #finish(piece: ActivePiece): void {
    this.#close(piece);
    this.#verifying++;
    this.#verify(piece).catch((error) => this.#host.broke(error)).finally(() => {
      this.#verifying--;
      this.#pool.give(piece.buffer);
      if (this.#stopped) return this.#pool.drain();
      this.fillAll();
    });
  }

  async #verify(piece: ActivePiece): Promise<void> {
    const { index, data } = piece;
    if (equalBytes(await this.#platform.sha1(data), this.#host.pieceHash(index))) {
      if (this.#blame.suspects(index)) {
        for (const host of this.#blame.passed(index, await this.#digests(piece))) this.#host.lied(host, index);
      }
      await this.#host.writePiece(index, data);
      if (this.have.set(index)) this.#host.pieceDone(index);
      return;
    }
    this.wasted += piece.size;
    const senders = Array.from(piece.senders, (connection) => this.#host.hostOf(connection));
    const digests = await this.#digests(piece);
    const guilty = this.#blame.failed(index, { digests, senders });
    this.#host.pieceFailed(index, [...new Set(senders)]);
    if (!this.#stopped) this.#picker.add(index);
    for (const host of guilty) this.#host.lied(host, index);
  }

  #digests(piece: ActivePiece): Promise<Uint8Array[]> {
    const blocks = Array.from(
      { length: piece.blockCount },
      (_, i) => piece.buffer.subarray(i * BLOCK_SIZE, i * BLOCK_SIZE + piece.blockLength(i)),
    );
    return Promise.all(blocks.map((block) => this.#platform.sha1(block)));
  }
}
