/**
 * Finding out who sent wrong data, block by block.
 *
 * @module
 */

import { equalBytes } from "../../base/bytes.ts";
import { MAX_ATTEMPTS, MAX_SUSPECTS } from "../../base/defences.ts";
import { networkOf } from "../../base/networks.ts";

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
  readonly #attempts = new Map<number, Attempt[]>();

  /** Pieces that have failed and not been right since; the first that failed comes first. */
  get pieces(): IterableIterator<number> {
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
    const attempts = this.#attempts.get(piece) ?? [];
    attempts.push(attempt);
    if (attempts.length > MAX_ATTEMPTS) attempts.shift();
    this.#attempts.delete(piece);
    this.#attempts.set(piece, attempts);
    if (this.#attempts.size > MAX_SUSPECTS) this.#attempts.delete(this.#attempts.keys().next().value!);
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
    for (const attempt of this.#attempts.get(piece) ?? []) {
      for (const [block, digest] of attempt.digests.entries()) {
        if (!equalBytes(digest, digests[block]!)) guilty.add(attempt.senders[block]!);
      }
    }
    this.#attempts.delete(piece);
    return [...guilty];
  }
}
