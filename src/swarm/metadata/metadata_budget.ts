/**
 * Memory for the info dictionaries that are being fetched: one budget for all torrents of a session. Decides only.
 *
 * Nobody knows whether a dictionary is right before all of it is here, so that whoever promises one can make us hold up to
 * {@linkcode MAX_METADATA} bytes. Memory is lent part by part as parts come, whatever size was claimed.
 *
 * One half of the memory is for all: real dictionaries have a hundred KiB, and many fit. When it is full, those give theirs back
 * that have come to a halt, then those of torrents that hold more than their share. The other half is for one large dictionary
 * at a time. Who comes to a halt there, or is slow while others wait, loses all that it has, and comes behind those who haven't
 * had a turn: each liar has one. Torrents take turns, too.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { LEAST_METADATA_SHARE, MAX_METADATA_MEMORY, METADATA_TURN_MS } from "../../base/defences.ts";
import { METADATA_PART } from "../../peer/mod.ts";

/** Somebody who holds parts. */
export interface MetadataHolder {
  /** The torrent, and how many of its attempts came to a halt and lost their memory. */
  readonly owner: { readonly failures: number };
  /** Bytes that it holds. */
  readonly held: number;
  /** Times that it, or who is behind it, came to a halt and lost its memory. */
  readonly failures: number;
  /** Returns `true` if no part has come for long. */
  isStalled(now: number): boolean;
  /** Milliseconds until it is complete, if it goes on as it does. */
  expected(now: number): number;
  /** Gives back all that it holds, at once: it has come to a halt, is slow, or is one of too many. */
  drop(now: number): void;
}

/** How much longer another attempt at the same dictionary must be expected to take, to have to make room. */
const FAR_WORSE = 4;
/** Milliseconds for which an attempt that was refused memory counts as waiting for it. */
const WAITS_MS = 5_000;

/** The memory that all torrents without metadata share. */
export class MetadataBudget {
  /** Bytes in all. */
  readonly limit: number;
  readonly #holders = new Set<MetadataHolder>();
  /** The large dictionary that has the second half, and since when. */
  #large: MetadataHolder | null = null;
  #largeSince = 0;
  /** Those that were refused memory, and when. */
  readonly #waiting = new Map<MetadataHolder, number>();
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
    if (!this.#mayTake(holder, now)) {
      this.#waiting.set(holder, now);
      return null;
    }
    this.#waiting.delete(holder);
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
    this.#forget(holder);
    if (this.#lent === 0) this.#free = [];
  }

  /** Hands memory over from one holder to another of the same torrent. */
  move(from: MetadataHolder, to: MetadataHolder): void {
    this.#forget(from);
    if (to.held > 0) this.#holders.add(to);
  }

  #forget(holder: MetadataHolder): void {
    if (holder.held > 0) return;
    this.#holders.delete(holder);
    this.#waiting.delete(holder);
    if (this.#large === holder) this.#large = null;
  }

  #mayTake(holder: MetadataHolder, now: number): boolean {
    if (this.#hasRoom(holder) || this.#dropOther(holder, now)) return true;
    return holder !== this.#large && this.#becomesLarge(holder, now);
  }

  #hasRoom(holder: MetadataHolder): boolean {
    const half = holder === this.#large ? 0 : this.used - (this.#large?.held ?? 0);
    return this.used + METADATA_PART <= this.limit && half + METADATA_PART <= this.limit / 2;
  }

  /** Takes everything from somebody in the first half, if there is somebody who should give way to who asks. */
  #dropOther(asking: MetadataHolder, now: number): boolean {
    const others = [...this.#holders].filter((one) => one !== asking && one !== this.#large);
    const victim = others.filter((one) => one.isStalled(now)).sort((a, b) => b.held - a.held)[0] ??
      this.#overShare(asking, others, now) ??
      others.filter((one) => one.owner === asking.owner && isFarWorse(one, asking, now)).at(-1);
    victim?.drop(now);
    return victim !== undefined;
  }

  /** The worst of the torrents that hold more than their share, if the one that asks holds less. */
  #overShare(asking: MetadataHolder, others: readonly MetadataHolder[], now: number): MetadataHolder | undefined {
    const heldBy = new Map<object, number>([[asking.owner, 0]]);
    for (const { owner, held } of [...others, asking]) heldBy.set(owner, (heldBy.get(owner) ?? 0) + held);
    const share = Math.max(LEAST_METADATA_SHARE, this.limit / 2 / heldBy.size);
    if (heldBy.get(asking.owner)! >= share) return undefined;
    return others.filter(({ owner }) => heldBy.get(owner)! > share).sort((a, b) => compare(a, b, now)).at(-1);
  }

  /** Lets an attempt have the second half, if nobody has it any more who should, and nobody waits who should have it first. */
  #becomesLarge(asking: MetadataHolder, now: number): boolean {
    for (const [holder, since] of this.#waiting) if (now - since > WAITS_MS) this.#waiting.delete(holder);
    const large = this.#large;
    if (this.used - (large?.held ?? 0) + METADATA_PART > this.limit) return false;
    if (large) {
      const slow = now - this.#largeSince > METADATA_TURN_MS && large.expected(now) > 2 * METADATA_TURN_MS;
      if (!slow && !large.isStalled(now)) return false;
    }
    for (const other of this.#waiting.keys()) if (compare(other, asking, now) < 0) return false;
    large?.drop(now);
    this.#large = asking;
    this.#largeSince = now;
    return true;
  }
}

/** Below 0 if the first is of more promise. */
function compare(a: MetadataHolder, b: MetadataHolder, now: number): number {
  return a.failures - b.failures || a.owner.failures - b.owner.failures || a.expected(now) - b.expected(now);
}

function isFarWorse(a: MetadataHolder, b: MetadataHolder, now: number): boolean {
  return a.failures > b.failures || (a.failures === b.failures && a.expected(now) > FAR_WORSE * b.expected(now));
}
