/**
 * Writes pieces to disk in parts, before they can be verified, and reads them back for their hash.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import type { BufferPool } from "./buffer_pool.ts";
import type { LeavingPart } from "./large_piece_memory.ts";

/** Bytes that are read back at once. */
const READ_BACK = 128 * 1024;

/** What {@linkcode LargePiecesOnDisk} needs from the torrent. */
export interface PartsHost {
  /** Writes bytes of a piece that isn't verified. Resolves when they can be read back. */
  writePart(index: number, begin: number, data: Bytes): Promise<void>;
  /** Reads bytes that were written with {@linkcode PartsHost.writePart}. */
  readPart(index: number, begin: number, into: Bytes): Promise<void>;
  /** Marks a verified piece as readable. Resolves with `false` if the piece is no longer where it was written. */
  claimPiece(index: number, place: string): Promise<boolean>;
  /** Names the files and offsets where a piece is stored. The piece has moved if the name has changed. */
  placeOf(index: number): string;
}

/** Options for {@linkcode LargePiecesOnDisk}. */
export interface PartsOnDiskOptions {
  /** Source of the memory for reading back. */
  readonly pool: BufferPool;
  /** Called when bytes of a piece couldn't be written or read back. */
  readonly failed: (piece: PartialPiece, thrown: unknown) => void;
  /** Called when bytes of a piece have been written and can be read back. */
  readonly written: (piece: PartialPiece) => void;
}

/** The pieces of one torrent that are written in parts. What is on disk counts only when the piece is verified. */
export class LargePiecesOnDisk {
  readonly #host: PartsHost;
  readonly #pool: BufferPool;
  /** Called when bytes of a piece couldn't be written or read back. */
  readonly #failed: (piece: PartialPiece, thrown: unknown) => void;
  readonly #written: (piece: PartialPiece) => void;
  /** Writes and reads in progress, by piece. */
  readonly #work = new Map<PartialPiece, Promise<void>>();
  /** Where each piece was stored when it was started. */
  readonly #places = new WeakMap<PartialPiece, string>();
  /** Why bytes of a piece couldn't be written or read. */
  readonly #failures = new WeakMap<PartialPiece, { readonly thrown: unknown }>();
  /** The last read in the queue. Only one piece is read back at a time, which bounds the memory for it. */
  #reading: Promise<void> = Promise.resolve();

  constructor(host: PartsHost, options: PartsOnDiskOptions) {
    this.#host = host;
    this.#pool = options.pool;
    this.#failed = options.failed;
    this.#written = options.written;
  }

  /** Notes where a piece is stored when it is started. */
  begin(piece: PartialPiece): void {
    this.#places.set(piece, this.#host.placeOf(piece.index));
  }

  /** Returns `true` if a new selection of files has moved a piece elsewhere, so that its received data is lost. */
  isMoved(piece: PartialPiece): boolean {
    const place = this.#places.get(piece);
    return place !== undefined && place !== this.#host.placeOf(piece.index);
  }

  /**
   * Marks a verified piece as readable.
   *
   * @returns `false` if the piece isn't where it was written and has to be fetched again.
   */
  async claim(piece: PartialPiece): Promise<boolean> {
    return await this.#host.claimPiece(piece.index, this.#places.get(piece)!);
  }

  /** Returns `true` while bytes of a piece are being written or read. */
  isBusy(piece: PartialPiece): boolean {
    return this.#work.has(piece);
  }

  /** Writes a part of a piece, frees its memory, and hashes the bytes that come next. */
  leave(piece: PartialPiece, leaving: LeavingPart): void {
    this.#add(piece, this.#write(piece, leaving));
  }

  /**
   * Waits until a complete piece is on disk and hashed.
   *
   * @throws The reason why bytes of the piece couldn't be written or read.
   */
  async hashed(piece: PartialPiece): Promise<void> {
    await this.idle(piece);
    await this.#readOn(piece);
    const failure = this.#failures.get(piece);
    if (failure !== undefined) throw failure.thrown;
  }

  /** Waits until no bytes of a piece, or of any piece when absent, are being written or read. Never rejects. */
  async idle(piece?: PartialPiece): Promise<void> {
    const work = () => piece === undefined ? this.#work.values().next().value : this.#work.get(piece);
    for (let next = work(); next !== undefined; next = work()) await next;
  }

  /**
   * Reads a block that is on disk.
   *
   * @param piece The block's piece.
   * @param block Block number.
   * @param into Destination, as long as the block.
   */
  async read(piece: PartialPiece, block: number, into: Bytes): Promise<void> {
    await this.#host.readPart(piece.index, block * BLOCK_SIZE, into);
  }

  #add(piece: PartialPiece, job: Promise<void>): void {
    const work: Promise<void> = Promise.all([this.#work.get(piece), job]).then(() => {}, (thrown) => {
      if (this.#failures.has(piece) || this.isMoved(piece)) return;
      this.#failures.set(piece, { thrown });
      this.#failed(piece, thrown);
    }).finally(() => {
      if (this.#work.get(piece) === work) this.#work.delete(piece);
    });
    this.#work.set(piece, work);
  }

  async #write(piece: PartialPiece, { part, buffer, stretches, again }: LeavingPart): Promise<void> {
    const start = part * buffer.length;
    try {
      if (again) await this.#work.get(piece);
      if (this.isMoved(piece)) return;
      const writes = stretches.map(({ begin, end }) => {
        const data = begin === start && end - begin === buffer.length
          ? buffer
          : buffer.subarray(begin - start, end - start);
        return this.#host.writePart(piece.index, begin, data);
      });
      // The buffer can be freed only when every write has settled, even if one of them fails early.
      const failed = (await Promise.allSettled(writes)).find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
      piece.parts!.written(part);
      this.#written(piece);
    } finally {
      this.#pool.give(buffer);
    }
    await this.#readOn(piece);
  }

  /** Hashes the next bytes of a piece that are on disk. */
  #readOn(piece: PartialPiece): Promise<void> {
    if (piece.nextStored(1) === null) return Promise.resolve();
    const reading = this.#reading.then(() => this.#readBack(piece));
    this.#reading = reading.catch(() => {}); // reported to the caller that waits for this piece
    return reading;
  }

  async #readBack(piece: PartialPiece): Promise<void> {
    if (piece.nextStored(1) === null || this.isMoved(piece)) return;
    const buffer = this.#pool.takeAnyway(READ_BACK);
    try {
      for (let next = piece.nextStored(READ_BACK); next !== null; next = piece.nextStored(READ_BACK)) {
        const into = buffer.subarray(0, next.end - next.begin);
        await this.#host.readPart(piece.index, next.begin, into);
        piece.hashStored(next, into);
      }
    } finally {
      this.#pool.give(buffer);
    }
  }
}
