/**
 * Determines our external IP address by majority vote.
 *
 * @module
 */

import { type AddressFamily, canonicalHost, parseIp } from "../base/address.ts";
import { MAX_ADDRESS_VOTERS } from "../base/defences.ts";
import { LruMap } from "../base/lru_map.ts";
import { isPublic } from "../base/networks.ts";

/** Kind of host that reports our address: tracker (BEP 24), DHT node (BEP 42), peer (`yourip`, BEP 10) or gateway. */
export type AddressSource = "tracker" | "dht" | "peer" | "gateway";

/**
 * Counts the addresses that other hosts report for us. Each host has one vote, its latest, whatever its kind. An
 * address that more than half of the hosts report becomes the current one. Without a majority the current address
 * stays, so that one or two hosts can't flip it back and forth.
 */
export class ExternalAddress {
  /** Reported address by host, for each family. */
  readonly #votes = {
    4: new LruMap<string, string>(MAX_ADDRESS_VOTERS),
    6: new LruMap<string, string>(MAX_ADDRESS_VOTERS),
  };
  readonly #current: Record<AddressFamily, string | null> = { 4: null, 6: null };
  readonly #listeners = new Set<(family: AddressFamily, address: string) => void>();

  /**
   * Records what a host reports as our address.
   *
   * @param source Kind of the host. Only a gateway may have a local address: a peer in the local network doesn't see
   * our external address.
   * @param voter The host: a literal address, with or without brackets, or the name of a tracker. DHT nodes agree among
   * themselves first, and have one vote under a common name.
   * @param address Reported address; ignored unless it is a valid public address.
   */
  vote(source: AddressSource, voter: string, address: string): void {
    const says = canonicalHost(address);
    const from = canonicalHost(voter.replace(/^\[(.*)\]$/, "$1"));
    const named = (source === "tracker" || source === "dht") && parseIp(from) === null;
    if (!isPublic(says) || !(source === "gateway" || named || isPublic(from))) return;
    const family: AddressFamily = parseIp(says)!.length === 4 ? 4 : 6;
    this.#votes[family].set(from, says);
    this.#count(family, says);
  }

  /**
   * Returns our external address.
   *
   * @returns A literal address, or `null` while it is unknown.
   */
  current(family: AddressFamily): string | null {
    return this.#current[family];
  }

  /**
   * Subscribes to changes of the external address.
   *
   * @param listener Called synchronously with the family and the new address.
   * @returns A function that unsubscribes.
   */
  onChange(listener: (family: AddressFamily, address: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #count(family: AddressFamily, candidate: string): void {
    // Only the address that was just reported can have gained a majority.
    const votes = this.#votes[family];
    let count = 0;
    for (const says of votes.values()) if (says === candidate) count++;
    if (count * 2 <= votes.size || this.#current[family] === candidate) return;
    this.#current[family] = candidate;
    for (const listener of this.#listeners) listener(family, candidate);
  }
}
