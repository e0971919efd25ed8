/**
 * Our own address, as others see it (BEP 42).
 *
 * @module
 */

import { LruMap } from "../base/lru_map.ts";
import type { HostFacts } from "./hosts.ts";

/** Votes that are remembered, one for each network; the oldest is forgotten first. */
const MAX_VOTES = 24;
/** Votes without which nothing is decided ... */
const QUORUM = 6;
/** ... and the part of them that has to agree, so that the few who lie decide nothing. */
const MAJORITY = 0.6;

/** Counts what nodes say. A single one can't be believed, and neighbours count as one. */
export class AddressVotes {
  /** By the voter's network, the oldest first. */
  readonly #votes = new LruMap<string, string>(MAX_VOTES);
  #decided: string | null = null;

  /** What they agree on; `null` as long as they don't. Stays until they agree on something else. */
  get decided(): string | null {
    return this.#decided;
  }

  /**
   * Takes a vote.
   *
   * @param host The address that the voter sees us at.
   * @param voter What the voter's own address tells.
   * @returns Whether this changed what is decided.
   */
  add(host: string, voter: HostFacts): boolean {
    this.#votes.set(voter.network, host);
    if (host === this.#decided || this.#votes.size < QUORUM) return false;
    let count = 0;
    for (const vote of this.#votes.values()) if (vote === host) count++;
    if (count < this.#votes.size * MAJORITY) return false;
    this.#decided = host;
    return true;
  }
}
