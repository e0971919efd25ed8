/**
 * A piece that has been started: its memory, and the state of each of its blocks.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { DataMemory } from "../../base/data_memory.ts";
import type { PieceHasher, PieceVerdict } from "../../base/piece_verifier.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import { LargePieceMemory, type PartMemory, type Stretch } from "./large_piece_memory.ts";

/** Sender of a block that hasn't been received. Connection numbers begin at 1. */
const NOBODY = 0;
/** Bytes of a part after which data is hashed: few enough to be in the processor's cache. */
const HASH_STEP = 128 * 1024;

/** Options for {@linkcode PartialPiece}. */
export interface PartialPieceOptions {
  /** Length of the piece in bytes. */
  readonly size: number;
  /** A buffer for the whole piece, or the source of buffers for its parts if the piece is too large for one. */
  readonly memory: Bytes | PartMemory;
  /** Where buffers are, which copies between them. */
  readonly data: DataMemory;
  /** Starts to hash the piece, if it isn't held whole. */
  readonly startHash: () => PieceHasher;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** The next bytes for the hash of a piece, which are on disk. */
export interface StoredStretch extends Stretch {
  /** What hashes the bytes; the piece has another one after it has been restarted. */
  readonly hasher: PieceHasher;
}

/** Options for {@linkcode PartialPiece.hold}. */
export interface HoldBlockOptions {
  /** Takes memory even if the budget is used up; `false` when absent. */
  readonly force?: boolean;
}

/** Options for {@linkcode PartialPiece.receive}. */
export interface ReceiveBlockOptions {
  /** Number of the connection that sent the block. */
  readonly sender: number;
  /** Whether the block was requested from that connection. */
  readonly asked: boolean;
  /** Current time in milliseconds. */
  readonly now: number;
}

/**
 * The blocks of one piece: free, requested, or received. A piece that is too large to be held whole is written to disk in
 * parts. It is hashed while it arrives, from its beginning up to the first gap, and what wasn't hashed before it went to
 * disk is read back.
 */
export class PartialPiece {
  /** Piece index. */
  readonly index: number;
  /** Length in bytes. */
  readonly size: number;
  /** Number of blocks. */
  readonly blockCount: number;
  /** The parts in memory and on disk; `null` if the piece is held whole. */
  readonly parts: LargePieceMemory | null;
  /** The buffer of a piece that is held whole, which may be longer than the piece. */
  readonly #whole: Bytes | null;
  /** Number of the only source that may send the piece, its owner; `null` if any source may. See {@linkcode Parole}. */
  owner: number | null = null;
  /** Whether the owner has waited long enough for proven peers to send the rest of the piece. */
  trialOver = false;
  /** Whether the piece has failed its hash check before. */
  failed = false;
  /** Whether only proven sources may send the piece: the blocks kept after a failed hash check came from such. */
  provenOnly = false;
  /** When the piece was started or restarted, in milliseconds. */
  startedAt: number;
  /** When the last block arrived or the piece was started, in milliseconds. */
  lastBlockAt: number;
  /** How many times the piece was restarted. Blocks may have been removed each time. */
  restarts = 0;
  /** How many blocks were right when they arrived and wrong on disk. */
  rotten = 0;
  /** Hashes of the blocks, if they are known; see {@linkcode PartialPiece.expect}. */
  hashes: Bytes | null = null;
  /**
   * For each block, 1 if its digest is the right one, 2 if it is wrong on disk, 3 if that was the right one before;
   * `null` while the hashes aren't known.
   */
  #proven: Uint8Array | null = null;
  /** Number of the connection that sent each block; 0 if the block hasn't been received. */
  readonly senders: Int32Array;
  readonly #asked: Uint8Array;
  #free: number;
  #missing: number;
  #firstFree = 0;
  readonly #data: DataMemory;
  readonly #startHash: () => PieceHasher;
  /** What hashes a piece that isn't held whole. */
  #hasher: PieceHasher | null = null;
  /** Number of blocks in memory, or hashed already, from the beginning of the piece up to the first gap. */
  #prefix = 0;
  /** Number of bytes that have been hashed, from the beginning of the piece. */
  #hashed = 0;
  #closed = false;

  constructor(index: number, options: PartialPieceOptions) {
    this.index = index;
    this.startedAt = options.now;
    this.size = options.size;
    const { memory } = options;
    this.#whole = memory instanceof Uint8Array ? memory : null;
    this.parts = memory instanceof Uint8Array ? null : new LargePieceMemory(options.size, memory);
    this.#data = options.data;
    this.#startHash = options.startHash;
    if (this.parts !== null) this.#hasher = options.startHash();
    this.lastBlockAt = options.now;
    this.blockCount = Math.ceil(options.size / BLOCK_SIZE);
    this.senders = new Int32Array(this.blockCount);
    this.#asked = new Uint8Array(this.blockCount);
    this.#free = this.#missing = this.blockCount;
  }

  /** Number of blocks that are neither received nor requested. */
  get free(): number {
    return this.#free;
  }

  /** Whether every block has been received. */
  get complete(): boolean {
    return this.#missing === 0;
  }

  /** Number of blocks that have been received. */
  get received(): number {
    return this.blockCount - this.#missing;
  }

  /** The buffer of a piece that is held whole; `null` if the piece is written to disk in parts. */
  get buffer(): Bytes | null {
    return this.#whole;
  }

  /** Whether the piece holds memory that could be freed. */
  get inMemory(): boolean {
    return this.parts?.inMemory ?? true;
  }

  /** The bytes of a piece that is held whole. */
  get data(): Bytes {
    const whole = this.#whole!;
    return whole.length === this.size ? whole : whole.subarray(0, this.size);
  }

  /**
   * Takes memory for a block that hasn't been received, if there is none yet.
   *
   * @param block Block number.
   * @returns `true` if there is memory for the block.
   */
  hold(block: number, options: HoldBlockOptions = {}): boolean {
    return this.parts === null || this.parts.hold(block, options.force ?? false);
  }

  /**
   * Stores bytes of a block that hasn't been received and has memory.
   *
   * @param begin Offset in the piece.
   * @param source Buffer with the bytes.
   * @param at Offset of the first byte in the buffer.
   * @param length Number of bytes.
   */
  put(begin: number, source: Bytes, at: number, length: number): void {
    if (this.#whole !== null) return this.#data.copy(this.#whole, begin, source, at, length);
    const place = this.parts!.placeOf(begin);
    this.#data.copy(place.buffer, place.at, source, at, length);
  }

  /** Returns the bytes of a block with memory; `null` if they are on disk or there are none. */
  bytesOf(block: number): Bytes | null {
    const begin = block * BLOCK_SIZE;
    const end = begin + this.blockLength(block);
    if (this.#whole !== null) return this.#whole.subarray(begin, end);
    return this.parts!.isGone(block) || !this.parts!.isHeld(block) ? null : this.parts!.bytes({ begin, end });
  }

  /** Notes the hashes of the blocks, by which each can be proven on its own (BEP 52). */
  expect(hashes: Bytes): void {
    this.hashes = hashes;
    this.#proven = new Uint8Array(this.blockCount);
  }

  /** Notes that the bytes of a block have the right hash. */
  prove(block: number): void {
    this.#proven![block] = 1;
  }

  /** Notes that the bytes of a block on disk have another hash. */
  doubt(block: number): void {
    this.#proven![block] = this.#proven![block] === 1 ? 3 : 2;
  }

  /** Returns `true` if the bytes of a block on disk have another hash. */
  isDoubtful(block: number): boolean {
    return this.#proven !== null && this.#proven[block]! >= 2;
  }

  /** Returns `true` if a block had the right hash when it arrived, so that who sent it isn't to blame for the disk. */
  wasProven(block: number): boolean {
    return this.#proven !== null && this.#proven[block]! % 2 === 1 && this.has(block);
  }

  /** Returns `true` if a block has been received and has the right hash. */
  isProven(block: number): boolean {
    return this.#proven?.[block] === 1 && this.has(block);
  }

  /** Compares a piece that isn't held whole, once, after all of it has been hashed. */
  verdict(): PieceVerdict {
    return this.#hasher!.verdict();
  }

  /** Returns the length of a block in bytes. */
  blockLength(block: number): number {
    return Math.min(BLOCK_SIZE, this.size - block * BLOCK_SIZE);
  }

  /** Returns `true` if a block has been received. */
  has(block: number): boolean {
    return this.senders[block] !== NOBODY;
  }

  /** Returns how many peers a block is requested from. */
  asked(block: number): number {
    return this.#asked[block]!;
  }

  /**
   * Marks the first free block that has memory as requested.
   *
   * @returns The block number, or -1 if there is no such block.
   */
  takeFree(): number {
    if (this.#free === 0) return -1;
    while (!this.isFree(this.#firstFree)) this.#firstFree++;
    let block = this.#firstFree;
    if (!this.hold(block)) block = this.parts!.findHeld((other) => this.isFree(other));
    if (block >= 0) this.ask(block);
    return block;
  }

  /**
   * Marks a block as requested if it is free and has memory.
   *
   * @returns `true` if the block is to be requested.
   */
  take(block: number): boolean {
    if (!this.isFree(block) || !this.hold(block)) return false;
    this.ask(block);
    return true;
  }

  /** Returns `true` if a block is neither received nor requested. */
  isFree(block: number): boolean {
    return this.#asked[block] === 0 && this.senders[block] === NOBODY;
  }

  /** Notes that a block has been requested from one more peer. */
  ask(block: number): void {
    if (this.#asked[block]!++ > 0 || this.has(block)) return;
    this.#free--;
    this.parts?.began(block);
  }

  /** Notes that a peer which was asked for a block won't send it. */
  release(block: number): void {
    if (this.#asked[block] === 0) return;
    if (--this.#asked[block]! > 0 || this.has(block)) return;
    this.#free++;
    this.#firstFree = Math.min(this.#firstFree, block);
    this.parts?.ended(block);
  }

  /**
   * Marks a block as received, after its bytes have been stored with {@linkcode PartialPiece.put}.
   *
   * @param block Number of a block that hasn't been received.
   */
  receive(block: number, options: ReceiveBlockOptions): void {
    if (this.#asked[block] === 0) {
      this.#free--;
      this.parts?.began(block);
    } else if (options.asked) this.#asked[block]!--;
    this.senders[block] = options.sender;
    this.#missing--;
    this.lastBlockAt = options.now;
    if (this.parts === null) return;
    this.#advance();
    if (!this.parts.arrived(block)) return this.#hash();
    // What is hashed now doesn't have to be read back.
    this.#hash(true);
    this.parts.leave(block);
  }

  /**
   * Returns the position of the next bytes for the hash, to be read and passed to {@linkcode PartialPiece.hashStored};
   * `null` if they are in memory or haven't been received.
   *
   * @param most Number of bytes at most, rounded up to whole blocks.
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
    return end > begin ? { begin, end, hasher: this.#hasher! } : null;
  }

  /** Hashes bytes that were read back, unless the piece has been restarted meanwhile. */
  hashStored({ begin, end, hasher }: StoredStretch, bytes: Bytes): void {
    if (hasher !== this.#hasher || begin !== this.#hashed) return;
    hasher.update(bytes);
    this.#hashed = end;
    this.#prefix = Math.max(this.#prefix, Math.ceil(end / BLOCK_SIZE));
    this.#advance();
    this.#hash();
  }

  /** Frees the memory of the parts. */
  close(): void {
    this.#closed = true;
    this.parts?.close();
  }

  /** Writes the blocks in memory to disk and makes all missing blocks free, since the memory is needed elsewhere. */
  releaseMemory(): void {
    this.#asked.fill(0);
    this.#free = this.#missing;
    this.#firstFree = 0;
    this.parts!.leaveAll((block) => this.has(block));
    this.#prefix = Math.ceil(this.#hashed / BLOCK_SIZE);
  }

  /**
   * Restarts a piece that failed its hash check: removes some blocks and makes all missing blocks free.
   *
   * @param isRemoved Returns `true` if a block is removed.
   * @param now Current time in milliseconds.
   * @returns Bytes that were removed.
   */
  restart(isRemoved: (block: number) => boolean, now: number): number {
    let bytes = 0;
    this.restarts++;
    this.#asked.fill(0);
    for (let block = 0; block < this.blockCount; block++) {
      if (!this.has(block) || !isRemoved(block)) continue;
      this.senders[block] = NOBODY;
      if (this.#proven !== null) this.#proven[block] = 0;
      this.#missing++;
      bytes += this.blockLength(block);
    }
    this.#free = this.#missing;
    this.#firstFree = this.#prefix = this.#hashed = 0;
    if (this.parts !== null) {
      this.parts.reset((block) => this.has(block));
      this.#advance();
      this.#hasher = this.#startHash();
    }
    this.startedAt = this.lastBlockAt = now;
    this.owner = null;
    this.failed = true;
    return bytes;
  }

  /** Moves the prefix on to the first block that isn't in memory. */
  #advance(): void {
    const parts = this.parts!;
    while (
      this.senders[this.#prefix] !== NOBODY && this.#prefix < this.blockCount && !parts.isGone(this.#prefix)
    ) this.#prefix++;
  }

  /** Hashes what is in memory; with `now` set, even a small amount. */
  #hash(now = false): void {
    const parts = this.parts!;
    const begin = this.#hashed;
    const end = Math.min(this.#prefix * BLOCK_SIZE, this.size, parts.endOfPart(begin));
    if (end <= begin || (end - begin < HASH_STEP && end < this.size && !now)) return;
    this.#hasher!.update(parts.bytes({ begin, end }));
    this.#hashed = end;
  }
}
