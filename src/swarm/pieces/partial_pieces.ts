/**
 * Pieces from the first block to the disk, whoever sends them: which are started, which are being checked, and which are left.
 *
 * @module
 */

import { Bitfield } from "../../base/bitfield.ts";
import type { Bytes } from "../../base/bytes.ts";
import { networkOf } from "../../base/networks.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import { NotWantedError } from "../../storage/mod.ts";
import { PartialPiece } from "./partial_piece.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { Parole } from "./parole.ts";
import { type PartsHost, PartsOnDisk } from "./parts_on_disk.ts";
import type { PartMemory } from "./piece_parts.ts";
import { PiecePicker } from "./piece_picker.ts";
import { SourceTrust } from "./source_trust.ts";
import { SmartBan, type SmartBanHost } from "./smart_ban.ts";

/** What started pieces need from the torrent. */
export interface PartialPiecesHost extends SmartBanHost, PartsHost {
  /** Bytes of a piece. */
  pieceSize(index: number): number;
  /** Writes a verified piece; resolves when it can be read back. */
  writePiece(index: number, data: Bytes): Promise<void>;
  /** Whether a piece that isn't wanted can be written nevertheless; all can when absent. */
  hasPlace?(index: number): boolean;
  /** A piece is verified and written. */
  pieceDone(index: number): void;
  /** A piece that was to be finished although it isn't wanted any more was given up: all that is wanted may be there now. */
  pieceForgotten(index: number): void;
  /** The disk failed: the download cannot go on. */
  broke(error: unknown): void;
}

/** What started pieces work with. */
export interface PartialPiecesOptions {
  /** What is on disk; changed as pieces are finished. */
  readonly have: Bitfield;
  /** The pieces that are to be there in the end. */
  readonly wanted: Bitfield;
  /** Buffers for pieces. */
  readonly pool: BufferPool;
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "giveWay">;
}

/** What was found out about a complete piece: it is right, wrong and dropped, or wrong and fetched anew in part or whole. */
type Result = "right" | "wrong" | "reopened";

/** What has become of a complete piece: it was right and has been written, it was right and isn't needed, or it was wrong. */
type Found = "written" | "unwelcome" | "wrong";

/** What those who fetch blocks have in common. */
export class PartialPieces {
  /** Pieces that are verified and written. */
  readonly have: Bitfield;
  /** Pieces that are to come: those that are wanted and not there, and those that are finished since something of them is here. */
  readonly missing: Bitfield;
  /** Pieces that somebody will start who has them to himself: out of the order. */
  readonly reserved = new Set<number>();
  /** Payload that came and was of no use, in bytes. */
  wasted = 0;
  /** Started pieces that aren't complete, by index. */
  readonly active = new Map<number, PartialPiece>();
  /** Those of them that have free blocks, in the order in which they were started. */
  readonly open = new Set<PartialPiece>();
  /** What is known of those who send. */
  readonly trust = new SourceTrust();
  /** Those that one source alone may send. */
  readonly parole = new Parole(this.trust);
  /** Pieces that nobody has started. */
  readonly picker: PiecePicker;
  /** Buffers. */
  readonly pool: BufferPool;
  /** Grows with every piece that comes back into the order; tells when looking again is worthwhile. */
  returned = 0;
  /** Called when a piece was found right or wrong, and its memory is free. */
  readonly settled: ((right: boolean) => void)[] = [];
  /** Called when other torrents have given back memory that was waited for. */
  readonly fed: (() => void)[] = [];
  /** Called when a piece is not to come any more, though it hasn't come. */
  forgotten: (index: number) => void = () => {};
  #wanted: Bitfield;
  readonly #host: PartialPiecesHost;
  readonly #platform: Pick<Platform, "now" | "digest" | "giveWay">;
  readonly #smartBan: SmartBan;
  /** Complete pieces that are being checked or written, with when that is over. */
  readonly #verifying = new Map<PartialPiece, Promise<void>>();
  /** Those that are too large to be held whole. */
  readonly #onDisk: PartsOnDisk;
  /** Indexes of those, and of pieces that were given up while parts of them were being written. */
  readonly #checking = new Set<number>();
  #stopped = false;

  /**
   * @param host The torrent.
   * @param options What they work with.
   */
  constructor(host: PartialPiecesHost, options: PartialPiecesOptions) {
    this.#host = host;
    this.have = options.have;
    this.pool = options.pool;
    this.pool.fed = () => this.fed.forEach((tell) => tell());
    this.#platform = options.platform;
    this.#onDisk = new PartsOnDisk(host, {
      pool: options.pool,
      failed: (piece, thrown) => {
        // One that is complete fails when it is checked, and of one that was given up nothing is needed.
        if (this.active.get(piece.index) !== piece) return;
        host.broke(thrown);
        this.drop(piece);
      },
    });
    this.#smartBan = new SmartBan(host, { platform: options.platform, onDisk: this.#onDisk });
    this.#wanted = options.wanted;
    this.picker = new PiecePicker(this.have.length, () => options.platform.random());
    this.missing = new Bitfield(this.have.length);
    this.#takeStock();
  }

  /** Whether every piece is there that is to come. */
  get complete(): boolean {
    return this.missing.isEmpty;
  }

  /** Whether a piece is to come: it is wanted and not there, or something of it is here. */
  wants(index: number): boolean {
    return this.missing.has(index);
  }

  /** Whether a piece is one of those that are to be there in the end. */
  isWanted(index: number): boolean {
    return this.#wanted.has(index);
  }

  /** How many pieces are being checked or written; none of them is among those that are started. */
  get verifying(): number {
    return this.#verifying.size;
  }

  /** Whether a piece has failed and not been right since: it should come from one source alone. */
  suspects(index: number): boolean {
    return this.#smartBan.suspects(index);
  }

  /** What a connection, or a web seed, is known by in {@linkcode PartialPieces.trust}. */
  sourceOf(sender: number): string {
    return networkOf(this.#host.hostOf(sender));
  }

  /** Pieces that have failed and not been right since. */
  get failed(): { readonly pieces: Iterable<number>; readonly size: number } {
    return this.#smartBan.failed;
  }

  /**
   * Other pieces are to be there in the end. Those that are started are finished all the same, if something of them is here and
   * can be written; so are those that are being checked.
   *
   * @param wanted All of them; copied.
   * @returns Pieces that were given up: whoever was asked for them needn't send them.
   */
  setWanted(wanted: Bitfield): PartialPiece[] {
    this.#wanted = wanted.clone();
    return this.#takeStock();
  }

  /**
   * What is there is something else than was thought.
   *
   * @param have What is there; copied.
   * @returns Pieces that were given up, since they are there: whoever was asked for them needn't send them.
   */
  reset(have: Bitfield): PartialPiece[] {
    const found = have.clone();
    this.have.clearAll();
    this.have.addAll(found);
    return this.#takeStock();
  }

  /**
   * Pieces aren't there any more.
   *
   * @param pieces Which; one that isn't there is passed over.
   * @returns Those that were there.
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
   * Starts a piece; there must be memory for it.
   *
   * @param index Which; in the order or reserved.
   * @param now Milliseconds.
   * @returns The piece, all of it free.
   */
  start(index: number, now: number): PartialPiece {
    const size = this.#host.pieceSize(index);
    const memory = this.#memoryFor(size, (leaving) => this.#onDisk.leave(piece, leaving));
    this.picker.remove(index);
    this.reserved.delete(index);
    const piece = new PartialPiece(index, { size, memory, digest: this.#platform.digest("sha1"), now });
    if (piece.parts !== null) this.#onDisk.begin(piece);
    piece.failed = this.suspects(index);
    this.active.set(index, piece);
    this.open.add(piece);
    return piece;
  }

  /** Memory for a piece: all of it at once, or as its parts come. */
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

  /** A piece is no longer one's own: all may send it. */
  share(piece: PartialPiece): void {
    this.parole.share(piece);
    if (piece.free > 0) this.open.add(piece);
  }

  /** Somebody who was asked for a block won't send it. */
  release(piece: PartialPiece, block: number): void {
    piece.release(block);
    if (piece.free > 0) this.open.add(piece);
  }

  /** Takes a piece out of the order, for whoever will start it. */
  reserve(index: number): void {
    this.picker.remove(index);
    this.reserved.add(index);
  }

  /** A piece that nobody fetches goes back into the order, if it is wanted. */
  putBack(index: number): void {
    this.reserved.delete(index);
    if (this.have.has(index) || this.#isUnderWay(index)) return;
    if (this.#wanted.has(index)) {
      this.picker.add(index);
      this.returned++;
    } else if (this.missing.clear(index)) {
      this.#closePool();
      this.forgotten(index);
    }
  }

  /** What is here of a piece is dropped, for it to be started anew some other time. */
  drop(piece: PartialPiece): void {
    this.#discard(piece);
    this.putBack(piece.index);
  }

  /**
   * Others need the memory of a piece: what is here of it goes to disk, and nothing of it is asked for any more.
   *
   * @returns Whether it does; if not, since the piece is held whole or nothing of it is here, it may be dropped.
   */
  shed(piece: PartialPiece): boolean {
    if (piece.parts === null || piece.received === 0) return false;
    if (!piece.failed) this.parole.share(piece);
    piece.shed();
    this.open.add(piece);
    return true;
  }

  /**
   * What some have sent of a piece is to be asked for anew; it keeps its memory.
   *
   * @param piece One that has failed.
   * @param isSuspect Chooses among the connections.
   */
  beginAnew(piece: PartialPiece, isSuspect: (sender: number) => boolean): void {
    this.parole.release(piece, { complete: false });
    this.wasted += piece.reopen(isSuspect, { digest: this.#platform.digest("sha1"), now: this.#platform.now() });
    piece.guarded = false;
    this.open.add(piece);
  }

  /** A complete piece is checked and written. */
  finish(piece: PartialPiece): void {
    this.#close(piece, { complete: true });
    this.#checking.add(piece.index);
    this.#verifying.set(piece, this.#verify(piece));
  }

  /** Drops all that isn't complete. Settles when the pieces that were complete are checked and written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const piece of this.active.values()) this.#giveBack(piece);
    this.active.clear();
    this.open.clear();
    this.pool.close();
    await Promise.all(this.#verifying.values());
    await this.#onDisk.idle();
  }

  /** Whether a piece is started, or complete and not written. */
  #isUnderWay(index: number): boolean {
    return this.active.has(index) || this.#checking.has(index);
  }

  /**
   * Finds out anew what is to come and what of that nobody fetches.
   *
   * @returns Started pieces that aren't to come, and are given up.
   */
  #takeStock(): PartialPiece[] {
    const given = [...this.active.values()].filter((piece) => !this.#isToCome(piece) || this.#onDisk.isMoved(piece));
    for (const piece of given) this.#discard(piece);
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
    // Whoever starts it anew must not be overtaken by what was written before.
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
      result = found === "wrong" ? this.#retry(piece, sources) : this.#keep(piece, found);
    } catch (error) {
      this.#broke(piece, error);
    }
    // In the same turn as what came of it: a piece is never among those being checked and the started ones at once.
    this.#verifying.delete(piece);
    if (result !== "reopened") this.#giveBack(piece);
    this.#closePool();
    for (const tell of this.settled) tell(result === "right");
  }

  /** Checks a complete piece and writes it, if it is right and there is a place for it. */
  async #store(piece: PartialPiece, sources: ReadonlySet<string>): Promise<Found> {
    const { index } = piece;
    const isRight = await this.#smartBan.check(piece);
    if (isRight === false) return "wrong";
    if (isRight) this.trust.passed(index, sources);
    let isWelcome = this.wants(index) && (this.#wanted.has(index) || this.#hasPlace(index));
    if (isWelcome && piece.parts !== null) isWelcome = isRight === true && await this.#onDisk.claim(piece);
    else if (isWelcome) await this.#host.writePiece(index, piece.data);
    return isWelcome ? "written" : "unwelcome";
  }

  /** A piece is right. */
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

  /** A piece is wrong. What comes from suspects is fetched anew from those who are proven; when that tells nobody apart, all of it from one. */
  #retry(piece: PartialPiece, sources: ReadonlySet<string>): Result {
    const { index } = piece;
    this.#checking.delete(index);
    const suspects = piece.guarded ? sources : this.trust.suspects(sources);
    this.trust.failed(index, suspects);
    if (this.#stopped || sources.size === 1 || !this.#wanted.has(index) || this.have.has(index)) {
      this.wasted += piece.size;
      this.putBack(index);
      return "wrong";
    }
    this.beginAnew(piece, (sender) => suspects.has(this.sourceOf(sender)));
    piece.guarded = suspects.size < sources.size;
    this.active.set(index, piece);
    return "reopened";
  }

  /** The disk failed, or the piece has lost its place just now: it is to be fetched anew, should it be wanted and the download go on. */
  #broke({ index, size }: PartialPiece, error: unknown): void {
    if (error instanceof NotWantedError) this.wasted += size;
    else this.#host.broke(error);
    this.#checking.delete(index);
    this.putBack(index);
  }
}
