/**
 * Counts how many entries of the tracker's memory each network takes.
 *
 * @module
 */

/** Counts by network as returned by `networkOf()`: an IPv4 address, or the first 64 bits of an IPv6 address. */
export class AddressQuota {
  readonly #counts = new Map<string, number>();

  /** Number of networks with a count above 0. */
  get size(): number {
    return this.#counts.size;
  }

  /** Returns the count of a network. */
  of(network: string): number {
    return this.#counts.get(network) ?? 0;
  }

  /** Changes the count of a network by one. */
  add(network: string, change: 1 | -1): void {
    const count = this.of(network) + change;
    if (count === 0) this.#counts.delete(network);
    else this.#counts.set(network, count);
  }
}

/**
 * Returns `true` for loopback addresses, to which no limits apply: local users could take up memory in simpler ways.
 *
 * @param host A literal address in canonical form.
 */
export function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
