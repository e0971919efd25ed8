/**
 * When to announce torrents in the local network (BEP 14), and how many messages to accept. `local_discovery.ts` does
 * the sending and receiving.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { LSD_BURST, LSD_BURST_PER_HOST, LSD_PER_SECOND, MAX_REMEMBERED_HOSTS } from "../base/defences.ts";
import { TokenBucket, TokenBuckets } from "../base/token_bucket.ts";
import { MAX_LSD_HASHES } from "./lsd_message.ts";

/** Milliseconds between two announces of a torrent. */
const AGAIN_MS = 5 * 60_000;
/** Milliseconds between two messages of this client, since a multicast message reaches every machine. */
const MESSAGE_GAP_MS = 60_000;
/** Milliseconds to wait for further torrents added at the same time, since the next message is a minute later. */
const BATCH_MS = 1_000;

/** Schedule of the announces. */
export class LsdSchedule {
  /** Torrents in the order of announcing. The first place rotates, since some clients read only one info-hash. */
  readonly #torrents = new Map<string, { readonly infoHash: InfoHash; due: number }>();
  #nextMessage = -Infinity;

  /** Time of the next message in milliseconds; Infinity if no torrent is announced. */
  get next(): number {
    let first = Infinity;
    for (const { due } of this.#torrents.values()) first = Math.min(first, due);
    return Math.max(first, this.#nextMessage);
  }

  /** Adds a torrent. */
  add(infoHash: InfoHash, now: number): void {
    if (!this.#torrents.has(infoHash.hex)) this.#torrents.set(infoHash.hex, { infoHash, due: now + BATCH_MS });
  }

  /** Removes a torrent. */
  remove(infoHash: InfoHash): void {
    this.#torrents.delete(infoHash.hex);
  }

  /** Time of a torrent's next announce in milliseconds, unless the message is full; Infinity if unknown. */
  nextOf({ hex }: InfoHash): number {
    return Math.max(this.#torrents.get(hex)?.due ?? Infinity, this.#nextMessage);
  }

  /**
   * Takes the torrents for the message that is due, and counts them as announced.
   *
   * @param now Current time in milliseconds.
   * @returns The torrents; none if no message is due.
   */
  take(now: number): InfoHash[] {
    if (now < this.#nextMessage) return [];
    const due = [...this.#torrents.values()].filter((torrent) => torrent.due <= now).slice(0, MAX_LSD_HASHES);
    const [first] = due;
    if (!first) return [];
    this.#nextMessage = now + MESSAGE_GAP_MS;
    for (const torrent of due) torrent.due = now + AGAIN_MS;
    this.#torrents.delete(first.infoHash.hex);
    this.#torrents.set(first.infoHash.hex, first);
    return due.map(({ infoHash }) => infoHash);
  }
}

/** Rate limits for incoming messages, per machine and for all machines together. */
export class LsdIntake {
  readonly #all = new TokenBucket({ perSecond: LSD_PER_SECOND, burst: LSD_BURST }, 0);
  readonly #hosts = new TokenBuckets({ perSecond: 1, burst: LSD_BURST_PER_HOST, capacity: MAX_REMEMBERED_HOSTS });

  /**
   * Returns `true` if a message is accepted.
   *
   * @param now Current time in milliseconds.
   */
  hears(host: string, now: number): boolean {
    return this.#hosts.take(host, now) && this.#all.take(now);
  }
}
