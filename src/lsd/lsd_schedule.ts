/**
 * When to announce what in the local network (BEP 14), and how much to listen to. Decides only; the sockets are elsewhere.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { LSD_BURST, LSD_BURST_PER_HOST, LSD_PER_SECOND, MAX_REMEMBERED_HOSTS } from "../base/defences.ts";
import { HostRateLimits, RateLimit } from "../base/rate_limit.ts";
import { MAX_LSD_HASHES } from "./lsd_message.ts";

/** Milliseconds between two announcements of a torrent. */
const AGAIN_MS = 5 * 60_000;
/** Milliseconds between two messages, whatever they announce: multicast reaches everybody. */
const MESSAGE_GAP_MS = 60_000;
/** Milliseconds to wait for more torrents that are added at the same time, since the next message is a minute away. */
const BATCH_MS = 1_000;

/** What is announced, and when. */
export class LsdSchedule {
  /** Whose turn it is to be named first comes first: some clients read no further. */
  readonly #torrents = new Map<string, { readonly infoHash: InfoHash; due: number }>();
  #nextMessage = -Infinity;

  /** Milliseconds on the clock at which {@linkcode LsdSchedule.take} gives something; Infinity when nothing is announced. */
  get next(): number {
    let first = Infinity;
    for (const { due } of this.#torrents.values()) first = Math.min(first, due);
    return Math.max(first, this.#nextMessage);
  }

  /** Announces a torrent from now on. */
  add(infoHash: InfoHash, now: number): void {
    if (!this.#torrents.has(infoHash.hex)) this.#torrents.set(infoHash.hex, { infoHash, due: now + BATCH_MS });
  }

  /** Announces it no more. */
  remove(infoHash: InfoHash): void {
    this.#torrents.delete(infoHash.hex);
  }

  /** Milliseconds on the clock at which a torrent is announced next, unless a message has no room for it; Infinity for never. */
  nextOf({ hex }: InfoHash): number {
    return Math.max(this.#torrents.get(hex)?.due ?? Infinity, this.#nextMessage);
  }

  /**
   * What the message that is due names; they count as announced.
   *
   * @param now Milliseconds.
   * @returns The torrents; none when it is too early.
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

/** Decides whether a message is listened to: neither one machine nor all together get more of our time than they should. */
export class LsdIntake {
  readonly #all = new RateLimit({ perSecond: LSD_PER_SECOND, burst: LSD_BURST }, 0);
  readonly #hosts = new HostRateLimits({ perSecond: 1, burst: LSD_BURST_PER_HOST, capacity: MAX_REMEMBERED_HOSTS });

  /**
   * @param host Who sent it.
   * @param now Milliseconds.
   * @returns Whether it is heard.
   */
  hears(host: string, now: number): boolean {
    return this.#hosts.take(host, now) && this.#all.take(now);
  }
}
