/**
 * One attempt at downloading an info dictionary of a certain size: the parts that have been received, the requests for
 * the others, and the attempt's speed.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { METADATA_EVICTED_MS, METADATA_ROOM_MS, METADATA_STALL_MS, METADATA_TURN_MS } from "../../base/defences.ts";
import { METADATA_PART, metadataPartLength } from "../../peer/mod.ts";
import type { MetadataBudget, MetadataHolder } from "./metadata_budget.ts";

/** Milliseconds over which the speed of an attempt is measured. */
const PACE_MS = 5_000;
/** Fewest milliseconds that a speed is computed from, so that the first part doesn't make an attempt look too fast. */
const LEAST_MS = 20;
/** Lower bound for the speed in bytes per millisecond, so that stalled attempts can still be compared. */
const LEAST_PACE = 0.1;
/** How many times the wait of an attempt that stalls and loses its memory is doubled. */
const MAX_DOUBLINGS = 4;

/** A part that has been received. */
interface Part {
  readonly buffer: Bytes;
  /** Name of the sender, as passed to {@linkcode MetadataAssembly.add}. */
  readonly from: string;
}

/** The torrent of an attempt. */
export interface MetadataOwner {
  /** Number of the torrent's attempts that stalled and lost their memory. */
  failures: number;
}

/** Options for {@linkcode MetadataAssembly}. */
export interface MetadataAssemblyOptions {
  /** The torrent. */
  readonly owner: MetadataOwner;
  /** Initial value of {@linkcode MetadataAssembly.failures}. */
  readonly failures: number;
  /** Source of memory. */
  readonly budget: MetadataBudget;
  /** Name of the only peer that may send parts; `null` if any peer may. */
  readonly alone: string | null;
  /** Network of that peer, or `null`. */
  readonly network: string | null;
}

/** Options for {@linkcode MetadataAssembly.add}. */
export interface AddPartOptions {
  /** Name of the sender. */
  readonly from: string;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** One attempt at downloading an info dictionary. */
export class MetadataAssembly implements MetadataHolder {
  readonly owner: MetadataOwner;
  /** Number of times that the attempt, or its peers' earlier attempts, stalled and lost the memory. */
  failures: number;
  /** Size of the dictionary in bytes, as the peers claim. */
  readonly size: number;
  /** Number of parts. */
  readonly count: number;
  /** Name of the only peer that may send parts; `null` if every peer that claims this size may. */
  readonly alone: string | null;
  /** Network of that peer, for limits; `null` without one. */
  readonly network: string | null;
  /** Requests for each part: their number, when the first and last were made, and the last to a proven peer. */
  readonly asks = new Map<number, { count: number; readonly first: number; last: number; lastProven: number }>();
  /** Number of peers that work on the attempt. */
  helpers = 0;
  /** When the last of these peers left, in milliseconds. */
  orphanedAt = 0;
  /** No peer is asked before this time in milliseconds. */
  notBefore = -Infinity;
  readonly #budget: MetadataBudget;
  readonly #parts = new Map<number, Part>();
  /** No part below this one is missing. */
  #low = 0;
  /** Bytes received recently; decays with time. */
  #recent = 0;
  #recentAt = 0;
  /** When the first part was requested, in milliseconds. */
  #began: number | null = null;
  #lastPart = 0;
  /** Milliseconds for which the attempt was parked. */
  #parked = 0;
  /** When the attempt was parked; `null` while it isn't. */
  #parkedAt: number | null = null;

  /** @param size Bytes of the dictionary. */
  constructor(size: number, options: MetadataAssemblyOptions) {
    this.size = size;
    this.count = Math.ceil(size / METADATA_PART);
    this.owner = options.owner;
    this.failures = options.failures;
    this.#budget = options.budget;
    this.alone = options.alone;
    this.network = options.network;
  }

  /** Bytes of memory in use. */
  get held(): number {
    return this.#parts.size * METADATA_PART;
  }

  /** Number of parts that have been received. */
  get here(): number {
    return this.#parts.size;
  }

  /** Whether every part has been received. */
  get isComplete(): boolean {
    return this.#parts.size === this.count;
  }

  /** The lowest part that is missing. */
  get low(): number {
    while (this.#parts.has(this.#low)) this.#low++;
    return this.#low;
  }

  /** Names of the senders of the received parts. */
  get senders(): Set<string> {
    return new Set([...this.#parts.values()].map(({ from }) => from));
  }

  has(part: number): boolean {
    return this.#parts.has(part);
  }

  /** Yields the parts in order. The attempt must be complete. */
  *bytes(): Generator<Bytes, void> {
    for (let part = 0; part < this.count; part++) {
      yield this.#parts.get(part)!.buffer.subarray(0, metadataPartLength(this.size, part));
    }
  }

  /** Notes that a part is requested. */
  begin(now: number): void {
    this.#began ??= this.#work(now);
  }

  /**
   * Adds a part that has been received.
   *
   * @param part Part number, from 0.
   * @param data Bytes of the part; copied.
   * @returns `false` if there was no memory for the part.
   */
  add(part: number, data: Uint8Array, options: AddPartOptions): boolean {
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

  /** Takes over the parts that a peer sent for another attempt. */
  takeFrom(other: MetadataAssembly, from: string, now: number): void {
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

  /** Drops the parts that a peer sent. */
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

  /** Frees all memory. */
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
   * Score by which attempts are compared, lower is better. The attempt that will be complete first comes first, but one
   * that has had to wait for others gets to the front in time.
   */
  score(now: number): number {
    const expected = 1 + this.expected(now);
    return expected * expected / (expected + now - this.#work(now));
  }

  /** Parks the attempt while other attempts have its place, or ends that. */
  park(parked: boolean, now: number): void {
    if (parked === (this.#parkedAt !== null)) return;
    if (this.#parkedAt !== null) this.#parked += now - this.#parkedAt;
    this.#parkedAt = parked ? now : null;
  }

  /** Returns the time without the time for which the attempt was parked, in milliseconds. */
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

  /** Returns the speed in bytes per millisecond. */
  #pace(now: number): number {
    if (this.#began === null) return LEAST_PACE;
    const work = this.#work(now);
    const passed = Math.max(LEAST_MS, work - this.#began);
    return this.#faded(work) / (PACE_MS * (1 - Math.exp(-passed / PACE_MS)));
  }
}
