/**
 * Memory for the info dictionaries that are being downloaded: one budget for all torrents of a session.
 *
 * A dictionary can be verified only when all of it has been received, so that a peer that promises one can make us hold
 * up to {@linkcode MAX_METADATA} bytes. Memory is lent part by part as parts arrive, whatever size a peer claims.
 *
 * The first half of the memory is for all attempts: real dictionaries have a hundred KiB, and many fit. When it is
 * full, stalled attempts lose their memory, then attempts of torrents that hold more than their share. The second half
 * is for one large dictionary at a time. An attempt that stalls there, or is slow while others wait, loses all its
 * memory and comes after the attempts that haven't had a turn, so that each lying peer gets one turn only. Torrents
 * take turns, too.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { LEAST_METADATA_SHARE, MAX_METADATA_MEMORY, METADATA_TURN_MS } from "../../base/defences.ts";
import { METADATA_PART } from "../../peer/mod.ts";

/** An attempt that holds parts. */
export interface MetadataHolder {
  /** The torrent, and the number of its attempts that stalled and lost their memory. */
  readonly owner: { readonly failures: number };
  /** Bytes of memory in use. */
  readonly held: number;
  /** Number of times that the attempt, or its peers' earlier attempts, stalled and lost the memory. */
  readonly failures: number;
  /** Returns `true` if no part has arrived for long. */
  isStalled(now: number): boolean;
  /** Returns the milliseconds until the attempt is complete at its present speed. */
  expected(now: number): number;
  /** Frees all memory at once: the attempt has stalled, is slow, or is one of too many. */
  drop(now: number): void;
}

/** An attempt gives its memory to another one at the same dictionary if it would take this many times longer. */
const FAR_WORSE = 4;
/** Milliseconds for which an attempt that was refused memory counts as waiting. */
const WAITS_MS = 5_000;

/** The memory that all torrents without metadata share. */
export class MetadataBudget {
  /** Total number of bytes. */
  readonly limit: number;
  readonly #holders = new Set<MetadataHolder>();
  /** The attempt that has the second half. */
  #large: MetadataHolder | null = null;
  /** When that attempt got the second half, in milliseconds. */
  #largeSince = 0;
  /** When attempts were refused memory, in milliseconds. */
  readonly #waiting = new Map<MetadataHolder, number>();
  /** Buffers to be reused. */
  #free: Bytes[] = [];
  #lent = 0;

  /** @param limit Total number of bytes. */
  constructor(limit: number = MAX_METADATA_MEMORY) {
    this.limit = limit;
  }

  /** Bytes that are lent. */
  get used(): number {
    return this.#lent * METADATA_PART;
  }

  /**
   * Lends memory for a part, and takes it from another attempt if necessary.
   *
   * @param holder The attempt that needs it.
   * @param now Current time in milliseconds.
   * @returns A buffer of {@linkcode METADATA_PART} bytes with arbitrary contents, or `null` if all other attempts are
   * more promising.
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
   * Takes back memory.
   *
   * @param holder The attempt that had it.
   * @param buffers The buffers.
   */
  give(holder: MetadataHolder, buffers: Iterable<Bytes>): void {
    for (const buffer of buffers) {
      this.#lent--;
      this.#free.push(buffer);
    }
    this.#forget(holder);
    if (this.#lent === 0) this.#free = [];
  }

  /** Moves memory from one attempt to another of the same torrent. */
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

  /** Takes all memory from an attempt in the first half, if there is one that is worse than the asking attempt. */
  #dropOther(asking: MetadataHolder, now: number): boolean {
    const others = [...this.#holders].filter((one) => one !== asking && one !== this.#large);
    const victim = others.filter((one) => one.isStalled(now)).sort((a, b) => b.held - a.held)[0] ??
      this.#overShare(asking, others, now) ??
      others.filter((one) => one.owner === asking.owner && isFarWorse(one, asking, now)).at(-1);
    victim?.drop(now);
    return victim !== undefined;
  }

  /** Returns the worst attempt of the torrents that exceed their share, if the asking torrent is below its share. */
  #overShare(asking: MetadataHolder, others: readonly MetadataHolder[], now: number): MetadataHolder | undefined {
    const heldBy = new Map<object, number>([[asking.owner, 0]]);
    for (const { owner, held } of [...others, asking]) heldBy.set(owner, (heldBy.get(owner) ?? 0) + held);
    const share = Math.max(LEAST_METADATA_SHARE, this.limit / 2 / heldBy.size);
    if (heldBy.get(asking.owner)! >= share) return undefined;
    return others.filter(({ owner }) => heldBy.get(owner)! > share).sort((a, b) => compare(a, b, now)).at(-1);
  }

  /** Gives the second half to an attempt, unless it is in good use or another waiting attempt should get it first. */
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

/** Returns a number below 0 if the first attempt is more promising. */
function compare(a: MetadataHolder, b: MetadataHolder, now: number): number {
  return a.failures - b.failures || a.owner.failures - b.owner.failures || a.expected(now) - b.expected(now);
}

function isFarWorse(a: MetadataHolder, b: MetadataHolder, now: number): boolean {
  return a.failures > b.failures || (a.failures === b.failures && a.expected(now) > FAR_WORSE * b.expected(now));
}
