/**
 * What is known about each source of blocks: whether its data passed hash checks, and which failed pieces it took part
 * in.
 *
 * @module
 */

import { MAX_FAILURES_REMEMBERED, MAX_REMEMBERED_HOSTS } from "../../base/defences.ts";
import { LruMap } from "../../base/lru_map.ts";

/** Unresolved failed pieces that a source which has been right may have taken part in before it is on parole. */
const MOST_FAILURES = 1;
/** A source that took part in less than this share of another source's right pieces is suspected before that source. */
const LESS_KNOWN = 0.25;

/** Right pieces of a source before its blocks need not be checked one by one. */
const NEW_PIECES = 8;

/** What is known about a source. */
interface TrustRecord {
  /** Number of right pieces that the source took part in. */
  right: number;
  /** Wrong pieces that the source took part in and that haven't passed since. */
  readonly failed: Set<number>;
  /** Whether the source has owned a piece without sending a block of it. */
  stalled: boolean;
}

/**
 * Records of sources by name. The sources are networks of peers (see `networkOf`) and URLs of web seeds, so that a new
 * connection changes nothing.
 *
 * A source is proven once a piece that it took part in was right. It is suspect from when a piece that it took part in
 * is wrong until that piece passes and the fault wasn't the source's, or until a piece that the source sent alone is
 * right.
 */
export class PeerTrust {
  /** Called when a source has become proven or suspect. */
  changed: () => void = () => {};
  /** Suspected sources, by failed piece. */
  readonly #suspects = new Map<number, Iterable<string>>();
  readonly #known = new LruMap<string, TrustRecord>(MAX_REMEMBERED_HOSTS);

  /** Returns `true` if a source has sent right data and took part in no unresolved failure. */
  proven(source: string): boolean {
    const known = this.#known.peek(source);
    return known !== undefined && known.right > 0 && known.failed.size === 0;
  }

  /** Returns `true` if a source took part in a right piece, whatever failed besides. */
  hasBeenRight(source: string): boolean {
    return (this.#known.peek(source)?.right ?? 0) > 0;
  }

  /** Returns the number of unresolved failed pieces that a source took part in. */
  failures(source: string): number {
    return this.#known.peek(source)?.failed.size ?? 0;
  }

  /** Returns `true` if a source mustn't share pieces: it has several open failures, or one and no right piece. */
  onParole(source: string): boolean {
    const known = this.#known.peek(source);
    return known !== undefined && known.failed.size > (known.right > 0 ? MOST_FAILURES : 0);
  }

  /** Returns `true` if a source has taken part in few right pieces, or in a wrong one. */
  isNew(source: string): boolean {
    const known = this.#known.peek(source);
    return known === undefined || known.right < NEW_PIECES || known.failed.size > 0;
  }

  /** Returns `true` if a source has owned a piece without sending a block, and taken part in no right piece. */
  stalled(source: string): boolean {
    const known = this.#known.peek(source);
    return known !== undefined && known.stalled && known.right === 0;
  }

  /** Notes that a source owned a piece and sent no block of it. */
  hasStalled(source: string): void {
    this.#of(source).stalled = true;
  }

  /**
   * Records a right piece.
   *
   * @param sources The sources that took part in the piece.
   */
  passed(index: number, sources: ReadonlySet<string>): void {
    let changes = 0;
    for (const source of sources) {
      const known = this.#of(source);
      if (known.right++ === 0) changes++;
      // A right piece from this source alone outweighs the failures that it took part in with others.
      if (sources.size > 1 || known.failed.size === 0) continue;
      known.failed.clear();
      changes++;
    }
    for (const source of this.#suspects.get(index) ?? []) if (this.#known.peek(source)?.failed.delete(index)) changes++;
    this.#suspects.delete(index);
    if (changes > 0) this.changed();
  }

  /**
   * Records a wrong piece.
   *
   * @param sources The suspected sources.
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
   * Returns the sources of a wrong piece that are suspected first: those that aren't proven or have far fewer right
   * pieces than another source. Returns all sources if that leaves none.
   *
   * @param sources The sources that took part in the piece.
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
