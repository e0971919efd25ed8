/**
 * Proves blocks of started pieces one by one, where the hashes of single blocks are known (BEP 52), so that a block can
 * be read before its piece is whole, and a wrong one is found when it arrives.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { BlockHashes } from "./block_hashes.ts";
import type { LargePiecesOnDisk } from "./large_pieces_on_disk.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { isHash } from "./wrong_blocks.ts";

/** What {@linkcode BlockProofs} needs from the started pieces. */
export interface BlockProofsHost {
  /** Returns a started piece, complete or not; `null` if there is none. */
  started(index: number): PartialPiece | null;
  /** Called when received blocks of a piece turn out to be wrong. */
  foundWrong(piece: PartialPiece, blocks: ReadonlySet<number>): void;
}

/** Options for {@linkcode BlockProofs}. */
export interface BlockProofsOptions {
  /** Source of the hashes. */
  readonly hashes: BlockHashes;
  /** Digests, computed on the caller's thread. */
  readonly platform: Pick<Platform, "digest">;
  /** Pieces that aren't held whole. */
  readonly onDisk: LargePiecesOnDisk;
}

/**
 * Proves blocks and finds those that can be read. A block is hashed on the caller's thread: 16 KiB take 25
 * microseconds, less than another thread would take to answer.
 */
export class BlockProofs {
  /** Called when more blocks of a piece can be read. */
  readable: (index: number) => void = () => {};
  /** Called when {@linkcode BlockProofs.isBehind} is over since hashes have come. */
  caughtUp: () => void = () => {};
  readonly #host: BlockProofsHost;
  readonly #hashes: BlockHashes;
  readonly #platform: Pick<Platform, "digest">;
  readonly #onDisk: LargePiecesOnDisk;

  constructor(host: BlockProofsHost, options: BlockProofsOptions) {
    this.#host = host;
    this.#hashes = options.hashes;
    this.#hashes.caughtUp = () => this.caughtUp();
    this.#platform = options.platform;
    this.#onDisk = options.onDisk;
  }

  /** Asks for the hashes of a piece, which may not have been started, unless nobody has just given any. */
  want(index: number): void {
    const piece = this.#host.started(index);
    if (piece === null ? this.#hashes.get(index) !== null : piece.hashes !== null) return;
    if (piece?.blockCount === 1 || !this.#hashes.mayAsk(index)) return;
    this.#hashes.ask(index, (hashes) => {
      const started = this.#host.started(index);
      if (hashes !== null && started !== null && started.hashes === null) this.#learn(started, hashes);
    });
  }

  /** Called when a peer with pieces has come, which may have hashes that nobody else gave. */
  peerJoined(): void {
    this.#hashes.mayAskAgain();
  }

  /** Called when a piece is started. */
  begin(piece: PartialPiece): void {
    const hashes = this.#hashes.get(piece.index);
    if (hashes !== null) piece.expect(hashes);
  }

  /** Called when the wrong blocks of a piece have been removed. All others are right. */
  mended(piece: PartialPiece): void {
    const hashes = this.#hashes.get(piece.index) ?? piece.hashes;
    if (hashes === null) return;
    piece.expect(hashes);
    for (let block = 0; block < piece.blockCount; block++) if (piece.has(block)) piece.prove(block);
    this.readable(piece.index);
  }

  /**
   * Checks a block that is about to be received.
   *
   * @param bytes All of the block.
   * @returns `false` if the block is certainly wrong.
   */
  accepts(piece: PartialPiece, block: number, bytes: Bytes): boolean {
    return piece.hashes === null || this.#check(piece, block, bytes);
  }

  /** Whether there is somebody to ask for hashes. */
  get obtainable(): boolean {
    return this.#hashes.obtainable;
  }

  /** Whether new peers shouldn't send further pieces for the moment; see {@linkcode BlockHashes.isBehind}. */
  get isBehind(): boolean {
    return this.#hashes.isBehind;
  }

  /** Returns `true` if the blocks of a piece can be proven one by one, now or as soon as its hashes come. */
  mayProve(index: number): boolean {
    return this.#hashes.obtainable &&
      (this.#hashes.expects(index) || (this.#host.started(index)?.hashes ?? null) !== null);
  }

  /** Returns `true` if a block can be read although its piece isn't whole. */
  isReadable(index: number, block: number): boolean {
    return this.readableTo(index, block) > block;
  }

  /** Returns the number of the first block from one on that can't be read. */
  readableTo(index: number, block: number): number {
    const piece = this.#host.started(index);
    if (piece === null || piece.hashes === null) return block;
    while (block < piece.blockCount && this.#isReadable(piece, block)) block++;
    return block;
  }

  /**
   * Finds proven bytes of a piece in memory.
   *
   * @param begin Offset of the first byte in the piece.
   * @returns Bytes up to the end of their block; `null` if they aren't in memory, or not proven.
   */
  find(index: number, begin: number): Bytes | null {
    const piece = this.#host.started(index);
    const block = Math.floor(begin / BLOCK_SIZE);
    return piece?.isProven(block) ? piece.bytesOf(block)?.subarray(begin - block * BLOCK_SIZE) ?? null : null;
  }

  /**
   * Reads and proves a block that is on disk while its piece isn't whole.
   *
   * @returns The block; `null` if it can't be read now.
   * @throws The reason why the disk can't be read.
   */
  async load(index: number, block: number): Promise<Bytes | null> {
    const piece = this.#host.started(index);
    if (piece === null || !piece.parts?.isGone(block) || !this.#isReadable(piece, block)) return null;
    const bytes = new Uint8Array(piece.blockLength(block));
    // A block that was removed meanwhile may have come again, from somebody else.
    const { restarts } = piece;
    const isHere = () =>
      piece.restarts === restarts && this.#host.started(index) === piece && this.#isReadable(piece, block);
    try {
      await this.#onDisk.read(piece, block, bytes);
    } catch (error) {
      if (isHere()) throw error;
      return null;
    }
    if (!isHere()) return null;
    if (this.#check(piece, block, bytes)) return bytes;
    piece.doubt(block);
    this.#host.foundWrong(piece, new Set([block]));
    return null;
  }

  /** Proves the blocks that are in memory. Those on disk are proven when they are read. */
  #learn(piece: PartialPiece, hashes: Bytes): void {
    piece.expect(hashes);
    const wrong = new Set<number>();
    for (let block = 0; block < piece.blockCount; block++) {
      const bytes = piece.has(block) ? piece.bytesOf(block) : null;
      if (bytes !== null && !this.#check(piece, block, bytes)) wrong.add(block);
    }
    if (wrong.size > 0) this.#host.foundWrong(piece, wrong);
    this.readable(piece.index);
  }

  #check(piece: PartialPiece, block: number, bytes: Bytes): boolean {
    const digest = this.#platform.digest("sha256");
    digest.update(bytes);
    if (!isHash(digest.digest(), piece.hashes!, block)) return false;
    piece.prove(block);
    return true;
  }

  #isReadable(piece: PartialPiece, block: number): boolean {
    if (!piece.has(block)) return false;
    if (!piece.parts?.isGone(block)) return piece.isProven(block);
    return piece.parts.isOnDisk(block) && !piece.isDoubtful(block) && !this.#onDisk.isMoved(piece);
  }
}
