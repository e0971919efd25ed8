/**
 * Whether a piece is right; and if not, whose fault it is.
 *
 * @module
 */

import { equalBytes } from "../../base/bytes.ts";
import { MAX_ATTEMPTS, MAX_SUSPECTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";
import { networkOf } from "../../base/networks.ts";
import { BLOCK_SIZE } from "../../peer/mod.ts";
import type { Platform } from "../../platform/platform.ts";
import type { PartialPiece } from "./partial_piece.ts";
import type { PartsOnDisk } from "./parts_on_disk.ts";

/** What came for a piece that failed its hash. */
export interface Attempt {
  /** Digest of each block. */
  readonly digests: readonly Uint8Array[];
  /** Who sent each block. */
  readonly senders: readonly string[];
}

/**
 * Remembers what came for pieces that failed. Once the right data is known, whoever sent a block that differs from it is
 * to blame: nobody is punished for sharing a piece with a liar.
 */
export class BlockEvidence {
  readonly #attempts = new LruMap<number, Attempt[]>(MAX_SUSPECTS);

  /** Pieces that have failed and not been right since; the first that failed comes first. */
  get pieces(): readonly number[] {
    return this.#attempts.keys();
  }

  /** How many pieces those are. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Whether a piece has failed and not been right since. */
  suspects(piece: number): boolean {
    return this.#attempts.has(piece);
  }

  /**
   * A piece failed its hash.
   *
   * @param piece Which.
   * @param attempt What had come.
   * @returns Who is to blame for certain: the sender, when there was only one.
   */
  failed(piece: number, attempt: Attempt): string[] {
    // Whoever has several addresses of a network has them all, and none is to be an alibi for another.
    const networks = new Set(attempt.senders.map(networkOf));
    if (networks.size === 1) return [attempt.senders[0]!];
    const attempts = this.#attempts.peek(piece) ?? [];
    attempts.push(attempt);
    if (attempts.length > MAX_ATTEMPTS) attempts.shift();
    this.#attempts.set(piece, attempts);
    return [];
  }

  /**
   * A piece that had failed is right now.
   *
   * @param piece Which.
   * @param digests Digest of each right block.
   * @returns Who had sent wrong blocks.
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

/** Blocks that are hashed before others have their turn. */
const BLOCKS_AT_ONCE = 64;

/** What smart ban needs from the torrent. */
export interface SmartBanHost {
  /** SHA-1 of a piece. */
  pieceHash(index: number): Uint8Array;
  /** The address of a connection, over or not. */
  hostOf(connection: number): string;
  /** A piece failed its hash; `hosts` sent its blocks. */
  pieceFailed(index: number, hosts: readonly string[]): void;
  /** An address sent wrong data for certain. */
  lied(host: string, index: number): void;
}

/** What smart ban works with. */
export interface SmartBanOptions {
  /** The hash function. */
  readonly platform: Pick<Platform, "digest" | "giveWay">;
  /** Pieces that aren't held whole. */
  readonly onDisk: PartsOnDisk;
}

/** Checks complete pieces against their hashes. */
export class SmartBan {
  readonly #host: SmartBanHost;
  readonly #platform: Pick<Platform, "digest" | "giveWay">;
  readonly #onDisk: PartsOnDisk;
  readonly #evidence = new BlockEvidence();

  /**
   * @param host The torrent.
   * @param options See {@linkcode SmartBanOptions}.
   */
  constructor(host: SmartBanHost, { platform, onDisk }: SmartBanOptions) {
    this.#host = host;
    this.#platform = platform;
    this.#onDisk = onDisk;
  }

  /** Pieces that have failed and not been right since. */
  get failed(): Pick<BlockEvidence, "pieces" | "size"> {
    return this.#evidence;
  }

  /** Whether a piece has failed and not been right since: it should come from one peer alone. */
  suspects(index: number): boolean {
    return this.#evidence.suspects(index);
  }

  /**
   * Checks a complete piece, and tells of those who are to blame if it, or an earlier attempt at it, is wrong.
   *
   * @param piece Complete; must not change meanwhile.
   * @returns Whether it is right; `null` when nobody can tell, since it isn't any more where it was written.
   * @throws If it can't be read back.
   */
  async check(piece: PartialPiece): Promise<boolean | null> {
    const { index } = piece;
    await undefined; // what follows may close connections, and the read of one is being parsed
    if (piece.parts !== null) await this.#onDisk.hashed(piece);
    if (this.#onDisk.isMoved(piece)) return null;
    while (!piece.hashMore()) await this.#platform.giveWay();
    if (equalBytes(piece.digest, this.#host.pieceHash(index))) {
      const digests = this.suspects(index) ? await this.#digests(piece) : [];
      if (this.#onDisk.isMoved(piece)) return null;
      if (this.suspects(index)) this.#accuse(this.#evidence.passed(index, digests), index);
      return true;
    }
    const digests = await this.#digests(piece);
    if (this.#onDisk.isMoved(piece)) return null;
    const senders = Array.from(piece.senders, (connection) => this.#host.hostOf(connection));
    const guilty = this.#evidence.failed(index, { digests, senders });
    this.#host.pieceFailed(index, [...new Set(senders)]);
    this.#accuse(guilty, index);
    return false;
  }

  #accuse(hosts: readonly string[], index: number): void {
    for (const host of hosts) this.#host.lied(host, index);
  }

  async #digests(piece: PartialPiece): Promise<Uint8Array[]> {
    const digests: Uint8Array[] = [];
    const read = piece.buffer === null ? new Uint8Array(BLOCK_SIZE) : null;
    for (let i = 0; i < piece.blockCount; i++) {
      if (i % BLOCKS_AT_ONCE === BLOCKS_AT_ONCE - 1) await this.#platform.giveWay();
      const digest = this.#platform.digest("sha1");
      const length = piece.blockLength(i);
      if (read !== null) await this.#onDisk.read(piece, i, read.subarray(0, length));
      digest.update(read?.subarray(0, length) ?? piece.buffer!.subarray(i * BLOCK_SIZE, i * BLOCK_SIZE + length));
      digests.push(digest.digest());
    }
    return digests;
  }
}
