/**
 * A piece that has been started: its memory, and the state of each of its blocks.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { Digest } from "../../platform/platform.ts";
import { type PartMemory, PieceParts, type Stretch } from "./piece_parts.ts";

/** Nobody. Numbers of connections begin at 1. */
const NOBODY = 0;
/** Bytes that are hashed in one go: few enough to be in the processor's cache still, enough that the calls cost nothing. */
const HASH_STEP = 128 * 1024;
/** Most bytes that are hashed in one go: others have to wait meanwhile. */
const HASH_MOST = 1024 * 1024;

/** What an {@linkcode PartialPiece} works with. */
export interface PartialPieceOptions {
  /** Length of the piece in bytes. */
  readonly size: number;
  /** Where its blocks go, at least as long as the piece; or where it gets buffers for parts of it, when it is too large for that. */
  readonly memory: Bytes | PartMemory;
  /** What hashes it. */
  readonly digest: Digest;
  /** When it is started. */
  readonly now: number;
}

/** Bytes of a piece that are on disk and come next for its hash. */
export interface StoredStretch extends Stretch {
  /** What they are hashed with; another one when the piece has been begun anew since. */
  readonly digest: Digest;
}

/**
 * Blocks of one piece that are free, asked for, or here. The piece is hashed while it comes, from its beginning as far as
 * there is no gap. One that is too large to be held whole goes to disk in parts; of those, what wasn't hashed before is read back.
 */
export class PartialPiece {
  /** Which piece. */
  readonly index: number;
  /** Its length in bytes. */
  readonly size: number;
  /** How many blocks it has. */
  readonly blockCount: number;
  /** Where its parts are; `null` when it is held whole. */
  readonly parts: PieceParts | null;
  /** Where the blocks go when it is held whole; may be longer than the piece. */
  readonly #whole: Bytes | null;
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
  #closed = false;

  /**
   * @param index Which piece.
   * @param options See {@linkcode PartialPieceOptions}.
   */
  constructor(index: number, options: PartialPieceOptions) {
    this.index = index;
    this.startedAt = options.now;
    this.size = options.size;
    const { memory } = options;
    this.#whole = memory instanceof Uint8Array ? memory : null;
    this.parts = memory instanceof Uint8Array ? null : new PieceParts(options.size, memory);
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

  /** The buffer of a piece that is held whole; `null` when it goes to disk in parts. */
  get buffer(): Bytes | null {
    return this.#whole;
  }

  /** Whether it has memory that others could use. */
  get inMemory(): boolean {
    return this.parts?.inMemory ?? true;
  }

  /** The bytes of a piece that is held whole. */
  get data(): Bytes {
    const whole = this.#whole!;
    return whole.length === this.size ? whole : whole.subarray(0, this.size);
  }

  /**
   * Makes sure that there is memory for a block that isn't here.
   *
   * @param block Which.
   * @param options `force`: even if the budget is used up.
   * @returns Whether there is.
   */
  hold(block: number, options: { readonly force?: boolean } = {}): boolean {
    return this.parts === null || this.parts.hold(block, options.force ?? false);
  }

  /**
   * Takes bytes of a block that isn't here; there must be memory for it.
   *
   * @param bytes What came.
   * @param begin Where in the piece it begins.
   */
  put(bytes: Bytes, begin: number): void {
    if (this.#whole !== null) this.#whole.set(bytes, begin);
    else this.parts!.put(bytes, begin);
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

  /** @returns The first free block that there is memory for, now asked for; or -1 when there is none. */
  takeFree(): number {
    if (this.#free === 0) return -1;
    while (!this.#isFree(this.#firstFree)) this.#firstFree++;
    let block = this.#firstFree;
    if (!this.hold(block)) block = this.parts!.findHeld((other) => this.#isFree(other));
    if (block >= 0) this.ask(block);
    return block;
  }

  #isFree(block: number): boolean {
    return this.#asked[block] === 0 && this.senders[block] === NOBODY;
  }

  /** One peer more has been asked for a block. */
  ask(block: number): void {
    if (this.#asked[block]!++ > 0 || this.has(block)) return;
    this.#free--;
    this.parts?.began(block);
  }

  /** A peer that was asked for a block won't send it. */
  release(block: number): void {
    if (this.#asked[block] === 0) return;
    if (--this.#asked[block]! > 0 || this.has(block)) return;
    this.#free++;
    this.#firstFree = Math.min(this.#firstFree, block);
    this.parts?.ended(block);
  }

  /**
   * Takes a block in, whose bytes were put.
   *
   * @param block Which; not here yet.
   * @param options `sender`: number of the connection that sent it. `asked`: whether that one had been asked. `now`: when.
   */
  receive(
    block: number,
    options: { readonly sender: number; readonly asked: boolean; readonly now: number },
  ): void {
    if (this.#asked[block] === 0) {
      this.#free--;
      this.parts?.began(block);
    } else if (options.asked) this.#asked[block]!--;
    this.senders[block] = options.sender;
    this.#missing--;
    this.touched = options.now;
    this.#advance();
    if (this.parts === null || !this.parts.arrived(block)) return this.#hash();
    // What is hashed now needn't be read back.
    this.#hash(true);
    this.parts.leave(block);
  }

  /**
   * The next bytes for the hash, if they are on disk.
   *
   * @param most How many at most.
   * @returns Where they are, to be read and handed to {@linkcode PartialPiece.hashStored}; `null` when they are in memory or not here.
   */
  nextStored(most: number): StoredStretch | null {
    if (this.#closed) return null;
    const begin = this.#hashed;
    let end = begin;
    while (
      end < this.size && end - begin < most && this.has(end / BLOCK_SIZE) && this.parts!.isOnDisk(end / BLOCK_SIZE)
    ) {
      end = Math.min(this.size, end + BLOCK_SIZE);
    }
    return end > begin ? { begin, end, digest: this.#digest } : null;
  }

  /** Hashes bytes that were read back; not if the piece has been begun anew meanwhile. */
  hashStored({ begin, end, digest }: StoredStretch, bytes: Bytes): void {
    if (digest !== this.#digest || begin !== this.#hashed) return;
    digest.update(bytes);
    this.#hashed = end;
    this.#prefix = Math.max(this.#prefix, Math.ceil(end / BLOCK_SIZE));
    this.#advance();
    this.#hash();
  }

  /** It is done with: gives back the memory of its parts. */
  close(): void {
    this.#closed = true;
    this.parts?.close();
  }

  /** What of it is in memory goes to disk, and nothing is asked for any more: others need the memory. */
  shed(): void {
    this.#asked.fill(0);
    this.#free = this.#missing;
    this.#firstFree = 0;
    this.parts!.leaveAll((block) => this.has(block));
    this.#prefix = Math.ceil(this.#hashed / BLOCK_SIZE);
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
    this.parts?.reset((block) => this.has(block));
    this.#advance();
    this.#digest = options.digest;
    this.startedAt = this.touched = options.now;
    this.owner = null;
    this.failed = true;
    return bytes;
  }

  /** Goes on to the first block that is not in memory. */
  #advance(): void {
    const { parts } = this;
    while (
      this.senders[this.#prefix] !== NOBODY && this.#prefix < this.blockCount && !parts?.isGone(this.#prefix)
    ) this.#prefix++;
  }

  /** Hashes what is in memory; `now`: even if it is little. */
  #hash(now = false): void {
    const begin = this.#hashed;
    let end = Math.min(this.#prefix * BLOCK_SIZE, begin + HASH_MOST, this.size);
    if (this.parts !== null) end = Math.min(end, this.parts.endOfPart(begin));
    if (end <= begin || (end - begin < HASH_STEP && end < this.size && !now)) return;
    this.#digest.update(this.parts?.bytes({ begin, end }) ?? this.#whole!.subarray(begin, end));
    this.#hashed = end;
  }
}
