/**
 * Who is served: tit-for-tat while downloading, turns while seeding (BEP 3, "choking"; the optimistic unchoke is there
 * too). Knows nothing of sockets.
 *
 * @module
 */

/** What the choker looks at. */
export interface ChokerPeer {
  /** It wants data from us. */
  readonly interested: boolean;
  /** We choke it. */
  readonly amChoking: boolean;
  /** It owes us an answer for too long. */
  readonly snubbed: boolean;
  /** When we last unchoked it, milliseconds; -Infinity for never. */
  readonly unchokedAt: number;
  /** When it connected, milliseconds. */
  readonly connectedAt: number;
  /** It holds an optimistic slot; set by the choker. */
  optimistic: boolean;
}

/** Peers that are served at the same time, the optimistic one left out. Each costs a read-ahead and a send buffer. */
export const UPLOAD_SLOTS = 8;
/** Milliseconds between two rounds (BEP 3). */
export const ROUND_MS = 10_000;
/** Milliseconds that an optimistic unchoke lasts (BEP 3). */
const OPTIMISTIC_MS = 30_000;
/** A peer that connected less than this many milliseconds ago is three times as likely to be tried (BEP 3). */
const NEW_MS = 60_000;
const NEW_WEIGHT = 3;
/** Milliseconds that a seed serves a peer before the next has its turn, if others wait. */
const TURN_MS = 30_000;

/** Decides, round by round, who is unchoked. */
export class Choker<P extends ChokerPeer> {
  readonly #random: () => number;
  #optimistic: P | null = null;
  #optimisticSince = -Infinity;

  /**
   * @param random Uniform in 0 to 1.
   */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * One round.
   *
   * @param peers Every connected peer.
   * @param options `now`: milliseconds. `seeding`: we have everything. `worth`: bytes that a peer sent us since the last
   * round; not asked for while seeding. `slots`: how many to serve.
   * @returns The peers to be served; all others are to be choked.
   */
  round(
    peers: readonly P[],
    options: {
      readonly now: number;
      readonly seeding: boolean;
      readonly worth: (peer: P) => number;
      readonly slots?: number;
    },
  ): Set<P> {
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
    // One that earned a regular slot leaves the optimistic one to somebody else.
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

/** Tit-for-tat: who sends us most is served first; who keeps us waiting last. */
function byWorth<P extends ChokerPeer>(peers: readonly P[], worth: (peer: P) => number): P[] {
  const worths = new Map(peers.map((peer) => [peer, peer.snubbed ? -1 : worth(peer)]));
  return [...peers].sort((a, b) => worths.get(b)! - worths.get(a)! || a.connectedAt - b.connectedAt);
}

/**
 * Turns: who is being served keeps the slot for a while, then those that wait come first, the longest since its last turn
 * before the others, and who has had its turn goes on only when a slot is left.
 */
function byTurn<P extends ChokerPeer>(peers: readonly P[], now: number): P[] {
  const rank = (peer: P) => peer.amChoking ? 1 : !peer.optimistic && now - peer.unchokedAt < TURN_MS ? 0 : 2;
  return [...peers].sort((a, b) =>
    rank(a) - rank(b) || compare(a.unchokedAt, b.unchokedAt) || a.connectedAt - b.connectedAt
  );
}

/** Unlike a difference, right for two infinities. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
