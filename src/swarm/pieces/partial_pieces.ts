/**
 * Pieces from their first block to the disk, whether peers or web seeds send them: the started pieces, the complete
 * pieces that are being checked, and the pieces that are left.
 *
 * @module
 */

import { Bitfield } from "../../base/bitfield.ts";
import type { Bytes } from "../../base/bytes.ts";
import { ShoalError } from "../../base/errors.ts";
import { networkOf } from "../../base/networks.ts";
import type { PieceVerdict, PieceVerifier } from "../../base/piece_verifier.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import { NotWantedError } from "../../storage/mod.ts";
import { PartialPiece, type ReceiveBlockOptions } from "./partial_piece.ts";
import type { BlockHashSource } from "./block_hash_source.ts";
import { BlockHashes } from "./block_hashes.ts";
import { BlockProofs } from "./block_proofs.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { Parole } from "./parole.ts";
import { LargePiecesOnDisk, type PartsHost } from "./large_pieces_on_disk.ts";
import type { PartMemory } from "./large_piece_memory.ts";
import { PiecePicker } from "./piece_picker.ts";
import { PeerTrust } from "./peer_trust.ts";
import { stalledPieces } from "./piece_eviction.ts";
import { SmartBan, type SmartBanHost } from "./smart_ban.ts";
import { WrongBlocks } from "./wrong_blocks.ts";

/** What {@linkcode PartialPieces} needs from the torrent. */
export interface PartialPiecesHost extends SmartBanHost, PartsHost {
  /** Writes a verified piece. Resolves when the piece can be read back. */
  writePiece(index: number, data: Bytes): Promise<void>;
  /** Returns `true` if a piece that isn't wanted can be written nevertheless. Every piece can be when absent. */
  hasPlace?(index: number): boolean;
  /** Called when a piece has been verified and written. */
  pieceDone(index: number): void;
  /** Called when an unwanted piece that was to be finished was given up, which may complete the download. */
  pieceForgotten(index: number): void;
  /** Called when the download can't go on: the disk failed, or the halves of a hybrid torrent disagree. */
  diskFailed(error: unknown): void;
}

/** Options for {@linkcode PartialPieces}. */
export interface PartialPiecesOptions {
  /** Pieces on disk; updated as pieces are finished. */
  readonly have: Bitfield;
  /** Pieces to download. */
  readonly wanted: Bitfield;
  /** Buffers for pieces. */
  readonly pool: BufferPool;
  /** Clock, random numbers, digests of blocks and yielding to other work. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "yieldToEventLoop">;
  /** Tells how long pieces are, and whether they are right. */
  readonly verifier: PieceVerifier;
  /** Source of the hashes of single blocks; `null` or absent if there is none, as in v1. */
  readonly blockHashes?: BlockHashSource | null;
}

/**
 * Bytes of the adjacent pieces that a peer is asked for in a row. From Shoal, 1 GiB in pieces of 16 KiB took 4.2 s
 * without runs.
 */
const RUN_BYTES = 512 * 1024;

/** Blocks of a piece that the disk may spoil before the download fails. */
const MOST_ROTTEN = 3;

/** A block for {@linkcode PartialPieces.accepts}. */
export interface OfferedBlock {
  /** All of the block. */
  readonly bytes: Bytes;
  /** Number of the connection or web seed that sent it. */
  readonly sender: number;
}

/** Verdict on a complete piece: right, wrong and dropped, or wrong and restarted in part or whole. */
type Result = "right" | "wrong" | "reopened";

/** What happened to a complete piece: right and written, right but not needed, or wrong, with the verdict on it. */
type Found = "written" | "unwelcome" | PieceVerdict;

/** The pieces of one torrent, shared by all that fetch blocks: peers and web seeds. */
export class PartialPieces {
  /** Pieces that have been verified and written. */
  readonly have: Bitfield;
  /** Pieces to come: wanted ones that aren't on disk, and unwanted ones that are finished as blocks have arrived. */
  readonly missing: Bitfield;
  /** Pieces that a web seed will start, which the picker therefore doesn't offer. */
  readonly reserved = new Set<number>();
  /** Bytes of payload that were received in vain. */
  wasted = 0;
  /** Started pieces that aren't complete, by index. */
  readonly active = new Map<number, PartialPiece>();
  /** Started pieces that have free blocks, in the order in which they were started. */
  readonly open = new Set<PartialPiece>();
  /** What is known about each source of blocks. */
  readonly trust = new PeerTrust();
  /** Pieces that only one source may send. */
  readonly parole = new Parole(this.trust);
  /** Pieces that haven't been started. */
  readonly picker: PiecePicker;
  /** Buffers for pieces. */
  readonly pool: BufferPool;
  /** Counts pieces that return to the picker. A vain search is worth repeating only when the count has grown. */
  returned = 0;
  /** Called when a piece has been found right or wrong and its memory is free. */
  readonly pieceVerified: ((right: boolean) => void)[] = [];
  /** Called when memory that was waited for may be available. */
  readonly memoryAvailable: (() => void)[] = [];
  /** Proves single blocks whose hashes are known. */
  readonly proofs: BlockProofs;
  /** Called when a piece has lost blocks. Those that it misses count as free, whoever was asked for them. */
  readonly pieceRestarted: ((piece: PartialPiece) => void)[] = [];
  /** Called when a piece that hasn't been downloaded is no longer to come. */
  pieceAbandoned: (index: number) => void = () => {};
  #wanted: Bitfield;
  readonly #host: PartialPiecesHost;
  readonly #platform: Pick<Platform, "now">;
  readonly #verifier: PieceVerifier;
  readonly #smartBan: SmartBan;
  readonly #hashes: BlockHashes;
  readonly #wrongBlocks: WrongBlocks;
  /** Complete pieces that are being checked or written, each with a promise that settles when that is over. */
  readonly #verifying = new Map<PartialPiece, Promise<void>>();
  /** Pieces that are too large to be held whole. */
  readonly #onDisk: LargePiecesOnDisk;
  /** Indexes of the pieces in `#verifying`, and of dropped pieces whose parts are still being written. */
  readonly #checking = new Set<number>();
  #stopped = false;

  constructor(host: PartialPiecesHost, options: PartialPiecesOptions) {
    this.#host = host;
    this.have = options.have;
    this.pool = options.pool;
    this.pool.memoryAvailable = () => this.memoryAvailable.forEach((tell) => tell());
    this.#platform = options.platform;
    this.#verifier = options.verifier;
    this.#onDisk = new LargePiecesOnDisk(host, {
      pool: options.pool,
      failed: (piece, thrown) => {
        // A complete piece fails when it is checked, and a dropped piece needs nothing from the disk.
        if (this.active.get(piece.index) !== piece) return;
        host.diskFailed(thrown);
        this.drop(piece);
      },
      written: (piece) => {
        if (piece.hashes !== null) this.proofs.readable(piece.index);
      },
    });
    this.#hashes = new BlockHashes({
      source: options.blockHashes ?? null,
      pieceSize: (index) => options.verifier.pieceSize(index),
      now: () => options.platform.now(),
    });
    this.#wrongBlocks = new WrongBlocks({ hashes: this.#hashes, pool: options.pool });
    this.proofs = new BlockProofs({
      started: (index) => this.find(index),
      foundWrong: (piece, blocks) => this.#removeWrong(piece, blocks),
    }, { hashes: this.#hashes, platform: options.platform, onDisk: this.#onDisk });
    this.#smartBan = new SmartBan(host, {
      platform: options.platform,
      verifier: options.verifier,
      onDisk: this.#onDisk,
      wrongBlocks: this.#wrongBlocks,
    });
    this.#wanted = options.wanted;
    const run = Math.max(1, Math.floor(RUN_BYTES / options.verifier.pieceLength));
    this.picker = new PiecePicker(this.have.length, () => options.platform.random(), { run });
    this.missing = new Bitfield(this.have.length);
    this.#recomputeMissing();
  }

  /** Whether every piece that was to come has been verified and written. */
  get complete(): boolean {
    return this.missing.isEmpty;
  }

  /** Returns `true` if a piece is to come: it is wanted and not on disk, or blocks of it have been received. */
  wants(index: number): boolean {
    return this.missing.has(index);
  }

  /** Returns `true` if the user wants a piece, whether it is on disk or not. */
  isWanted(index: number): boolean {
    return this.#wanted.has(index);
  }

  /** Number of pieces that are being checked or written. None of them is in {@linkcode PartialPieces.active}. */
  get verifying(): number {
    return this.#verifying.size;
  }

  /** Returns `true` if a piece has failed its hash check and not passed since. It should come from one source alone. */
  suspects(index: number): boolean {
    return this.#smartBan.suspects(index);
  }

  /** Returns the name of a connection or web seed in {@linkcode PartialPieces.trust}. */
  sourceOf(sender: number): string {
    return networkOf(this.#host.hostOf(sender));
  }

  /** Pieces that have failed their hash check and not passed since. */
  get failed(): { readonly pieces: Iterable<number>; readonly size: number } {
    return this.#smartBan.failed;
  }

  /**
   * Changes the wanted pieces. Started pieces of which blocks have been received are finished nevertheless if they can
   * be written, and so are pieces that are being checked.
   *
   * @param wanted The wanted pieces; copied.
   * @returns Started pieces that were given up, so that the requests for their blocks can be cancelled.
   */
  setWanted(wanted: Bitfield): PartialPiece[] {
    this.#wanted = wanted.clone();
    return this.#recomputeMissing();
  }

  /**
   * Replaces the set of pieces on disk.
   *
   * @param have The pieces on disk; copied.
   * @returns Started pieces that were given up because they are on disk, so that the requests for their blocks can be
   * cancelled.
   */
  reset(have: Bitfield): PartialPiece[] {
    const found = have.clone();
    this.have.clearAll();
    this.have.addAll(found);
    return this.#recomputeMissing();
  }

  /**
   * Notes that pieces are no longer on disk.
   *
   * @param pieces Piece indexes; pieces that aren't on disk are ignored.
   * @returns The pieces that were on disk.
   */
  lost(pieces: Iterable<number>): number[] {
    const lost = Array.from(pieces).filter((index) => this.have.clear(index));
    for (const index of lost) {
      if (!this.#wanted.has(index) && !this.#isUnderWay(index)) continue;
      this.missing.set(index);
      this.putBack(index);
    }
    return lost;
  }

  /**
   * Starts a piece for which the pool has memory.
   *
   * @param index Index of a piece that is in the picker or reserved.
   * @param now Current time in milliseconds.
   * @returns The piece, with every block free.
   */
  start(index: number, now: number): PartialPiece {
    const size = this.#verifier.pieceSize(index);
    const memory = this.#memoryFor(size, (leaving) => this.#onDisk.leave(piece, leaving));
    this.picker.remove(index);
    this.reserved.delete(index);
    const startHash = () => this.#verifier.start(index);
    const piece = new PartialPiece(index, { size, memory, data: this.pool.data, startHash, now });
    if (piece.parts !== null) this.#onDisk.begin(piece);
    piece.failed = this.suspects(index);
    this.proofs.begin(piece);
    this.active.set(index, piece);
    this.open.add(piece);
    return piece;
  }

  /** Returns a started piece, whether it is complete or not; `null` if there is none. */
  find(index: number): PartialPiece | null {
    const active = this.active.get(index);
    if (active !== undefined || !this.#checking.has(index)) return active ?? null;
    for (const piece of this.#verifying.keys()) if (piece.index === index) return piece;
    return null;
  }

  /**
   * Checks a block by its own hash, if that is known. The sender of a wrong block is to blame. Other sources may be
   * storing bytes of the same block, so that a block is checked before it replaces them.
   *
   * @param block Number of a block that hasn't been received.
   * @returns `false` if the block is wrong. Its request stands; see {@linkcode PartialPieces.release}.
   */
  accepts(piece: PartialPiece, block: number, { bytes, sender }: OfferedBlock): boolean {
    if (this.proofs.accepts(piece, block, bytes)) return true;
    this.wasted += bytes.length;
    this.#blame(piece.index, [sender]);
    return false;
  }

  /**
   * Takes a block whose bytes have been stored in its piece, if {@linkcode PartialPieces.accepts} allowed it.
   *
   * @param block Number of a block that hasn't been received.
   */
  receive(piece: PartialPiece, block: number, options: ReceiveBlockOptions): void {
    piece.receive(block, options);
    if (piece.hashes !== null) this.proofs.readable(piece.index);
  }

  /** Ends the wait for block hashes of pieces whose memory is needed elsewhere, and of all if `all` is set. */
  endWaits(all = false): void {
    const stalled = all ? null : new Set(stalledPieces(this.#wrongBlocks.waiting, this.#platform.now()));
    this.#wrongBlocks.end((piece) => stalled?.has(piece) ?? true);
  }

  /** Takes the buffer of a whole piece, or returns the source of buffers for its parts. */
  #memoryFor(size: number, leave: PartMemory["leave"]): Bytes | PartMemory {
    const { pool } = this;
    const length = pool.unit;
    if (length < size) {
      const take = (force: boolean) => force ? pool.takeAnyway(length) : pool.take(length);
      return { length, take, give: (buffer) => pool.give(buffer), leave };
    }
    const buffer = pool.take(length);
    if (!buffer) throw new Error("The pool has no buffer although it said so");
    return buffer;
  }

  /** Ends the ownership of a piece, so that any source may send its blocks. */
  share(piece: PartialPiece): void {
    this.parole.share(piece);
    if (piece.free > 0) this.open.add(piece);
  }

  /** Notes that a source which was asked for a block won't send it. */
  release(piece: PartialPiece, block: number): void {
    piece.release(block);
    if (piece.free > 0) this.open.add(piece);
  }

  /** Takes a piece out of the picker for a web seed that will start it. */
  reserve(index: number): void {
    this.picker.remove(index);
    this.reserved.add(index);
  }

  /** Returns a piece that no source fetches to the picker if it is wanted. */
  putBack(index: number): void {
    this.reserved.delete(index);
    if (this.have.has(index) || this.#isUnderWay(index)) return;
    if (this.#wanted.has(index)) {
      this.picker.add(index);
      this.returned++;
    } else if (this.missing.clear(index)) {
      this.#closePool();
      this.pieceAbandoned(index);
    }
  }

  /** Drops the blocks of a started piece, which is started again later. */
  drop(piece: PartialPiece): void {
    this.#discard(piece);
    this.putBack(piece.index);
  }

  /**
   * Writes the received blocks of a piece to disk and frees its memory and its requested blocks.
   *
   * @returns `false` if the piece is held whole or no block of it has been received, so that it has to be dropped
   * instead.
   */
  releaseMemory(piece: PartialPiece): boolean {
    if (piece.parts === null || piece.received === 0) return false;
    if (!piece.failed) this.parole.share(piece);
    piece.releaseMemory();
    this.open.add(piece);
    return true;
  }

  /**
   * Restarts a piece without some of its blocks. The piece keeps its memory.
   *
   * @param piece A piece that failed its hash check, or has wrong blocks.
   * @param isRemoved Returns `true` if a block is requested again.
   * @param failed Whether the piece should come from one source alone from now on.
   */
  restartPiece(piece: PartialPiece, isRemoved: (block: number) => boolean, failed = true): void {
    this.parole.release(piece, { complete: false });
    this.wasted += piece.restart(isRemoved, this.#platform.now());
    piece.failed = failed;
    piece.provenOnly = false;
    this.open.add(piece);
    for (const tell of this.pieceRestarted) tell(piece);
  }

  /** Checks and writes a complete piece. */
  finish(piece: PartialPiece): void {
    this.#close(piece, { complete: true });
    this.#checking.add(piece.index);
    if (piece.buffer !== null) this.pool.countComplete(piece.buffer, true);
    this.#verifying.set(piece, this.#verify(piece));
  }

  /** Drops the incomplete pieces. Resolves when the complete ones have been checked and written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const piece of this.active.values()) this.#giveBack(piece);
    this.active.clear();
    this.open.clear();
    this.pool.close();
    this.#hashes.close();
    await Promise.all(this.#verifying.values());
    await this.#onDisk.idle();
  }

  /** Returns `true` if a piece is started, or complete and not yet written. */
  #isUnderWay(index: number): boolean {
    return this.active.has(index) || this.#checking.has(index);
  }

  /**
   * Recomputes the missing pieces and the picker's pieces. Returns started pieces that are no longer to come and were
   * given up.
   */
  #recomputeMissing(): PartialPiece[] {
    const given = [...this.active.values()].filter((piece) => !this.#isToCome(piece) || this.#onDisk.isMoved(piece));
    for (const piece of given) this.#discard(piece);
    this.#wrongBlocks.end((piece) => !this.#isToCome(piece) || this.#onDisk.isMoved(piece));
    for (let index = 0; index < this.have.length; index++) {
      const isUnderWay = this.#isUnderWay(index);
      if (this.have.has(index) || !(this.#wanted.has(index) || isUnderWay)) {
        this.missing.clear(index);
        this.picker.remove(index);
        this.reserved.delete(index);
      } else {
        this.missing.set(index);
        if (!isUnderWay && !this.reserved.has(index)) this.picker.add(index);
      }
    }
    this.returned++;
    this.#closePool();
    return given;
  }

  #isToCome(piece: PartialPiece): boolean {
    if (this.have.has(piece.index)) return false;
    return this.#wanted.has(piece.index) || (piece.received > 0 && this.#hasPlace(piece.index));
  }

  #hasPlace(index: number): boolean {
    return this.#host.hasPlace?.(index) ?? true;
  }

  #closePool(): void {
    if (this.complete && this.#verifying.size === 0) this.pool.close();
  }

  #discard(piece: PartialPiece): void {
    this.wasted += piece.received * BLOCK_SIZE;
    this.#close(piece, { complete: false });
    this.#giveBack(piece);
    if (!this.#onDisk.isBusy(piece)) return;
    // The piece must not be started again before the earlier writes are over, which would overwrite its new blocks.
    this.#checking.add(piece.index);
    void this.#onDisk.idle(piece).then(() => {
      this.#checking.delete(piece.index);
      this.putBack(piece.index);
    });
  }

  #giveBack(piece: PartialPiece): void {
    piece.close();
    if (piece.buffer !== null) this.pool.give(piece.buffer);
  }

  #close(piece: PartialPiece, options: { readonly complete: boolean }): void {
    this.active.delete(piece.index);
    this.open.delete(piece);
    this.parole.release(piece, options);
  }

  async #verify(piece: PartialPiece): Promise<void> {
    const sources = new Set(Array.from(piece.senders, (sender) => this.sourceOf(sender)));
    let result: Result = "wrong";
    try {
      const found = await this.#store(piece, sources);
      if (typeof found === "string") result = this.#keep(piece, found);
      else result = found.wrongBlocks === null ? this.#retry(piece, sources) : this.#mend(piece, found.wrongBlocks);
    } catch (error) {
      this.#broke(piece, error);
    }
    // Must happen in the same turn as the verdict: a piece is never in `#verifying` and `active` at the same time.
    this.#verifying.delete(piece);
    if (piece.buffer !== null) this.pool.countComplete(piece.buffer, false);
    if (result !== "reopened") this.#giveBack(piece);
    this.#closePool();
    for (const tell of this.pieceVerified) tell(result === "right");
  }

  /** Checks a complete piece, and writes it if it is right and can be stored. */
  async #store(piece: PartialPiece, sources: ReadonlySet<string>): Promise<Found> {
    const { index } = piece;
    const verdict = await this.#smartBan.check(piece);
    if (verdict?.isContradictory) throw halvesDisagree(index);
    if (verdict?.isRight === false) return verdict;
    if (verdict !== null) this.trust.passed(index, sources);
    let isWelcome = this.wants(index) && (this.#wanted.has(index) || this.#hasPlace(index));
    if (isWelcome && piece.parts !== null) isWelcome = verdict !== null && await this.#onDisk.claim(piece);
    else if (isWelcome) await this.#host.writePiece(index, piece.data);
    return isWelcome ? "written" : "unwelcome";
  }

  /** Handles a right piece. */
  #keep({ index, size }: PartialPiece, found: "written" | "unwelcome"): Result {
    this.#checking.delete(index);
    if (found === "unwelcome") {
      this.wasted += size;
      this.putBack(index);
    } else if (this.have.set(index)) {
      this.missing.clear(index);
      this.#host.pieceDone(index);
    }
    return "right";
  }

  /**
   * Handles a piece of which some blocks are known to be wrong. Only these are fetched again, from any source.
   */
  #mend(piece: PartialPiece, wrongBlocks: readonly number[]): Result {
    const { index } = piece;
    this.#noteRotten(piece, wrongBlocks);
    this.#checking.delete(index);
    const lies = wrongBlocks.filter((block) => !piece.wasProven(block));
    this.trust.failed(index, new Set(lies.map((block) => this.sourceOf(piece.senders[block]!))));
    if (this.#stopped || !this.#wanted.has(index) || this.have.has(index)) {
      this.wasted += piece.size;
      this.putBack(index);
      return "wrong";
    }
    const wrong = new Set(wrongBlocks);
    this.restartPiece(piece, (block) => wrong.has(block), false);
    this.proofs.mended(piece);
    this.active.set(index, piece);
    return "reopened";
  }

  /** Removes wrong blocks from a piece, unless it is complete: then the verdict on it is on its way. */
  #removeWrong(piece: PartialPiece, blocks: ReadonlySet<number>): void {
    const { index } = piece;
    if (this.active.get(index) !== piece) return;
    try {
      this.#noteRotten(piece, blocks);
    } catch (error) {
      this.#host.diskFailed(error);
      return this.drop(piece);
    }
    const lies = [...blocks].filter((block) => !piece.wasProven(block));
    this.#blame(index, lies.map((block) => piece.senders[block]!));
    this.restartPiece(piece, (block) => blocks.has(block), false);
  }

  /**
   * Notes which of the wrong blocks of a piece were right when they arrived.
   *
   * @throws {ShoalError} Of kind `storage` if the disk has spoilt several blocks, so that more of them would be vain.
   */
  #noteRotten(piece: PartialPiece, wrongBlocks: Iterable<number>): void {
    for (const block of wrongBlocks) if (piece.wasProven(block)) piece.rotten++;
    if (piece.rotten > MOST_ROTTEN) throw spoilt(piece.index);
  }

  /** Blames connections for blocks that are certainly wrong, once the read that brought the last of them is parsed. */
  #blame(index: number, senders: readonly number[]): void {
    const hosts = new Set(senders.map((sender) => this.#host.hostOf(sender)));
    queueMicrotask(() => {
      this.trust.failed(index, new Set(senders.map((sender) => this.sourceOf(sender))));
      this.#host.pieceFailed(index, [...hosts]);
      for (const host of hosts) this.#host.sentWrongData(host, index);
    });
  }

  /**
   * Handles a wrong piece. The blocks of suspects are fetched again from proven sources. If no source is more suspect
   * than another, the whole piece is fetched again from one source.
   */
  #retry(piece: PartialPiece, sources: ReadonlySet<string>): Result {
    const { index } = piece;
    this.#checking.delete(index);
    const suspects = piece.provenOnly ? sources : this.trust.suspects(sources);
    this.trust.failed(index, suspects);
    if (this.#stopped || sources.size === 1 || !this.#wanted.has(index) || this.have.has(index)) {
      this.wasted += piece.size;
      this.putBack(index);
      return "wrong";
    }
    this.restartPiece(piece, (block) => suspects.has(this.sourceOf(piece.senders[block]!)));
    piece.provenOnly = suspects.size < sources.size;
    this.active.set(index, piece);
    return "reopened";
  }

  /** Handles a disk failure, or a piece whose files were just deselected. The piece is fetched again if wanted. */
  #broke({ index, size }: PartialPiece, error: unknown): void {
    if (error instanceof NotWantedError) this.wasted += size;
    else this.#host.diskFailed(error);
    this.#checking.delete(index);
    this.putBack(index);
  }
}

/** Creates the error of a disk that gives back other data than was written. */
function spoilt(index: number): ShoalError {
  return new ShoalError("storage", {
    what: "cannot read what was written",
    where: `piece ${index}`,
    why: "the data was right when it arrived, and is wrong on disk",
    hint: "check the disk, and whether another program writes to the files",
  });
}

/** Creates the error of a hybrid whose v1 and v2 hashes can't both be right. */
function halvesDisagree(index: number): ShoalError {
  return new ShoalError("torrent", {
    what: "the torrent contradicts itself",
    where: `piece ${index}`,
    why: "the data is right by one of its v1 and v2 hashes, and wrong by the other",
    hint: "who made the torrent is at fault, not who sends the data: look for another torrent of the same files",
  });
}
