/**
 * A piece that has been started: its buffer, and the state of each of its blocks.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { BLOCK_SIZE } from "../peer/mod.ts";
import type { Digest } from "../platform/platform.ts";

/** Nobody. Numbers of connections begin at 1. */
const NOBODY = 0;
/** Bytes that are hashed in one go: few enough to be in the processor's cache still, enough that the calls cost nothing. */
const HASH_STEP = 128 * 1024;
/** Most bytes that are hashed in one go: others have to wait meanwhile. */
const HASH_MOST = 1024 * 1024;

/**
 * Blocks of one piece that are free, asked for, or here. The piece is hashed while it comes, from its beginning as far as
 * there is no gap.
 */
export class ActivePiece {
  /** Which piece. */
  readonly index: number;
  /** Its length in bytes. */
  readonly size: number;
  /** How many blocks it has. */
  readonly blockCount: number;
  /** Where the blocks go; may be longer than the piece. */
  readonly buffer: Bytes;
  /** The one source that may send it, if only one may, so that a failure has one culprit. */
  owner: number | null = null;
  /** Whether its owner has waited long enough for others to send the rest of it. */
  tried = false;
  /** Whether it has failed its hash before. */
  failed = false;
  /** Whether only proven sources may send it: what is left of it after a failure came from such. */
  guarded = false;
  /** When it was started, or begun anew. */
  startedAt: number;
  /** When the last block came, or the piece was started. */
  touched: number;
  /** Connection that sent each block. */
  readonly senders: Int32Array;
  readonly #asked: Uint8Array;
  #free: number;
  #missing: number;
  #firstFree = 0;
  #digest: Digest;
  /** Blocks from the beginning that are here without a gap. */
  #prefix = 0;
  /** Bytes from the beginning that are hashed. */
  #hashed = 0;

  /**
   * @param index Which piece.
   * @param options `size`: its length in bytes. `buffer`: at least as long. `digest`: what hashes it. `now`: when it is started.
   */
  constructor(
    index: number,
    options: { readonly size: number; readonly buffer: Bytes; readonly digest: Digest; readonly now: number },
  ) {
    this.index = index;
    this.startedAt = options.now;
    this.size = options.size;
    this.buffer = options.buffer;
    this.#digest = options.digest;
    this.touched = options.now;
    this.blockCount = Math.ceil(options.size / BLOCK_SIZE);
    this.senders = new Int32Array(this.blockCount);
    this.#asked = new Uint8Array(this.blockCount);
    this.#free = this.#missing = this.blockCount;
  }

  /** Blocks that are neither here nor asked for. */
  get free(): number {
    return this.#free;
  }

  /** Whether every block is here. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Blocks that are here. */
  get received(): number {
    return this.blockCount - this.#missing;
  }

  /** The piece's bytes. */
  get data(): Bytes {
    return this.buffer.length === this.size ? this.buffer : this.buffer.subarray(0, this.size);
  }

  /**
   * Hashes a part of what isn't hashed, when the piece is complete.
   *
   * @returns Whether all of it is hashed now.
   */
  hashMore(): boolean {
    this.#hash();
    return this.#hashed === this.size;
  }

  /** The digest of the piece; to be asked for once, when all of it is hashed. */
  get digest(): Bytes {
    return this.#digest.digest();
  }

  /** Length of a block in bytes. */
  blockLength(block: number): number {
    return Math.min(BLOCK_SIZE, this.size - block * BLOCK_SIZE);
  }

  /** Whether a block is here. */
  has(block: number): boolean {
    return this.senders[block] !== NOBODY;
  }

  /** How many peers have been asked for a block that isn't here. */
  asked(block: number): number {
    return this.#asked[block]!;
  }

  /** @returns The first free block, now asked for; or -1 when there is none. */
  takeFree(): number {
    if (this.#free === 0) return -1;
    while (this.#asked[this.#firstFree] !== 0 || this.senders[this.#firstFree] !== NOBODY) this.#firstFree++;
    this.ask(this.#firstFree);
    return this.#firstFree;
  }

  /** One peer more has been asked for a block. */
  ask(block: number): void {
    if (this.#asked[block]!++ === 0 && !this.has(block)) this.#free--;
  }

  /** A peer that was asked for a block won't send it. */
  release(block: number): void {
    if (this.#asked[block] === 0) return;
    if (--this.#asked[block]! > 0 || this.has(block)) return;
    this.#free++;
    this.#firstFree = Math.min(this.#firstFree, block);
  }

  /**
   * Takes a block in, whose bytes are in the buffer.
   *
   * @param block Which; not here yet.
   * @param options `sender`: number of the connection that sent it. `asked`: whether that one had been asked. `now`: when.
   */
  receive(
    block: number,
    options: { readonly sender: number; readonly asked: boolean; readonly now: number },
  ): void {
    if (this.#asked[block] === 0) this.#free--;
    else if (options.asked) this.#asked[block]!--;
    this.senders[block] = options.sender;
    this.#missing--;
    this.touched = options.now;
    while (this.senders[this.#prefix] !== NOBODY && this.#prefix < this.blockCount) this.#prefix++;
    this.#hash();
  }

  /**
   * Takes out what some sent of a piece that was wrong: it is to be asked for anew, and all that isn't here, too. The rest stays.
   *
   * @param isSuspect Chooses among the connections.
   * @param options `digest`: what hashes it all over again. `now`: milliseconds.
   * @returns Bytes that were taken out.
   */
  reopen(
    isSuspect: (sender: number) => boolean,
    options: { readonly digest: Digest; readonly now: number },
  ): number {
    let bytes = 0;
    this.#asked.fill(0);
    for (let block = 0; block < this.blockCount; block++) {
      if (!this.has(block) || !isSuspect(this.senders[block]!)) continue;
      this.senders[block] = NOBODY;
      this.#missing++;
      bytes += this.blockLength(block);
    }
    this.#free = this.#missing;
    this.#firstFree = this.#prefix = this.#hashed = 0;
    while (this.senders[this.#prefix] !== NOBODY) this.#prefix++;
    this.#digest = options.digest;
    this.startedAt = this.touched = options.now;
    this.owner = null;
    this.failed = true;
    return bytes;
  }

  #hash(): void {
    const end = Math.min(this.#prefix * BLOCK_SIZE, this.#hashed + HASH_MOST, this.size);
    if (end === this.#hashed || (end - this.#hashed < HASH_STEP && end < this.size)) return;
    this.#digest.update(this.buffer.subarray(this.#hashed, end));
    this.#hashed = end;
  }
}
