/**
 * Pieces that one source alone may send: those of whoever isn't proven yet, and those that have failed their hash, so that a
 * failure has one culprit.
 *
 * @module
 */

import {
  HOLD_MS,
  IDLE_HOLD_MS,
  MOST_OWNED,
  PROVEN_MS,
  SMALL_BLOCKS,
  TRIAL_BLOCKS,
  TRIAL_MS,
} from "../../base/defences.ts";
import type { Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { isQuiet } from "./request_timeouts.ts";
import type { SourceTrust } from "./source_trust.ts";

/** Milliseconds after which a piece that failed goes to somebody else when its owner, a proven one, sends nothing of it. */
const OWNER_MS = 20_000;
/** Somebody who has sent so many times as much as another one is preferred to it although its rank is worse by up to `MOST_DOUBT`. */
const MUCH_FASTER = 10;
/** The doubt about somebody who was right before, and had a part in several failures since. */
const MOST_DOUBT = 1.5;
/** The rank of the last resort. */
const LAST = 100;
/** Sources that wait for the verdict on their first blocks, past which those that have waited long enough are forgotten. */
const MANY_TRIALS = 256;

/** No pieces. */
const NONE: readonly PartialPiece[] = [];

const isProven = ({ proven }: Peer) => proven;

/** Somebody who may own a piece. */
export interface Owner {
  /** Number of the connection; below 0 for web seeds. */
  readonly number: number;
  /** What it is known by: see {@linkcode SourceTrust}. */
  readonly source: string;
  /** The connection, where it is one. */
  readonly peer?: Peer;
}

/** Who owns which piece, and who has had a turn. */
export class Parole {
  readonly #trust: SourceTrust;
  readonly #owned = new Set<PartialPiece>();
  /** When an owner got its piece, and who that is. */
  readonly #owners = new Map<PartialPiece, Owner & { readonly since: number }>();
  /** By piece that failed: who owned it and didn't finish it, and how often. */
  readonly #turns = new Map<number, Map<string, number>>();
  /** Until when a source waits for the verdict on the blocks that it was tried with. */
  readonly #trials = new Map<string, number>();

  /** @param trust What is known of whom. */
  constructor(trust: SourceTrust) {
    this.#trust = trust;
  }

  /** How many pieces have an owner. */
  get size(): number {
    return this.#owned.size;
  }

  /**
   * Makes somebody the owner of a new piece.
   *
   * @param piece One that nobody was asked for.
   * @param owner Who isn't proven.
   * @param now Milliseconds.
   */
  hold(piece: PartialPiece, owner: Owner, now: number): void {
    piece.owner = owner.number;
    this.#owned.add(piece);
    this.#owners.set(piece, { ...owner, since: now });
  }

  /**
   * Whether somebody who isn't proven may have one piece more of its own.
   *
   * @param peer Who.
   */
  mayHold(peer: Peer): boolean {
    let blocks = 0;
    let count = 0;
    for (const piece of this.#owned) {
      if (piece.owner !== peer.number) continue;
      count++;
      blocks += piece.blockCount;
    }
    if (this.#trust.failures(peer.network) > 0) return count === 0;
    return count < MOST_OWNED || blocks < SMALL_BLOCKS;
  }

  /**
   * Whether somebody may own a piece that failed: only who is proven, as long as such a one has the piece; and among equals
   * whoever had fewer turns.
   *
   * @param index Which piece.
   * @param who Who would send it.
   * @param options `peers`: every connected peer. `now`: milliseconds.
   */
  mayOwn(index: number, who: Owner, options: { readonly peers: Iterable<Peer>; readonly now: number }): boolean {
    return !this.#isBeaten(index, { ...who, rank: this.#rankOf(index, who, options.now) }, options);
  }

  /**
   * Makes somebody the owner of a piece that failed, if it may be.
   *
   * @param piece One of which nothing is here, without an owner.
   * @param who Who would send it.
   * @param options `peers`: every connected peer. `now`: milliseconds.
   * @returns Whether the piece is its own now.
   */
  take(piece: PartialPiece, who: Owner, options: { readonly peers: Iterable<Peer>; readonly now: number }): boolean {
    const ownerless = options.now - piece.touched > IDLE_HOLD_MS;
    if (!ownerless && !this.mayOwn(piece.index, who, options)) return false;
    this.hold(piece, who, options.now);
    return true;
  }

  /**
   * How many blocks more whoever isn't proven may be asked for of its own piece. It is tried with a few, once, while somebody
   * proven can send the rest, or its first piece isn't known to be right.
   *
   * @param piece One that it owns.
   * @param options `peers`: every connected peer. `now`: milliseconds.
   * @returns Blocks; Infinity when there is no such bound.
   */
  trial(piece: PartialPiece, options: { readonly peers: Iterable<Peer>; readonly now: number }): number {
    if (piece.failed || piece.tried || piece.blockCount <= 2 * TRIAL_BLOCKS) return Infinity;
    const { now } = options;
    const asked = piece.blockCount - piece.free;
    if (asked > TRIAL_BLOCKS || this.#trials.has(this.#owners.get(piece)!.source)) return Infinity;
    if (this.#isFirst(piece) && !wouldAnySend(piece.index, { ...options, isOfKind: isProven })) return Infinity;
    // It has sent them all, and the rest doesn't come.
    if (piece.received === TRIAL_BLOCKS && now - piece.touched >= TRIAL_MS) {
      piece.tried = true;
      return Infinity;
    }
    return TRIAL_BLOCKS - asked;
  }

  /** Whether its owner has no other since before. */
  #isFirst(piece: PartialPiece): boolean {
    for (const other of this.#owned) if (other.owner === piece.owner) return other === piece;
    return false;
  }

  /** Pieces of which those who aren't proven have sent as much as they are tried with: the proven are to send the rest. */
  tried(): readonly PartialPiece[] {
    return this.#owned.size === 0 ? NONE : [...this.#owned].filter(isTried);
  }

  /** The rest of a piece comes from the proven now: whoever owned it, and was tried with it, waits for what that shows. */
  judge(piece: PartialPiece, now: number): void {
    if (!isTried(piece)) return;
    if (this.#trials.size >= MANY_TRIALS) {
      for (const [source, until] of this.#trials) if (until + TRIAL_MS <= now) this.#trials.delete(source);
    }
    this.#trials.set(this.#owners.get(piece)!.source, now + TRIAL_MS);
  }

  /** Whether somebody who isn't proven waits for what its first blocks will show. */
  awaits(source: string, now: number): boolean {
    const until = this.#trials.get(source);
    if (until === undefined) return false;
    // What failed is soon repaired, and then it is known whose fault it was.
    return now < (this.#trust.failures(source) > 0 ? until + TRIAL_MS : until);
  }

  /** Pieces that a peer owns. */
  of(peer: Peer): PartialPiece[] {
    if (this.#owned.size === 0) return [];
    return [...this.#owned].filter((piece) => piece.owner === peer.number);
  }

  /**
   * Pieces that somebody who has nothing else to do may send a part of, although they are another one's.
   *
   * @param peer Who.
   * @param now Milliseconds.
   */
  joinable(peer: Peer, now: number): PartialPiece[] {
    if (this.#owned.size === 0 || peer.onParole) return [];
    return [...this.#owned].filter((piece) =>
      !piece.failed && piece.owner !== peer.number && (peer.proven || now - piece.startedAt >= IDLE_HOLD_MS)
    );
  }

  /**
   * Pieces that were one's own for long enough: others may send a part of them.
   *
   * @param now Milliseconds.
   * @returns Those pieces, without the ones of peers on parole: such a piece is joined only by peers that have nothing else to do.
   */
  open(now: number): PartialPiece[] {
    const due = [...this.#owned].filter((piece) => {
      const { source, since } = this.#owners.get(piece)!;
      return !piece.failed && now - since >= HOLD_MS && !this.#trust.onParole(source);
    });
    for (const piece of due) {
      if (piece.received === 0) this.#trust.hasStalled(this.#owners.get(piece)!.source);
    }
    return due;
  }

  /** A piece is no longer one's own. */
  share(piece: PartialPiece): void {
    piece.owner = null;
    this.#owned.delete(piece);
    this.#owners.delete(piece);
  }

  /**
   * Pieces that failed and whose owners take too long, as far as somebody else would be better.
   *
   * @param options `peers`: every connected peer. `now`: milliseconds.
   */
  late(options: { readonly peers: () => Iterable<Peer>; readonly now: number }): PartialPiece[] {
    const { now } = options;
    return [...this.#owned].filter((piece) => {
      if (!piece.failed) return false;
      const { source, since, peer } = this.#owners.get(piece)!;
      const turns = this.#turns.get(piece.index)?.get(source) ?? 0;
      const idle = now - piece.touched;
      const quiet = peer === undefined ? idle > HOLD_MS : isQuiet(peer, now);
      if (this.#trust.proven(source)) {
        if (idle > OWNER_MS) return true;
        if ((!quiet || idle < HOLD_MS) && now - since < OWNER_MS * 2 ** turns) return false;
      } else if (now - since < HOLD_MS * 2 ** turns) {
        // Each turn is longer than the last, so that somebody slow comes to its end some time.
        return false;
      }
      const rank = this.#trust.proven(source) ? LAST : (quiet ? LAST : 2) + turns + 1;
      return this.#isBeaten(piece.index, { number: piece.owner!, source, rank }, { peers: options.peers(), now });
    });
  }

  /** A piece is no longer in the works: complete, or to be started anew by somebody else. */
  release(piece: PartialPiece, options: { readonly complete: boolean }): void {
    const owner = this.#owners.get(piece);
    this.#owned.delete(piece);
    this.#owners.delete(piece);
    if (options.complete) return void this.#turns.delete(piece.index);
    if (!owner || !piece.failed) return;
    const turns = this.#turns.get(piece.index) ?? new Map<string, number>();
    turns.set(owner.source, (turns.get(owner.source) ?? 0) + 1);
    this.#turns.set(piece.index, turns);
  }

  /** The lower the better: proven, right before, not known, quiet; each turn at the piece that came to nothing counts. */
  #rankOf(index: number, who: Owner, now: number): number {
    const turns = this.#turns.get(index)?.get(who.source) ?? 0;
    const { peer } = who;
    if ((peer && isQuiet(peer, now)) || this.#trust.stalled(who.source)) return LAST + turns;
    if (this.#trust.proven(who.source)) return turns;
    const known = this.#trust.hasBeenRight(who.source) ? 1 : 2;
    return known + (this.#trust.failures(who.source) > 1 ? 0.5 : 0) + turns;
  }

  /** Whether another peer is better that has a piece, would send it, and isn't busy with one that failed. */
  #isBeaten(
    index: number,
    who: Owner & { readonly rank: number },
    { peers, now }: { readonly peers: Iterable<Peer>; readonly now: number },
  ): boolean {
    for (const peer of peers) {
      if (peer.closed || peer.snubbed || peer.number === who.number || !peer.amInterested) continue;
      if (!peer.pieces.has(index) || !peer.wouldSend(index) || !(peer.proven || this.mayHold(peer))) continue;
      const rank = this.#rankOf(index, { number: peer.number, source: peer.network, peer }, now);
      if (beats({ peer, rank }, who, now)) return true;
    }
    return false;
  }
}

/**
 * Whether a peer is to own a piece rather than another one. Whoever drips isn't to hold up a piece that somebody else, be it under
 * some doubt, would send in a moment.
 */
function beats(
  a: { readonly peer: Peer; readonly rank: number },
  b: { readonly peer?: Peer; readonly rank: number },
  now: number,
): boolean {
  const isClose = b.peer !== undefined && Math.abs(a.rank - b.rank) <= MOST_DOUBT;
  if (isClose && isMuchFaster(a.peer, b.peer!, now)) return true;
  return a.rank < b.rank && !(isClose && isMuchFaster(b.peer!, a.peer, now));
}

/** Whether a peer has sent much more than another one, for the time that each is here. */
function isMuchFaster(peer: Peer, other: Peer, now: number): boolean {
  const rateOf = ({ down, connectedAt }: Peer) => down.total / Math.max(1, now - connectedAt);
  return other.down.total > 0 && rateOf(peer) > MUCH_FASTER * rateOf(other);
}

/** Whether its owner was asked for as much of a piece as somebody is tried with, and has sent it. */
function isTried({ failed, blockCount, received, free }: PartialPiece): boolean {
  return !failed && blockCount > 2 * TRIAL_BLOCKS && received === TRIAL_BLOCKS && free === blockCount - TRIAL_BLOCKS;
}

/**
 * A peer as somebody who may own pieces.
 *
 * @param peer Who.
 */
export function ownerOf(peer: Peer): Owner {
  return { number: peer.number, source: peer.network, peer };
}

/**
 * Whether somebody of a kind would send a piece, who hasn't gone quiet.
 *
 * @param index Which piece.
 * @param options `peers`: every connected peer. `now`: milliseconds. `isOfKind`: who counts.
 */
export function wouldAnySend(
  index: number,
  options: { readonly peers: Iterable<Peer>; readonly now: number; readonly isOfKind: (peer: Peer) => boolean },
): boolean {
  const { now, isOfKind } = options;
  for (const peer of options.peers) {
    if (!isOfKind(peer) || peer.closed || peer.snubbed || !peer.pieces.has(index) || !peer.wouldSend(index)) continue;
    const isSilent = peer.requests.size === 0 ? peer.quiet : !peer.held && now - peer.lastBlock >= PROVEN_MS;
    if (!isSilent) return true;
  }
  return false;
}
