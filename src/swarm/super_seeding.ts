/**
 * Super-seeding (BEP 16): a seed that is alone doesn't say what it has, but offers each peer other pieces, so that every
 * piece is soon in the swarm once instead of some of them many times.
 *
 * @module
 */

import type { PieceSet } from "./piece_picker.ts";

/** What super-seeding looks at and talks to. */
export interface SeededPeer {
  /** What it has. */
  readonly pieces: PieceSet;
  /** It has everything. */
  readonly isSeed: boolean;
  /** We choke it. */
  readonly amChoking: boolean;
  /** Payload to it. */
  readonly up: { readonly rate: number };
  /** When we last unchoked it, milliseconds. */
  readonly unchokedAt: number;
  /** Tells it that we have a piece. */
  have(index: number): void;
  /** Tells it that we want nothing. */
  announceUploadOnly(): void;
  /** Sends what it was told. */
  readonly output: { flush(): void };
}

/** With fewer other incomplete peers than this there is nobody to spread pieces to, and hiding them would only cost time. */
const LEAST_AUDIENCE = 1;
/** Pieces that a peer is offered at least while we serve it, ... */
const LEAST_OFFERS = 2;
/** ... and enough for this many seconds at the speed at which it is served. */
const AHEAD_SECONDS = 3;
/** Milliseconds after which a piece that was offered to one peer, and got nowhere, may be offered to another one. */
const STALE_MS = 15_000;

/** A peer that is served this many times as fast as another may be offered what was offered to that one, at the end. */
const MUCH_FASTER = 2;

/** Decides whom a lone seed offers which piece. */
export class SuperSeeding<P extends SeededPeer> {
  readonly #pieceCount: number;
  readonly #pieceLength: number;
  readonly #random: () => number;
  /** How many peers have a piece. */
  readonly #availability: (index: number) => number;
  /** What each peer that we hide from was offered, and when. */
  readonly #offers = new Map<P, Map<number, number>>();
  /** Pieces that nobody has, as far as we know. */
  #unseen: number[];
  #over = false;

  /**
   * @param torrent Its size.
   * @param options `availability`: how many peers have a piece; those that have everything needn't be counted. `random`:
   * uniform in 0 to 1.
   */
  constructor(
    torrent: { readonly pieceCount: number; readonly pieceLength: number },
    options: { readonly availability: (index: number) => number; readonly random: () => number },
  ) {
    this.#pieceCount = torrent.pieceCount;
    this.#pieceLength = torrent.pieceLength;
    this.#availability = options.availability;
    this.#random = options.random;
    this.#unseen = Array.from({ length: torrent.pieceCount }, (_, index) => index);
  }

  /**
   * A peer has connected, and was told nothing yet.
   *
   * @param peer Which.
   * @param peers Every connected peer, this one included.
   * @returns Whether it is to be told that we have nothing.
   */
  joined(peer: P, peers: Iterable<P>): boolean {
    let others = 0;
    for (const other of peers) if (other !== peer && !other.isSeed) others++;
    if (this.#over || others < LEAST_AUDIENCE) return false;
    this.#offers.set(peer, new Map());
    return true;
  }

  /** A peer is gone. */
  left(peer: P): void {
    this.#offers.delete(peer);
  }

  /**
   * Offers what is due.
   *
   * @param now Milliseconds.
   * @param only One peer; all when absent.
   */
  turn(now: number, only?: P): void {
    if (this.#over) return;
    this.#unseen = this.#unseen.filter((index) => this.#availability(index) === 0);
    if (this.#unseen.length === 0) return this.end();
    const taken = this.#taken(now);
    for (const [peer, offers] of this.#offers) {
      if (only === undefined || only === peer) this.#offer(peer, { offers, taken, now });
    }
  }

  /** There is no need any more: every piece is in the swarm, or there is another seed. Everybody is told what we have. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const [peer, offers] of this.#offers) {
      for (let index = 0; index < this.#pieceCount; index++) if (!offers.has(index)) peer.have(index);
      peer.announceUploadOnly();
      peer.output.flush();
    }
    this.#offers.clear();
  }

  #offer(
    peer: P,
    state: { readonly offers: Map<number, number>; readonly taken: Map<number, number>; readonly now: number },
  ): void {
    const { offers, taken, now } = state;
    let open = 0;
    for (const index of offers.keys()) if (!peer.pieces.has(index) && this.#availability(index) === 0) open++;
    const ahead = Math.ceil(AHEAD_SECONDS * peer.up.rate / this.#pieceLength);
    // One is enough to make a peer interested, so that it gets its turn.
    for (const want = peer.amChoking ? 1 : LEAST_OFFERS + ahead; open < want; open++) {
      const isNew = (piece: number) => !offers.has(piece) && !peer.pieces.has(piece);
      let index = this.#choose((piece) => isNew(piece) && !taken.has(piece));
      // Nobody is to wait for a piece that crawls to somebody else, or to have nothing to fetch.
      if (index < 0 && !peer.amChoking) {
        const mayTake = (speed: number) => open === 0 || MUCH_FASTER * speed < peer.up.rate;
        index = this.#choose((piece) => isNew(piece) && mayTake(taken.get(piece) ?? 0));
      }
      if (index < 0) break;
      offers.set(index, now);
      if (!peer.amChoking) taken.set(index, peer.up.rate);
      peer.have(index);
    }
    peer.output.flush();
  }

  /**
   * Pieces that are offered to peers which may fetch them now, and lately enough to believe that they do, with the speed at
   * which the fastest of those is served.
   */
  #taken(now: number): Map<number, number> {
    const taken = new Map<number, number>();
    for (const [peer, offers] of this.#offers) {
      if (peer.amChoking) continue;
      for (const [index, since] of offers) {
        if (now - Math.max(since, peer.unchokedAt) >= STALE_MS) continue;
        taken.set(index, Math.max(taken.get(index) ?? 0, peer.up.rate));
      }
    }
    return taken;
  }

  /** One of the pieces that nobody has, by chance. */
  #choose(fits: (index: number) => boolean): number {
    const { length } = this.#unseen;
    const start = Math.floor(this.#random() * length);
    for (let i = 0; i < length; i++) {
      const index = this.#unseen[(start + i) % length]!;
      if (fits(index)) return index;
    }
    return -1;
  }
}
