/**
 * Pieces that are requested from one source only, their owner: the first pieces of a source that isn't proven, and
 * pieces that failed their hash check. A further failure then identifies the source of the wrong data (parole mode).
 *
 * @module
 */

import {
  HOLD_MS,
  IDLE_HOLD_MS,
  MAX_EXCLUSIVE_PIECES,
  PROVEN_MS,
  SMALL_BLOCKS,
  TRIAL_BLOCKS,
  TRIAL_MS,
} from "../../base/defences.ts";
import type { Peer } from "../../peer/mod.ts";
import type { PartialPiece } from "./partial_piece.ts";
import { isQuiet } from "./request_timeouts.ts";
import type { PeerTrust } from "./peer_trust.ts";

/** A failed piece is taken from a proven owner that has sent no block of it for this many milliseconds. */
const OWNER_MS = 20_000;
/** A peer is preferred to one this many times slower although its rank is worse by up to {@linkcode MOST_DOUBT}. */
const MUCH_FASTER = 10;
/** Rank difference that speed can outweigh: that of a source that was right before and failed several times since. */
const MOST_DOUBT = 1.5;
/** Rank of a source that is used only as a last resort. */
const LAST = 100;
/** At this many waiting sources, those that have waited long enough for the verdict on their blocks are forgotten. */
const MANY_TRIALS = 256;

const NONE: readonly PartialPiece[] = [];

const isProven = ({ proven }: Peer) => proven;

/** A source that may own a piece. */
export interface Owner {
  /** Number of the connection; negative for web seeds. */
  readonly number: number;
  /** Name of the source in {@linkcode PeerTrust}. */
  readonly source: string;
  /** The connection; absent for web seeds. */
  readonly peer?: Peer;
}

/** The connected peers at a moment. */
export interface ConnectedPeers {
  /** Every connected peer. */
  readonly peers: Iterable<Peer>;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** Options for {@linkcode Parole.overduePieces}. */
export interface LatePiecesOptions {
  /** Returns every connected peer. */
  readonly peers: () => Iterable<Peer>;
  /** Current time in milliseconds. */
  readonly now: number;
}

/** Keeps track of which source owns which piece, and which sources have had a turn at a failed piece. */
export class Parole {
  readonly #trust: PeerTrust;
  readonly #owned = new Set<PartialPiece>();
  /** The owner of each piece, and when it got the piece in milliseconds. */
  readonly #owners = new Map<PartialPiece, Owner & { readonly since: number }>();
  /** For each failed piece, how many times each source owned the piece without finishing it. */
  readonly #turns = new Map<number, Map<string, number>>();
  /** Until when each source waits for the verdict on its first blocks, in milliseconds. */
  readonly #trials = new Map<string, number>();

  /** @param trust What is known about each source. */
  constructor(trust: PeerTrust) {
    this.#trust = trust;
  }

  /** Number of pieces that have an owner. */
  get size(): number {
    return this.#owned.size;
  }

  /**
   * Makes an unproven source the owner of a new piece.
   *
   * @param piece A piece of which no block has been requested.
   * @param owner The source.
   * @param now Current time in milliseconds.
   */
  hold(piece: PartialPiece, owner: Owner, now: number): void {
    piece.owner = owner.number;
    this.#owned.add(piece);
    this.#owners.set(piece, { ...owner, since: now });
  }

  /** Returns `true` if an unproven peer may own one more piece. */
  mayOwnNewPiece(peer: Peer): boolean {
    let blocks = 0;
    let count = 0;
    for (const piece of this.#owned) {
      if (piece.owner !== peer.number) continue;
      count++;
      blocks += piece.blockCount;
    }
    if (this.#trust.failures(peer.network) > 0) return count === 0;
    return count < MAX_EXCLUSIVE_PIECES || blocks < SMALL_BLOCKS;
  }

  /**
   * Returns `true` if a source may own a failed piece, which is the case if no connected peer would be a better owner.
   * While a proven peer has the piece, only proven sources may own it. Among equal sources the one that had fewer turns
   * is better.
   */
  mayOwn(index: number, who: Owner, options: ConnectedPeers): boolean {
    return !this.#isBeaten(index, { ...who, rank: this.#rankOf(index, who, options.now) }, options);
  }

  /**
   * Makes a source the owner of a failed piece if {@linkcode Parole.mayOwn} allows it, or if the piece has had no block
   * for a second.
   *
   * @param piece A failed piece without an owner and without blocks.
   * @returns `true` if the source owns the piece now.
   */
  take(piece: PartialPiece, who: Owner, options: ConnectedPeers): boolean {
    const ownerless = options.now - piece.lastBlockAt > IDLE_HOLD_MS;
    if (!ownerless && !this.mayOwn(piece.index, who, options)) return false;
    this.hold(piece, who, options.now);
    return true;
  }

  /**
   * Returns how many more blocks of its piece an unproven owner may be asked for; `Infinity` without a bound. It is
   * tried once with a few blocks, while a proven peer can send the rest of the piece or the owner's earlier piece
   * hasn't been checked.
   *
   * @param piece A piece that the source owns.
   */
  trial(piece: PartialPiece, options: ConnectedPeers): number {
    if (piece.failed || piece.trialOver || piece.blockCount <= 2 * TRIAL_BLOCKS) return Infinity;
    const { now } = options;
    const asked = piece.blockCount - piece.free;
    if (asked > TRIAL_BLOCKS || this.#trials.has(this.#owners.get(piece)!.source)) return Infinity;
    if (this.#isFirst(piece) && !wouldAnySend(piece.index, { ...options, isOfKind: isProven })) return Infinity;
    // The owner has sent its trial blocks, and no proven peer sends the rest.
    if (piece.received === TRIAL_BLOCKS && now - piece.lastBlockAt >= TRIAL_MS) {
      piece.trialOver = true;
      return Infinity;
    }
    return TRIAL_BLOCKS - asked;
  }

  /** Returns `true` if the piece is the oldest one of its owner. */
  #isFirst(piece: PartialPiece): boolean {
    for (const other of this.#owned) if (other.owner === piece.owner) return other === piece;
    return false;
  }

  /** Pieces of which an unproven owner has sent its trial blocks. Proven peers should send the rest. */
  tried(): readonly PartialPiece[] {
    return this.#owned.size === 0 ? NONE : [...this.#owned].filter(isTried);
  }

  /** Starts the owner's wait for the verdict on its trial blocks, when a proven peer begins to send the rest. */
  judge(piece: PartialPiece, now: number): void {
    if (!isTried(piece)) return;
    if (this.#trials.size >= MANY_TRIALS) {
      for (const [source, until] of this.#trials) if (until + TRIAL_MS <= now) this.#trials.delete(source);
    }
    this.#trials.set(this.#owners.get(piece)!.source, now + TRIAL_MS);
  }

  /** Returns `true` while an unproven source waits for the verdict on its trial blocks. */
  awaits(source: string, now: number): boolean {
    const until = this.#trials.get(source);
    if (until === undefined) return false;
    // A failed piece is soon repaired, which shows which source sent the wrong data.
    return now < (this.#trust.failures(source) > 0 ? until + TRIAL_MS : until);
  }

  /** Pieces that a peer owns. */
  of(peer: Peer): PartialPiece[] {
    if (this.#owned.size === 0) return [];
    return [...this.#owned].filter((piece) => piece.owner === peer.number);
  }

  /**
   * Pieces of other owners that an idle peer may send blocks of.
   *
   * @param peer The idle peer.
   * @param now Current time in milliseconds.
   */
  joinable(peer: Peer, now: number): PartialPiece[] {
    if (this.#owned.size === 0 || peer.onParole) return [];
    return [...this.#owned].filter((piece) =>
      !piece.failed && piece.owner !== peer.number && (peer.proven || now - piece.startedAt >= IDLE_HOLD_MS)
    );
  }

  /**
   * Returns the pieces whose owners have had them for long enough, so that other peers may send blocks of them. Pieces
   * of sources on parole aren't among them: such a piece is joined only by idle peers. An owner that has sent nothing
   * is noted as stalled.
   *
   * @param now Current time in milliseconds.
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

  /** Ends the ownership of a piece, so that any peer may send its blocks. */
  share(piece: PartialPiece): void {
    piece.owner = null;
    this.#owned.delete(piece);
    this.#owners.delete(piece);
  }

  /** Failed pieces whose owners take too long and for which there is a better owner. */
  overduePieces(options: LatePiecesOptions): PartialPiece[] {
    const { now } = options;
    return [...this.#owned].filter((piece) => {
      if (!piece.failed) return false;
      const { source, since, peer } = this.#owners.get(piece)!;
      const turns = this.#turns.get(piece.index)?.get(source) ?? 0;
      const idle = now - piece.lastBlockAt;
      const quiet = peer === undefined ? idle > HOLD_MS : isQuiet(peer, now);
      if (this.#trust.proven(source)) {
        if (idle > OWNER_MS) return true;
        if ((!quiet || idle < HOLD_MS) && now - since < OWNER_MS * 2 ** turns) return false;
      } else if (now - since < HOLD_MS * 2 ** turns) {
        // Each turn is longer than the last, so that a slow source finishes the piece in the end.
        return false;
      }
      const rank = this.#trust.proven(source) ? LAST : (quiet ? LAST : 2) + turns + 1;
      return this.#isBeaten(piece.index, { number: piece.owner!, source, rank }, { peers: options.peers(), now });
    });
  }

  /** Removes a piece that is complete, or that is to be started again with another source. */
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

  /** Rank of a source, lower is better: proven, right before, unknown, quiet. An unfinished turn adds 1. */
  #rankOf(index: number, who: Owner, now: number): number {
    const turns = this.#turns.get(index)?.get(who.source) ?? 0;
    const { peer } = who;
    if ((peer && isQuiet(peer, now)) || this.#trust.stalled(who.source)) return LAST + turns;
    if (this.#trust.proven(who.source)) return turns;
    const known = this.#trust.hasBeenRight(who.source) ? 1 : 2;
    return known + (this.#trust.failures(who.source) > 1 ? 0.5 : 0) + turns;
  }

  /** Returns `true` if a connected peer that would send the piece, and may own one, is better than a source. */
  #isBeaten(
    index: number,
    who: Owner & { readonly rank: number },
    { peers, now }: ConnectedPeers,
  ): boolean {
    for (const peer of peers) {
      if (peer.closed || peer.snubbed || peer.number === who.number || !peer.amInterested) continue;
      if (!peer.pieces.has(index) || !peer.wouldSend(index) || !(peer.proven || this.mayOwnNewPiece(peer))) continue;
      const rank = this.#rankOf(index, { number: peer.number, source: peer.network, peer }, now);
      if (beats({ peer, rank }, who, now)) return true;
    }
    return false;
  }
}

/**
 * Returns `true` if peer `a` should own a piece rather than source `b`. A very slow peer mustn't hold up a piece that a
 * much faster one would send in a moment, even if there is some doubt about the faster one.
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

/** Returns `true` if a peer has sent much more than another one for the time that each has been connected. */
function isMuchFaster(peer: Peer, other: Peer, now: number): boolean {
  const rateOf = ({ down, connectedAt }: Peer) => down.total / Math.max(1, now - connectedAt);
  return other.down.total > 0 && rateOf(peer) > MUCH_FASTER * rateOf(other);
}

/** Returns `true` if the owner was asked for exactly the trial blocks of a piece and has sent all of them. */
function isTried({ failed, blockCount, received, free }: PartialPiece): boolean {
  return !failed && blockCount > 2 * TRIAL_BLOCKS && received === TRIAL_BLOCKS && free === blockCount - TRIAL_BLOCKS;
}

/** Returns a peer as a possible owner of pieces. */
export function ownerOf(peer: Peer): Owner {
  return { number: peer.number, source: peer.network, peer };
}

/** Options for {@linkcode wouldAnySend}. */
export interface WouldAnySendOptions extends ConnectedPeers {
  /** Returns `true` if a peer counts. */
  readonly isOfKind: (peer: Peer) => boolean;
}

/** Returns `true` if a peer of a kind that hasn't gone quiet would send a piece. */
export function wouldAnySend(index: number, options: WouldAnySendOptions): boolean {
  const { now, isOfKind } = options;
  for (const peer of options.peers) {
    if (!isOfKind(peer) || peer.closed || peer.snubbed || !peer.pieces.has(index) || !peer.wouldSend(index)) continue;
    const isSilent = peer.requests.size === 0 ? peer.quiet : !peer.readPaused && now - peer.lastBlock >= PROVEN_MS;
    if (!isSilent) return true;
  }
  return false;
}
