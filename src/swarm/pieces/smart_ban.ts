/**
 * Checks complete pieces against their hashes, and finds the source of wrong blocks ("smart ban").
 *
 * @module
 */

import { equalBytes } from "../../base/bytes.ts";
import { MAX_ATTEMPTS, MAX_SUSPECTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { networkOf } from "../../base/networks.ts";
import type { PieceVerdict, PieceVerifier } from "../../base/piece_verifier.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { PartialPiece } from "./partial_piece.ts";
import type { LargePiecesOnDisk } from "./large_pieces_on_disk.ts";
import type { WrongBlocks } from "./wrong_blocks.ts";

/** The blocks of a piece that failed its hash check. */
export interface Attempt {
  /** Digest of each block. */
  readonly digests: readonly Uint8Array[];
  /** Address of each block's sender. */
  readonly senders: readonly string[];
}

/**
 * Remembers the blocks of pieces that failed. Once the right data is known, the sender of each block that differs from
 * it is to blame, and not every peer that shared the piece with a bad one.
 */
export class BlockEvidence {
  readonly #attempts = new LruMap<number, Attempt[]>(MAX_SUSPECTS);

  /** Pieces that have failed and not passed since, oldest failure first. */
  get pieces(): readonly number[] {
    return this.#attempts.keys();
  }

  /** Number of pieces that have failed and not passed since. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Returns `true` if a piece has failed and not passed since. */
  suspects(piece: number): boolean {
    return this.#attempts.has(piece);
  }

  /**
   * Remembers the blocks of a piece that failed its hash check.
   *
   * @param piece Piece index.
   * @param attempt The blocks and their senders.
   * @returns The sender, if all blocks came from one network, so that it is certainly to blame; otherwise an empty
   * array.
   */
  failed(piece: number, attempt: Attempt): string[] {
    // The holder of several addresses in a network may control all of them, so that one address is no alibi for
    // another.
    const networks = new Set(attempt.senders.map(networkOf));
    if (networks.size === 1) return [attempt.senders[0]!];
    const attempts = this.#attempts.peek(piece) ?? [];
    attempts.push(attempt);
    if (attempts.length > MAX_ATTEMPTS) attempts.shift();
    this.#attempts.set(piece, attempts);
    return [];
  }

  /**
   * Compares the remembered blocks of a piece that is right now with the right blocks.
   *
   * @param piece Piece index.
   * @param digests Digest of each right block.
   * @returns Addresses that had sent wrong blocks.
   */
  passed(piece: number, digests: readonly Uint8Array[]): string[] {
    const guilty = new Set<string>();
    for (const attempt of this.#attempts.peek(piece) ?? []) {
      for (const [block, digest] of attempt.digests.entries()) {
        if (!equalBytes(digest, digests[block]!)) guilty.add(attempt.senders[block]!);
      }
    }
    this.#attempts.delete(piece);
    return [...guilty];
  }
}

/** Blocks that are hashed before other work gets a turn. */
const BLOCKS_AT_ONCE = 64;

/** What {@linkcode SmartBan} needs from the torrent. */
export interface SmartBanHost {
  /** Returns the address of a connection, open or closed. */
  hostOf(connection: number): string;
  /** Called when a piece failed its hash check; `hosts` sent its blocks, or its wrong ones if these are known. */
  pieceFailed(index: number, hosts: readonly string[]): void;
  /** Called when an address has certainly sent wrong data. */
  sentWrongData(host: string, index: number): void;
}

/** Options for {@linkcode SmartBan}. */
export interface SmartBanOptions {
  /** Digests of blocks and yielding to other work. */
  readonly platform: Pick<Platform, "digest" | "yieldToEventLoop">;
  /** Tells whether pieces are right. */
  readonly verifier: Pick<PieceVerifier, "check">;
  /** Pieces that aren't held whole. */
  readonly onDisk: LargePiecesOnDisk;
  /** Finds the wrong blocks of wrong pieces. */
  readonly wrongBlocks: WrongBlocks;
}

/** Checks complete pieces against their hashes. */
export class SmartBan {
  readonly #host: SmartBanHost;
  readonly #platform: SmartBanOptions["platform"];
  readonly #verifier: SmartBanOptions["verifier"];
  readonly #onDisk: LargePiecesOnDisk;
  readonly #wrongBlocks: WrongBlocks;
  readonly #evidence = new BlockEvidence();

  constructor(host: SmartBanHost, { platform, verifier, onDisk, wrongBlocks }: SmartBanOptions) {
    this.#host = host;
    this.#platform = platform;
    this.#verifier = verifier;
    this.#onDisk = onDisk;
    this.#wrongBlocks = wrongBlocks;
  }

  /** Pieces that have failed and not passed since. */
  get failed(): Pick<BlockEvidence, "pieces" | "size"> {
    return this.#evidence;
  }

  /** Returns `true` if a piece has failed and not passed since. It should come from one source alone. */
  suspects(index: number): boolean {
    return this.#evidence.suspects(index);
  }

  /**
   * Checks a complete piece. Reports the senders of wrong blocks of this attempt or of earlier ones to the torrent.
   *
   * @param piece A complete piece, which must not change meanwhile.
   * @returns The verdict on the piece; `null` if there is none because its files have moved since it was written.
   * @throws The reason why the piece couldn't be read back.
   */
  async check(piece: PartialPiece): Promise<PieceVerdict | null> {
    const { index } = piece;
    await undefined; // the check may close connections, and one of them is parsing the read that completed the piece
    const verdict = await (piece.parts === null ? this.#verifier.check(index, piece.data) : this.#checkOnDisk(piece));
    if (verdict === null || verdict.isContradictory) return verdict;
    if (verdict.isRight) {
      const digests = this.suspects(index) ? await this.#digests(piece, verdict) : [];
      if (this.#onDisk.isMoved(piece)) return null;
      if (this.suspects(index)) this.#accuse(this.#evidence.passed(index, digests), index);
      return verdict;
    }
    const senders = Array.from(piece.senders, (connection) => this.#host.hostOf(connection));
    // Who sent all blocks is to blame, whichever of them are wrong. What has been right before is spoilt by the disk.
    const isOnly = piece.hashes === null && new Set(senders).size === 1;
    if (isOnly) this.#report(index, senders, [senders[0]!]);
    const wrongBlocks = await this.#wrongBlocks.find(piece, verdict);
    const digests = wrongBlocks === null && !isOnly ? await this.#digests(piece, verdict) : [];
    if (this.#onDisk.isMoved(piece)) return null;
    if (wrongBlocks !== null) {
      const guilty = wrongBlocks.filter((block) => !piece.wasProven(block)).map((block) => senders[block]!);
      if (!isOnly) this.#report(index, guilty, guilty);
    } else if (!isOnly) {
      this.#report(index, senders, this.#evidence.failed(index, { digests, senders }));
    }
    return { ...verdict, wrongBlocks };
  }

  /** Checks a piece that isn't held whole. Returns `null` if its files have moved since it was written. */
  async #checkOnDisk(piece: PartialPiece): Promise<PieceVerdict | null> {
    await this.#onDisk.hashed(piece);
    return this.#onDisk.isMoved(piece) ? null : piece.verdict();
  }

  /** Tells of a wrong piece, or of its wrong blocks if these are known. */
  #report(index: number, senders: readonly string[], guilty: readonly string[]): void {
    this.#host.pieceFailed(index, [...new Set(senders)]);
    this.#accuse([...new Set(guilty)], index);
  }

  #accuse(hosts: readonly string[], index: number): void {
    for (const host of hosts) this.#host.sentWrongData(host, index);
  }

  /** Returns a digest of each block. Any kind will do, since they are compared only with each other. */
  async #digests(piece: PartialPiece, { blockDigests }: PieceVerdict): Promise<Uint8Array[]> {
    if (blockDigests !== null) {
      const length = blockDigests.length / piece.blockCount;
      return Array.from(piece.senders, (_, i) => blockDigests.subarray(i * length, (i + 1) * length));
    }
    const digests: Uint8Array[] = [];
    const read = piece.buffer === null ? new Uint8Array(BLOCK_SIZE) : null;
    for (let i = 0; i < piece.blockCount; i++) {
      if (i % BLOCKS_AT_ONCE === BLOCKS_AT_ONCE - 1) await this.#platform.yieldToEventLoop();
      const digest = this.#platform.digest("sha1");
      const length = piece.blockLength(i);
      if (read !== null) await this.#onDisk.read(piece, i, read.subarray(0, length));
      digest.update(read?.subarray(0, length) ?? piece.buffer!.subarray(i * BLOCK_SIZE, i * BLOCK_SIZE + length));
      digests.push(digest.digest());
    }
    return digests;
  }
}
