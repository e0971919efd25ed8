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
  readonly #random: () => number;
  #given: string[][] = [];
  /** In the order in which to try them. */
  #tiers: string[][] = [];

  /**
   * @param tiers As the torrent has them. A URL that comes twice counts where it comes first; what is past 256 is left
   * out.
   * @param random Shuffles each tier: uniform in 0 (included) to 1 (excluded).
   */
  constructor(tiers: readonly (readonly string[])[], random: () => number) {
    this.#random = random;
    this.replace(tiers);
  }

  /** The tiers as they were given, without what was left out. */
  get tiers(): readonly (readonly string[])[] {
    return this.#given;
  }

  /**
   * Takes other tiers. Trackers that were there before keep their order, and come first in their tier.
   *
   * @param tiers As for the constructor.
   */
  replace(tiers: readonly (readonly string[])[]): void {
    const ranks = new Map(this.order().map((url, rank) => [url, rank]));
    this.#given = withoutDuplicates(tiers);
    this.#tiers = this.#given.map((tier) => {
      const known = tier.filter((url) => ranks.has(url)).sort((a, b) => ranks.get(a)! - ranks.get(b)!);
      return [...known, ...shuffle(tier.filter((url) => !ranks.has(url)), this.#random)];
    });
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

function withoutDuplicates(tiers: readonly (readonly string[])[]): string[][] {
  const seen = new Set<string>();
  const kept = tiers.map((urls) => {
    const tier: string[] = [];
    for (const url of urls.map((url) => url.trim())) {
      if (url === "" || seen.has(url) || seen.size === MAX_TRACKERS) continue;
      seen.add(url);
      tier.push(url);
    }
    return tier;
  });
  return kept.filter(({ length }) => length > 0);
}

/** Fisher and Yates, in place. */
function shuffle<T>(items: T[], random: () => number): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}
