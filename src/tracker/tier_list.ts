/**
 * In which order trackers are asked (BEP 12).
 *
 * @module
 */

/** More trackers than any honest torrent has; a longer list would make us a tool against those who are on it. */
const MAX_TRACKERS = 256;

/**
 * Tiers of trackers. Each announce goes through {@linkcode TierList.order} until one works, which is then promoted.
 *
 * @example
 * ```ts
 * const tiers = new TierList([["http://a/", "http://b/"], ["http://backup/"]], Math.random);
 * tiers.promote("http://b/");
 * tiers.order(); // ["http://b/", "http://a/", "http://backup/"]
 * ```
 */
export class TierList {
  readonly #tiers: string[][] = [];

  /**
   * @param tiers As the torrent has them. A URL that comes twice counts where it comes first; what is past 256 is left
   * out.
   * @param random Shuffles each tier: uniform in 0 (included) to 1 (excluded).
   */
  constructor(tiers: readonly (readonly string[])[], random: () => number) {
    const seen = new Set<string>();
    for (const urls of tiers) {
      const tier: string[] = [];
      for (const url of urls.map((url) => url.trim())) {
        if (url === "" || seen.has(url) || seen.size === MAX_TRACKERS) continue;
        seen.add(url);
        tier.push(url);
      }
      if (tier.length > 0) this.#tiers.push(shuffle(tier, random));
    }
  }

  /** @returns Every tracker, in the order in which to try them. */
  order(): string[] {
    return this.#tiers.flat();
  }

  /**
   * Moves a tracker that answered to the front of its tier.
   *
   * @param url The tracker.
   */
  promote(url: string): void {
    for (const tier of this.#tiers) {
      const at = tier.indexOf(url);
      if (at > 0) tier.unshift(...tier.splice(at, 1));
    }
  }
}

/** Fisher and Yates, in place. */
function shuffle<T>(items: T[], random: () => number): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}
