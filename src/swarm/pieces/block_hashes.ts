/**
 * The hashes of the blocks of some pieces (BEP 52): those that were asked for last, in bounded memory.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { HASH_BYTES, MERKLE_BLOCK } from "../../base/merkle.ts";
import type { BlockHashSource } from "./block_hash_source.ts";

/** Bytes of hashes that are kept: those of 512 MiB of payload. */
const KEPT_BYTES = 1024 * 1024;
/** Milliseconds before hashes are asked for in advance again, when no peer gave them. */
const RETRY_MS = 10_000;
/** Pieces whose hashes are asked for before new peers have to wait for the answers. */
const MOST_AHEAD = 3;
/** Milliseconds for which new peers wait for an answer. */
export const PATIENCE_MS = 300;
/** Pieces of which is remembered that no peer gave their hashes. */
const MOST_REFUSED = 256;

/** Options for {@linkcode BlockHashes}. */
export interface BlockHashesOptions {
  /** Where hashes come from; `null` if there are none, as in v1. */
  readonly source: BlockHashSource | null;
  /** Returns the length of a piece in bytes. */
  readonly pieceSize: (index: number) => number;
  /** Returns the current time in milliseconds. */
  readonly now: () => number;
  /** Bytes of hashes that are kept at most; 1 MiB when absent. */
  readonly keptBytes?: number;
}

/** Takes the hashes of a piece's blocks, or `null` if they aren't to be had. */
export type TakeHashes = (hashes: Bytes | null) => void;

/** Asks for block hashes, once at a time for each piece, and keeps the last of them. */
export class BlockHashes {
  readonly #options: BlockHashesOptions;
  readonly #keptBytes: number;
  /** Hashes by piece, the one that was used least recently first. */
  readonly #kept = new Map<number, Bytes>();
  #bytes = 0;
  /** Called when new peers need not wait any longer; see {@linkcode BlockHashes.isBehind}. */
  caughtUp: () => void = () => {};
  /** Who waits for the hashes of each piece that was asked for, since when in milliseconds, the first first. */
  readonly #waiting = new Map<number, { readonly takers: Set<TakeHashes>; readonly since: number }>();
  /** When nobody gave hashes last, in milliseconds. */
  #refusedAt = -Infinity;
  /** When nobody gave the hashes of a piece, in milliseconds. */
  readonly #refused = new Map<number, number>();
  #closed = false;

  constructor(options: BlockHashesOptions) {
    this.#options = options;
    this.#keptBytes = options.keptBytes ?? KEPT_BYTES;
  }

  /** Whether there is somebody to ask. */
  get obtainable(): boolean {
    return this.#options.source !== null && !this.#closed;
  }

  /**
   * Whether so many answers are awaited that new peers shouldn't send further pieces, which couldn't be checked block
   * by block. Never for long, nor if somebody has just failed to answer.
   */
  get isBehind(): boolean {
    if (this.#waiting.size < MOST_AHEAD) return false;
    const now = this.#options.now();
    const { since } = this.#waiting.values().next().value!;
    return now - since < PATIENCE_MS && now - this.#refusedAt >= RETRY_MS;
  }

  /** Bytes of the hashes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the hashes of a piece's blocks, 32 bytes each; `null` if they aren't known. */
  get(piece: number): Bytes | null {
    const hashes = this.#kept.get(piece);
    if (hashes === undefined) return null;
    this.#kept.delete(piece);
    this.#kept.set(piece, hashes);
    return hashes;
  }

  /** Returns `true` if the hashes of a piece are known, or have been asked for. */
  expects(piece: number): boolean {
    return this.#kept.has(piece) || this.#waiting.has(piece);
  }

  /** Returns `true` if asking for the hashes of a piece in advance is worth it: nobody has just failed to give them. */
  mayAsk(piece: number): boolean {
    if (!this.obtainable || this.#waiting.has(piece)) return false;
    const refusedAt = this.#refused.get(piece);
    return refusedAt === undefined || this.#options.now() - refusedAt >= RETRY_MS;
  }

  /** Forgets that nobody gave some hashes, since there is somebody else now. */
  mayAskAgain(): void {
    this.#refused.clear();
  }

  /**
   * Asks for the hashes of a piece's blocks, unless that was done already.
   *
   * @param take Called once, not within this call.
   * @returns What ends the wait: `take` is called with `null` within it, unless it was called before.
   */
  ask(piece: number, take: TakeHashes): () => void {
    let isOver = false;
    const takeOnce: TakeHashes = (hashes) => {
      if (isOver) return;
      isOver = true;
      this.#waiting.get(piece)?.takers.delete(takeOnce);
      take(hashes);
    };
    const known = this.#kept.get(piece) ?? null;
    if (known !== null || !this.obtainable) queueMicrotask(() => takeOnce(known));
    else {
      const waiting = this.#waiting.get(piece);
      if (waiting !== undefined) waiting.takers.add(takeOnce);
      else {
        this.#waiting.set(piece, { takers: new Set([takeOnce]), since: this.#options.now() });
        this.#options.source!.fetch(piece, (hashes) => this.#take(piece, hashes));
      }
    }
    return () => takeOnce(null);
  }

  /** Ends all waits and forgets all hashes. */
  close(): void {
    this.#closed = true;
    for (const { takers } of [...this.#waiting.values()]) for (const take of [...takers]) take(null);
    this.#waiting.clear();
    this.#kept.clear();
    this.#refused.clear();
    this.#bytes = 0;
  }

  #take(piece: number, hashes: Bytes | null): void {
    if (this.#closed) return;
    const waiting = this.#waiting.get(piece);
    const wasBehind = this.isBehind;
    this.#waiting.delete(piece);
    const count = Math.ceil(this.#options.pieceSize(piece) / MERKLE_BLOCK);
    const right = hashes?.length === count * HASH_BYTES ? hashes : null;
    if (right !== null) this.#keep(piece, right);
    else this.#refuse(piece);
    for (const take of waiting?.takers ?? []) take(right);
    if (wasBehind && !this.isBehind) this.caughtUp();
  }

  #keep(piece: number, hashes: Bytes): void {
    this.#refused.delete(piece);
    if (hashes.length > this.#keptBytes) return;
    this.#bytes += hashes.length - (this.#kept.get(piece)?.length ?? 0);
    this.#kept.delete(piece);
    this.#kept.set(piece, hashes);
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= this.#keptBytes) break;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }

  #refuse(piece: number): void {
    this.#refusedAt = this.#options.now();
    this.#refused.delete(piece);
    this.#refused.set(piece, this.#refusedAt);
    if (this.#refused.size > MOST_REFUSED) this.#refused.delete(this.#refused.keys().next().value!);
  }
}
