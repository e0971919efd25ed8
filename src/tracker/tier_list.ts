/**
 * Keeps the order in which trackers are tried (BEP 12).
 *
 * @module
 */

/** Maximum number of trackers. Real torrents have fewer; a longer list could use us to attack the hosts on it. */
const MAX_TRACKERS = 256;

/**
 * Tiers of trackers. An announce tries the trackers in {@linkcode TierList.order} until one works, which is then
 * promoted.
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
  /** The tiers in the order in which trackers are tried. */
  #tiers: string[][] = [];

  /**
   * @param tiers Tiers of the torrent. Of a URL that occurs twice, the first occurrence counts; URLs past 256 are left
   * out.
   * @param random Shuffles each tier: uniform from 0 (inclusive) to 1 (exclusive).
   */
  constructor(tiers: readonly (readonly string[])[], random: () => number) {
    this.#random = random;
    this.replace(tiers);
  }

  /** The tiers as they were given, without the URLs that were left out. */
  get tiers(): readonly (readonly string[])[] {
    return this.#given;
  }

  /**
   * Replaces the tiers. Trackers that stay keep their order, and come first in their tier.
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

  /** Returns all trackers in the order in which they are tried. */
  order(): string[] {
    return this.#tiers.flat();
  }

  /**
   * Moves a tracker that answered to the front of its tier.
   *
   * @param url Announce URL of the tracker.
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

/** Fisher-Yates shuffle, in place. */
function shuffle<T>(items: T[], random: () => number): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}
