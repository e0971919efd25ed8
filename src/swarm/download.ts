/**
 * From blocks to verified pieces: which block to ask whom for, what to do with one that comes, who lied.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { BLOCK_SIZE, type Peer, type ReceivedBlock } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { ActivePiece } from "./active_piece.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { PiecePicker } from "./piece_picker.ts";
import { Verifier, type VerifierHost } from "./verifier.ts";

/** Pieces that are chosen at random rather than by rarity, so that there is soon something to trade. */
const RANDOM_FIRST = 4;
/** Peers that one block is asked from at the same time in the endgame, and when those have been silent for long. */
const ENDGAME_COPIES = 2;
const DESPERATE_COPIES = 5;
/** Blocks that a peer is asked for in the endgame although others were asked before. */
const ENDGAME_DEPTH = 8;
/** A started piece that nobody would send is given up after this many milliseconds, if its memory is needed ... */
const STALE_MS = 5_000;
/** ... and one that others would send but don't, after this many. */
const STUCK_MS = 20_000;
/** Milliseconds without any block that was asked for, after which a peer counts as snubbing us. */
const SNUB_MS = 30_000;
/** Milliseconds for one request, besides the time that the peer needs for those before it. */
const REQUEST_MS = 10_000;
/** Milliseconds that the one peer which may send a suspect piece has for a block. */
const OWNER_MS = 10_000;
/** While memory is used up, a block is asked for twice when its piece has had no block for this many milliseconds. */
const SLOW_PIECE_MS = 3_000;
/**
 * Requests that a peer may turn down before it is left alone until the next regular turn. Some clients reject what they
 * have no time for; asked again at once, they and we would do nothing else.
 */
const MAX_TURNED_DOWN = 16;

/** What a download needs from the torrent. */
export interface DownloadHost extends VerifierHost {
  /** Bytes of a piece. */
  pieceSize(index: number): number;
  /** Writes a verified piece; resolves when it can be read back. */
  writePiece(index: number, data: Bytes): Promise<void>;
  /** Every connected peer. */
  peers(): Iterable<Peer>;
  /** A piece is verified and written. */
  pieceDone(index: number): void;
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
  /** Active pieces that one peer alone may send. */
  readonly #owned = new Set<ActivePiece>();
  readonly #verifier: Verifier;
  readonly #verifying = new Set<Promise<void>>();
  /** Grows with every piece that comes back into the order; tells when looking again is worthwhile. */
  #returned = 0;
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
    this.#verifier = new Verifier(host, options.platform);
    this.#picker = new PiecePicker(this.have.length, () => options.platform.random());
    for (let index = 0; index < this.have.length; index++) if (!this.have.has(index)) this.#picker.add(index);
  }

  /** Whether every block that is missing has been asked for. */
  get endgame(): boolean {
    return this.#picker.size === 0 && this.#open.size === 0;
  }

  /** Pieces that are being checked or written. */
  get verifying(): number {
    return this.#verifying.size;
  }

  /** Blocks are neither asked for nor taken any more. Settles when the pieces that were complete are checked and written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const piece of this.#active.values()) this.#pool.give(piece.buffer);
    this.#active.clear();
    this.#open.clear();
    this.#pool.close();
    await Promise.all(this.#verifying);
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
    if (this.#stopped || !peer.amInterested || (peer.choking && peer.allowedFast.size === 0)) return;
    if (peer.turnedDown >= MAX_TURNED_DOWN) return;
    const depth = peer.snubbed ? 1 : peer.requests.depth;
    let want = depth - peer.requests.size;
    // Asking in batches: nothing is said until a quarter of the queue is free.
    if (want <= 0 || (want < depth / 4 && peer.requests.size > 0)) return;
    for (const piece of this.#open) {
      if (want <= 0) return;
      if (peer.pieces.has(piece.index) && peer.wouldSend(piece.index)) want = this.#ask(peer, piece, want);
    }
    while (want > 0 && this.#picker.size > 0 && this.#pool.available) {
      const index = this.#pick(peer);
      if (index < 0) break;
      want = this.#ask(peer, this.#start(index), want);
    }
    if (want > 0) this.#askAgain(peer, Math.min(depth, ENDGAME_DEPTH) - peer.requests.size);
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
    // One that wasn't asked for is welcome only as a late answer, and never where one peer alone is to be heard.
    const welcome = asked || (peer.requests.expectLate() && (piece?.owner ?? peer.number) === peer.number);
    if (!piece || !welcome || piece.has(number) || block.length !== piece.blockLength(number)) {
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
  rejected(peer: Peer, index: number, begin: number): void {
    const piece = this.#active.get(index);
    if (!piece) return;
    if (piece.owner === peer.number) this.#free(piece);
    this.#release(piece, begin / BLOCK_SIZE);
  }

  /**
   * Takes back what a peer was asked for: it chokes us, is too slow, or left.
   *
   * @param peer Which.
   * @param options `cancel`: it is to be told. `which`: chooses among the requests; all when absent.
   */
  takeBack(
    peer: Peer,
    options: { readonly cancel?: boolean; readonly which?: (index: number, time: number) => boolean } = {},
  ): void {
    const { cancel = false, which = () => true } = options;
    peer.requests.takeBack(which, { cancel, taken: (index, begin) => this.rejected(peer, index, begin) });
    this.#disown(peer);
  }

  /** A peer chokes us, or no longer does: what it won't answer is free for others. */
  choked(peer: Peer): void {
    this.#disown(peer);
    // With BEP 6 every request that a choke drops is rejected, so what is left at the unchoke was forgotten; without it a
    // choke drops them all without a word.
    const before = peer.requests.size;
    if (!peer.choking || !peer.fast) this.takeBack(peer, { which: (index) => !peer.allowedFast.has(index) });
    if (peer.requests.size < before) this.fillAll();
  }

  /**
   * Regular work: requests that take too long go to others, and memory that is held in vain is freed.
   *
   * @param now Milliseconds.
   */
  tick(now: number): void {
    for (const peer of this.#host.peers()) {
      peer.turnedDown = 0;
      if (!peer.closed && peer.requests.size > 0) this.#hurry(peer, now);
    }
    for (const piece of this.#owned) if (now - piece.touched > OWNER_MS) this.#free(piece);
    this.#freeMemory(now);
    this.fillAll();
  }

  #hurry(peer: Peer, now: number): void {
    if (now - peer.lastBlock > SNUB_MS) {
      peer.snubbed = true;
      peer.lastBlock = now;
      peer.requests.snubbed();
      this.takeBack(peer, { cancel: true });
      peer.output.flush();
      return;
    }
    // It answers, but left one out: some clients drop requests without a word.
    const queue = 2000 * peer.requests.size * BLOCK_SIZE / Math.max(1, peer.down.rate);
    const { time: oldest } = peer.requests.first;
    if (oldest < peer.lastBlock && now - oldest > REQUEST_MS + queue) {
      this.takeBack(peer, { cancel: true, which: (_, time) => now - time > REQUEST_MS + queue });
      peer.output.flush();
    }
  }

  /** While memory is used up, gives up the pieces that nobody would send, or for long hasn't sent. */
  #freeMemory(now: number): void {
    for (const piece of this.#active.values()) {
      if (this.#pool.available) return;
      const age = now - piece.touched;
      if (age < STALE_MS || (age < STUCK_MS && this.#wouldBeSent(piece))) continue;
      this.wasted += piece.received * BLOCK_SIZE;
      this.#close(piece);
      this.#pool.give(piece.buffer);
      this.#putBack(piece.index);
    }
  }

  #wouldBeSent(piece: ActivePiece): boolean {
    for (const peer of this.#host.peers()) {
      if (peer.closed || peer.snubbed || !peer.pieces.has(piece.index)) continue;
      if (peer.wouldSend(piece.index)) return true;
    }
    return false;
  }

  #disown(peer: Peer): void {
    for (const piece of this.#owned) if (piece.owner === peer.number) this.#free(piece);
  }

  #free(piece: ActivePiece): void {
    piece.owner = null;
    this.#owned.delete(piece);
  }

  /** The best piece to start with a peer; remembers when there is none, since looking costs a pass over all pieces. */
  #pick(peer: Peer): number {
    if (peer.choking) {
      for (const index of peer.allowedFast) if (peer.pieces.has(index) && this.#picker.has(index)) return index;
      return -1;
    }
    const state = this.#returned + peer.pieces.count;
    if (peer.fruitless === state) return -1;
    const index = this.#picker.pick(peer.pieces, { anywhere: this.have.count < RANDOM_FIRST });
    if (index < 0) peer.fruitless = state;
    return index;
  }

  #putBack(index: number): void {
    this.#picker.add(index);
    this.#returned++;
  }

  #ask(peer: Peer, piece: ActivePiece, want: number): number {
    if (piece.owner !== null && piece.owner !== peer.number) return want;
    if (piece.owner === null && this.#verifier.suspects(piece.index)) {
      piece.owner = peer.number;
      this.#owned.add(piece);
    }
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
  #askAgain(peer: Peer, most: number): void {
    const ending = this.#picker.size === 0;
    if (most <= 0 || (!ending && this.#pool.available)) return;
    let want = most;
    const now = this.#platform.now();
    for (const piece of this.#active.values()) {
      if (!peer.pieces.has(piece.index) || !peer.wouldSend(piece.index) || piece.owner !== null) continue;
      const slow = now - piece.touched >= SLOW_PIECE_MS;
      if (!ending && !slow) continue;
      for (let block = 0; block < piece.blockCount && want > 0; block++) {
        const asked = piece.asked(block);
        if (piece.has(block) || asked === 0 || asked >= (slow ? DESPERATE_COPIES : ENDGAME_COPIES)) continue;
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
      peer.requests.cancel(piece.index, begin, length);
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
    this.#owned.delete(piece);
  }

  #finish(piece: ActivePiece): void {
    this.#close(piece);
    const work = this.#verify(piece).catch((error) => this.#host.broke(error)).finally(() => {
      this.#verifying.delete(work);
      this.#pool.give(piece.buffer);
      if (this.have.isFull && this.#verifying.size === 0) this.#pool.close();
      if (!this.#stopped) this.fillAll();
    });
    this.#verifying.add(work);
  }

  async #verify(piece: ActivePiece): Promise<void> {
    const { index } = piece;
    if (await this.#verifier.check(piece)) {
      await this.#host.writePiece(index, piece.data);
      if (this.have.set(index)) this.#host.pieceDone(index);
    } else {
      this.wasted += piece.size;
      this.#putBack(index);
    }
  }
}
