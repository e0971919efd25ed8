/**
 * One try at an info dictionary of a certain size: the parts that are here, who was asked for the others, and how it gets on.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { METADATA_EVICTED_MS, METADATA_ROOM_MS, METADATA_STALL_MS, METADATA_TURN_MS } from "../../base/defences.ts";
import { METADATA_PART, metadataPartLength } from "../../peer/mod.ts";
import type { MetadataBudget, MetadataHolder } from "./metadata_budget.ts";

/** Milliseconds over which the speed of an attempt is measured. */
const PACE_MS = 5_000;
/** Nobody is taken for quicker than a part in so many milliseconds. */
const LEAST_MS = 20;
/** Bytes a millisecond that are assumed at the least, so that what has come to a halt can still be compared. */
const LEAST_PACE = 0.1;
/** How many times an attempt that comes to a halt and loses its memory waits twice as long as the time before. */
const MAX_DOUBLINGS = 4;

/** A part that is here. */
interface Part {
  readonly buffer: Bytes;
  /** Who sent it, as {@linkcode MetadataAttempt} is told. */
  readonly from: string;
}

/** A torrent. */
export interface MetadataOwner {
  /** How many of its attempts came to a halt and lost their memory. */
  failures: number;
}

/** One try. */
export class MetadataAttempt implements MetadataHolder {
  readonly owner: MetadataOwner;
  /** Times that it, or those that named its size, came to a halt and lost its memory. */
  failures: number;
  /** Bytes of the dictionary, as it is claimed. */
  readonly size: number;
  /** Parts of the dictionary. */
  readonly count: number;
  /** The only one that has a hand in it; `null` if all that claim this size have. */
  readonly alone: string | null;
  /** What stands for the address of `alone` where limits are concerned. */
  readonly network: string | null;
  /** Parts that were asked for: of how many, when first and last, and when last of somebody who has given parts before. */
  readonly asks = new Map<number, { count: number; readonly first: number; last: number; lastProven: number }>();
  /** How many peers work on it. */
  helpers = 0;
  /** When the last of them left. */
  orphanedAt = 0;
  /** Nobody is asked before. */
  notBefore = -Infinity;
  readonly #budget: MetadataBudget;
  readonly #parts = new Map<number, Part>();
  /** The lowest part that is missing. */
  #low = 0;
  /** What came lately, in bytes that fade with time. */
  #recent = 0;
  #recentAt = 0;
  /** When somebody was asked for the first time. */
  #began: number | null = null;
  #lastPart = 0;
  /** Milliseconds for which others had its place, and since when they have. */
  #parked = 0;
  #parkedAt: number | null = null;

  /**
   * @param size Bytes of the dictionary.
   * @param options `owner`: the torrent. `failures`: what it begins with. `budget`: where memory comes from. `alone`: who has to deliver all of it; `null` for
   * everybody. `network`: where that one is.
   */
  constructor(
    size: number,
    options: {
      readonly owner: MetadataOwner;
      readonly failures: number;
      readonly budget: MetadataBudget;
      readonly alone: string | null;
      readonly network: string | null;
    },
  ) {
    this.size = size;
    this.count = Math.ceil(size / METADATA_PART);
    this.owner = options.owner;
    this.failures = options.failures;
    this.#budget = options.budget;
    this.alone = options.alone;
    this.network = options.network;
  }

  /** Bytes of memory. */
  get held(): number {
    return this.#parts.size * METADATA_PART;
  }

  /** Parts that are here. */
  get here(): number {
    return this.#parts.size;
  }

  /** Whether everything is here. */
  get isComplete(): boolean {
    return this.#parts.size === this.count;
  }

  /** The lowest part that is missing. */
  get low(): number {
    while (this.#parts.has(this.#low)) this.#low++;
    return this.#low;
  }

  /** Those who sent what is here. */
  get senders(): Set<string> {
    return new Set([...this.#parts.values()].map(({ from }) => from));
  }

  has(part: number): boolean {
    return this.#parts.has(part);
  }

  /** The parts in order; complete attempts only. */
  *bytes(): Generator<Bytes, void> {
    for (let part = 0; part < this.count; part++) {
      yield this.#parts.get(part)!.buffer.subarray(0, metadataPartLength(this.size, part));
    }
  }

  /** Somebody is asked for a part. */
  begin(now: number): void {
    this.#began ??= this.#work(now);
  }

  /**
   * A part came.
   *
   * @param part Which, from 0.
   * @param data Its bytes; copied.
   * @param options `from`: who sent it. `now`: milliseconds.
   * @returns `false` if there was no memory for it.
   */
  add(part: number, data: Uint8Array, options: { readonly from: string; readonly now: number }): boolean {
    const { from, now } = options;
    this.#note(data.length, now);
    const buffer = this.#budget.take(this, now);
    if (!buffer) {
      this.notBefore = now + METADATA_ROOM_MS;
      return false;
    }
    buffer.set(data);
    this.#parts.set(part, { buffer, from });
    return true;
  }

  /** Takes over what one peer sent to another attempt. */
  takeFrom(other: MetadataAttempt, from: string, now: number): void {
    for (const [number, part] of other.#parts) {
      if (part.from !== from || this.#parts.has(number)) continue;
      other.#parts.delete(number);
      this.#parts.set(number, part);
      this.begin(now);
      this.#note(METADATA_PART, now);
    }
    other.#low = 0;
    this.#budget.move(other, this);
  }

  /** Forgets what one peer sent. */
  remove(from: string): void {
    const buffers: Bytes[] = [];
    for (const [number, part] of this.#parts) {
      if (part.from !== from) continue;
      this.#parts.delete(number);
      buffers.push(part.buffer);
    }
    this.#low = 0;
    this.#budget.give(this, buffers);
  }

  /** Gives back all that it holds. */
  clear(): void {
    const buffers = [...this.#parts.values()].map(({ buffer }) => buffer);
    this.#parts.clear();
    this.#low = 0;
    this.#budget.give(this, buffers);
  }

  drop(now: number): void {
    const slow = this.isStalled(now) || this.expected(now) > METADATA_TURN_MS;
    this.clear();
    this.notBefore = now + METADATA_EVICTED_MS * (slow ? 2 ** Math.min(MAX_DOUBLINGS, this.failures) : 1);
    if (!slow) return;
    this.failures++;
    this.owner.failures++;
  }

  isStalled(now: number): boolean {
    return this.helpers === 0 || this.#work(now) - this.#lastPart > METADATA_STALL_MS;
  }

  expected(now: number): number {
    const left = this.size - this.held;
    const silence = this.isStalled(now) ? 10 * (this.#work(now) - this.#lastPart) : 0;
    return Math.max(0, left) / Math.max(LEAST_PACE, this.#pace(now)) + silence;
  }

  /**
   * What counts when attempts are compared, the less the better: what will be complete first comes first, but who had to wait for
   * others comes to the front in the end.
   */
  score(now: number): number {
    const expected = 1 + this.expected(now);
    return expected * expected / (expected + now - this.#work(now));
  }

  /** Others have its place from now on, or no longer. */
  park(parked: boolean, now: number): void {
    if (parked === (this.#parkedAt !== null)) return;
    if (this.#parkedAt !== null) this.#parked += now - this.#parkedAt;
    this.#parkedAt = parked ? now : null;
  }

  /** The time, without that for which others had its place. */
  #work(now: number): number {
    return (this.#parkedAt ?? now) - this.#parked;
  }

  #note(bytes: number, now: number): void {
    const work = this.#work(now);
    this.#recent = this.#faded(work) + bytes;
    this.#recentAt = this.#lastPart = work;
  }

  #faded(work: number): number {
    return this.#recent * Math.exp((this.#recentAt - work) / PACE_MS);
  }

  /** Bytes a millisecond. */
  #pace(now: number): number {
    if (this.#began === null) return LEAST_PACE;
    const work = this.#work(now);
    const passed = Math.max(LEAST_MS, work - this.#began);
    return this.#faded(work) / (PACE_MS * (1 - Math.exp(-passed / PACE_MS)));
  }
}
