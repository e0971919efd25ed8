/**
 * Takes pieces to disk in parts, before anybody knows whether they are right, and reads them back for their hash.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import type { BufferPool } from "./buffer_pool.ts";
import type { LeavingPart } from "./piece_parts.ts";

/** Bytes that are read back in one go. */
const READ_BACK = 128 * 1024;

/** What {@linkcode PartsOnDisk} needs from the torrent. */
export interface PartsHost {
  /** Writes bytes of a piece that isn't verified; resolves when they can be read back. */
  writePart(index: number, begin: number, data: Bytes): Promise<void>;
  /** Reads such bytes. */
  readPart(index: number, begin: number, into: Bytes): Promise<void>;
  /** A piece is verified; resolves when it can be read, with `false` when it isn't any more where it was written. */
  claimPiece(index: number, place: string): Promise<boolean>;
  /** In which files, and where in them, a piece is; by that it is told whether what was written is still where it would be read. */
  placeOf(index: number): string;
}

/** The pieces of one torrent that go to disk in parts. What is there of them counts for nothing until they are verified. */
export class PartsOnDisk {
  readonly #host: PartsHost;
  readonly #pool: BufferPool;
  /** Called when something of a piece couldn't be written or read back. */
  readonly #failed: (piece: PartialPiece, thrown: unknown) => void;
  /** What is under way for each piece. */
  readonly #work = new Map<PartialPiece, Promise<void>>();
  /** Where each of them was when it was begun. */
  readonly #places = new WeakMap<PartialPiece, string>();
  /** Pieces of which something couldn't be written or read, and why. */
  readonly #failures = new WeakMap<PartialPiece, { readonly thrown: unknown }>();
  /** The last to read something back; one at a time does, so that the memory for it is bounded. */
  #reading: Promise<void> = Promise.resolve();

  /**
   * @param host The torrent.
   * @param options `pool`: where memory to read back comes from. `failed`: called when something of a piece couldn't be written or
   * read back.
   */
  constructor(
    host: PartsHost,
    options: { readonly pool: BufferPool; readonly failed: (piece: PartialPiece, thrown: unknown) => void },
  ) {
    this.#host = host;
    this.#pool = options.pool;
    this.#failed = options.failed;
  }

  /** A piece that goes to disk in parts is begun. */
  begin(piece: PartialPiece): void {
    this.#places.set(piece, this.#host.placeOf(piece.index));
  }

  /** Whether other files are wanted since a piece was begun, so that it is elsewhere now: what is here of it is lost. */
  isMoved(piece: PartialPiece): boolean {
    const place = this.#places.get(piece);
    return place !== undefined && place !== this.#host.placeOf(piece.index);
  }

  /** A piece is verified. @returns Whether it is there now; if not, it has to be fetched anew. */
  async claim(piece: PartialPiece): Promise<boolean> {
    return await this.#host.claimPiece(piece.index, this.#places.get(piece)!);
  }

  /** Whether something is being written or read for a piece. */
  isBusy(piece: PartialPiece): boolean {
    return this.#work.has(piece);
  }

  /** Writes a part of a piece, gives its memory back, and hashes what can be hashed then. */
  leave(piece: PartialPiece, leaving: LeavingPart): void {
    this.#add(piece, this.#write(piece, leaving));
  }

  /**
   * Waits until a complete piece is on disk and hashed.
   *
   * @throws Why something of it couldn't be written or read.
   */
  async hashed(piece: PartialPiece): Promise<void> {
    await this.idle(piece);
    await this.#readOn(piece);
    const failure = this.#failures.get(piece);
    if (failure !== undefined) throw failure.thrown;
  }

  /** Waits until nothing is being written or read for a piece, or for any. Never fails. */
  async idle(piece?: PartialPiece): Promise<void> {
    const work = () => piece === undefined ? this.#work.values().next().value : this.#work.get(piece);
    for (let next = work(); next !== undefined; next = work()) await next;
  }

  /**
   * Reads a block of a piece that is on disk.
   *
   * @param piece Which.
   * @param block Which block of it.
   * @param into Where to; as long as the block.
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
      // None of them may use the buffer any more, whatever becomes of the others.
      const failed = (await Promise.allSettled(writes)).find(({ status }) => status === "rejected");
      if (failed?.status === "rejected") throw failed.reason;
      piece.parts!.written(part);
    } finally {
      this.#pool.give(buffer);
    }
    await this.#readOn(piece);
  }

  /** Hashes what comes next in a piece, as far as it is on disk. */
  #readOn(piece: PartialPiece): Promise<void> {
    if (piece.nextStored(1) === null) return Promise.resolve();
    const reading = this.#reading.then(() => this.#readBack(piece));
    this.#reading = reading.catch(() => {}); // told to whoever waits for this piece
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
