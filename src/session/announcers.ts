/**
 * Announces one torrent under each of its info-hashes: peers of a hybrid torrent (BEP 52) may know only one of two.
 *
 * @module
 */

import type { InfoHash } from "../base/info_hash.ts";
import { Announcer, type TrackerStatus } from "../tracker/announcer.ts";

/** The announcers of one torrent. They have the same trackers. */
export class Announcers {
  readonly #make: (infoHash: InfoHash, tiers: readonly (readonly string[])[]) => Announcer;
  readonly #all: [Announcer, ...Announcer[]];

  /**
   * @param infoHash Info-hash of the torrent.
   * @param tiers Announce URLs in tiers.
   * @param make Makes the announcer for an info-hash.
   */
  constructor(
    infoHash: InfoHash,
    tiers: readonly (readonly string[])[],
    make: (infoHash: InfoHash, tiers: readonly (readonly string[])[]) => Announcer,
  ) {
    this.#make = make;
    this.#all = [make(infoHash, tiers)];
  }

  /** Current announce URLs in tiers. */
  get tiers(): readonly (readonly string[])[] {
    return this.#all[0].tiers;
  }

  /** Adds an info-hash, whose announcer is started by the next call of {@linkcode Announcers.start}. */
  add(infoHash: InfoHash): void {
    this.#all.push(this.#make(infoHash, this.tiers));
  }

  /** See {@linkcode Announcer.setTiers}. */
  setTiers(tiers: readonly (readonly string[])[]): void {
    for (const announcer of this.#all) announcer.setTiers(tiers);
  }

  /** See {@linkcode Announcer.addTiers}. */
  addTiers(tiers: readonly (readonly string[])[], options: { readonly always?: boolean } = {}): void {
    for (const announcer of this.#all) announcer.addTiers(tiers, options);
  }

  /** See {@linkcode Announcer.start}. */
  start(): void {
    for (const announcer of this.#all) announcer.start();
  }

  /** See {@linkcode Announcer.pause}. */
  pause(): void {
    for (const announcer of this.#all) announcer.pause();
  }

  /** See {@linkcode Announcer.handOver}. */
  handOver(): void {
    for (const announcer of this.#all) announcer.handOver();
  }

  /** See {@linkcode Announcer.completed}. */
  completed(): void {
    for (const announcer of this.#all) announcer.completed();
  }

  /** See {@linkcode Announcer.moved}. */
  moved(): void {
    for (const announcer of this.#all) announcer.moved();
  }

  /** See {@linkcode Announcer.needPeers}. */
  needPeers(): void {
    for (const announcer of this.#all) announcer.needPeers();
  }

  /** Returns the status of each tracker. Of two info-hashes, the one for which the tracker works counts. */
  status(): TrackerStatus[] {
    const [first, ...others] = this.#all.map((announcer) => announcer.status());
    const rows = others.map((statuses) => new Map(statuses.map((status) => [status.url, status])));
    return first!.map((status) =>
      works(status) ? status : rows.map((row) => row.get(status.url)).find((other) => other && works(other)) ?? status
    );
  }

  /** See {@linkcode Announcer.stop}. */
  async stop(deadlineMs: number): Promise<void> {
    await Promise.all(this.#all.map((announcer) => announcer.stop(deadlineMs)));
  }
}

function works({ status }: TrackerStatus): boolean {
  return status === "ok" || status === "warning";
}
