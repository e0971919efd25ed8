/**
 * Why nothing arrives for one torrent, as it changes with time.
 *
 * @module
 */

import { isActive, type TorrentState } from "./torrent_state.ts";
import { isMoving, waitingFor } from "./waiting.ts";
import { waitingFactsOf, type WaitingParts } from "./waiting_facts.ts";

/** Milliseconds for which the sentence is used again while there are no peers. */
const KEPT_MS = 1_000;

/** The parts that {@linkcode WaitingReason.sentence} decides by, without the times that it knows itself. */
export interface ReasonParts extends Omit<WaitingParts, "sinceArrival" | "sinceStart"> {
  /** `true` if there are no connected peers. */
  readonly isAlone: boolean;
}

/** Remembers when data arrived, and the sentence that was given last. */
export class WaitingReason {
  /** When the torrent last went to work, in milliseconds. */
  #startedAt: number;
  /** When something last arrived, in milliseconds; `null` if nothing has arrived since the torrent went to work. */
  #arrivedAt: number | null = null;
  /** What had arrived at the last look: bytes, and the part of the metadata. */
  #arrived = 0;
  /** The last sentence, if there were no peers. */
  #kept: { readonly at: number; readonly state: TorrentState; readonly sentence: string | null } | null = null;

  /** @param now The time, in milliseconds. */
  constructor(now: number) {
    this.#startedAt = now;
  }

  /** Must be called when the torrent goes to work. */
  start(now: number): void {
    this.#startedAt = now;
    this.#arrivedAt = null;
    this.#kept = null;
  }

  /** Must be called when something changes that the sentence may name. */
  invalidate(): void {
    this.#kept = null;
  }

  /**
   * Must be called regularly.
   *
   * @param now The time, in milliseconds.
   * @param arrived Everything that has arrived. It is less than before if a peer has left in the middle of a block.
   */
  noteArrivals(now: number, arrived: number): void {
    if (arrived > this.#arrived) {
      this.#arrivedAt = now;
      this.#kept = null;
    }
    this.#arrived = arrived;
  }

  /**
   * Says why nothing arrives, as `waitingFor()` does. Sources change slowly, and thousands of torrents without peers
   * may be shown several times a second. So their sentences are kept for a second.
   *
   * @param now The time, in milliseconds.
   * @param parts See {@linkcode ReasonParts}.
   */
  sentence(now: number, parts: ReasonParts): string | null {
    const { state, isAlone } = parts;
    const kept = this.#kept;
    if (isAlone && kept?.state === state && now - kept.at < KEPT_MS) return kept.sentence;
    const sinceArrival = this.#arrivedAt === null ? null : (now - this.#arrivedAt) / 1000;
    // While data arrives, only a download that has nothing left to fetch waits: for the disk.
    if (isMoving(sinceArrival) && isActive(state) && parts.content?.hasAllBlocks !== true) return null;
    const sentence = waitingFor(waitingFactsOf({ ...parts, sinceArrival, sinceStart: (now - this.#startedAt) / 1000 }));
    this.#kept = isAlone ? { at: now, state, sentence } : null;
    return sentence;
  }
}
