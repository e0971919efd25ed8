/**
 * What each source of blocks has shown of itself: whether its data was right, and what it had a part in that was wrong.
 *
 * @module
 */

import { MAX_FAILURES_REMEMBERED, MAX_REMEMBERED_HOSTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";

/** Failed pieces that nobody has been blamed for, past which whoever had a part in them isn't mixed with others at all. */
const MOST_FAILURES = 1;
/** Whoever had a part in fewer than this share of the right pieces that another one had is suspected before that one. */
const LESS_KNOWN = 0.25;

/** What is remembered of a source. */
interface TrustRecord {
  /** Right pieces that it had a part in. */
  right: number;
  /** Pieces that it had a part in, that were wrong, and that haven't been right since. */
  readonly failed: Set<number>;
  /** Whether it has kept a piece to itself without sending anything. */
  stalled: boolean;
}

/**
 * Sources are networks of peers (see `networkOf`) and URLs of web seeds, so that a new connection changes nothing. A source is
 * proven once a piece was right that it had a part in, until a piece is wrong that it had a part in: then it is suspect, until
 * that piece is right and it wasn't its fault, or until a whole piece of its own is right.
 */
export class SourceTrust {
  /** Called when somebody has become proven or suspect. */
  changed: () => void = () => {};
  /** Who is suspected, by failed piece. */
  readonly #suspects = new Map<number, Iterable<string>>();
  readonly #known = new LruMap<string, TrustRecord>(MAX_REMEMBERED_HOSTS);

  /** Whether its data was right so far. */
  proven(source: string): boolean {
    const known = this.#known.peek(source);
    return known !== undefined && known.right > 0 && known.failed.size === 0;
  }

  /** Whether it had a part in a right piece, whatever was wrong besides. */
  hasBeenRight(source: string): boolean {
    return (this.#known.peek(source)?.right ?? 0) > 0;
  }

  /** Failed pieces that it had a part in and that nobody has been blamed for. */
  failures(source: string): number {
    return this.#known.peek(source)?.failed.size ?? 0;
  }

  /** Whether it must not be mixed with others: it had a part in several failed pieces, or in one and in none that was right. */
  onParole(source: string): boolean {
    const known = this.#known.peek(source);
    return known !== undefined && known.failed.size > (known.right > 0 ? MOST_FAILURES : 0);
  }

  /** Whether it has kept a piece to itself without sending anything, and not shown anything else since. */
  stalled(source: string): boolean {
    const known = this.#known.peek(source);
    return known !== undefined && known.stalled && known.right === 0;
  }

  /** It kept a piece to itself and sent nothing. */
  hasStalled(source: string): void {
    this.#of(source).stalled = true;
  }

  /**
   * A piece is right.
   *
   * @param index Which.
   * @param sources Who had a part in it.
   */
  passed(index: number, sources: ReadonlySet<string>): void {
    let changes = 0;
    for (const source of sources) {
      const known = this.#of(source);
      if (known.right++ === 0) changes++;
      // All of it was its own: that proves more than a part in something wrong casts doubt on.
      if (sources.size > 1 || known.failed.size === 0) continue;
      known.failed.clear();
      changes++;
    }
    for (const source of this.#suspects.get(index) ?? []) if (this.#known.peek(source)?.failed.delete(index)) changes++;
    this.#suspects.delete(index);
    if (changes > 0) this.changed();
  }

  /**
   * A piece is wrong.
   *
   * @param index Which.
   * @param sources Who is suspected.
   */
  failed(index: number, sources: ReadonlySet<string>): void {
    for (const source of sources) {
      const { failed } = this.#of(source);
      if (failed.size < MAX_FAILURES_REMEMBERED) failed.add(index);
    }
    this.#suspects.set(index, new Set([...this.#suspects.get(index) ?? [], ...sources]));
    this.changed();
  }

  /**
   * Those of several who had a part in a wrong piece that are suspected first.
   *
   * @param sources All of them.
   * @returns Those who aren't proven, or who are known for much less than another one; all when that tells nobody apart.
   */
  suspects(sources: ReadonlySet<string>): Set<string> {
    const right = (source: string) => this.proven(source) ? this.#known.peek(source)!.right : 0;
    const most = Math.max(...Array.from(sources, right));
    const doubtful = new Set([...sources].filter((source) => most > 0 && right(source) < LESS_KNOWN * most));
    return doubtful.size > 0 ? doubtful : new Set(sources);
  }

  #of(source: string): TrustRecord {
    let known = this.#known.peek(source);
    if (!known) this.#known.set(source, known = { right: 0, failed: new Set(), stalled: false });
    return known;
  }
}
