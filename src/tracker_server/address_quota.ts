/**
 * How much of a tracker's memory each address takes.
 *
 * @module
 */

/** Counts by network, as `networkOf()` names it: an IPv4 address, or the first 64 bits of an IPv6 one. */
export class AddressQuota {
  readonly #counts = new Map<string, number>();

  /** How many networks there are. */
  get size(): number {
    return this.#counts.size;
  }

  /**
   * @param network Which.
   * @returns How many there are of it.
   */
  of(network: string): number {
    return this.#counts.get(network) ?? 0;
  }

  /**
   * @param network Which.
   * @param change 1 for one more, -1 for one less.
   */
  add(network: string, change: 1 | -1): void {
    const count = this.of(network) + change;
    if (count === 0) this.#counts.delete(network);
    else this.#counts.set(network, count);
  }
}

/**
 * Whether an address is this machine's own. No limit is for it: whoever is here could take all there is in simpler ways.
 *
 * @param host A literal address in its canonical form.
 * @returns Whether it is.
 */
export function isHere(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
