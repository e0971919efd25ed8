/**
 * Memory for the info dictionaries that are being fetched: one budget for all torrents of a session. Decides only.
 *
 * Nobody knows whether a dictionary is right before all of it is here, so that whoever promises one can make us hold up to
 * {@linkcode MAX_METADATA} bytes. Memory is lent part by part as parts come, whatever size was claimed. When none is left,
 * somebody has to give theirs back: first those that have come to a halt, then those that will take longest, of the torrents
 * that hold more than their share.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { MAX_METADATA_MEMORY } from "../base/limits.ts";
import { METADATA_PART } from "../peer/mod.ts";

/** Somebody who holds parts. */
export interface MetadataHolder {
  /** The torrent. */
  readonly owner: object;
  /** Bytes that it holds. */
  readonly held: number;
  /** Returns `true` if no part has come for long. */
  isStalled(now: number): boolean;
  /** Milliseconds until it is complete, if it goes on as it does. */
  expected(now: number): number;
  /** Gives back all that it holds, at once. */
  drop(now: number): void;
}

/** The memory that all torrents without metadata share. */
export class MetadataBudget {
  /** Bytes in all. */
  readonly limit: number;
  readonly #holders = new Set<MetadataHolder>();
  /** Buffers that were used, for the next part. */
  #free: Bytes[] = [];
  #lent = 0;

  /** @param limit Bytes in all. */
  constructor(limit: number = MAX_METADATA_MEMORY) {
    this.limit = limit;
  }

  /** Bytes that are lent. */
  get used(): number {
    return this.#lent * METADATA_PART;
  }

  /**
   * Lends memory for a part, and takes it from somebody else if need be.
   *
   * @param holder Who wants it.
   * @param now Milliseconds.
   * @returns A buffer of {@linkcode METADATA_PART} bytes with anything in it, or `null` if all others are of more promise.
   */
  take(holder: MetadataHolder, now: number): Bytes | null {
    if (this.used + METADATA_PART > this.limit) {
      const victim = this.#victim(holder, now);
      if (!victim) return null;
      victim.drop(now);
    }
    this.#holders.add(holder);
    this.#lent++;
    return this.#free.pop() ?? new Uint8Array(METADATA_PART);
  }

  /**
   * Takes memory back.
   *
   * @param holder Who had it.
   * @param buffers What it had.
   */
  give(holder: MetadataHolder, buffers: Iterable<Bytes>): void {
    for (const buffer of buffers) {
      this.#lent--;
      this.#free.push(buffer);
    }
    if (holder.held === 0) this.#holders.delete(holder);
    if (this.#lent === 0) this.#free = [];
  }

  /** Hands memory over from one holder to another of the same torrent. */
  move(from: MetadataHolder, to: MetadataHolder): void {
    if (from.held === 0) this.#holders.delete(from);
    if (to.held > 0) this.#holders.add(to);
  }

  /** Who has to give its memory back, or `null` if nobody is of less promise than who asks. */
  #victim(asking: MetadataHolder, now: number): MetadataHolder | null {
    const heldBy = new Map<object, number>([[asking.owner, 0]]);
    for (const { owner, held } of this.#holders) heldBy.set(owner, (heldBy.get(owner) ?? 0) + held);
    const share = this.limit / heldBy.size;
    const others = [...this.#holders].filter((holder) => holder !== asking && holder.held > 0);
    const stalled = others.filter((holder) => holder.isStalled(now));
    if (stalled.length > 0) return most(stalled, ({ held }) => held);
    // The one that will be complete first is let go on, however large it is: else many at once would all get nowhere.
    const large = others.filter(({ owner }) => heldBy.get(owner)! > share);
    const first = most(large, (holder) => -holder.expected(now));
    const worstLarge = most(large.filter((holder) => holder !== first), (holder) => holder.expected(now));
    if (worstLarge && heldBy.get(asking.owner)! < share) return worstLarge;
    const worst = worstLarge ?? most(others, (holder) => holder.expected(now));
    return worst && worst.expected(now) > asking.expected(now) ? worst : null;
  }
}

function most<T>(items: readonly T[], valueOf: (item: T) => number): T | null {
  let best: T | null = null;
  let value = -Infinity;
  for (const item of items) {
    const its = valueOf(item);
    if (best === null || its > value) [best, value] = [item, its];
  }
  return best;
}
