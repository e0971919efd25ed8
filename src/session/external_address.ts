/**
 * What our own address is to everybody else.
 *
 * @module
 */

import { canonicalHost, parseIp } from "../base/address.ts";
import { MAX_ADDRESS_VOTERS } from "../base/defences.ts";
import { LruMap } from "../base/lru_map.ts";
import { isPublic } from "../base/networks.ts";

/**
 * Who says what our address is: a tracker (BEP 24), a node of the DHT (BEP 42), a peer (`yourip`, BEP 10), or the gateway
 * that maps our port.
 */
export type AddressSource = "tracker" | "dht" | "peer" | "gateway";
/** A family of addresses: IPv4 or IPv6. */
export type Family = 4 | 6;

/**
 * Counts what others say our address is. Each host counts once, by what it said last, whatever it is to us; what more than
 * half of them say holds. When none has that much, it stays what it was: one stranger, or two, don't change it back and
 * forth.
 */
export class ExternalAddress {
  /** By family: what each host says. */
  readonly #votes = {
    4: new LruMap<string, string>(MAX_ADDRESS_VOTERS),
    6: new LruMap<string, string>(MAX_ADDRESS_VOTERS),
  };
  readonly #current: Record<Family, string | null> = { 4: null, 6: null };
  readonly #listeners = new Set<(family: Family, address: string) => void>();

  /**
   * Takes a vote.
   *
   * @param source What the voter is to us. A gateway may have the address of a local network, nobody else: a peer next door
   * sees us from the wrong side.
   * @param voter Its host: a literal address, as in a URL or without brackets, or the name of a tracker. The nodes of the DHT agree among themselves first, and
   * count as one under a name.
   * @param address What it says; one that can't be seen from outside, or is none, does not count.
   */
  vote(source: AddressSource, voter: string, address: string): void {
    const says = canonicalHost(address);
    const from = canonicalHost(voter.replace(/^\[(.*)\]$/, "$1"));
    const named = (source === "tracker" || source === "dht") && parseIp(from) === null;
    if (!isPublic(says) || !(source === "gateway" || named || isPublic(from))) return;
    const family: Family = parseIp(says)!.length === 4 ? 4 : 6;
    this.#votes[family].set(from, says);
    this.#count(family, says);
  }

  /**
   * Our address.
   *
   * @param family Which kind.
   * @returns A literal address, or `null` while it is not known.
   */
  current(family: Family): string | null {
    return this.#current[family];
  }

  /**
   * Tells a listener whenever the address is another.
   *
   * @param listener Is called at once with the family and the new address.
   * @returns Ends the subscription.
   */
  onChange(listener: (family: Family, address: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #count(family: Family, candidate: string): void {
    // Only the address that was just named can have come to a majority.
    const votes = this.#votes[family];
    let count = 0;
    for (const says of votes.values()) if (says === candidate) count++;
    if (count * 2 <= votes.size || this.#current[family] === candidate) return;
    this.#current[family] = candidate;
    for (const listener of this.#listeners) listener(family, candidate);
  }
}
