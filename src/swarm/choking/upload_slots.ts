/**
 * Chokes and unchokes the peers of a torrent as the choker decides.
 *
 * @module
 */

import type { Peer } from "../../peer/mod.ts";
import { Choker, ROUND_MS, UPLOAD_SLOTS } from "./choker.ts";

/** Options for {@linkcode UploadSlots.tick}. */
export interface UploadTickOptions {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Whether we have every piece. */
  readonly seeding: boolean;
}

/** The upload slots of a torrent. */
export class UploadSlots {
  readonly #choker: Choker<Peer>;
  /** Bytes received from each peer until the last round. */
  readonly #before = new WeakMap<Peer, number>();
  #lastRound = -Infinity;

  /** @param random Returns a number from 0 to 1, uniformly distributed. */
  constructor(random: () => number) {
    this.#choker = new Choker(random);
  }

  /** Unchokes waiting peers in slots that are free or held by uninterested peers, without waiting for a round. */
  giveFree(peers: Iterable<Peer>): void {
    const open = [...peers].filter((peer) => !peer.closed);
    const unchoked = open.filter((peer) => !peer.amChoking);
    const idle = unchoked.filter((peer) => !peer.interested);
    let free = UPLOAD_SLOTS - unchoked.length;
    for (const peer of open) {
      if (!peer.interested || !peer.amChoking) continue;
      const loser = free > 0 ? null : idle.pop();
      if (loser === undefined) return;
      loser?.choke();
      loser?.output.flush();
      peer.unchoke();
      peer.output.flush();
      free--;
    }
  }

  /**
   * Holds a round when it is due.
   *
   * @param peers Every connected peer.
   */
  tick(peers: readonly Peer[], options: UploadTickOptions): void {
    if (options.now - this.#lastRound < ROUND_MS) return;
    this.#lastRound = options.now;
    const worth = (peer: Peer) => peer.down.total - (this.#before.get(peer) ?? 0);
    const served = this.#choker.round(peers, { ...options, worth });
    for (const peer of peers) {
      this.#before.set(peer, peer.down.total);
      if (served.has(peer)) peer.unchoke();
      else peer.choke();
      peer.output.flush();
    }
  }
}
