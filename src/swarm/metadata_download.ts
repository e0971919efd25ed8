/**
 * Gets the info dictionary of a torrent from several peers at the same time (BEP 9). Decides only: who is asked for which part,
 * and whom to believe.
 *
 * Nobody knows how large it is but the peers, and any of them may lie, about the size and about every part. Peers that name the
 * same size work on one attempt; attempts for different sizes go on side by side. When the parts of an attempt don't have the
 * right hash together, nobody can tell whose was wrong: from then on one peer after the other has to deliver all of it alone,
 * and is a liar when that is wrong.
 *
 * @module
 */

import { type Bytes, concatBytes } from "../base/bytes.ts";
import { MAX_METADATA_ATTEMPTS, METADATA_PART_MS, METADATA_REFUSAL_MS } from "../base/limits.ts";
import { METADATA_PART, metadataPartLength } from "../peer/mod.ts";

/** Parts that one peer is asked for at the same time. Some clients drop more. */
const PARTS_PER_PEER = 4;

/** A peer of which {@linkcode MetadataDownload} knows nothing but where it is. */
export interface MetadataPeer {
  readonly address: { readonly host: string };
}

/** What came of a part. */
export type MetadataProgress<P> =
  | { readonly kind: "more" }
  /** It was not asked for, or has a size that can't be. */
  | { readonly kind: "unwanted" }
  | { readonly kind: "done"; readonly info: Bytes }
  | { readonly kind: "lie"; readonly liar: P };

/** What is known of a peer. */
interface Helper<P> {
  readonly peer: P;
  size: number;
  /** Parts that it was asked for, and when each is given up. */
  readonly asked: Map<number, number>;
  /** Not to be asked before. */
  notBefore: number;
  /** Times that it kept us waiting. */
  late: number;
}

/** One try at a dictionary of a certain size. */
interface Attempt<P> {
  readonly size: number;
  /** Parts as they came, and who sent each. */
  readonly parts: Map<number, { readonly data: Uint8Array; readonly from: P }>;
  /** Times that somebody kept us waiting, turned us down or lied: others have their turn before it. */
  setbacks: number;
  /** The hash was wrong once: only one peer at a time is believed. */
  distrust: boolean;
  /** Who has to deliver all of it alone, in distrust. */
  alone: P | null;
}

/** The download of one info dictionary. */
export class MetadataDownload<P extends MetadataPeer> {
  readonly #isRight: (info: Bytes) => boolean;
  readonly #helpers = new Map<P, Helper<P>>();
  readonly #attempts = new Map<number, Attempt<P>>();

  /**
   * @param isRight Whether a dictionary has the hash that it must have.
   */
  constructor(isRight: (info: Bytes) => boolean) {
    this.#isRight = isRight;
  }

  /** Part of the dictionary that is here, 0 to 1, of the attempt that is furthest. */
  get progress(): number {
    let best = 0;
    for (const { parts, size } of this.#attempts.values()) best = Math.max(best, parts.size * METADATA_PART / size);
    return Math.min(1, best);
  }

  /**
   * A peer has the dictionary, and says how large it is.
   *
   * @param peer Which.
   * @param size Bytes, 1 to {@linkcode MAX_METADATA}.
   */
  offered(peer: P, size: number): void {
    const helper = this.#helpers.get(peer);
    if (helper?.size === size) return;
    if (helper) this.left(peer);
    this.#helpers.set(peer, { peer, size, asked: new Map(), notBefore: -Infinity, late: 0 });
    if (!this.#attempts.has(size)) {
      this.#attempts.set(size, { size, parts: new Map(), setbacks: 0, distrust: false, alone: null });
    }
  }

  /** A peer is gone. */
  left(peer: P): void {
    const helper = this.#helpers.get(peer);
    if (!helper) return;
    this.#helpers.delete(peer);
    const attempt = this.#attempts.get(helper.size)!;
    if (attempt.alone === peer) this.#restart(attempt);
    if (![...this.#helpers.values()].some(({ size }) => size === helper.size)) this.#attempts.delete(helper.size);
  }

  /**
   * What a peer should be asked for now; it counts as asked.
   *
   * @param peer Which.
   * @param now Milliseconds.
   * @returns Parts, from 0; none when it has enough to do, or isn't trusted with any.
   */
  ask(peer: P, now: number): number[] {
    const helper = this.#helpers.get(peer);
    if (!helper) return [];
    this.#giveUp(helper, now);
    const attempt = this.#attempts.get(helper.size)!;
    if (helper.notBefore > now || !this.#mayWork(attempt) || !this.#mayHelp(helper, attempt, now)) return [];
    const parts: number[] = [];
    const count = Math.ceil(attempt.size / METADATA_PART);
    for (let part = 0; part < count && helper.asked.size < PARTS_PER_PEER; part++) {
      if (attempt.parts.has(part) || this.#isAsked(part, attempt, now)) continue;
      helper.asked.set(part, now + METADATA_PART_MS);
      parts.push(part);
    }
    return parts;
  }

  /**
   * A part came.
   *
   * @param peer From whom.
   * @param part Which, from 0.
   * @param options `data`: its bytes; copied. `totalSize`: bytes of the dictionary, if the peer said so again.
   */
  received(
    peer: P,
    part: number,
    { data, totalSize }: { readonly data: Uint8Array; readonly totalSize: number | null },
  ): MetadataProgress<P> {
    const helper = this.#helpers.get(peer);
    if (!helper?.asked.delete(part)) return { kind: "unwanted" };
    const attempt = this.#attempts.get(helper.size)!;
    if (totalSize !== null && totalSize !== attempt.size) return { kind: "lie", liar: peer };
    if (data.length !== metadataPartLength(attempt.size, part)) return { kind: "lie", liar: peer };
    if (attempt.distrust && attempt.alone !== peer) return { kind: "unwanted" };
    if (attempt.parts.has(part)) return { kind: "more" };
    attempt.parts.set(part, { data: data.slice(), from: peer });
    const count = Math.ceil(attempt.size / METADATA_PART);
    if (attempt.parts.size < count) return { kind: "more" };
    const info = concatBytes(Array.from({ length: count }, (_, i) => attempt.parts.get(i)!.data));
    if (this.#isRight(info)) {
      this.#attempts.clear();
      this.#helpers.clear();
      return { kind: "done", info };
    }
    const hosts = new Set([...attempt.parts.values()].map(({ from }) => from.address.host));
    attempt.setbacks++;
    this.#restart(attempt);
    attempt.distrust = true;
    return hosts.size === 1 ? { kind: "lie", liar: peer } : { kind: "more" };
  }

  /**
   * A peer doesn't give a part.
   *
   * @param peer Which.
   * @param part Which, from 0.
   * @param now Milliseconds.
   */
  rejected(peer: P, part: number, now: number): void {
    const helper = this.#helpers.get(peer);
    if (!helper?.asked.delete(part)) return;
    helper.notBefore = now + METADATA_REFUSAL_MS;
    this.#replace(helper);
  }

  /** What was asked for long ago can be asked of others, and the slow come last from now on. */
  #giveUp(helper: Helper<P>, now: number): void {
    let gaveUp = false;
    for (const [part, until] of helper.asked) {
      if (until > now) continue;
      helper.asked.delete(part);
      gaveUp = true;
    }
    if (!gaveUp) return;
    helper.late++;
    this.#replace(helper);
  }

  /** Who has to deliver all and doesn't is replaced. */
  #replace(helper: Helper<P>): void {
    const attempt = this.#attempts.get(helper.size)!;
    attempt.setbacks++;
    if (attempt.alone === helper.peer) this.#restart(attempt);
  }

  #restart(attempt: Attempt<P>): void {
    attempt.parts.clear();
    attempt.alone = null;
    for (const helper of this.#helpers.values()) if (helper.size === attempt.size) helper.asked.clear();
  }

  /**
   * The memory that sizes can claim is bounded. Those that were of no use come last, so that nobody keeps others out by naming
   * sizes and no more; then those come first that most addresses name.
   */
  #mayWork(attempt: Attempt<P>): boolean {
    if (this.#attempts.size <= MAX_METADATA_ATTEMPTS) return true;
    const hosts = new Map<number, Set<string>>();
    for (const { peer, size } of this.#helpers.values()) {
      hosts.set(size, (hosts.get(size) ?? new Set()).add(peer.address.host));
    }
    const order = [...this.#attempts.values()].sort((a, b) =>
      a.setbacks - b.setbacks || hosts.get(b.size)!.size - hosts.get(a.size)!.size
    );
    const chosen = order.indexOf(attempt) < MAX_METADATA_ATTEMPTS;
    if (!chosen && attempt.parts.size > 0) this.#restart(attempt);
    return chosen;
  }

  /** In distrust the quickest that isn't being waited for becomes the one. */
  #mayHelp(helper: Helper<P>, attempt: Attempt<P>, now: number): boolean {
    if (!attempt.distrust) return true;
    if (attempt.alone === null) {
      const others = [...this.#helpers.values()].filter(({ size, notBefore }) =>
        size === attempt.size && notBefore <= now
      );
      attempt.alone = others.sort((a, b) => a.late - b.late)[0]?.peer ?? null;
    }
    return attempt.alone === helper.peer;
  }

  #isAsked(part: number, attempt: Attempt<P>, now: number): boolean {
    for (const { asked, size } of this.#helpers.values()) {
      if (size === attempt.size && (asked.get(part) ?? -Infinity) > now) return true;
    }
    return false;
  }
}
