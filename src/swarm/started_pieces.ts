/**
 * Pieces from the first block to the disk, whoever sends them: which are started, which are being checked, and which are left.
 *
 * @module
 */

import type { Bitfield } from "../base/bitfield.ts";
import type { Bytes } from "../base/bytes.ts";
import { networkOf } from "../base/networks.ts";
import { BLOCK_SIZE } from "../peer/mod.ts";
import type { Platform } from "../platform/platform.ts";
import { ActivePiece } from "./active_piece.ts";
import type { BufferPool } from "./buffer_pool.ts";
import { Owners } from "./owners.ts";
import { PiecePicker } from "./piece_picker.ts";
import { Standings } from "./standing.ts";
import { Verifier, type VerifierHost } from "./verifier.ts";

/** What started pieces need from the torrent. */
export interface StartedPiecesHost extends VerifierHost {
  /** Bytes of a piece. */
  pieceSize(index: number): number;
  /** Writes a verified piece; resolves when it can be read back. */
  writePiece(index: number, data: Bytes): Promise<void>;
  /** A piece is verified and written. */
  pieceDone(index: number): void;
  /** The disk failed: the download cannot go on. */
  broke(error: unknown): void;
}

/** What started pieces work with. */
export interface StartedPiecesOptions {
  /** What is on disk; changed as pieces are finished. */
  readonly have: Bitfield;
  /** The pieces that are to be there in the end. */
  readonly wanted: Bitfield;
  /** Whether pieces are fetched in order instead of the rarest first. */
  readonly sequential?: boolean;
  /** Buffers for pieces. */
  readonly pool: BufferPool;
  /** The outside. */
  readonly platform: Pick<Platform, "now" | "random" | "digest" | "giveWay">;
}

/** What those who fetch blocks have in common. */
export class StartedPieces {
  /** Pieces that are verified and written. */
  readonly have: Bitfield;
  /** Payload that came and was of no use, in bytes. */
  wasted = 0;
  /** Started pieces that aren't complete, by index. */
  readonly active = new Map<number, ActivePiece>();
  /** Those of them that have free blocks, in the order in which they were started. */
  readonly open = new Set<ActivePiece>();
  /** What is known of those who send. */
  readonly standings = new Standings();
  /** Those that one source alone may send. */
  readonly owners = new Owners(this.standings);
  /** Pieces that nobody has started. */
  readonly picker: PiecePicker;
  /** Buffers. */
  readonly pool: BufferPool;
  /** Grows with every piece that comes back into the order; tells when looking again is worthwhile. */
  returned = 0;
  /** Called when a piece was found right or wrong, and its memory is free. */
  readonly settled: ((right: boolean) => void)[] = [];
  readonly #wanted: Bitfield;
  /** Wanted pieces that aren't there. */
  #missing = 0;
  readonly #host: StartedPiecesHost;
  readonly #platform: Pick<Platform, "now" | "digest" | "giveWay">;
  readonly #verifier: Verifier;
  readonly #verifying = new Set<Promise<void>>();
  #stopped = false;

  /**
   * @param host The torrent.
   * @param options What they work with.
   */
  constructor(host: StartedPiecesHost, options: StartedPiecesOptions) {
    this.#host = host;
    this.have = options.have;
    this.pool = options.pool;
    this.#platform = options.platform;
    this.#verifier = new Verifier(host, options.platform);
    this.#wanted = options.wanted;
    this.picker = new PiecePicker(this.have.length, () => options.platform.random(), options);
    for (const index of this.#wanted) if (this.wants(index)) this.picker.add(index);
    this.#missing = this.picker.size;
  }

  /** Whether every wanted piece is there. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Whether a piece is wanted and not there. */
  wants(index: number): boolean {
    return this.#wanted.has(index) && !this.have.has(index);
  }

  /** Pieces that are being checked or written. */
  get verifying(): number {
    return this.#verifying.size;
  }

  /** Whether a piece has failed and not been right since: it should come from one source alone. */
  suspects(index: number): boolean {
    return this.#verifier.suspects(index);
  }

  /** What a connection, or a web seed, is known by in {@linkcode StartedPieces.standings}. */
  sourceOf(sender: number): string {
    return networkOf(this.#host.hostOf(sender));
  }

  /** Pieces that have failed and not been right since. */
  get failed(): { readonly pieces: Iterable<number>; readonly size: number } {
    return this.#verifier.failed;
  }

  /**
   * Starts a piece; there must be memory for it.
   *
   * @param index Which; in the order or set aside.
   * @param now Milliseconds.
   * @returns The piece, all of it free.
   */
  start(index: number, now: number): ActivePiece {
    const buffer = this.pool.take();
    if (!buffer) throw new Error("The pool has no buffer although it said so");
    this.picker.remove(index);
    const size = this.#host.pieceSize(index);
    const piece = new ActivePiece(index, { size, buffer, digest: this.#platform.digest("sha1"), now });
    piece.failed = this.suspects(index);
    this.active.set(index, piece);
    this.open.add(piece);
    return piece;
  }

  /** A piece is no longer one's own: all may send it. */
  share(piece: ActivePiece): void {
    this.owners.share(piece);
    if (piece.free > 0) this.open.add(piece);
  }

  /** Somebody who was asked for a block won't send it. */
  release(piece: ActivePiece, block: number): void {
    piece.release(block);
    if (piece.free > 0) this.open.add(piece);
  }

  /** A piece goes back into the order. */
  putBack(index: number): void {
    this.picker.add(index);
    this.returned++;
  }

  /** What is here of a piece is dropped, for it to be started anew some other time. */
  drop(piece: ActivePiece): void {
    this.wasted += piece.received * BLOCK_SIZE;
    this.#close(piece, { complete: false });
    this.pool.give(piece.buffer);
    this.putBack(piece.index);
  }

  /**
   * What some have sent of a piece is to be asked for anew; it keeps its memory.
   *
   * @param piece One that has failed.
   * @param isSuspect Chooses among the connections.
   */
  beginAnew(piece: ActivePiece, isSuspect: (sender: number) => boolean): void {
    this.owners.release(piece, { complete: false });
    this.wasted += piece.reopen(isSuspect, { digest: this.#platform.digest("sha1"), now: this.#platform.now() });
    piece.guarded = false;
    this.open.add(piece);
  }

  /** A complete piece is checked and written. */
  finish(piece: ActivePiece): void {
    this.#close(piece, { complete: true });
    let right = false;
    const work = this.#verify(piece).then((result) => right = result).catch((error) => this.#host.broke(error))
      .finally(() => {
        this.#verifying.delete(work);
        if (this.active.get(piece.index) !== piece) this.pool.give(piece.buffer);
        if (this.complete && this.#verifying.size === 0) this.pool.close();
        for (const tell of this.settled) tell(right);
      }) as Promise<void>;
    this.#verifying.add(work);
  }

  /** Drops all that isn't complete. Settles when the pieces that were complete are checked and written. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const piece of this.active.values()) this.pool.give(piece.buffer);
    this.active.clear();
    this.open.clear();
    this.pool.close();
    await Promise.all(this.#verifying);
  }

  #close(piece: ActivePiece, options: { readonly complete: boolean }): void {
    this.active.delete(piece.index);
    this.open.delete(piece);
    this.owners.release(piece, options);
  }

  async #verify(piece: ActivePiece): Promise<boolean> {
    const { index } = piece;
    const sources = new Set(Array.from(piece.senders, (sender) => this.sourceOf(sender)));
    if (await this.#verifier.check(piece)) {
      this.standings.passed(index, sources);
      await this.#host.writePiece(index, piece.data);
      if (!this.have.set(index)) return true;
      this.#missing--;
      this.#host.pieceDone(index);
      return true;
    }
    const suspects = piece.guarded ? sources : this.standings.suspects(sources);
    this.standings.failed(index, suspects);
    if (this.#stopped || sources.size === 1) {
      this.wasted += piece.size;
      this.putBack(index);
      return false;
    }
    // What comes from suspects is fetched anew from those who are proven; when that tells nobody apart, all of it from one.
    this.beginAnew(piece, (sender) => suspects.has(this.sourceOf(sender)));
    piece.guarded = suspects.size < sources.size;
    this.active.set(index, piece);
    return false;
  }
}
