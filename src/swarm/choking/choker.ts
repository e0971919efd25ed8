/**
 * Chooses the peers to unchoke: by tit-for-tat while downloading, by turns while seeding, and one more as the
 * optimistic unchoke (BEP 3, "choking").
 *
 * @module
 */

/** The state of a peer that the choker uses. */
export interface ChokerPeer {
  /** Whether the peer is interested in our pieces. */
  readonly interested: boolean;
  /** Whether we choke the peer. */
  readonly amChoking: boolean;
  /** Whether the peer hasn't answered our requests for too long. */
  readonly snubbed: boolean;
  /** When we last unchoked the peer, in milliseconds; `-Infinity` if never. */
  readonly unchokedAt: number;
  /** When the peer connected, in milliseconds. */
  readonly connectedAt: number;
  /** Whether the peer holds the optimistic slot; set by the choker. */
  optimistic: boolean;
}

/** Peers that are unchoked at the same time, without the optimistic one. Each takes memory for reads and sends. */
export const UPLOAD_SLOTS = 8;
/** Milliseconds between two rounds (BEP 3). */
export const ROUND_MS = 10_000;
/** Milliseconds that an optimistic unchoke lasts (BEP 3). */
const OPTIMISTIC_MS = 30_000;
/** A peer that connected less than this many milliseconds ago counts as new. */
const NEW_MS = 60_000;
/** A new peer is this many times as likely to be unchoked optimistically (BEP 3). */
const NEW_WEIGHT = 3;
/** Milliseconds for which a seed serves a peer before a waiting peer gets the slot. */
const TURN_MS = 30_000;

/** Options for {@linkcode Choker.round}. */
export interface RoundOptions<P> {
  /** Current time in milliseconds. */
  readonly now: number;
  /** Whether we have every piece. */
  readonly seeding: boolean;
  /** Returns the bytes that a peer has sent us since the last round. Isn't called while seeding. */
  readonly worth: (peer: P) => number;
  /** Peers to unchoke, without the optimistic one; {@linkcode UPLOAD_SLOTS} when absent. */
  readonly slots?: number;
}

/** Chooses the peers to unchoke, round by round. */
export class Choker<P extends ChokerPeer> {
  readonly #random: () => number;
  #optimistic: P | null = null;
  #optimisticSince = -Infinity;

  /** @param random Returns a number from 0 to 1, uniformly distributed. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * Holds a round.
   *
   * @param peers Every connected peer.
   * @returns The peers to unchoke. All other peers should be choked.
   */
  round(peers: readonly P[], options: RoundOptions<P>): Set<P> {
    const { now, seeding, slots = UPLOAD_SLOTS } = options;
    const waiting = peers.filter((peer) => peer.interested);
    const ranked = seeding ? byTurn(waiting, now) : byWorth(waiting, options.worth);
    const served = new Set(ranked.slice(0, slots));
    const optimistic = this.#chooseOptimistic(ranked.slice(slots), peers, now);
    if (optimistic) served.add(optimistic);
    return served;
  }

  #chooseOptimistic(rest: readonly P[], peers: readonly P[], now: number): P | null {
    const current = this.#optimistic;
    const stays = current !== null && now - this.#optimisticSince < OPTIMISTIC_MS && peers.includes(current) &&
      current.interested;
    // A peer that has earned a regular slot leaves the optimistic slot to another peer.
    if (stays && rest.includes(current)) return current;
    if (current) current.optimistic = false;
    this.#optimistic = null;
    const weights = rest.map((peer) => now - peer.connectedAt < NEW_MS ? NEW_WEIGHT : 1);
    let draw = this.#random() * weights.reduce((sum, weight) => sum + weight, 0);
    const chosen = rest.find((_, i) => (draw -= weights[i]!) < 0) ?? null;
    if (chosen) {
      chosen.optimistic = true;
      this.#optimistic = chosen;
      this.#optimisticSince = now;
    }
    return chosen;
  }
}

/** Tit-for-tat: the peers that send us most come first, and snubbed peers last. */
function byWorth<P extends ChokerPeer>(peers: readonly P[], worth: (peer: P) => number): P[] {
  const worths = new Map(peers.map((peer) => [peer, peer.snubbed ? -1 : worth(peer)]));
  return [...peers].sort((a, b) => worths.get(b)! - worths.get(a)! || a.connectedAt - b.connectedAt);
}

/**
 * Turns: an unchoked peer keeps its slot for a while. The choked peers come next, the one first that has been choked
 * for longest. A peer whose turn is over goes on only if a slot is left.
 */
function byTurn<P extends ChokerPeer>(peers: readonly P[], now: number): P[] {
  const rank = (peer: P) => peer.amChoking ? 1 : !peer.optimistic && now - peer.unchokedAt < TURN_MS ? 0 : 2;
  return [...peers].sort((a, b) =>
    rank(a) - rank(b) || compare(a.unchokedAt, b.unchokedAt) || a.connectedAt - b.connectedAt
  );
}

/** Compares two numbers, which a difference can't do for two infinities. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
