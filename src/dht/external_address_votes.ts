/**
 * Majority vote on our external address, from the `ip` field of other nodes' answers (BEP 42).
 *
 * @module
 */

import { LruMap } from "../base/lru_map.ts";
import type { HostFacts } from "./hosts.ts";

/** Maximum number of votes kept, one per voter network. The oldest vote is dropped first. */
const MAX_VOTES = 24;
/** Minimum number of votes before an address can win. */
const QUORUM = 6;
/** Share of the votes that an address needs to win, so that a few lying nodes decide nothing. */
const MAJORITY = 0.6;

/** Counts the addresses that other nodes report for us. Voters in the same network count as one. */
export class ExternalAddressVotes {
  /** Reported address by voter network, oldest vote first. */
  readonly #votes = new LruMap<string, string>(MAX_VOTES);
  #decided: string | null = null;

  /** The winning address, or `null` before the first. An address stays until another one wins. */
  get decided(): string | null {
    return this.#decided;
  }

  /**
   * Records a vote.
   *
   * @param host Our address as the voter sees it.
   * @param voter Facts about the voter's own address.
   * @returns `true` if the winning address has changed.
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
